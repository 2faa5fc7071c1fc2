"""``cnncli filters``: list, show, make and export filters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.command import argument, flag, option
from cnncli.cli.group import (
    SuggestingGroup,
    check_output_open,
    tell,
    terminal_columns,
    typed_command,
)
from cnncli.cli.help import HelpfulCommand
from cnncli.cli.layer_options import filter_layout_option
from cnncli.cli.options import COLORMAP, overwrite_option
from cnncli.cli.progress import is_terminal_stream, show_steps
from cnncli.cli.types import AnyParamType, Choice, FilterName, FiniteFloat, Numbers, RangeType
from cnncli.errors import among, nearest, quote
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.generators import GENERATORS, Generator, Parameter
from cnncli.io.limits import MAX_SIDE

if TYPE_CHECKING:
    from cnncli.filters.filter import Filter

# fmt: off
filter_argument = argument("name", metavar="FILTER", type=FilterName())
builtin_argument = argument("name", metavar="NAME", type=FilterName())
output_option = option(
    "-o", "--output", metavar="PATH", required=True, common=True,
    help="File .npy, .txt or .csv, folder/ or - for standard output.",
)
export_option = option(
    "-o", "--output", metavar="PATH", common=True,
    help="File .npy, .txt or .csv, folder/ or - for standard output.  [default: NAME.npy]",
)
picture_option = option(
    "-o", "--output", metavar="PATH", common=True,
    help="Draw the weights into this picture instead; - is standard output.",
)
range_option = option(
    "--range", type=RangeType(), default="symmetric", common=True,
    help="Which weights are black and white in the picture; symmetric: 0 in the middle.",
)
colormap_option = option(
    "--colormap", type=COLORMAP, default="gray", common=True,
    help="Colours of kernels in the picture.",
)
lines_option = flag("--json", "as_json", common=True, help="Print a JSON object for each filter.")
object_option = flag("--json", "as_json", common=True, help="Print one JSON object.")
# fmt: on


def _examples(*commands: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  cnncli filters {command}" for command in commands)])


@click.group(
    cls=SuggestingGroup, epilog=_examples("list", "show sobel_v", "make gaussian -o blur.npy")
)
def filters() -> None:
    """List, show, make and export filters."""


@filters.command("list", params=[lines_option], epilog=_examples("list", "list --json"))
def list_filters(as_json: bool) -> None:
    """List the built-in filters.

    Each with its shape, what it does, and what a positive response means.
    """
    from cnncli.filters.builtins import BUILTINS
    from cnncli.render.text_table import text_table, wrapped_table
    from cnncli.render.to_json import json_text

    check_output_open()
    rows = []
    for name in builtin_names():
        shape = "x".join(map(str, BUILTINS[name].make().shape))
        rows.append((name, shape, BUILTINS[name].summary, BUILTINS[name].sign))
    if as_json:
        for row in rows:
            fields = zip(("name", "shape", "summary", "positive"), row, strict=True)
            click.echo(json_text(dict(fields)))
        return
    table = [("NAME", "SHAPE", "WHAT IT DOES", "POSITIVE MEANS"), *rows]
    if is_terminal_stream(sys.stdout):
        lines = wrapped_table(table, terminal_columns(), long=(2, 3))
    else:
        # For grep and the like: a line for each filter.
        lines = text_table(table)
    click.echo("\n".join(lines))


@filters.command(
    params=[
        filter_argument,
        filter_layout_option(common=True),
        object_option,
        picture_option,
        range_option,
        colormap_option,
        overwrite_option,
    ],
    epilog=_examples(
        "show sobel_v",
        "show gaussian:1.1",
        "show '0 -1 0; -1 5 -1; 0 -1 0'",
        "show w.safetensors:conv1.weight --filter-layout oihw -o w.png",
        "show model.onnx:conv1 -o weights.png",
    ),
)
def show(
    name: str,
    filter_layout: str,
    as_json: bool,
    output: str | None,
    range: str | tuple[float, float],
    colormap: str,
    overwrite: bool,
) -> None:
    """Show the numbers of any filter and the facts about it, or its weights as a picture.

    FILTER is a built-in name, a file, numbers, KIND:VALUE, - for standard input, or a layer of a
    network: net.toml:conv1, model.onnx:conv1.
    """
    from cnncli.filters import describe
    from cnncli.filters.channels import likelier_layout_note
    from cnncli.pipeline.layers import load_any_filter, of_network
    from cnncli.render.to_json import json_text

    if output is None:
        check_output_open()
    with show_steps(quiet=False):
        loaded = load_any_filter(name, filter_layout)
    note = likelier_layout_note(loaded)
    if note and not of_network(loaded):
        tell(f"note: {note}")
    if output is not None:
        if as_json:
            raise click.UsageError("--json and --output exclude each other.")
        _draw(loaded, output, range, colormap, overwrite)
        return
    with show_steps(quiet=False):
        facts = describe.describe(loaded)
    if as_json:
        click.echo(json_text(facts))
        return
    click.echo(describe.format_facts(facts))
    click.echo("")
    click.echo(describe.format_matrix(loaded))


def _draw(
    bank: Filter,
    output: str,
    range: str | tuple[float, float],
    colormap: str,
    overwrite: bool,
) -> None:
    """Write the weights of a filter as a picture."""
    from cnncli.pipeline.output_checks import OutputOptions
    from cnncli.pipeline.weight_pictures import write_weights
    from cnncli.render.options import RenderOptions

    options = RenderOptions(range=range, shared_range=True, colormap=colormap)
    target = OutputOptions(output, overwrite=overwrite)
    with show_steps(quiet=False):
        lines = write_weights(bank, options, target, typed_command())
    for line in lines:
        tell(line)


@filters.command(
    params=[builtin_argument, export_option, overwrite_option],
    epilog=_examples("export edge", "export edge -o edge.txt"),
)
def export(name: str, output: str | None, overwrite: bool) -> None:
    """Write a built-in filter as a file of your own."""
    from cnncli.errors import OptionError
    from cnncli.filters.files import read_builtin, save_filter

    bare = name.removesuffix(".npy")
    if bare not in builtin_names():
        near = ", ".join(nearest(bare, builtin_names()))
        alike = f"; nearest: {near}" if near else ""
        raise OptionError(f"{bare!r} is not a built-in filter{alike}", hint="cnncli filters list")
    tell(save_filter(read_builtin(bare), bare, output or f"{bare}.npy", overwrite))


class MakeGroup(SuggestingGroup):
    """One command for each generator, with its parameters as options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the generators."""
        return list(GENERATORS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a generator; None for an unknown name."""
        generator = GENERATORS.get(cmd_name)
        return None if generator is None else _make_command(generator)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a kind, or name the kinds that are like it."""
        word = args[0]
        if word.startswith("-") or word in GENERATORS:
            return super().resolve_command(ctx, args)
        from cnncli.cli.synonyms import FILTERS

        meant = [name for name, words in FILTERS.items() if word.lower() in words.split()]
        kinds = [kind for kind in meant if kind in GENERATORS]
        alike = f"; nearest: {', '.join(kinds)}" if kinds else among(word, GENERATORS)
        raise click.UsageError(f"No such kind of filter {quote(word[:80])}{alike}.", ctx)


@filters.command(
    cls=MakeGroup,
    epilog=_examples("make gaussian --size 9 --sigma 2 -o blur.npy", "make gabor --help"),
)
def make() -> None:
    """Make a filter from its formula.

    Where a filter is asked for, KIND:VALUE makes it too: gaussian:2.5, box:1x5, gabor:8,theta=30.
    So cnncli filters show gaussian:1.1 shows the numbers without a file.
    """


def _make_command(generator: Generator) -> click.Command:
    def run(output: str, overwrite: bool, **values: Any) -> None:
        from cnncli.filters.files import save_filter

        weights = generator.make(**{key: v for key, v in values.items() if v is not None})
        path = save_filter(weights, generator.name, output, overwrite)
        shape = "x".join(map(str, weights.shape))
        tell(f"{path}: {shape}, sum {weights.sum():.6g}")

    params = [*map(_parameter_option, generator.parameters), output_option, overwrite_option]
    (main,) = (one for one in generator.parameters if one.name == generator.main)
    short = f"{generator.name}:{2 if main.default is None else main.default}"
    return HelpfulCommand(
        generator.name,
        params=params,
        callback=run,
        help=_sentence(generator.summary),
        epilog=_examples(f"make {generator.name} -o {generator.name}.npy", f"show {short}"),
    )


def _parameter_option(parameter: Parameter) -> click.Option:
    types: dict[str, AnyParamType] = {
        "size": Numbers((1, 2), 1, "N|H,W", most=MAX_SIDE),
        "int": click.INT,
        "float": FiniteFloat(),
        "choice": Choice(parameter.choices),
    }
    return click.Option(
        [f"--{parameter.name.replace('_', '-')}"],
        type=types[parameter.type],
        default=parameter.default,
        show_default=parameter.default is not None,
        help=_sentence(parameter.help),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
