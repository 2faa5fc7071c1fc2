"""Answers to wrong calls: mistyped dashes, filters as images, names and numbers without quotes."""

from __future__ import annotations

import itertools
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from cnncli.cli.synonyms import meant_value
from cnncli.cli.types import FilterName, TextType
from cnncli.core.choices import POOL_MODES
from cnncli.errors import CnnCliError, OptionError, quote
from cnncli.filters.builtin_names import SUFFIX, builtin_names

_NUMBER: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(/\d+)?,?")
_BORDER: Final = re.compile(r"\d+(,\d+)*")
_LARGEST_FILTER: Final = 31
"""Rows or columns from which an array is likelier to be an image."""
_WEIGHTS: Final = (SUFFIX, ".npz", ".safetensors", ".csv", ".txt", ".tsv")
_DASHES: Final = "-\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"
_SHORT_WITH_EQUALS: Final = re.compile(r"(-([a-z]*)([a-z]))=(.*)", re.DOTALL)
_LOOKED_AT: Final = 40
"""Words of a command that are looked at for the parts of a name."""
_MOST_WORDS_OF_A_NAME: Final = 4


def refuse_mistyped_dashes(
    ctx: click.Context, known: Mapping[str, click.Parameter], words: Sequence[str]
) -> None:
    """Refuse ``-filter`` and ``-f=edge``, read as ``ilter`` and ``=edge``, and other dashes."""
    flags = {name for name, param in known.items() if _is_flag(param)}
    for word in words:
        if word == "--":
            return
        typed = word.partition("=")[0]
        bare = typed.lstrip(_DASHES)
        meant = f"{'--' if len(bare) > 1 else '-'}{bare}"
        if meant in known and typed not in (meant, bare):
            message = f"No such option {typed!r}. Did you mean {meant!r}?"
            raise click.NoSuchOption(typed, message, ctx=ctx)
        equals = _SHORT_WITH_EQUALS.fullmatch(word)
        if equals and f"-{equals[3]}" in known and all(f"-{flag}" in flags for flag in equals[2]):
            name = f"-{equals[3]}"
            use = f"its value without =: {shlex.join((equals[1], equals[4]))}"
            use = "no value" if name in flags else use
            raise click.BadOptionUsage(name, f"{equals[1]} takes {use}.", ctx)


def refuse_name_split_at_spaces(ctx: click.Context, words: Sequence[str]) -> None:
    """Refuse the name of a file that the shell has split at its spaces."""
    for first, last in itertools.combinations(range(min(len(words), _LOOKED_AT)), 2):
        parts = words[first : last + 1]
        is_file = len(parts) <= _MOST_WORDS_OF_A_NAME and os.path.isfile(" ".join(parts))
        if is_file and not any(map(os.path.exists, parts)):
            message = f"A name with spaces needs quotes: {shlex.quote(' '.join(parts))}."
            raise click.UsageError(message, ctx)


def refuse_value_as_image(ctx: click.Context, paths: Sequence[str]) -> None:
    """Raise OptionError where one of the images is the value of an option that was not given.

    Parameters
    ----------
    ctx : click.Context
    paths : sequence of str
        Its arguments.
    """
    flags = {flag for param in ctx.command.params for flag in param.opts}
    for path in reversed(paths):
        found = _option_of(path, flags, alone=len(paths) == 1)
        if found is None:
            continue
        # Behind -- stand options too, and -f is not told from an image there.
        others = [
            p
            for p in paths
            if p != path and (os.path.exists(p) or not (p[:1] == "-" or _NUMBER.fullmatch(p)))
        ]
        use = shlex.join(["cnncli", ctx.info_name or "", *(others or ["IMAGE"]), *found])
        if os.path.exists(path):
            raise OptionError("--filter is missing", hint=f"if {path!r} is the filter: {use}")
        raise OptionError(f"{path!r} is no IMAGE", hint=use)


def refuse_filter_as_network(network: str, images: Sequence[str]) -> None:
    """Raise OptionError where a filter stands in the place of a network."""
    if not os.path.exists(network) and _is_filter(network):
        use = shlex.join(["cnncli", "conv", *(images or ["IMAGE"]), "-f", network])
        raise OptionError(f"{network!r} is no NETWORK", hint=f"one filter: {use}")


def refuse_layer_as_image(images: Sequence[str], layers: Sequence[str]) -> None:
    """Raise OptionError where one of the images is the name of a layer."""
    for name in images:
        if name in layers and not os.path.exists(name):
            raise OptionError(f"{name!r} is no IMAGE", hint=f"a layer: --layer {name}")


