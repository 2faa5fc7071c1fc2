"""``cnncli pool`` as a user meets it, judged by numpy's sliding windows over borders of NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from tests.support.shell import (
    npy_bytes,
    pixels,
    refused_untouched,
    run_cli,
    save,
    save_array,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

RANDOM = np.random.default_rng(9)
RGB = RANDOM.integers(0, 256, (7, 10, 3), np.uint8)
VALUES = RANDOM.standard_normal((7, 10, 2))
NO_PADS = ((0, 0), (0, 0))
MODES: dict[str, Any] = {
    "max": np.nanmax,
    "min": np.nanmin,
    "average": np.nanmean,
    "lp": lambda cells, axis: np.sqrt(np.nansum(cells**2, axis=axis)),
}
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def windows(
    X: np.ndarray, size: Pair, step: Pair, pads: Pads = NO_PADS, gaps: Pair = (1, 1)
) -> Any:
    """Return (rows, columns, channels, cells) with NaN for every cell that is none of the image."""
    padded = np.pad(X.astype(float), (*pads, (0, 0)), constant_values=np.nan)
    spans = [(k - 1) * d + 1 for k, d in zip(size, gaps, strict=True)]
    found = sliding_window_view(padded, spans, axis=(0, 1))[:: step[0], :: step[1]]
    found = found[:, :, :, :: gaps[0], :: gaps[1]]
    return found.reshape(*found.shape[:3], -1)


def agree(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "stride", "window", "step"),
    [
        (None, None, (2, 2), (2, 2)),
        ("3", None, (3, 3), (3, 3)),
        ("2,3", None, (2, 3), (2, 3)),
        ("3", "1", (3, 3), (1, 1)),
        ("2", "3,1", (2, 2), (3, 1)),
        ("1", "2", (1, 1), (2, 2)),
        ("7,10", None, (7, 10), (7, 10)),
    ],
)
def test_modes_sizes_and_strides(
    mode: str, size: str | None, stride: str | None, window: Pair, step: Pair
) -> None:
    save_array("x.npy", VALUES)
    given = ["--mode", mode]
    given += [] if size is None else ["--size", size]
    given += [] if stride is None else ["--stride", stride]
    agree(values_of("pool", "x.npy", *given), MODES[mode](windows(VALUES, window, step), axis=3))


def test_max_is_the_default() -> None:
    save_array("x.npy", VALUES)
    agree(values_of("pool", "x.npy"), windows(VALUES, (2, 2), (2, 2)).max(axis=3))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "pads"),
    [
        ("valid", NO_PADS),
        ("same", ((1, 1), (1, 1))),
        ("same-lower", ((1, 1), (1, 1))),
        ("1", ((1, 1), (1, 1))),
        ("0,2", ((0, 0), (2, 2))),
        ("0,1,2,1", ((0, 1), (2, 1))),
    ],
)
def test_pads_never_win_and_do_not_count(mode: str, text: str, pads: Pads) -> None:
    negative = VALUES - 10
    save_array("x.npy", negative)
    given = ("--size", 3, "--stride", "2,3", "--padding", text, "--mode", mode)
    agree(
        values_of("pool", "x.npy", *given),
        MODES[mode](windows(negative, (3, 3), (2, 3), pads), axis=3),
    )


@pytest.mark.parametrize(("text", "pads"), [("same", (0, 1)), ("same-lower", (1, 0))])
def test_the_odd_pad_of_same(text: str, pads: Pair) -> None:
    save_array("x.npy", VALUES)
    expected = np.nanmax(windows(VALUES, (2, 2), (2, 2), (pads, (0, 0))), axis=3)
    assert expected.shape == (4, 5, 2)
    agree(values_of("pool", "x.npy", "--padding", text), expected)


@pytest.mark.parametrize("mode", MODES)
def test_dilation(mode: str) -> None:
    save_array("x.npy", VALUES)
    got = values_of("pool", "x.npy", "--mode", mode, "--dilation", "2,3", "--stride", 1)
    agree(got, MODES[mode](windows(VALUES, (2, 2), (1, 1), NO_PADS, (2, 3)), axis=3))


@pytest.mark.parametrize("mode", MODES)
def test_ceil_counts_a_window_that_hangs_over_the_end(mode: str) -> None:
    save_array("x.npy", VALUES)
    got = values_of("pool", "x.npy", "--size", 3, "--stride", "2,4", "--ceil", "--mode", mode)
    # 7 rows are met without overhang; of 10 columns the third window, 8 to 11, hangs over by one.
    agree(got, MODES[mode](windows(VALUES, (3, 3), (2, 4), ((0, 0), (0, 1))), axis=3))


def test_ceil_starts_no_window_in_the_end_pad() -> None:
    save_array("x.npy", np.arange(3.0)[None, :])
    got = values_of("pool", "x.npy", "--size", "1,2", "--stride", "1,4", "--padding=0,1", "--ceil")
    # ceil((3+1+1-2)/4)+1 = 2, but the second window would start at 4 = 3 + 1.
    assert got.tolist() == [[[0.0]]]


def test_count_include_pad_counts_pads_but_no_overhang() -> None:
    row = np.array([[1.0, 2, 3, 4, 5]])
    save_array("x.npy", row)
    given = ("--mode", "average", "--size", "1,3", "--padding", "0,1", "--ceil", "--stride", "1,3")
    plain = values_of("pool", "x.npy", *given)
    counted = values_of("pool", "x.npy", *given, "--count-include-pad")
    # Padded: 0 1 2 | 3 4 5 | 0, and no window starts at the last 0, which is the end pad.
    np.testing.assert_allclose(plain.ravel(), [1.5, 4.0])
    np.testing.assert_allclose(counted.ravel(), [1.0, 4.0])


def test_count_include_pad_of_a_window_over_the_end() -> None:
    save_array("x.npy", np.array([[1.0, 2, 3, 4]]))
    given = ("--mode=average", "--size=1,3", "--padding=0,1", "--ceil", "--stride=1,2")
    # Padded: 0 1 2 3 4 0; windows 0 1 2, 2 3 4, and 4 0 with one cell hanging over.
    np.testing.assert_allclose(values_of("pool", "x.npy", *given).ravel(), [1.5, 3, 4])
    counted = values_of("pool", "x.npy", *given, "--count-include-pad")
    np.testing.assert_allclose(counted.ravel(), [1, 3, 2])


@pytest.mark.parametrize("p", ["1", "2", "3", "0.5", "inf"])
def test_lp(p: str) -> None:
    save_array("x.npy", VALUES)
    cells = np.abs(windows(VALUES, (2, 2), (2, 2)))
    power = float(p)
    expected = cells.max(axis=3) if p == "inf" else (cells**power).sum(axis=3) ** (1 / power)
    agree(values_of("pool", "x.npy", "--mode", "lp", "--p", p), expected)


@pytest.mark.parametrize("mode", MODES)
def test_global(mode: str) -> None:
    save_array("x.npy", VALUES)
    got = values_of("pool", "x.npy", "--size", "global", "--mode", mode)
    assert got.shape == (1, 1, 2)
    agree(got, MODES[mode](VALUES.reshape(1, 1, 70, 2).swapaxes(2, 3), axis=3))


@pytest.mark.parametrize("mode", MODES)
def test_nan_is_not_hidden(mode: str) -> None:
    spoilt = VALUES.copy()
    spoilt[1, 3, 0] = np.nan
    save_array("x.npy", spoilt)
    got = values_of("pool", "x.npy", "--mode", mode)
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 1, 0]]


def test_a_picture_stays_a_picture() -> None:
    save("x.png", RGB)
    run_cli("pool", "x.png", "--size", 3)
    expected = windows(RGB, (3, 3), (3, 3)).max(axis=3)
    assert np.array_equal(pixels("x-pool.png"), expected)
    assert [path.name for path in sorted(Path().iterdir())] == ["x-pool.png", "x.png"]


def test_averages_are_rounded_half_to_even() -> None:
    save("x.png", np.array([[0, 1, 1, 2, 2, 3, 254, 255]], np.uint8))
    run_cli("pool", "x.png", "--size", "1,2", "--mode", "average", "-o", "y.png")
    expected = np.rint(np.float32([0.5, 1.5, 2.5, 254.5]) / np.float32(255) * 255)
    assert np.abs(pixels("y.png")[0] - expected).max() <= 1
    assert pixels("y.png")[0].tolist() == [0, 2, 2, 254]


def test_a_batch_from_standard_input() -> None:
    batch = RANDOM.standard_normal((3, 4, 6, 2)).astype(np.float32)
    got = values_of("pool", "--mode", "min", stdin=npy_bytes(batch))
    assert np.array_equal(got, batch.reshape(3, 2, 2, 3, 2, 2).min(axis=(2, 4)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", 0), "--size"),
        (("--size", "2,2,2"), "--size"),
        (("--size", "all"), "--size"),
        (("--stride", 0), "--stride"),
        (("--stride", "1.5"), "--stride"),
        (("--dilation", "-1"), "--dilation"),
        (("--mode", "median"), "--mode"),
        (("--mode", "lp", "--p", 0), "--p"),
        (("--mode", "lp", "--p", "nan"), "--p"),
        (("--padding", "-1"), "--padding"),
        (("--size", 8), "(7+2*0-8)//8+1 = 0"),
        (("--size", "8,2", "--ceil"), "8 of 7 rows"),
        (("--size", 3, "--dilation", "1,5"), "11 of 10 columns"),
    ],
)
def test_options_that_cannot_be(options: tuple[Any, ...], words: str) -> None:
    save("x.png", RGB)
    assert words in refused_untouched("pool", "x.png", *options, code=2)


@pytest.mark.parametrize(
    ("mode", "options", "said"),
    [
        ("max", ("--p", 3), "--p is for lp pooling, got max"),
        ("average", ("--p", 2), "--p is for lp pooling, got average"),
        ("max", ("--count-include-pad",), "--count-include-pad is for average pooling, got max"),
        ("lp", ("--count-include-pad",), "--count-include-pad is for average pooling, got lp"),
    ],
)
def test_what_a_mode_would_ignore_is_refused(
    mode: str, options: tuple[object, ...], said: str
) -> None:
    save_array("x.npy", np.ones((4, 4)))
    assert said in refused_untouched("pool", "x.npy", "--mode", mode, *options, code=2)
    assert said in refused_untouched("explain", "x.npy", "--pool", mode, *options, code=2)
    field = "p = 3" if "--p" in options else "count_include_pad = true"
    Path("net.toml").write_text(f'[[layers]]\ntype = "pool"\nmode = "{mode}"\n{field}\n')
    error = refused_untouched("run", "net.toml", "x.npy")
    assert f"layer pool1: {said[2:].replace('-', '_', 2).split(' is')[0]}" in error


def test_the_report_says_how_it_pooled_and_which_cells_no_window_reads() -> None:
    save("odd.png", np.arange(162, dtype=np.uint8).reshape(6, 9, 3))
    said = run_cli("pool", "odd.png", "-o", "a.png").stderr
    read = "column 8 of the input (0 to 8) is never read"
    assert said.endswith(f", max of windows of 2x2, stride 2; {read}\n")
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n[[layers]]\ntype = "pool"\n')
    said = run_cli("run", "net.toml", "odd.png", "-o", "n.png").stderr
    assert f"note: 'odd.png': {read}: pool1 has (9+2*0-2)//2+1 = 4 columns\n" in said
    assert "note: 'odd.png': row 2 of pool1 (0 to 2) is never read: pool2 has" in said
    words = ["--mode", "avg", "--size", "1,3", "--stride", "1,3", "-o", "b.npy"]
    said = run_cli("pool", "odd.png", *words).stderr
    assert "average of windows of 1x3, stride 1,3" in said and "never read" not in said
    said = run_cli("pool", "odd.png", "--size", "global", "-o", "c.png").stderr
    assert "max of all rows and columns" in said and "never read" not in said
    said = run_cli("conv", "odd.png", "-f", "1 1", "--stride", "3", "-o", "d.png").stderr
    assert "rows 1 to 2, 4 to 5 of the input (0 to 5) are never read" in said
    said = run_cli("conv", "odd.png", "-f", "edge", "-o", "e.png").stderr
    assert "never read" not in said
