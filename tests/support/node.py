"""Node for the tests of JavaScript that has no page: the system's, or Playwright's own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnncli.explain.page.pack import pack

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

NEEDED = (
    "page/packed.js",
    "arithmetic/geometry.js",
    "arithmetic/activations.js",
    "arithmetic/window_sums.js",
)
"""The script that reads the cases, and those that others compute with."""


def run_alone(scripts: str | Sequence[str], function: str, cases: list[Any]) -> list[Any]:
    """Call a function on each case beside scripts of the pages, where there is no page.

    The scripts run after those that all arithmetic needs, in a context that has the language
    alone, and `TextDecoder`, as workers have: no document, no window, nothing of node. Cases may
    hold arrays, as the data of pages. What the function returns comes back as JSON.
    """
    assert NODE is not None
    program = """
        const { readFileSync } = require("node:fs");
        const [fn, ...scripts] = process.argv.slice(1);
        const source = scripts.map((path) => readFileSync(path, "utf-8")).join("\\n");
        const run = `${source}\\n(bytes) => readPacked(bytes).map(${fn})`;
        const call = require("node:vm").runInNewContext(run, { TextDecoder });
        process.stdout.write(JSON.stringify(call(new Uint8Array(readFileSync(0)))));
    """
    given = [scripts] if isinstance(scripts, str) else scripts
    names = [*(name for name in NEEDED if name not in given), *given]
    done = subprocess.run(
        [NODE, "-e", program, function, *(str(WEB / name) for name in names)],
        input=pack(cases),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    results: list[Any] = json.loads(done.stdout)
    return results
