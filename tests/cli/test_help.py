"""--help is short and plain, --help-all has every option; neither loads numpy."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cnncli.cli import CONTEXT, cli
from cnncli.cli.group import BROKEN_PIPE
from cnncli.errors import CnnCliError, OptionError, ShapeError
from cnncli.filters.generators import GENERATORS
from cnncli.system.signals import STOPS
from tests.support.shell import refused, run_cli

LINES, COLUMNS = 60, 80

WIDTH = 78
"""Of a terminal of 80 columns click leaves two free, but not in its own test runner."""


def commands(group: click.Group = cli, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, those of groups too."""
    yield names
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name)


COMMANDS = sorted(set(commands()))
LEAVES = [
    words for words in COMMANDS if sum(other[: len(words)] == words for other in COMMANDS) == 1
]


def options_of(words: tuple[str, ...]) -> list[click.Option]:
    """Return the options of a command, those that are added for help too."""
    context = click.Context(cli, **CONTEXT)  # type: ignore[arg-type]
    command: click.Command = cli
    for name in words:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    return [param for param in command.get_params(context) if isinstance(param, click.Option)]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_short_and_help_all_has_every_option(words: tuple[str, ...]) -> None:
    options = options_of(words)
    short = CliRunner().invoke(cli, [*words, "--help"], terminal_width=WIDTH).stdout
    full = run_cli(*words, "--help-all", env={"COLUMNS": str(COLUMNS)}).stdout
    assert len(short.splitlines()) <= LINES
    assert "Examples:" in short
    assert max(map(len, full.splitlines())) <= COLUMNS
    assert all(any(name in full for name in option.opts) for option in options)
    assert [option.opts for option in options if not option.help] == []
    assert "default: (" not in full
    assert CliRunner().invoke(cli, [*words, "-h"], terminal_width=WIDTH).stdout == short
    for option in options:
        if option.required:
            assert option.opts[-1] in short
    # A test's command line is called cli, not cnncli.
    last = f"All {len(options)} options: {' '.join(('cli', *words))} --help-all"
    assert (short.splitlines()[-1] == last) == (short.count("\n") < full.count("\n"))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_help_lists_the_options_of_its_examples(words: tuple[str, ...]) -> None:
    options, examples = run_cli(*words, "--help").stdout.split("Examples:\n")
    command = " ".join(("cnncli", *words)) + " "
    own = [line for line in re.split(r" \| |\n", examples) if line.strip().startswith(command)]
    used = {name for line in own for name in re.findall(r"(?<= )--?[a-z][a-z-]*", line)}
    assert used - set(re.findall(r"--?[a-z][a-z-]*", options)) == set()


@pytest.mark.parametrize("kind", GENERATORS)
def test_help_of_a_kind_of_filter_shows_its_numbers(kind: str) -> None:
    text = run_cli("filters", "make", kind, "--help").stdout
    (name,) = re.findall(r"cnncli filters show (\S+)", text)
    assert name.startswith(f"{kind}:") and run_cli("filters", "show", name).stdout


def test_the_first_help_shows_what_people_use_first() -> None:
    text = run_cli("conv", "--help").stdout
    for name in (
        "--filter",
        "--stride",
        "--padding",
        "--output",
        "--range",
        "--gray",
        "--show",
        "--jobs",
    ):
        assert name in text
    for name in ("--cluster", "--max-memory", "--algorithm", "--timeout", "--report", "--compress"):
        assert name not in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_legible_on_a_narrow_terminal(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help-all"], terminal_width=60).stdout
    text, _, _ = shown.partition("  Examples:")
    lines = text.splitlines()
    wide = [line for line in lines if len(line) > 60 and not line.startswith("  --")]
    assert not wide, "only examples and lists of words are wider"
    # A text below its option or beside it has room for some words.
    usage = lines.index("")
    texts = [line for line in lines[usage:] if line.startswith(" " * 8)]
    assert all(len(line) - len(line.lstrip()) <= 13 for line in texts)
    assert not any(line.endswith("...") for line in lines[usage:] if line.startswith("   "))


def test_help_and_answers_load_no_numpy() -> None:
    code = (
        "import sys; from cnncli.cli import cli\n"
        "for words in (('conv', '--help'), ('run', '--help-all'), ('conv', '--kernel')):\n"
        "    cli.main(words, standalone_mode=False)\n"
        "assert not {'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_texts_of_options_are_sentences(words: tuple[str, ...]) -> None:
    for option in options_of(words):
        text = (option.help or "").split("  [")[0]
        assert text[0].isupper() or text[0] in "-.", option.opts
        assert text.endswith("."), option.opts


def test_an_option_with_one_dash_is_refused() -> None:
    said = refused("conv", "a.png", "-filter", "edge", code=2)
    assert "No such option '-filter'. Did you mean '--filter'?" in said
    assert "conv --help-all" in said


def test_a_value_that_follows_two_dashes_may_look_like_an_option() -> None:
    assert "'-filter'" in refused("pool", "--", "-filter")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_misspelled_option_is_answered_with_it_and_where_all_options_are(
    words: tuple[str, ...],
) -> None:
    for option in options_of(words):
        name = max(option.opts, key=len)
        for wrong in (f"{name}x", f"{name}-mode"):
            said = CliRunner().invoke(cli, [*words, wrong]).stderr
            assert name in said and said.endswith(" --help-all\n"), wrong


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("--stride", "0"), "--help"),
        (("--jobs", "0"), "--help"),
        (("--timeout", "soon"), "--help-all"),
        (("--max-memory",), "--help-all"),
        (("--range",), "--help"),
    ],
)
def test_a_hint_names_the_help_that_has_the_option(given: tuple[str, ...], shown: str) -> None:
    said = refused("conv", "a.png", "-f", "edge", *given, code=2)
    assert said.splitlines()[-1].endswith(f" conv {shown}")
    assert given[0] in run_cli("conv", shown).stdout


def test_exit_codes_of_the_documentation_are_those_that_there_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    table = text.split("## Exit codes")[1]
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)]
    own = {CnnCliError.exit_code, OptionError.exit_code, ShapeError.exit_code}
    assert told == sorted({0, BROKEN_PIPE, *own, *(128 + number for number in STOPS)})
    said = " ".join(run_cli("--help").stdout.split("Exit codes: ")[1].split())
    assert [int(code) for code in re.findall(r"(?:^|; )(\d+) ", said)] == [0, 1, 2, 130]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_no_second_value_replaces_the_first(words: tuple[str, ...]) -> None:
    for option in options_of(words):
        name = option.opts[-1]
        typed = [name] + ["1"] * (not option.is_flag)
        said = CliRunner().invoke(cli, [*words, *typed, *typed]).stderr
        is_refused = f"error: {name} must be given once, got it several times." in said
        assert is_refused is not (option.is_flag or option.multiple), name
