"""The command group: one place where every error becomes one line, a hint and an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import IO, Any, Final

import click

from cnncli.errors import CnnCliError, FileProblem, hide_secrets, quote
from cnncli.system import signals

BROKEN_PIPE: Final = 141


class Refusal(click.ClickException):
    """A CnnCliError on its way through click."""

    def __init__(self, error: CnnCliError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]
        self.hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error as `show_error` does."""
        show_error(self.message, self.hint)


class SuggestingGroup(click.Group):
    """A group that says which command a mistyped one is like."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from cnncli.errors import nearest

            alike = nearest(args[0], self.list_commands(ctx))
            if not alike:
                raise
            message = f"{error.message} Did you mean {' or '.join(alike)}?"
            raise click.UsageError(message, ctx) from error


class LazyGroup(SuggestingGroup):
    """A group that imports a command's module when the command is asked for.

    Parameters
    ----------
    places : dict
        The module of each command, which holds it by its name.
    """

    def __init__(self, *args: Any, places: dict[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.places:
            return None
        command: click.Command = getattr(import_module(self.places[cmd_name]), cmd_name)
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
        words = list(sys.argv[1:] if args is None else args)
        signals.begin()
        extra.setdefault("obj", shlex.join(["cnncli", *map(hide_secrets, words)]))
        try:
            code = super().main(words, prog_name or "cnncli", complete_var, False, **extra)
            _flush_output()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.ClickException as error:
            _show_click_error(error)
            code = error.exit_code
        except click.Abort:
            code = signals.exit_code()
        except OSError as error:
            code = _output_failed(error)
        except SystemExit:
            # click leaves like this, and only for this, when a reader has gone.
            code = BROKEN_PIPE
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what the user can mend into a click exception."""
        try:
            return super().invoke(ctx)
        except CnnCliError as error:
            raise Refusal(error) from error
        except BrokenPipeError:
            _close_output()
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        except KeyboardInterrupt:
            raise _interruption() from None
        except MemoryError:
            hint = "a smaller image, --stride, or fewer filters"
            raise Refusal(CnnCliError("not enough memory for this job", hint=hint)) from None
        except Exception:
            # Python and libraries make errors of their own of whatever is raised within them.
            if signals.is_ending():
                raise _interruption() from None
            raise


def _interruption() -> click.exceptions.Exit:
    """Say that the command was interrupted, unless that was said, and return how to leave."""
    if (text := signals.interruption_text()) is not None:
        show_error(text)
    return click.exceptions.Exit(signals.exit_code())


def show_error(message: str, hint: str | None = None) -> None:
    """Print one error line and at most one hint line on standard error."""
    tell(f"cnncli: error: {_one_line(message)}")
    if hint:
        tell(f"hint: {_one_line(hint)}")


def tell(line: str, newline: bool = True) -> None:
    """Print on standard error; a full or closed one must not stop the work."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(line, err=True, nl=newline)


def _one_line(text: str) -> str:
    return quote(" ".join(text.splitlines()))[1:-1]


def _show_click_error(error: click.ClickException) -> None:
    hint = getattr(error, "hint", None)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help"
    show_error(error.format_message(), hint)


def _flush_output() -> None:
    """Meet a full disk or a closed pipe here, where it is an error, and not at interpreter exit."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _output_failed(error: OSError) -> int:
    """Say why standard output failed; modules that know a file's name have met all other errors."""
    _close_output()
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    show_error(f"standard output: {(error.strerror or str(error)).lower()}")
    return 1


def start_work() -> None:
    """Turn the garbage collector on, but not to what was loaded before: that stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def check_output_open() -> None:
    """Raise FileProblem where text would go to a closed standard output, and be lost."""
    if sys.stdout is None or sys.stdout.closed:
        raise FileProblem("standard output is closed")


def _close_output() -> None:
    """Send what is still buffered nowhere: flushing it at exit would fail once more."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
