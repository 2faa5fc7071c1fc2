"""What is said of two images whose results would have one name."""

from __future__ import annotations

import os
from collections.abc import Collection

from cnncli.errors import OptionError, quote
from cnncli.io.urls import Location
from cnncli.pipeline.output_names import OutputKind, OutputPattern
from cnncli.pipeline.source import Source
from cnncli.pipeline.templates import Template


def clash_problem(
    path: Location,
    one: Source,
    other: Source,
    sources: Collection[Source],
    pattern: OutputPattern,
) -> OptionError:
    """Return the error of a file that two images would be written to.

    Parameters
    ----------
    path : path or Url
        The file.
    one, other : Source
        The two.
    sources : collection of Source
        All images.
    pattern : OutputPattern
        How outputs are named.
    """
    try:
        is_same = os.path.samefile(one.path or 0, other.path or 0)
    except OSError:
        is_same = one.path == other.path
    template = None if is_same else _template_without_clash(sources, pattern)
    hint = "another output folder for each: run cnncli once for each"
    if template is not None:
        hint = f"-o {quote(template)} tells them apart"
    elif is_same:
        hint = "both are one file: give it once"
    return OptionError(f"would hold both {one} and {other}", path=path, hint=hint)


def _template_without_clash(sources: Collection[Source], pattern: OutputPattern) -> str | None:
    """Return a template like the output that was asked for, of other names for all images."""
    mirrors = pattern.kind in (OutputKind.FOLDER, OutputKind.DEFAULT)
    is_mirrored = mirrors and any(source.below for source in sources)
    for field, has_folder in (
        ("stem", is_mirrored), ("stem", True), ("name", is_mirrored), ("name", True),
    ):  # fmt: skip
        names = {
            (source.folder if has_folder else "", getattr(source, field)) for source in sources
        }
        if len(names) == len(sources):
            break
    else:
        return None
    folder, name = os.path.split(pattern.text)
    if pattern.kind is OutputKind.FOLDER:
        end = "layer" if pattern.layers else "filter" if pattern.op == "conv" else "op"
        format = "png" if pattern.format is None else pattern.format.name
        folder = pattern.text.replace("{", "{{").replace("}", "}}")
        name = f"{{stem}}-{{{end}}}.{format}"
    if has_folder and "dir" not in Template.parse(folder).fields:
        folder = os.path.join(folder, "{dir}")
    if field not in Template.parse(name).fields:
        name = name.replace("{stem}", "{name}") if "{stem}" in name else f"{{{field}}}-{name}"
    return os.path.join(folder, name)
