"""The versions of cnncli, Python, numpy and Pillow, and how those of two machines differ.

`versions` goes to workers by value: it must run where there is no cnncli, and imports all that it
needs itself.
"""

from __future__ import annotations


def versions() -> dict[str, str]:
    """Return the versions of what computes and writes; an empty text where it is missing.

    Examples
    --------
    >>> sorted(versions())
    ['cnncli', 'numpy', 'pillow', 'python']
    """
    import importlib
    import sys

    numbers = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name, module in (("cnncli", "cnncli"), ("numpy", "numpy"), ("pillow", "PIL")):
        try:
            numbers[name] = str(importlib.import_module(module).__version__)
        except Exception:
            numbers[name] = ""
    return numbers


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Say what another machine has that this one has not; nothing if all is the same.

    Examples
    --------
    >>> difference({"cnncli": "2", "numpy": "2.1"}, {"cnncli": "", "numpy": "2.0"})
    'has no cnncli, and numpy 2.0, here 2.1'
    >>> difference({"cnncli": "2"}, {"cnncli": "2"})
    ''
    """
    different = [
        f"{name} {theirs[name]}, here {here}" if theirs.get(name) else f"no {name}"
        for name, here in sorted(ours.items())
        if theirs.get(name) != here
    ]
    return "has " + ", and ".join(different) if different else ""
