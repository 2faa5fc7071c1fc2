"""Text on sheets: what fits, and how."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.render.text import fit_text, label_font, plain_text, short_names, wrap, write_lines


@pytest.mark.parametrize("width", [5, 20, 60, 96, 150])
@pytest.mark.parametrize("text", ["edge", "block3-conv2-filter-017", "W" * 5000])
def test_names_are_shortened_to_fit(text: str, width: int) -> None:
    font = label_font(12)
    short = fit_text(text, width, font)
    assert font.getlength(short) <= width
    assert short == text or "..." in short or width < 12
    if short != text and len(short) > 5:
        assert short[-1] == text[-1] and short[0] == text[0]


@pytest.mark.parametrize("width", [20, 60, 96, 300])
@pytest.mark.parametrize("text", ["", "edge", "a b c", "block3-conv2-filter-017", "W" * 5000])
def test_wrapped_lines_fit_and_lose_nothing_they_have_room_for(text: str, width: int) -> None:
    font = label_font(12)
    lines = wrap(text, width, font)
    assert 1 <= len(lines) <= 3
    assert all(font.getlength(line) <= width for line in lines)
    if font.getlength(text) <= 2 * width - 20:
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["conv1-00", "conv1-01", "conv1-02"], ["0", "1", "2"]),
        (["c-0@0", "c-1@0", "c-0@1", "c-1@1"], ["0@0", "1@0", "0@1", "1@1"]),
        (["sobel_h", "edge"], ["sobel_h", "edge"]),
        (["line-45", "line-90"], ["line-45", "line-90"]),
        (["k4-0", "k4-1", "k5-0"], ["k4-0", "k4-1", "k5-0"]),
        (["", "", "x"], ["0", "1", "x"]),
        (["only-0"], ["only-0"]),
        ([], []),
    ],
)
def test_maps_that_are_counted_are_labelled_by_their_number(
    names: list[str], labels: list[str]
) -> None:
    assert short_names(names) == labels


def test_plain_text_is_what_the_font_has() -> None:
    assert plain_text("Größe\n\x1b[31m") == "Gro?e\\n\\x1b[31m"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_lines_stay_inside_their_box_and_their_sheet(dtype: type, shape: tuple[int, ...]) -> None:
    scale = 257 if dtype == np.uint16 else 1
    sheet = np.full(shape, 232 * scale, dtype)
    write_lines(sheet, ["wwwwwwwwwwwwwwww", "w"], (10, 5), 30, 12)
    outside = sheet.copy()
    outside[5 : 5 + 36, 10:40] = 232 * scale
    assert (outside == 232 * scale).all() and sheet.min() < 100 * scale
    write_lines(sheet, ["w"] * 9, (50, 30), 30, 12)
