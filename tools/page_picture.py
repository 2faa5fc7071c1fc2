"""Make the picture of the page of explain again, in a real browser.

Run it from the repository's folder: ``python tools/page_picture.py``. It needs Playwright (the
extra ``browser``) and a Chromium.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent
OUTPUT = REPOSITORY / "docs" / "images" / "page.png"
ARGUMENTS = ["explain", "sample_images/chelsea.png", "--filter", "edge.npy", "--at", "107,173"]
VIEWPORT = {"width": 1280, "height": 800}


def main() -> None:
    """Write the page as the command in its page of docs/ does, and save a screenshot of it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("page_picture: no chromium is installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder, "page.html")
        command = [sys.executable, "-m", "cnncli", *ARGUMENTS, "-o", str(page)]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport=VIEWPORT, color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_timeout(500)
        screenshot = tab.screenshot()
        browser.close()
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(OUTPUT, optimize=True)


if __name__ == "__main__":
    main()
