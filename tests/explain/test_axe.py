"""The pages of explain by axe-core, which judges whether all can use them.

CNNCLI_AXE names an axe.min.js; without it npm installs one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.browser import CHELSEA, REPOSITORY, settle, until
from tests.support.netfiles import layer as layer_table
from tests.support.node import WEB
from tests.support.shell import run_cli

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

EXAMPLES = REPOSITORY / "examples"
DIGIT = EXAMPLES / "digits" / "3.png"
ASTRONAUT = REPOSITORY / "sample_images" / "astronaut.png"

PAGES: dict[str, tuple[object, ...]] = {
    "conv": (CHELSEA, "--filter", "edge"),
    "pool": ("eye.png", "--pool", "max"),
    "bank": ("eye.png", "--gray", "--filter", "robinson", "--activation", "relu"),
    "backward": ("eye.png", "--filter", "sobel_h", "--backward"),
    "digits": (EXAMPLES / "digits.toml", DIGIT),
    "gradients": (EXAMPLES / "digits.toml", DIGIT, "--layer", "conv2", "--backward"),
    "edges": (EXAMPLES / "edges.toml", "eye.png"),
    "transposed": ("double.toml", DIGIT),
    "playground": ("--blank",),
    "face": (EXAMPLES / "face" / "pnet.toml", ASTRONAUT, "--scale", "0.1"),
}

OPEN_ALL = """(() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  // What opens may hold more that opens.
  for (let round = 0; round < 3; round += 1) {
    const panels = "#backward[aria-pressed='false'], #learn[aria-pressed='false']";
    const closed = `[aria-expanded='false'], ${panels}`;
    for (const button of document.querySelectorAll(closed)) {
      if (button.checkVisibility()) button.click();
    }
  }
})()"""

STATES = {
    "opened": "null",
    "all open": OPEN_ALL,
    "asked": "cnncli.quiz(2)",
    "answered": "answerQuestion(0)",
}
"""How a page comes from each state to the next."""

# Every rule for the guidelines WCAG 2.2 A and AA, and good practice; or those that judge colours.
RUN_AXE = """async (only) => {
  // Colours on their way to others have no contrast to judge.
  await Promise.all(document.getAnimations().map((animation) => animation.finished));
  const { violations } = await axe.run({
    rules: { "target-size": { enabled: true } },
    ...(only && { runOnly: only, rules: {} }),
    // What it says of all that passes, and a selector for each element, take a fifth of its time.
    resultTypes: ["violations"],
    selectors: false,
  });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\\n${failureSummary}`));
}"""
ELEMENTS = "document.body.outerHTML"
THEME = "document.documentElement.dataset.theme"
JUDGES_COLOURS = ["color-contrast", "link-in-text-block"]


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An axe.min.js."""
    if "CNNCLI_AXE" in os.environ:
        return Path(os.environ["CNNCLI_AXE"]).resolve(strict=True)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, and CNNCLI_AXE names no axe.min.js")
    cache = getattr(request.config, "cache", None)
    folder = cache.mkdir("axe") if cache else tmp_path_factory.mktemp("axe")
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4"]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return script


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    browser: Any, axe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    page = tmp_path / "page.html"
    monkeypatch.chdir(tmp_path)
    Path("double.toml").write_text(
        layer_table("conv-transpose", filter="1 2 1; 2 4 2; 1 2 1", stride=2, padding=1)
    )
    # A part of the picture is read and drawn in less time; "conv" has the overview of a large one.
    with Image.open(CHELSEA) as photo:
        photo.crop((130, 60, 226, 124)).save("eye.png")
    run_cli("explain", *PAGES[name], "-o", page)
    found: set[str] = set()

    # Each state is judged in the colours that the one before was left in, and then by what the
    # other colours change: `test_dark_colours_are_all_that_themes_change`.
    for width, schemes in ((1280, ["light", "dark"]), (360, ["dark", "light"])):
        # The page's policy forbids scripts of others, which axe-core is.
        context = browser.new_context(
            bypass_csp=True, color_scheme=schemes[0], viewport={"width": width, "height": 900}
        )
        tab = context.new_page()
        tab.goto(page.as_uri())
        until(tab, "document.getElementById('headline')?.textContent")
        tab.add_script_tag(url=axe.as_uri())
        judged = ""
        for state, change in STATES.items():
            tab.evaluate(change)
            settle(tab)
            # Networks have nothing to open.
            if tab.evaluate(ELEMENTS) == judged:
                continue
            for scheme, only in zip(schemes, (None, JUDGES_COLOURS), strict=True):
                tab.emulate_media(color_scheme=scheme)
                settle(tab)
                assert tab.evaluate(THEME) == scheme
                where = f"{scheme}, {width}, {state}"
                found.update(f"{where}: {one}" for one in tab.evaluate(RUN_AXE, only))
            judged = tab.evaluate(ELEMENTS)
            schemes.reverse()
        context.close()
    assert not found, "\n\n".join(sorted(found))


def test_dark_colours_are_all_that_themes_change() -> None:
    """On that `test_axe_finds_nothing` relies, and on scripts that make no other elements."""
    style = "".join(path.read_text("utf-8") for path in WEB.rglob("*.css"))
    rules = re.findall(r"[^{}]*data-theme[^{}]*{[^{}]*}", style)
    assert rules
    for rule in rules:
        names = re.findall(r"^\s*([\w-]+):", rule.partition("{")[2], re.M)
        assert names and all(name.startswith("--") or name == "color-scheme" for name in names)
