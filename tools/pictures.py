"""Make the pictures in README.md and docs/ again, each by the command that stands on its page.

Run it from the repository's folder: ``python tools/pictures.py [PAGE]...``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.support.pages import IMAGES, blocks, pictures, prepare, run_block  # noqa: E402

SET_UP = 2
"""README's first blocks install cnncli."""


def make_pictures(page: Path) -> None:
    """Run a page's commands in a folder of its own and keep the pictures that it shows."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for commands, _ in blocks(text)[SET_UP if page.name == "README.md" else 0 :]:
            run_block(commands, folder)
        for picture in pictures(text):
            if (folder / picture).exists():
                shutil.copy(folder / picture, IMAGES / picture)


def main() -> None:
    """Make the pictures of the pages named, or of all."""
    all_pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    for page in [Path(name) for name in sys.argv[1:]] or all_pages:
        make_pictures(page)


if __name__ == "__main__":
    main()
