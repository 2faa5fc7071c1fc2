"""The live pages of the documentation: what a command writes as ``-o NAME.html``, below it.

MkDocs calls `on_page_markdown` and `on_post_build` when it builds the site. The pages are written
by the commands themselves, so they are never older than cnncli.
"""

from __future__ import annotations

import html
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.support.pages import prepare, run_block  # noqa: E402

BLOCK = re.compile(r"^```sh\n(.*?)^```\n", re.M | re.S)
WRITES = re.compile(r"^(cnncli explain .*) -o (\S+\.html)$", re.M)

FRAME = """
<figure class="live">
<iframe src="{address}" title="Live: {command}" loading="lazy"></iframe>
<figcaption><a href="{address}">The page that this command writes</a>, live.</figcaption>
</figure>
"""

_written_by: dict[str, str] = {}
"""The commands that write each live page, by the page's address in the site."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put a frame with the page below each block of commands that writes one."""
    name = page.file.src_uri
    folder = f"live/{name.removesuffix('.md')}"

    def with_frames(block: re.Match[str]) -> str:
        text = block[0]
        for command, file in WRITES.findall(block[1]):
            _written_by[f"{folder}/{file}"] = block[1]
            address = "../" * name.count("/") + f"{folder}/{file}"
            text += FRAME.format(address=address, command=html.escape(command))
        return text

    return BLOCK.sub(with_frames, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Run the commands and put their pages into the site."""
    for address, commands in _written_by.items():
        target = Path(config.site_dir, address)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(live_pages(commands)[target.name])


@cache
def live_pages(commands: str) -> dict[str, bytes]:
    """Return the pages that a block of commands writes, by their names."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        run_block(commands, folder)
        return {path.name: path.read_bytes() for path in folder.glob("*.html")}
