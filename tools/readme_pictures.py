"""Make the pictures in README.md again, each by the command that stands there.

Run it from the repository's folder: ``python tools/readme_pictures.py``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = REPOSITORY / "docs" / "images"


def main() -> None:
    """Run README's commands in an empty folder and keep the pictures that README shows."""
    text = (REPOSITORY / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)[2:]
    with tempfile.TemporaryDirectory() as folder:
        for given in ("sample_images", "examples"):
            shutil.copytree(REPOSITORY / given, Path(folder, given))
        for block in blocks:
            subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, check=True)
        IMAGES.mkdir(parents=True, exist_ok=True)
        for name in re.findall(r"\(docs/images/(.*?)\)", text):
            if name == "page.png":  # a browser's, see page_picture.py
                continue
            shutil.copy(Path(folder, name), IMAGES / name)


if __name__ == "__main__":
    main()
