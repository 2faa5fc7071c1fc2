"""The reference of the documentation, from what the commands say of themselves.

MkDocs calls `on_files` and `on_page_markdown` when it builds the site, so the pages are never older
than the commands.
"""

from __future__ import annotations

import re

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from cnncli.cli import CONTEXT, cli
from cnncli.cli.help import SHOW_ALL

WIDTH = 96


def pages() -> dict[str, str]:
    """Return every page of the reference by its name: one for each command."""
    context = click.Context(cli, info_name="cnncli", **CONTEXT)
    texts = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        texts[f"{name}.md"] = f"# cnncli {name}\n{_texts(command, f'cnncli {name}', context)}"
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


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the list of commands lead to their pages, which only the site has."""
    if page.file.src_uri != "commands.md":
        return markdown
    return re.sub(r"^\| (`cnncli (\w+)`)", r"| [\1](reference/\2.md)", markdown, flags=re.M)
