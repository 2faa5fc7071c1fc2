"""What is said of two images whose results would have one name."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace

from cnncli.errors import OptionError, quote
from cnncli.io.urls import Location
from cnncli.pipeline.output_names import OutputKind, OutputPattern, Target
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
    given = pattern.text
    if pattern.kind is OutputKind.FOLDER:
        end = "layer" if pattern.layers else "filter" if pattern.op == "conv" else "op"
        format = "png" if pattern.format is None else pattern.format.name
        folder = given.replace("{", "{{").replace("}", "}}")
        given = os.path.join(folder, f"{{stem}}-{{{end}}}.{format}")
    # Formats such as {stem:.1s} cut names.
    uncut = re.sub(r"\{(stem|name|dir):[^{}]*\}", r"{\1}", given)
    for field, has_folder in (
        ("stem", is_mirrored), ("stem", True), ("name", is_mirrored), ("name", True),
    ):  # fmt: skip
        for text in (given, uncut):
            template = _with_fields(text, field, has_folder)
            named = replace(pattern, kind=OutputKind.TEMPLATE, text=template)
            targets = (Target(source, named) for source in sources)
            names = [file.argument for target in targets for file in target.unknown_files()]
            if len(set(names)) == len(names):
                return template
    return None


def _with_fields(text: str, field: str, has_folder: bool) -> str:
    """Return a template with a field in its name, and perhaps the folder of the image."""
    folder, name = os.path.split(text)
    if has_folder and "dir" not in Template.parse(folder).fields:
        folder = os.path.join(folder, "{dir}")
    if field not in Template.parse(name).fields:
        name = name.replace("{stem}", "{name}") if "{stem}" in name else f"{{{field}}}-{name}"
    return os.path.join(folder, name)
