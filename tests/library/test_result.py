"""Arrays that show themselves: they are numpy's in all else."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError
from cnncli.library.result import MapsArray
from tests.support.shell import pixels, run_cli, save_array

X = np.random.default_rng(5).normal(size=(12, 14, 3))


def drawn(maps: MapsArray) -> np.ndarray:
    """Return the pixels that a notebook shows."""
    data = maps._repr_png_()
    assert data is not None
    Path("drawn.png").write_bytes(data)
    return pixels("drawn.png")


@pytest.fixture
def maps(empty_folder: Path) -> MapsArray:
    """Sixteen feature maps."""
    save_array("x.npy", X)
    return cnncli.conv("x.npy", "gabor_color")


def test_it_is_an_array(maps: MapsArray) -> None:
    assert isinstance(maps, np.ndarray) and np.asarray(maps) is not maps
    assert type(np.asarray(maps)) is np.ndarray
    assert type(maps * 2) is type(np.maximum(maps, 0)) is type(maps.mean(axis=2)) is np.ndarray
    assert isinstance(maps.sum(), np.float64) and isinstance(maps.max(), np.float64)
    np.testing.assert_array_equal(maps + 0, np.asarray(maps))
    again = pickle.loads(pickle.dumps(maps))
    np.testing.assert_array_equal(again, maps)


def test_parts_have_no_sheet(maps: MapsArray) -> None:
    part = maps[..., 3]
    assert part._repr_png_() is None and part.names == () and len(maps.names) == 16
    with pytest.raises(OptionError, match="only a whole layer's values have a sheet"):
        part.shown(legend=True)


def test_a_sheet_is_drawn_as_the_options_say(maps: MapsArray) -> None:
    options = ["--colormap", "diverging", "--legend", "--columns", 8, "--range", "symmetric"]
    run_cli("conv", "x.npy", "-f", "gabor_color", *options, "-o", "sheet.png")
    shown = maps.shown(colormap="diverging", legend=True, columns=8, range="symmetric")
    np.testing.assert_array_equal(drawn(shown), pixels("sheet.png"))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(maps))
    assert drawn(maps).shape != drawn(shown).shape
    with pytest.raises(OptionError, match="--colormap must be one of"):
        maps.shown(colormap="jet")


def test_what_was_changed_in_place_is_shown(maps: MapsArray) -> None:
    before = drawn(maps)
    maps[:] = -maps
    assert (drawn(maps) != before).any()


def test_a_picture_carries_its_values(maps: MapsArray) -> None:
    Path("maps.png").write_bytes(maps._repr_png_() or b"")
    back = np.asarray(cnncli.conv("maps.png", [[1.0]], as_values=True))
    # Half a level of the range, which leaves out the most extreme values.
    assert np.median(abs(back - maps)) < np.ptp(maps) / 255
