"""The pages of explain by axe-core, which judges whether all can use them.

CNNCLI_AXE names an axe.min.js; without it npm installs one.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHELSEA, REPOSITORY, settle, until
from tests.support.netfiles import layer as layer_table
from tests.support.shell import run_cli

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

EXAMPLES = REPOSITORY / "examples"
DIGIT = EXAMPLES / "digits" / "3.png"
ASTRONAUT = REPOSITORY / "sample_images" / "astronaut.png"

PAGES: dict[str, tuple[object, ...]] = {
    "conv": (CHELSEA, "--filter", "edge"),
    "pool": (CHELSEA, "--pool", "max"),
    "bank": (CHELSEA, "--gray", "--filter", "robinson", "--activation", "relu"),
    "backward": (CHELSEA, "--filter", "sobel_h", "--backward"),
    "digits": (EXAMPLES / "digits.toml", DIGIT),
    "gradients": (EXAMPLES / "digits.toml", DIGIT, "--layer", "conv2", "--backward"),
    "edges": (EXAMPLES / "edges.toml", CHELSEA),
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

QUIZ = {"asked": "cnncli.quiz(2)", "answered": "answerQuestion(0)"}

# Every rule for the guidelines WCAG 2.2 A and AA, and good practice.
RUN_AXE = """async () => {
  // Colours on their way to others have no contrast to judge.
  await Promise.all(document.getAnimations().map((animation) => animation.finished));
  const { violations } = await axe.run({
    rules: { "target-size": { enabled: true } },
    // What it says of all that passes, and a selector for each element, take a fifth of its time.
    resultTypes: ["violations"],
    selectors: false,
  });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\\n${failureSummary}`));
}"""


@pytest.fixture(scope="module")
def axe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of axe.min.js."""
    if "CNNCLI_AXE" in os.environ:
        return Path(os.environ["CNNCLI_AXE"]).read_text("utf-8")
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
    return script.read_text("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(
    browser: Any, axe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    page = tmp_path / "page.html"
    monkeypatch.chdir(tmp_path)
    Path("double.toml").write_text(
        layer_table("conv-transpose", filter="1 2 1; 2 4 2; 1 2 1", stride=2, padding=1)
    )
    run_cli("explain", *PAGES[name], "-o", page)
    found: set[str] = set()
    for scheme, width in itertools.product(("light", "dark"), (1280, 360)):
        # The page's policy forbids scripts of others, which axe-core is.
        context = browser.new_context(
            bypass_csp=True, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        tab = context.new_page()
        tab.goto(page.as_uri())
        until(tab, "document.getElementById('headline').textContent !== ''")
        tab.add_script_tag(content=axe)
        found.update(f"{scheme}, {width}: {one}" for one in tab.evaluate(RUN_AXE))
        tab.evaluate(OPEN_ALL)
        settle(tab)
        found.update(f"{scheme}, {width}, all open: {one}" for one in tab.evaluate(RUN_AXE))
        for state in ("asked", "answered"):
            tab.evaluate(QUIZ[state])
            settle(tab)
            found.update(f"{scheme}, {width}, {state}: {one}" for one in tab.evaluate(RUN_AXE))
        context.close()
    assert not found, "\n\n".join(sorted(found))
