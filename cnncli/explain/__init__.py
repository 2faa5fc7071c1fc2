"""The arithmetic of single values: as text, as an interactive page, as an animation.

The package can be called, as ``cnncli.explain(image, "edge")``: see `cnncli.library.explain`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Explain(ModuleType):
    """A package that is called: its name is that of the function, as of the command."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Explain one value of a layer on an interactive page; see `cnncli.library.explain`."""
        from cnncli.library.explain import explain

        return explain(*args, **options)


# A function `explain` of cnncli would not last: whoever imports a module of this package makes the
# package the attribute `explain` of cnncli. So it is the package that is called.
sys.modules[__name__].__class__ = _Explain
