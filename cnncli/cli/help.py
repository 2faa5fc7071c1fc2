"""Help in two lengths, and the right answer to wrong calls: the base of all commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import click

from cnncli.cli.synonyms import meant_option
from cnncli.cli.wrong_calls import (
    refuse_loose_numbers,
    refuse_mistyped_dashes,
    refuse_name_split_at_spaces,
    refuse_value_as_image,
)

SHOW_ALL: Final = "cnncli.show_all_options"
"""Key of a context's `meta`: whether its help shows rare options too."""

NARROW: Final = 70
"""Columns below which texts have no room beside their options."""

BESIDE: Final = 9
"""The longest option or command there that still has its text beside it."""


class HelpFormatter(click.HelpFormatter):
    """Help whose texts stand below their options where the terminal is narrow, not beside them."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a list of options or commands with their texts."""
        is_narrow = self.width < NARROW
        super().write_dl(list(rows), BESIDE if is_narrow else col_max, col_spacing)


class HelpContext(click.Context):
    """A context that makes such help."""

    formatter_class = HelpFormatter


class HelpfulCommand(click.Command):
    """A command whose --help shows the common options, and --help-all every one."""

    context_class = HelpContext

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._help_all = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            help="Show all options and exit.",
            callback=_show_all,
        )

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters with --help and --help-all."""
        return [*super().get_params(ctx), self._help_all]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and where the options are that are not shown."""
        super().format_epilog(ctx, formatter)
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        if any(option.get_help_record(ctx) is None for option in options):
            formatter.write_paragraph()
            formatter.write_text(f"All {len(options)} options: {ctx.command_path} --help-all")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line; answer options of other tools with those of this command."""
        words = list(args)
        # A line that a shell completes is not finished.
        if not ctx.resilient_parsing:
            known = {flag: param for param in self.get_params(ctx) for flag in param.opts}
            refuse_mistyped_dashes(ctx, known, words)
            if not isinstance(self, click.Group):
                refuse_name_split_at_spaces(ctx, words)
                refuse_loose_numbers(ctx, words)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            typed, use = meant_option(self, ctx, error.option_name, words)
            if use is None and typed == error.option_name:
                raise
            if use is None:
                raise click.NoSuchOption(typed, ctx=ctx) from error
            raise click.NoSuchOption(typed, f"No such option {typed!r}. {use}", ctx=ctx) from error
        except click.BadOptionUsage as error:
            raise click.BadOptionUsage(error.option_name, self._missing(ctx, error), ctx) from error
        except click.MissingParameter as error:
            if not isinstance(error.param, click.Option) or not error.param.help:
                raise
            name = error.param.opts[-1]
            if name in ("--filter", "--padding"):
                refuse_value_as_image(ctx, ctx.params.get("images") or ())
            raise click.UsageError(f"Missing option {name!r}: {_said(error.param)}", ctx) from error
        except click.UsageError as error:
            if "unexpected extra" not in error.message:
                raise
            raise click.UsageError(self._extra(ctx, error), ctx) from error

    def _extra(self, ctx: click.Context, error: click.UsageError) -> str:
        """Say how many arguments there may be, where click says that there are more."""
        takes = [p.make_metavar(ctx) for p in self.params if isinstance(p, click.Argument)]
        only = f"{' '.join(takes)} alone" if takes else "no argument"
        extra = error.message.partition("(")[2].removesuffix(")")
        return f"{ctx.info_name} takes {only}, got also {extra!r}."

    def _missing(self, ctx: click.Context, error: click.BadOptionUsage) -> str:
        """Say of an option without its value what that must be; else what click says."""
        name, said = error.option_name, error.format_message()
        param = next((param for param in self.get_params(ctx) if name in param.opts), None)
        if not isinstance(param, click.Option) or "requires" not in said:
            return said
        return f"Option {name!r} needs a value: {param.make_metavar(ctx)}. {_said(param)}"

    def make_parser(self, ctx: click.Context) -> Any:
        """Return click's parser, which refuses options of one value that are given twice."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> tuple[dict[str, Any], list[str], list[click.Parameter]]:
            values, rest, order = parse(args)
            once = [param for param in order if _takes_one_value(param)]
            again = next((param for at, param in enumerate(once) if param in once[:at]), None)
            if again is not None and not ctx.resilient_parsing:
                name = again.opts[-1]
                more = getattr(again, "several_values", "")
                message = f"{name} must be given once, got it several times.{more}"
                raise click.BadOptionUsage(name, message, ctx)
            return values, rest, order

        parser.parse_args = parse_once  # type: ignore[method-assign]
        return parser


def _takes_one_value(param: click.Parameter) -> bool:
    """Whether a second value of an option would replace the first."""
    is_one = isinstance(param, click.Option) and not (param.multiple or param.count)
    return is_one and not getattr(param, "is_flag", False)


def _said(option: click.Option) -> str:
    """Return an option's help without its default."""
    return (option.help or "").partition("  [")[0]


def _show_all(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        ctx.meta[SHOW_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()
