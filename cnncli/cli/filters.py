"""``cnncli filters``: list, show, make and export filters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cnncli.kinds import KINDS, Kind, Parameter
from cnncli.names import builtin_file, builtin_names, nearest
from cnncli.options import (
    ONE_OR_TWO,
    AnyParamType,
    FilterName,
    FiniteFloat,
    filter_layout,
    overwrite_option,
)


@click.group()
def filters() -> None:
    """List, show, make and export filters."""


@filters.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_filters(as_json: bool) -> None:
    """List the built-in filters: name, shape, what it does, what a positive response means."""
    from cnncli.formulas import BUILTINS

    rows = []
    for name in builtin_names():
        shape = "x".join(map(str, BUILTINS[name].make().shape))
        rows.append((name, shape, BUILTINS[name].summary, BUILTINS[name].sign))
    if as_json:
        for row in rows:
            fields = dict(zip(("name", "shape", "summary", "positive"), row, strict=True))
            click.echo(json.dumps(fields))
        return
    for line in _aligned([("NAME", "SHAPE", "WHAT IT DOES", "POSITIVE MEANS"), *rows]):
        click.echo(line)


@filters.command()
@click.argument("name", metavar="FILTER", type=FilterName())
@filter_layout
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(name: str, filter_layout: str, as_json: bool) -> None:
    """Show the numbers of any filter and the facts about it.

    FILTER is a built-in name, a file or an inline matrix.
    """
    from cnncli import doctor
    from cnncli.filters import load_filter

    loaded = load_filter(name, layout=filter_layout)
    facts = doctor.examine(loaded)
    if as_json:
        click.echo(json.dumps(doctor.to_json(facts)))
        return
    click.echo(doctor.format_matrix(loaded))
    click.echo("")
    click.echo(doctor.format_facts(facts))


@filters.command()
@click.argument("name", metavar="NAME", type=FilterName())
@click.option("-o", "--output", metavar="PATH", help="File.  [default: NAME.npy]")
@overwrite_option
def export(name: str, output: str | None, overwrite: bool) -> None:
    """Write a built-in filter as a .npy file of your own."""
    from cnncli.errors import OptionError
    from cnncli.outputs import write_whole

    known = builtin_names()
    bare = name.removesuffix(".npy")
    if bare not in known:
        near = ", ".join(nearest(bare, known)) or "none is alike"
        raise OptionError(
            f"{bare!r} is no built-in filter; nearest: {near}", hint="cnncli filters list"
        )
    path = Path(output or f"{bare}.npy")
    if path.is_dir():
        path = path / f"{bare}.npy"
    write_whole(path, builtin_file(bare).read_bytes(), overwrite=overwrite)
    click.echo(str(path), err=True)


class MakeGroup(click.Group):
    """One command for each kind, with the kind's parameters as options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        kind = KINDS.get(cmd_name)
        return None if kind is None else _kind_command(kind)


@filters.command(cls=MakeGroup)
def make() -> None:
    """Make a filter from its formula."""


def _kind_command(kind: Kind) -> click.Command:
    options: list[click.Parameter] = [_kind_option(parameter) for parameter in kind.parameters]
    output = click.Option(["-o", "--output"], metavar="FILE", required=True, help=".npy file.")

    def run(output: str, overwrite: bool, **values: Any) -> None:
        _write_filter(kind, Path(output), overwrite, values)

    command = click.Command(kind.name, params=[*options, output], callback=run, help=kind.summary)
    return overwrite_option(command)


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


def _write_filter(kind: Kind, path: Path, overwrite: bool, values: dict[str, Any]) -> None:
    import io

    import numpy as np

    from cnncli.outputs import write_whole

    weights = kind.make(**{key: v for key, v in values.items() if v is not None})
    stream = io.BytesIO()
    np.save(stream, weights)
    write_whole(path, stream.getvalue(), overwrite=overwrite)
    shape = "x".join(map(str, weights.shape))
    click.echo(f"{path}: {shape}, sum {weights.sum():.6g}", err=True)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
