"""What a page leaves out of its scripts and styles changes neither what they do nor their look."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cnncli.explain.page.parts import SCRIPTS as PAGES
from cnncli.explain.page.parts import STYLES as PAGE_STYLES
from cnncli.explain.page.shorten import shorten_script, shorten_style
from tests.support.node import NODE, WEB

SCRIPTS = sorted(str(path.relative_to(WEB)) for path in WEB.rglob("*.js"))
STYLES = sorted(str(path.relative_to(WEB)) for path in WEB.rglob("*.css"))

# In texts // and /* are no comments.
TOKENS = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<text> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `(?:[^`\\]|\\.)*` )
    | (?P<space> \s+ )
    | (?P<other> . )
    """,
    re.X | re.S,
)


def tokens(script: str) -> list[tuple[str, str]]:
    """The texts and other characters of a script in their order, without comments and space."""
    found = ((match.lastgroup or "", match[0]) for match in TOKENS.finditer(script))
    return [(kind, text) for kind, text in found if kind not in ("comment", "space")]


def test_all_scripts_and_styles_are_judged() -> None:
    assert {script for scripts in PAGES.values() for script in scripts} < {*SCRIPTS}
    assert {style for styles in PAGE_STYLES.values() for style in styles} <= {*STYLES}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_keeps_all_but_comments_and_space(name: str) -> None:
    script = (WEB / name).read_text("utf-8")
    short = shorten_script(script)
    assert tokens(short) == tokens(script)
    # A string of several lines would lose the spaces at their beginning.
    assert [text for kind, text in tokens(script) if kind == "text" and "\n" in text] == []
    # Lines end where they did: a semicolon may be left out at an end.
    kept = [line.strip() for line in script.splitlines()]
    assert [line for line in short.splitlines() if line not in kept] == []
    assert not re.search(r"^\s|\n\n", short)
    assert [line for line in short.splitlines() if line.startswith(("//", "/*"))] == []


def test_comments_that_are_parts_of_strings_stay() -> None:
    lines = ['const a = "/* no */";', "const b = `${a} // no`; // yes", "/* a */ f(a); /* b */"]
    script = "\n".join(lines) + "\n"
    assert shorten_script(script) == script
    assert shorten_script(f"  /**\n   * // two\n   */\n{script}") == script


@pytest.mark.oracle
@pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed")
def test_node_reads_the_short_scripts(tmp_path: Path) -> None:
    assert NODE is not None
    names = [name.replace("/", "-") for name in SCRIPTS]
    for name, script in zip(names, SCRIPTS, strict=True):
        short = shorten_script((WEB / script).read_text("utf-8"))
        (tmp_path / name).write_text(short, "utf-8")
    read = """for (const name of process.argv.slice(1))
      new (require("node:vm").Script)(require("node:fs").readFileSync(name, "utf-8"));"""
    subprocess.run([NODE, "-e", read, *names], cwd=tmp_path, check=True)


@pytest.mark.oracle
@pytest.mark.parametrize("name", STYLES)
def test_a_browser_reads_the_same_rules(browser: Any, name: str) -> None:
    style = (WEB / name).read_text("utf-8")
    read = """(text) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      return Array.from(sheet.cssRules, (rule) => rule.cssText);
    }"""
    tab = browser.new_page()
    rules = tab.evaluate(read, style)
    short = shorten_style(style)
    assert tab.evaluate(read, short) == rules != []
    assert len(short) < 0.9 * len(style)
    tab.close()
