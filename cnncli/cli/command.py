"""Commands whose options come in groups that are dataclasses, and how options are declared.

A group's fields are its options: `Command` is called with an object of each of its groups.
"""

from __future__ import annotations

import copy
from dataclasses import is_dataclass
from typing import Any, ClassVar, Final, TypeVar, get_type_hints

import click

from cnncli.cli.help import SHOW_ALL, HelpfulCommand
from cnncli.system.cpu import load_blas_without_threads

Record = TypeVar("Record")

SECTIONS: Final = ("Images in", "Many images", "Results out")


class Option(click.Option):
    """An option that takes its name, and its section of the help, from its group.

    Parameters
    ----------
    *args, **settings
        Those of `click.Option`.
    common : bool
        Whether --help shows it; --help-all shows every option.
    several_values : str
        How to write several values, said where the option is given twice.
    """

    section: str | None = None

    def __init__(
        self, *args: Any, common: bool = False, several_values: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.several_values = several_values
        self.common = common or self.required

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return how the help shows it: None for a rare one, unless all are shown."""
        shown = self.common or ctx.meta.get(SHOW_ALL, False)
        return super().get_help_record(ctx) if shown else None

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what stands in brackets: a range only if it has two ends."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.type, click.IntRange) and self.type.max is None:
            extra.pop("range", None)
        return extra


class OptionGroup:
    """Options that a command takes together: a subclass is a dataclass, and its fields are options.

    Examples
    --------
    >>> from cnncli.cli.layer_options import PadOptions
    >>> PadOptions(padding=1)
    Traceback (most recent call last):
    TypeError: PadOptions needs a value for pad_mode
    """

    section: ClassVar[str | None] = None
    rare: ClassVar[tuple[str, ...]] = ()
    """Fields that --help leaves out, though their options are common elsewhere."""

    def __init_subclass__(cls) -> None:
        for name, param in tuple(vars(cls).items()):
            if isinstance(param, Option):
                # A copy, for other groups may have the same option.
                own = copy.copy(param)
                own.name, own.section = name, cls.section or param.section
                own.common = own.common and name not in cls.rare
                setattr(cls, name, own)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, click.Parameter):
                raise TypeError(f"{type(self).__name__} needs a value for {name}")


def option(*flags: str, **settings: Any) -> Any:
    """Return an option as the default of a field, whose name it takes; see `click.option`.

    A default that is given is shown in the help.
    """
    return Option(flags, **{"show_default": "default" in settings, **settings})


def flag(*flags: str, help: str, common: bool = False) -> Any:
    """Return an option without a value."""
    return Option(flags, is_flag=True, help=help, common=common)


def argument(name: str, **settings: Any) -> Any:
    """Return an argument as the default of the field of that name; see `click.argument`."""
    return click.Argument([name], **settings)


class Command(HelpfulCommand):
    """A command whose function takes groups of options: its signature says which.

    Parameters
    ----------
    own_section : str, optional
        Title of the options that belong to no section; without it the help has no sections.
    blas_threads : bool
        Whether it has matrix products that no threads of our own share.
    """

    def __init__(
        self,
        *args: Any,
        own_section: str | None = None,
        blas_threads: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.own_section, self.blas_threads = own_section, blas_threads
        hints = get_type_hints(self.callback).items()
        self.groups: dict[str, Any] = {name: kind for name, kind in hints if is_dataclass(kind)}
        self.params = [getattr(kind, f) for kind in self.groups.values() for f in _fields(kind)]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with one object for each group."""
        if not self.blas_threads:
            load_blas_without_threads()
        ctx.params = {
            group: kind(**{name: ctx.params[name] for name in _fields(kind)})
            for group, kind in self.groups.items()
        }
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section."""
        if self.own_section is None:
            super().format_options(ctx, formatter)
            return
        titles = (self.own_section, *SECTIONS)
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in titles}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record is not None:
                # --help comes last, and is no option of a group.
                title = SECTIONS[-1] if param.is_eager else getattr(param, "section", None)
                sections[title or self.own_section].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def make(kind: type[Record], options: object, **values: Any) -> Record:
    """Make a dataclass of the values given and of the options with the names of its fields.

    Parameters
    ----------
    kind : type
        A dataclass; options that are None leave its defaults.
    options : object
        A group of options.
    **values
        Further fields; they come before options of the same name.

    Examples
    --------
    >>> from cnncli.cli.layer_options import PadOptions
    >>> from cnncli.render.options import RenderOptions
    >>> make(RenderOptions, PadOptions(1, "zeros", 0.0), depth="16").depth
    '16'
    """
    names = _fields(kind)
    chosen = {n: v for n, v in vars(options).items() if n in names and v is not None}
    return kind(**{**chosen, **values})
