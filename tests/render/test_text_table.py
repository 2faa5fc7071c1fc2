"""Text tables: alignment, gaps and the width of a terminal."""

from __future__ import annotations

import pytest

from cnncli.render.text_table import text_table, wrapped_table

ROWS = [("NAME", "SIZE", "NOTE"), ("edge", "9", ""), ("gabor", "121", "many taps")]


def test_columns_are_aligned_and_lines_have_no_spaces_at_their_ends() -> None:
    assert text_table(ROWS, right=[1], gap=" | ") == [
        "NAME  | SIZE | NOTE",
        "edge  |    9 |",
        "gabor |  121 | many taps",
    ]


def test_longer_lines_than_the_terminal_are_cut() -> None:
    assert text_table(ROWS, width=12) == ["NAME   SIZE…", "edge   9", "gabor  121 …"]
    assert text_table(ROWS, width=0)[0] == "…"


def test_no_rows_are_no_lines() -> None:
    assert text_table([]) == []


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_wrapped_tables_keep_to_the_terminal_and_every_word(width: int) -> None:
    rows = [("NAME", "WHAT", "ANSWERS"), ("box_15", "the mean of the window " * 3, "bright " * 5)]
    lines = wrapped_table(rows, width, long=(1, 2))
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert sorted(words) == sorted(" ".join(" ".join(row) for row in rows).split())
    assert lines[0].startswith("NAME") and lines[1].startswith("box_15")
    assert all(line.startswith(" ") for line in lines[2:])
