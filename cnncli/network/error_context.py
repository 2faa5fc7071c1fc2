"""Errors in network files: their place, and fields where a message names options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnncli.errors import CnnCliError, FileProblem, GivenOptionError


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Name the file in whatever error comes from within."""
    try:
        yield
    except GivenOptionError:
        raise
    except CnnCliError as error:
        # An error of a file that this one names becomes part of the text: this one is to be mended.
        raise _kind(error)(str(error), hint=error.hint, path=path) from error


@contextmanager
def error_context(where: str) -> Iterator[None]:
    """Put a place in front of whatever error comes from within; options become fields.

    Examples
    --------
    >>> with error_context("layer conv1"):
    ...     raise FileProblem("bias must be a number", hint="--bias 1")
    Traceback (most recent call last):
    cnncli.errors.FileProblem: layer conv1: bias must be a number
    """
    try:
        yield
    except GivenOptionError:
        raise
    except CnnCliError as error:
        hint = None if error.hint is None else as_fields(error.hint)
        raise _kind(error)(f"{where}: {as_fields(str(error))}", hint=hint) from error


def _kind(error: CnnCliError) -> type[FileProblem]:
    """Return the class of an error of a network file: its own, if that is one of files."""
    return type(error) if isinstance(error, FileProblem) else FileProblem


def as_fields(text: str) -> str:
    """Write the options of a message as fields, those that a network file has.

    Examples
    --------
    >>> as_fields("--padding same, or --filter-layout oihw")
    'padding same, or filter_layout = "oihw"'
    >>> as_fields("--max-memory raises the limit")
    '--max-memory raises the limit'
    """
    # Loaded for errors alone.
    from cnncli.network.toml_types import INPUT_FIELDS, LAYER_TYPES

    fields = INPUT_FIELDS.keys() | {name for layer in LAYER_TYPES.values() for name in layer.fields}

    def as_field(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        return name if name in fields else match[0]

    text = re.sub(r"(?<!\S)--([a-z][a-z-]*)", as_field, text)
    return re.sub(r"\bfilter_layout (\w+)", r'filter_layout = "\1"', text)
