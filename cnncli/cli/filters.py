"""``cnncli filters``: list, show, make and export filters."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from typing import Any

import click

from cnncli.cli.group import SuggestingGroup, check_output_open, tell
from cnncli.cli.options import ONE_OR_TWO, filter_layout, overwrite_option
from cnncli.cli.types import AnyParamType, FilterName, FiniteFloat
from cnncli.errors import nearest
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.generators import GENERATORS, Generator, Parameter


def _output_option(required: bool) -> Callable[[Any], Any]:
    default = "" if required else "  [default: NAME.npy]"
    return click.option(
        "-o", "--output", metavar="PATH", required=required,
        help=f"File .npy, .txt or .csv, folder/ or - for standard output.{default}",
    )  # fmt: skip


@click.group(cls=SuggestingGroup)
def filters() -> None:
    """List, show, make and export filters."""


@filters.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_filters(as_json: bool) -> None:
    """List the built-in filters: name, shape, what it does, what a positive response means."""
    from cnncli.filters.builtins import BUILTINS

    check_output_open()
    rows = []
    for name in builtin_names():
        shape = "x".join(map(str, BUILTINS[name].make().shape))
        rows.append((name, shape, BUILTINS[name].summary, BUILTINS[name].sign))
    if as_json:
        for row in rows:
            fields = dict(zip(("name", "shape", "summary", "positive"), row, strict=True))
            click.echo(json.dumps(fields))
        return
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _aligned([("NAME", "SHAPE", "WHAT IT DOES", "POSITIVE MEANS"), *rows]):
        click.echo(line if wide is None or len(line) <= wide else f"{line[: wide - 1]}…")


@filters.command()
@click.argument("name", metavar="FILTER", type=FilterName())
@filter_layout
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(name: str, filter_layout: str, as_json: bool) -> None:
    """Show the numbers of any filter and the facts about it.

    FILTER is a built-in name, a file or an inline matrix.
    """
    from cnncli.filters import describe
    from cnncli.filters.files import load_filter
    from cnncli.render.to_json import json_text

    check_output_open()
    loaded = load_filter(name, layout=filter_layout)
    facts = describe.describe(loaded)
    if as_json:
        click.echo(json_text(facts))
        return
    click.echo(describe.format_facts(facts))
    click.echo("")
    click.echo(describe.format_matrix(loaded))


@filters.command()
@click.argument("name", metavar="NAME", type=FilterName())
@_output_option(required=False)
@overwrite_option
def export(name: str, output: str | None, overwrite: bool) -> None:
    """Write a built-in filter as a file of your own."""
    from cnncli.errors import OptionError
    from cnncli.filters.files import read_builtin, save_filter

    bare = name.removesuffix(".npy")
    if bare not in builtin_names():
        near = ", ".join(nearest(bare, builtin_names()))
        alike = f"; nearest: {near}" if near else ""
        raise OptionError(f"{bare!r} is no built-in filter{alike}", hint="cnncli filters list")
    place = save_filter(read_builtin(bare), bare, output or f"{bare}.npy", overwrite)
    tell(place)


class MakeGroup(SuggestingGroup):
    """One command for each kind, with the kind's parameters as options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GENERATORS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        kind = GENERATORS.get(cmd_name)
        return None if kind is None else _kind_command(kind)


@filters.command(cls=MakeGroup)
def make() -> None:
    """Make a filter from its formula."""


def _kind_command(kind: Generator) -> click.Command:
    def run(output: str, overwrite: bool, **values: Any) -> None:
        from cnncli.filters.files import save_filter

        weights = kind.make(**{key: v for key, v in values.items() if v is not None})
        place = save_filter(weights, kind.name, output, overwrite)
        shape = "x".join(map(str, weights.shape))
        tell(f"{place}: {shape}, sum {weights.sum():.6g}")

    options: list[click.Parameter] = [_kind_option(parameter) for parameter in kind.parameters]
    command = click.Command(kind.name, params=options, callback=run, help=kind.summary)
    decorated: click.Command = overwrite_option(_output_option(required=True)(command))
    return decorated


def _kind_option(parameter: Parameter) -> click.Option:
    types: dict[str, AnyParamType] = {
        "size": ONE_OR_TWO,
        "int": click.INT,
        "float": FiniteFloat(),
        "choice": click.Choice(parameter.choices),
    }
    return click.Option(
        [f"--{parameter.name.replace('_', '-')}", parameter.name],
        type=types[parameter.type],
        default=parameter.default,
        show_default=parameter.default is not None,
        help=parameter.help,
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
