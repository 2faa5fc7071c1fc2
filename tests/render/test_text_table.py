"""Text tables: alignment, gaps and the width of a terminal."""

from __future__ import annotations

from cnncli.render.text_table import text_table

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
