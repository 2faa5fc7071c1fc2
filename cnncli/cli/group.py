"""The group of all commands: it imports them when needed and shows errors with a hint."""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import sys
from collections.abc import Sequence, Set
from importlib import import_module
from typing import Any, Final

import click

from cnncli.cli.help import HelpfulCommand
from cnncli.errors import (
    LONGEST_MESSAGE,
    CnnCliError,
    FileProblem,
    hide_secrets,
    memory_problem,
    printable,
    shorten,
)
from cnncli.system import signals
from cnncli.system.files import is_open

BROKEN_PIPE: Final = 141
_COMPLETION: Final = "_CNNCLI_COMPLETE"
"""The variable by which a shell asks what a word can become."""
_LONGEST_HINT: Final = 200
_WHOLE: Final = 200
"""Letters of a command's summary: none has more."""


class SuggestingGroup(HelpfulCommand, click.Group):
    """A group that says which command a mistyped one is like."""

    command_class = HelpfulCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were defined."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does, in whole sentences."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, own.get_short_help_str(_WHOLE)) for name, own in commands if own]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from cnncli.cli.synonyms import meant_command

            names = self.list_commands(ctx)
            meant = meant_command(args[0], names)
            if args[0] == "help" and args[1:2] and args[1] in names:
                meant = f"{ctx.command_path} {args[1]} --help"
            if meant is None:
                raise
            message = f"{error.message} Did you mean {meant}?"
            raise click.UsageError(message, ctx) from error


class LazyGroup(SuggestingGroup):
    """A group that imports a command's module when the command is asked for.

    Parameters
    ----------
    modules : dict
        The module of each command, which holds it by its name.
    """

    def __init__(self, *args: Any, modules: dict[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.modules:
            return None
        command: click.Command = getattr(import_module(self.modules[cmd_name]), cmd_name)
        return command


class CommandGroup(LazyGroup):
    """A group that shows errors as ``cnncli: error: ...`` and one ``hint: ...`` line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        signals.begin()
        extra.setdefault("obj", ("cnncli", *map(hide_secrets, arguments)))
        try:
            code = super().main(arguments, prog_name or "cnncli", complete_var, False, **extra)
            # A full disk or a closed pipe is an error here, and not at the interpreter's exit.
            if is_open(sys.stdout):
                sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except (CnnCliError, MemoryError, click.ClickException) as error:
            code = show_error(error)
        except click.Abort:
            code = signals.exit_code()
        except OSError as error:
            _close_output()
            code = BROKEN_PIPE if isinstance(error, BrokenPipeError) else show_error(error)
        except SystemExit as end:
            # click leaves like this after completing for a shell, else only when a reader has gone.
            code = end.code if os.environ.get(_COMPLETION) else BROKEN_PIPE
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; tell a reader that has gone and an interruption from other errors."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _close_output()
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        except KeyboardInterrupt:
            raise _interruption() from None
        except Exception:
            # Python and libraries make errors of their own of whatever is raised within them.
            if signals.is_ending():
                raise _interruption() from None
            raise


def _interruption() -> click.exceptions.Exit:
    """Say that the command was interrupted, unless that was said, and return how to leave."""
    if (message := signals.interruption_text()) is not None:
        show_error(CnnCliError(message))
    return click.exceptions.Exit(signals.exit_code())


def show_error(error: Exception, said: Set[str] = frozenset()) -> int:
    """Print one error line and at most one hint line on standard error; return the exit code.

    Parameters
    ----------
    error : Exception
    said : set of str
        Hints that stand above already.
    """
    if isinstance(error, MemoryError):
        error = memory_problem("job")
    elif isinstance(error, OSError):
        # Modules that know a file's name have met all others.
        error = CnnCliError(f"standard output: {(error.strerror or str(error)).lower()}")
    message = str(error)
    hint: str | None = getattr(error, "hint", None)
    if isinstance(error, click.ClickException):
        message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} {_help_of(error, error.ctx)}"
    is_new = hint and hint not in said
    last = f"hint: {shorten(_one_line(hint or ''), _LONGEST_HINT)}" if is_new else ""
    tell(shorten(f"cnncli: error: {_one_line(message)}", LONGEST_MESSAGE - len(last) - 2))
    if last:
        tell(last)
    return int(getattr(error, "exit_code", 1))


def _help_of(error: click.UsageError, ctx: click.Context) -> str:
    """Return the help that shows what an error is about: --help leaves rare options out."""
    param = error.param if isinstance(error, click.BadParameter) else None
    if isinstance(error, click.BadOptionUsage):
        param = next((one for one in ctx.command.params if error.option_name in one.opts), None)
    is_rare = isinstance(param, click.Option) and param.get_help_record(ctx) is None
    return "--help-all" if is_rare or isinstance(error, click.NoSuchOption) else "--help"


def tell(line: str, newline: bool = True) -> None:
    """Print a line on standard error, shortened; a full or closed one must not stop the work."""
    tell_whole(shorten(line), newline)


def tell_whole(line: str, newline: bool = True) -> None:
    """Print what programs read on standard error, as `tell` does."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(line, err=True, nl=newline)


def _one_line(text: str) -> str:
    return printable(" ".join(text.splitlines()))


def typed_words() -> tuple[str, ...]:
    """Return the words of the command line, without what may be secret."""
    words: tuple[str, ...] = click.get_current_context().obj
    return words


def typed_command() -> str:
    """Return the command line as typed, without what may be secret."""
    return shlex.join(typed_words())


def start_work() -> None:
    """Turn the garbage collector on, but not to what was loaded before: that stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def terminal_columns() -> int:
    """Return how wide the terminal is, in characters."""
    # Loaded here because with it come all that packs archives.
    import shutil

    return shutil.get_terminal_size().columns


def check_output_open() -> None:
    """Raise FileProblem where text would go to a closed standard output, and be lost."""
    if not is_open(sys.stdout):
        raise FileProblem("standard output is closed")


def _close_output() -> None:
    """Send what is still buffered nowhere: flushing it at exit would fail once more."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
