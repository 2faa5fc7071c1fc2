"""Node for the tests of JavaScript that has no page: the system's, or Playwright's own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WEB = Path(__file__).resolve().parents[2] / "cnncli" / "explain" / "web"


def find_node() -> str | None:
    """Return the path of node, if there is one: the extra `browser` brings it."""
    if (found := shutil.which("node")) is not None:
        return found
    package = importlib.util.find_spec("playwright")
    if package is None or package.origin is None:
        return None
    return shutil.which("node", path=Path(package.origin).parent / "driver")


NODE = find_node()

NEEDED = ("geometry.js", "activations.js", "window_sums.js")
"""The scripts that others compute with."""


def run_alone(scripts: str | Sequence[str], function: str, cases: list[Any]) -> list[Any]:
    """Call a function on each case beside scripts of the pages, where there is no page.

    The scripts run after those that all arithmetic needs, in a context that has the language
    alone, and `atob`, as workers have: no document, no window, nothing of node. What the function
    returns comes back as JSON.
    """
    assert NODE is not None
    program = """
        const { readFileSync } = require("node:fs");
        const [fn, ...scripts] = process.argv.slice(1);
        const source = scripts.map((path) => readFileSync(path, "utf-8")).join("\\n");
        const call = require("node:vm").runInNewContext(`${source}\\n(${fn})`, { atob });
        const cases = JSON.parse(readFileSync(0, "utf-8"));
        process.stdout.write(JSON.stringify(cases.map(call)));
    """
    given = [scripts] if isinstance(scripts, str) else scripts
    names = [*(name for name in NEEDED if name not in given), *given]
    done = subprocess.run(
        [NODE, "-e", program, function, *(str(WEB / name) for name in names)],
        input=json.dumps(cases, allow_nan=False),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    return results
