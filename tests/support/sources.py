"""The syntax trees of cnncli's modules, read once for all tests of the code's shape."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import cnncli

PACKAGE = Path(cnncli.__file__).parent


@cache
def syntax_trees() -> dict[str, ast.Module]:
    """Return the tree of every module by its path below the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
