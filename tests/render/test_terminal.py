"""Pictures as text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnncli.render.terminal import terminal_picture

RESET = "\x1b[0m"


def cells(text: str) -> list[list[tuple[int, ...]]]:
    """Read the colours back: six numbers a character."""
    rows = []
    for line in text.splitlines():
        row = []
        for code, blocks in re.findall(r"\x1b\[38;2;([\d;]+)m(▀+)", line):
            row += [tuple(int(n) for n in re.findall(r"\d+", code.replace("48;2;", "")))] * len(
                blocks
            )
        assert line.endswith(RESET)
        rows.append(row)
    return rows


def test_two_rows_a_line_in_full_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 40, 3), np.uint8)
    got = np.array(cells(terminal_picture(pixels, 80, colour=True)))
    assert np.array_equal(got[:, :, :3], pixels[::2])
    assert np.array_equal(got[:, :, 3:], pixels[1::2])


def test_wide_pictures_are_averaged() -> None:
    pixels = np.zeros((80, 160), np.uint8)
    pixels[:, 1::2] = 200
    got = np.array(cells(terminal_picture(pixels, 80, colour=True)))
    assert got.shape == (20, 80, 6)
    assert (got == 100).all()


@pytest.mark.parametrize(
    ("shape", "lines"), [((1, 40), 1), ((3, 40), 2), ((7, 7), 14), ((9, 300), 1)]
)
def test_lines(shape: tuple[int, int], lines: int) -> None:
    text = terminal_picture(np.full(shape, 9, np.uint8), 60, colour=True)
    assert text.count("\n") == lines
    assert all(len(row) <= 60 for row in cells(text))


def test_sixteen_bits_look_like_eight() -> None:
    pixels = np.arange(0, 256, 4, dtype=np.uint8)[None].repeat(2, 0)
    deep = pixels.astype(np.uint16) * 257
    assert terminal_picture(deep, 80, True) == terminal_picture(pixels, 80, True)


@pytest.mark.parametrize("shape", [(2, 40), (2, 40, 3)])
def test_no_color_means_ascii(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    pixels = np.zeros(shape, np.uint8)
    pixels[:, 20:] = 255
    assert terminal_picture(pixels, 80) == " " * 20 + "@" * 20 + "\n"
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b[" in terminal_picture(pixels, 80)