def second_filter_note(words: Sequence[str], images: Sequence[str]) -> str | None:
    """Say of an image right behind ``-f FILE`` that is as small as a filter how to make it one."""
    from cnncli.filters.files import load_filter

    for flag, first, second in zip(words, words[1:], words[2:], strict=False):
        is_one = second in images and len(images) > 1 and Path(second).suffix == SUFFIX
        if flag not in ("-f", "--filter") or not is_one or not _is_filter(second):
            continue
        with suppress(CnnCliError):
            if max(load_filter(second, headers_only=True).window) <= _LARGEST_FILTER:
                both = shlex.join([flag, first, flag, second])
                return f"{quote(second)} is an IMAGE here; for two filters: {both}"
    return None


def refuse_loose_numbers(ctx: click.Context, words: Sequence[str]) -> None:
    """Raise OptionError for ``-f 0 -1 0`` or ``--size 2 2``, numbers that the shell has parted."""
    options = {flag: param for param in ctx.command.params for flag in param.opts}
    for at, word in enumerate(words):
        param, values = options.get(word), words[at + 1 :]
        if not isinstance(param, click.Option) or not isinstance(param.type, TextType):
            continue
        is_filter = isinstance(param.type, FilterName)
        # A comma at the end is left over from "3, 4".
        loose = itertools.takewhile(_NUMBER.fullmatch, values)
        numbers = [number.removesuffix(",") for number in loose]
        if is_filter and not numbers:
            _refuse_loose_parameter("".join(values[:1]), values[1:2])
        if len(numbers) < 2 or any(map(os.path.exists, numbers[1:])):
            continue
        how, joined = "write them without spaces", _joined(numbers, param, ctx)
        if is_filter:
            how, joined = "put them in quotes, rows end with ;", _matrix_text(numbers)
        if joined is not None:
            raise OptionError(
                f"the numbers of {word} must be one text, got {len(numbers)} words",
                hint=f"{how}: {word} {joined}",
            )


def _is_flag(param: click.Parameter) -> bool:
    """Whether a parameter takes no value."""
    return isinstance(param, click.Option) and (param.is_flag or param.count)


def _matrix_text(numbers: Sequence[str]) -> str:
    """Return numbers as a filter: of a square where they make one, else of one row."""
    side = math.isqrt(len(numbers))
    columns = side if side * side == len(numbers) else len(numbers)
    rows = [" ".join(numbers[i : i + columns]) for i in range(0, len(numbers), columns)]
    return f'"{"; ".join(rows)}"'


def _joined(numbers: Sequence[str], param: click.Option, ctx: click.Context) -> str | None:
    """Return numbers as one value of an option; None if they cannot be one."""
    for text in (",".join(numbers), "x".join(numbers)):
        with suppress(click.BadParameter):
            param.type.convert(text, param, ctx)
            return text
    return None


def _refuse_loose_parameter(kind: str, behind: Sequence[str]) -> None:
    """Raise OptionError for ``-f gaussian 2``."""
    if not behind or not _NUMBER.fullmatch(behind[0]) or os.path.exists(behind[0]):
        return
    from cnncli.filters.generators import GENERATORS

    if kind in GENERATORS:
        use = f"a filter's parameter follows a colon: -f {kind}:{behind[0]}"
        raise OptionError(f"{behind[0]!r} is no IMAGE", hint=use)


def _option_of(path: str, flags: set[str], alone: bool) -> tuple[str, str] | None:
    """Return the option that an argument is likely to be the value of, and that value."""
    if "--filter" in flags and _is_filter(path) and not (alone and Path(path).suffix == SUFFIX):
        return "-f", path
    if os.path.exists(path):
        return None
    mode = next((flag for flag in ("--pool", "--mode") if flag in flags), None)
    if mode is not None and (meant := meant_value(path, POOL_MODES)):
        return mode, meant
    if not {"--filter", "--mode"} & flags and _BORDER.fullmatch(path):
        return "--padding", path
    return None


def _is_filter(path: str) -> bool:
    """Whether an argument names a built-in filter, numbers, or a file that may hold weights."""
    file = path.partition(":")[0]
    if os.path.isfile(file):
        return file.lower().endswith(_WEIGHTS)
    rows = [row.split() for row in path.split(";")]
    is_matrix = len(rows) > 1 and all(rows) and all(map(_NUMBER.fullmatch, itertools.chain(*rows)))
    return file.lower().removesuffix(SUFFIX) in builtin_names() or is_matrix
