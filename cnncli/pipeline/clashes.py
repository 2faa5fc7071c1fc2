"""Two images that would write one file, and the template that keeps them apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cnncli.errors import OptionError, quote
from cnncli.io.urls import Location
from cnncli.pipeline.targets import Source, Target

_APART: Final = ("{stem}-{ext}", "{dir}/{stem}", "{dir}/{stem}-{ext}", "{name}", "{dir}/{name}")


def clash_problem(path: Location, first: Target, second: Target) -> OptionError:
    """Return the error for a file that two images would write.

    Parameters
    ----------
    path : Path or Url
    first, second : Target

    Examples
    --------
    >>> from pathlib import Path
    >>> targets = [Target("folder", Source(Path(name)), "o", "pool") for name in ("a.png", "a.gif")]
    >>> error = clash_problem(Path("o/a-pool.png"), *targets)
    >>> print(error, error.hint, sep="; ")
    'o/a-pool.png': would hold both 'a.png' and 'a.gif'; -o 'o/{stem}-{ext}-{map:03d}.png'
    """
    one, other = first.source, second.source
    return OptionError(
        f"would hold both {one} and {other}",
        path=path,
        hint="both are one file: give it once" if _same(one, other) else _hint(first, second),
    )


def _same(one: Source, other: Source) -> bool:
    try:
        return os.path.samefile(one.path or 0, other.path or 0)
    except OSError:
        return one.path == other.path


def _hint(first: Target, second: Target) -> str:
    text = _as_template(first)
    if first.kind != "template" and (first.source.below or second.source.below):
        text = _in_subfolder(text)
    for better in _templates(text):
        one, other = (replace(target, kind="template", place=better) for target in (first, second))
        if _names(one).isdisjoint(_names(other)):
            return f"-o {quote(better)}"
    return "another output folder for each: run cnncli once for each"


def _names(target: Target) -> set[str]:
    return {os.path.normpath(file.path or "") for file in target.files(target.unknown())}


def _templates(text: str) -> Iterator[str]:
    """Yield what the user might write instead: the template with more in it than ``{stem}``."""
    folder, name = os.path.split(text)
    for form in _APART:
        if "{stem}" in text:
            yield text.replace("{stem}", form, 1)
        else:
            yield os.path.join(folder, f"{form}-{name}")


def _in_subfolder(text: str) -> str:
    return os.path.join(os.path.dirname(text), "{dir}", os.path.basename(text))


def _as_template(target: Target) -> str:
    """The template that names files as a target of any kind does, braces in folders kept."""
    if target.kind in ("template", "default"):
        return target.place
    folder = target.place.replace("{", "{{").replace("}", "}}")
    field = "layer" if target.layers else "map:03d" if target.per_map else "op"
    format = "npz" if target.archive else target.format.name if target.format else "png"
    name = f"{{stem}}.{format}" if target.archive else f"{{stem}}-{{{field}}}.{format}"
    return os.path.join(folder, name)
