"""The reference of the documentation, from what the commands say of themselves.

MkDocs calls `on_files` when it builds the site, so the pages are never older than the commands.
"""

from __future__ import annotations

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from cnncli.cli import CONTEXT, cli
from cnncli.cli.help import SHOW_ALL

WIDTH = 96


def pages() -> dict[str, str]:
    """Return every page of the reference by its name: one for each command, and their list."""
    context = click.Context(cli, info_name="cnncli", **CONTEXT)
    texts = {}
    rows = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        texts[f"{name}.md"] = f"# cnncli {name}\n{_texts(command, f'cnncli {name}', context)}"
        rows.append(f"| [`cnncli {name}`]({name}.md) | {command.get_short_help_str(120)} |")
    table = "\n".join(["| command | does |", "|---|---|", *rows])
    all_options = "`cnncli conv --help-all` shows this text; `--help` only what people use first."
    texts["index.md"] = f"# Commands\n\n{table}\n\n{all_options}\n"
    return texts


def _texts(command: click.Command, name: str, parent: click.Context) -> str:
    """Return the help of a command, and of those below it."""
    context = click.Context(command, info_name=name.split()[-1], parent=parent, **CONTEXT)
    context.meta[SHOW_ALL] = True
    context.max_content_width = context.terminal_width = WIDTH
    text = f"\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if not isinstance(command, click.Group):
        return text
    for subcommand in command.list_commands(context):
        inner = command.get_command(context, subcommand)
        assert inner is not None
        text += f"\n## {name} {subcommand}\n{_texts(inner, f'{name} {subcommand}', context)}"
    return text


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those of the folder ``docs``."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files
