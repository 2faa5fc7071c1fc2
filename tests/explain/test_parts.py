"""The scripts of pages as files: what the worker has no page for, and names that stand once."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from cnncli.explain.page.parts import SCRIPTS, WORKER

REPOSITORY = Path(__file__).resolve().parents[2]


def test_scripts_of_the_worker_are_checked_to_have_nothing_of_the_page() -> None:
    rules = (REPOSITORY / ".ci" / "eslint.config.mjs").read_text("utf-8")
    (pattern,) = re.findall(r"const NO_PAGE =\s+/(.*)/;", rules)
    # This one answers the page's requests.
    checked = [name for name in WORKER if name != "network/worker.js"]
    assert [name for name in checked if not re.search(pattern, name)] == []


@pytest.mark.parametrize("kind", SCRIPTS)
def test_no_two_scripts_of_a_page_declare_one_name(kind: str) -> None:
    # They share one scope: the second would take the place of the first.
    web = resources.files("cnncli.explain").joinpath("web")
    declared = Counter(
        name
        for script in SCRIPTS[kind]
        for name in re.findall(
            r"^(?:async )?(?:const|let|class|function) (\w+)",
            web.joinpath(*script.split("/")).read_text("utf-8"),
            re.M,
        )
    )
    assert [name for name, count in declared.items() if count > 1] == []
