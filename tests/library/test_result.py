"""Arrays that show themselves: they are numpy's in all else."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnncli
from cnncli.errors import OptionError, OutputExists
from cnncli.library.result import MapsArray
from tests.support.pages import REPOSITORY
from tests.support.shell import pixels, run_cli, save_array

EDGES = REPOSITORY / "examples" / "edges.toml"
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
    with pytest.raises(OptionError, match="only the values of a whole layer can be drawn"):
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


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "npy", "npz"])
def test_a_result_is_saved_as_the_command_writes_it(maps: MapsArray, suffix: str) -> None:
    maps.save(f"saved.{suffix}")
    run_cli("conv", "x.npy", "-f", "gabor_color", "-o", f"written.{suffix}")
    saved, written = (Path(f"{name}.{suffix}") for name in ("saved", "written"))
    if suffix in ("npy", "npz"):
        assert saved.read_bytes() == written.read_bytes()
    else:
        np.testing.assert_array_equal(pixels(saved), pixels(written))


@pytest.mark.parametrize(
    ("depth", "suffix"), [(16, "png"), ("16", "tif"), (8, "png"), ("float", "tif")]
)
def test_the_depth_is_that_of_the_command(maps: MapsArray, depth: int | str, suffix: str) -> None:
    maps.save(f"saved.{suffix}", depth=depth)
    given = ("-f", "gabor_color", "--depth", depth, "-o", f"written.{suffix}")
    run_cli("conv", "x.npy", *given)
    np.testing.assert_array_equal(pixels(f"saved.{suffix}"), pixels(f"written.{suffix}"))
    with pytest.raises(OptionError, match="--depth must be one of 8, 16, float, got '12'"):
        maps.save("other.png", depth=12)
    with pytest.raises(OptionError, match="16"):
        maps.save("other.jpg", depth=16)
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save("deep.png")
    cnncli.pool("deep.png").save("shallow.png", depth=8)
    assert pixels("shallow.png").dtype == np.uint8


def test_files_in_a_folder_are_named_by_the_filter(maps: MapsArray) -> None:
    run_cli("conv", "x.npy", "-f", "edge", "-o", "written/")
    cnncli.conv("x.npy", "edge").save("saved/")
    cnncli.conv("x.npy", np.ones((3, 3))).save("{stem}-{filter}.png")
    (written,) = Path("written").iterdir()
    assert Path("saved", written.name).read_bytes()
    assert Path("x-conv.png").is_file()


def test_a_file_for_each_map_is_saved(maps: MapsArray) -> None:
    run_cli("conv", "x.npy", "-f", "gabor_color", "-o", "written/")
    maps.save(Path("saved").resolve() / "{map:03d}.png")
    maps.save("named/")
    names = [
        sorted(file.name for file in Path(folder).iterdir()) for folder in ("written", "named")
    ]
    assert names[0] == names[1] and len(list(Path("saved").iterdir())) == 16
    np.testing.assert_array_equal(pixels("saved/000.png"), pixels(f"written/{names[0][0]}"))


def test_what_is_there_is_replaced_only_when_asked(maps: MapsArray) -> None:
    maps.save("maps.png")
    shown = maps.shown(colormap="diverging")
    with pytest.raises(OutputExists, match="'maps.png': exists already"):
        shown.save("maps.png")
    np.testing.assert_array_equal(pixels("maps.png"), drawn(maps))
    shown.save("maps.png", overwrite=True)
    np.testing.assert_array_equal(pixels("maps.png"), drawn(shown))
    with pytest.raises(OptionError, match="one of the inputs, which are never overwritten"):
        maps.save("x.npy", overwrite=True)
    with pytest.raises(OptionError, match="extension must be one of"):
        maps.save("maps.xyz")
    with pytest.raises(OptionError, match="only the values of a whole layer"):
        maps[..., 3].save("part.png")


def test_deep_pictures_keep_their_depth(empty_folder: Path) -> None:
    deep = np.random.default_rng(6).integers(0, 65_536, (12, 14), np.uint16)
    Image.fromarray(deep).save("deep.png")
    run_cli("conv", "deep.png", "-f", "box", "-o", "written.png")
    cnncli.conv("deep.png", "box").save("saved.png")
    assert pixels("saved.png").dtype == np.uint16
    np.testing.assert_array_equal(pixels("saved.png"), pixels("written.png"))
    cnncli.conv("deep.png", "box").shown(colormap="viridis").save("colours.png")
    assert pixels("colours.png").dtype == np.uint8


def test_what_stands_in_a_photograph_is_kept(empty_folder: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "Camera", 6
    Image.fromarray(np.uint8(abs(X) * 50)).save("photo.jpg", exif=exif, dpi=(300, 300))
    with Image.open("photo.jpg") as photo:
        cnncli.conv(photo, "sharpen").save("saved.png")
    with Image.open("saved.png") as saved:
        assert saved.getexif()[271] == "Camera" and 274 not in saved.getexif()
        assert round(saved.info["dpi"][0]) == 300 and saved.size == (12, 14)


def test_a_gradient_is_saved_as_the_command_writes_it(maps: MapsArray) -> None:
    net = cnncli.load(EDGES)
    save_array("y.npy", X[..., :1])
    gradient = net.grad("y.npy", "edges:0")
    for name in ("dx.npy", "dx.png"):
        run_cli("grad", EDGES, "y.npy", "--unit", "edges:0", "-o", f"written-{name}")
        gradient.input.save(f"saved-{name}")
    np.testing.assert_array_equal(np.load("saved-dx.npy"), np.load("written-dx.npy"))
    np.testing.assert_array_equal(pixels("saved-dx.png"), pixels("written-dx.png"))
    run_cli("grad", EDGES, "y.npy", "--unit", "edges:0", "--overlay", "-o", "written.png")
    gradient.overlay().save("saved.png")
    np.testing.assert_array_equal(pixels("saved.png"), pixels("written.png"))
    run_cli("run", EDGES, "y.npy", "--layer", "edges", "-o", "written-edges.png")
    net.run("y.npy")["edges"].save("saved-edges.png")
    np.testing.assert_array_equal(pixels("saved-edges.png"), pixels("written-edges.png"))
