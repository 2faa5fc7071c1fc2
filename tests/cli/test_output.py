"""Where results go and what they look like: names, formats, ranges, grids, reports, metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.shell import (
    pixels,
    refused_untouched,
    run_cli,
    save,
    save_array,
    snapshot,
    values_of,
)

pytestmark = pytest.mark.usefixtures("inputs")

RANDOM = np.random.default_rng(17)
RGB = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
VALUES = (RANDOM.standard_normal((6, 8, 1)) * 3).astype(np.float32)
MAPS = (RANDOM.standard_normal((6, 8, 5)) * [1, 2, 3, 4, 5]).astype(np.float32)
KEEP = ("pad", "--padding", "0")


@pytest.fixture
def inputs(empty_folder: Path) -> None:
    save("x.png", RGB)
    save_array("one.npy", VALUES)
    save_array("maps.npy", MAPS)


def levels(values: np.ndarray, low: float, high: float, top: int = 255) -> np.ndarray:
    """The definition: clip, scale, round half to even."""
    share = (values.astype(float) - low) / (high - low)
    return np.rint(np.clip(share, 0, 1) * top)


def names(folder: str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("pad", "x.png", "--padding", 1), "x-pad.png"),
        (("pool", "x.png"), "x-pool.png"),
        (("conv", "x.png", "-f", "edge.npy"), "x-edge.png"),
        (("conv", "x.png", "-f", "1 2"), "x-conv.png"),
        (("conv", "x.png", "-f", "edge", "-f", "edge"), "x-conv.png"),
        (("pool", "x.png", "--format", "npy"), "x-pool.npy"),
        (("pool", "x.png", "-o", "out/"), "out/x-pool.png"),
        (("pool", "x.png", "-o", "there"), "there/x-pool.png"),
        (("pool", "x.png", "-o", "a.tif"), "a.tif"),
        (("pool", "x.png", "-o", "a.dat", "--format", "bmp"), "a.dat"),
        (("pool", "x.png", "-o", "a.JPEG", "--format", "jpg"), "a.JPEG"),
        (("pool", "x.png", "-o", "a.pnm", "--gray", "--format", "pgm"), "a.pnm"),
        (("pool", "x.png", "-o", "there", "--format", "bmp"), "there/x-pool.bmp"),
        (("pool", "x.png", "-o", "t/{stem}.{ext}", "--format", "tif"), "t/x.tif"),
        (
            ("conv", "x.png", "-f", "edge", "-o", "{stem}_{op}_{filter}.{ext}"),
            "x_conv_edge.png",
        ),
        (("pool", "x.png", "-o", "t/{name}-{layer}.{ext}"), "t/x.png-pool.png"),
        (("pool", "x.png", "-o", "{stem:_>4}.npy"), "___x.npy"),
        (("pool", "x.png", "-o", "{{{stem}}}.png"), "{x}.png"),
        (("pool", "x.png", "-o", "UPPER.PNG"), "UPPER.PNG"),
    ],
)
def test_names(args: tuple[Any, ...], name: str) -> None:
    Path("there").mkdir()
    run_cli(*args)
    assert Path(name).is_file()
    assert len([p for p in Path().rglob("*") if p.is_file()]) == 4


def test_the_default_is_the_current_folder() -> None:
    Path("in").mkdir()
    save("in/y.png", RGB)
    run_cli("pool", "in/y.png")
    assert Path("y-pool.png").exists() and names("in") == ["y.png"]


def test_a_folder_and_a_template_get_one_file_a_map() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "out/", "--range", "-9,9")
    assert names("out") == [f"maps-{index:03d}.png" for index in range(5)]
    run_cli(*KEEP, "maps.npy", "-o", "t/{stem}-{map:02d}.png", "--range=-9,9")
    assert names("t") == [f"maps-{index:02d}.png" for index in range(5)]
    for index in range(5):
        expected = levels(MAPS[:, :, index], -9, 9)
        assert np.array_equal(pixels(f"out/maps-{index:03d}.png"), expected)
        assert np.array_equal(pixels(f"t/maps-{index:02d}.png"), expected)


def test_a_template_of_arrays_gets_one_array_a_map() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "{map}.npy")
    for index in range(5):
        assert np.array_equal(np.load(f"{index}.npy"), MAPS[:, :, index : index + 1])


def test_filters_of_one_name_go_by_their_names() -> None:
    run_cli("conv", "x.png", "-f", "edge", "-f", "box", "-o", "{filter}.png")
    assert {"edge.png", "box.png"} <= set(names())


def test_many_images() -> None:
    save("y.png", RGB)
    run_cli("pool", "x.png", "y.png", "-o", "{stem}.{op}.png")
    assert {"x.pool.png", "y.pool.png"} <= set(names())


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("one.png", "--output"),
        ("{op}.png", "'{op}.png'"),
        ("-", "-o -"),
    ],
)
def test_several_images_into_one_name(output: str, words: str) -> None:
    save("y.png", RGB)
    refused_untouched("pool", "x.png", "y.png", "-o", output, code=2)


@pytest.mark.parametrize(
    "output",
    ["{stem.__class__}.png", "{0}.png", "{}.png", "{nope}.png", "{stem!r}.png", "{stem"]
    + ["{map:x<999999}.png", "{stem:d}.png", "{stem[0]}.png", "{map:{stem}}.png", "{op}/"],
)
def test_templates_with_more_than_the_fields(output: str) -> None:
    error = refused_untouched("pool", "x.png", "-o", output, code=2)
    assert "--output" in error


@pytest.mark.parametrize("output", ["a.xyz", "noextension", "a.", ".png.", "", "a.svg"])
def test_extensions_that_are_none(output: str) -> None:
    assert "--" in refused_untouched("pool", "x.png", "-o", output, code=2)


def test_a_key_of_an_archive_leads_nowhere_else() -> None:
    np.savez("w.npz", **{"../../../evil": np.ones((1, 1)), "other": np.ones((1, 1))})
    given = ("conv", "x.png", "-f", "w.npz:../../../evil")
    run_cli(*given, "-o", "out/")
    run_cli(*given)
    made = [str(path) for path in Path().rglob("*evil*")]
    assert len(made) == 2 and not list(Path().resolve().parent.glob("*evil*"))
    assert all(path.count("/") <= 1 for path in made)


@pytest.mark.parametrize("option", [[], ["-o", "old.npy"], ["-o", "folder/"], ["-o", "{op}.tif"]])
def test_what_exists_stays(option: list[str]) -> None:
    Path("folder").mkdir()
    for name in ("x-pool.png", "old.npy", "folder/x-pool.png", "pool.tif"):
        Path(name).write_bytes(b"precious")
    error = refused_untouched("pool", "x.png", *option)
    assert "exists" in error and "--overwrite" in error
    run_cli("pool", "x.png", *option, "--overwrite")


def test_overwrite() -> None:
    Path("y.npy").write_bytes(b"old")
    Path("y.npy").chmod(0o640)
    run_cli("pool", "x.png", "-o", "y.npy", "--overwrite")
    assert np.load("y.npy").shape == (3, 4, 3) and Path("y.npy").stat().st_mode & 0o777 == 0o640


def test_skip_existing_resumes() -> None:
    save("y.png", RGB)
    Path("x-pool.png").write_bytes(b"done before")
    told = run_cli("pool", "x.png", "y.png", "--skip-existing").stderr
    assert Path("x-pool.png").read_bytes() == b"done before"
    assert pixels("y-pool.png").shape == (3, 4, 3)
    assert "'x.png': skipped" in told and "y-pool.png" in told


def test_skip_existing_makes_the_missing_maps() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "out/", "--skip-existing")
    whole = snapshot("out")
    Path("out/maps-002.png").unlink()
    Path("out/maps-003.png").write_bytes(b"kept")
    run_cli(*KEEP, "maps.npy", "-o", "out/", "--skip-existing")
    assert snapshot("out") == {**whole, "out/maps-003.png": b"kept"}


@pytest.mark.parametrize("way", ["same", "link", "hard", "dots"])
def test_an_input_is_never_overwritten(way: str) -> None:
    Path("sub").mkdir()
    Path("link.png").symlink_to("x.png")
    Path("hard.png").hardlink_to("x.png")
    output = {"same": "x.png", "link": "link.png", "hard": "hard.png", "dots": "sub/../x.png"}
    error = refused_untouched("pool", "x.png", "-o", output[way], "--overwrite", code=2)
    assert "input" in error
    refused_untouched("pool", "maps.npy", "x.png", "-o", "{stem}.png", "--overwrite", code=2)


RANGES: dict[str, tuple[float, float]] = {
    "clip": (0, 1),
    "minmax": (float(VALUES.min()), float(VALUES.max())),
    "symmetric": (-float(np.abs(VALUES).max()), float(np.abs(VALUES).max())),
    "-2,1.5": (-2, 1.5),
}


@pytest.mark.parametrize("text", RANGES)
@pytest.mark.parametrize("depth", ["8", "16"])
def test_ranges(text: str, depth: str) -> None:
    run_cli(*KEEP, "one.npy", "-o", "y.png", f"--range={text}", "--depth", depth)
    got = pixels("y.png")
    assert got.dtype == (np.uint8 if depth == "8" else np.uint16)
    top = 255 if depth == "8" else 65_535
    assert np.abs(got - levels(VALUES[:, :, 0], *RANGES[text], top)).max() <= (depth == "16")


def test_abs() -> None:
    run_cli(*KEEP, "one.npy", "-o", "y.png", "--range", "abs")
    most = np.abs(VALUES).max()
    assert np.array_equal(pixels("y.png"), levels(np.abs(VALUES[:, :, 0]), 0, most))


@pytest.mark.parametrize(("depth", "middle"), [("8", 128), ("16", 32_768)])
def test_zero_is_mid_grey(depth: str, middle: int) -> None:
    save_array("z.npy", np.array([[-3.0, 0, 1], [0, 0, 0]]))
    run_cli(*KEEP, "z.npy", "-o", "y.png", "--depth", depth)
    assert (pixels("y.png").ravel()[[1, 3, 4, 5]] == middle).all() and pixels("y.png")[0, 0] == 0
    save_array("flat.npy", np.zeros((2, 2)))
    run_cli(*KEEP, "flat.npy", "-o", "f.png", "--depth", depth, "--range", "symmetric")
    assert (pixels("f.png") == middle).all()


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        (("conv", "x.png", "-f", "sobel_v"), "clip"),
        (("conv", "one.npy", "-f", "sobel_v"), "symmetric"),
        (("conv", "light.npy", "-f", "sobel_v"), "symmetric"),
        (("conv", "light.npy", "-f", "box"), "minmax"),
        (("conv", "unit.npy", "-f", "sobel_v"), "clip"),
        (("pool", "x.png"), "clip"),
        (("pad", "x.png", "--padding", "1"), "clip"),
        (("conv", "x.png", "-f", "luminance"), "minmax"),
        (("conv", "x.png", "--gray", "-f", "kirsch"), "symmetric"),
        (("conv", "x.png", "--gray", "-f", "kirsch", "--activation", "relu"), "minmax"),
        (("pool", "one.npy"), "symmetric"),
    ],
)
def test_the_range_of_auto(args: tuple[str, ...], kind: str) -> None:
    save_array("light.npy", np.abs(VALUES))
    save_array("unit.npy", np.abs(VALUES) / np.abs(VALUES).max())
    args = (*args, "--padding", "0") if args[0] == "conv" else args
    run_cli(*args, "-o", "auto.png")
    run_cli(*args, "-o", "said.png", "--range", kind)
    # Few enough cells that nothing is cut off, and none that saw padding.
    assert np.array_equal(pixels("auto.png"), pixels("said.png"))


def told(*args: object) -> dict[str, Any]:
    """What the report for programs says of a picture."""
    first, *_ = run_cli(*args, "--json", "--overwrite").stdout.splitlines()
    record: dict[str, Any] = json.loads(first)
    return record


def test_one_negative_map_makes_all_symmetric_and_zero_has_one_colour() -> None:
    maps = np.stack([np.full((4, 4), v) for v in (0.0, 2.0, -3.0, 0.0)], axis=2)
    maps[0, 0] = 0
    save_array("signed.npy", maps)
    for colormap, middle in (("gray", [128]), ("diverging", [245, 245, 245])):
        record = told("pad", "signed.npy", "--padding=0", "-o", "y/", "--colormap", colormap)
        assert record["mapping"] == "symmetric"
        for index in range(4):
            assert pixels(f"y/signed-00{index}.png")[0, 0].reshape(-1).tolist() == middle


@pytest.mark.parametrize(("sign", "absent"), [(1, 2), (-1, 0)])
def test_diverging_has_no_blue_for_positive_values_and_no_red_for_negative(
    sign: int, absent: int
) -> None:
    save_array("one_sign.npy", sign * np.abs(MAPS))
    told("pad", "one_sign.npy", "--padding=0", "-o", "y.png", "--colormap", "diverging")
    colours = pixels("y.png").astype(int)
    # The red and the blue end: what the sheet's greys and the middle have alike.
    assert (colours[..., absent] <= colours[..., 2 - absent] + 1).all()
    assert (colours[..., 2 - absent] - colours[..., absent]).max() > 100


@pytest.mark.parametrize("spot", [1e4, -1e4])
def test_one_hot_pixel_does_not_grey_out_a_feature_map(spot: float) -> None:
    maps = RANDOM.uniform(1, 2, (40, 50, 2))
    maps[7, 9, 0] = spot
    save_array("hot.npy", maps)
    record = told("pad", "hot.npy", "--padding=0", "-o", "y.png")
    (lo, hi), other = record["ranges"]
    assert hi <= 2 and (lo == -hi if spot < 0 else lo >= 1)
    assert record["mapping"] == ("symmetric" if spot < 0 else "minmax")
    # At most 0.3 % of each map.
    assert 0 < record["clipped"] <= 0.003
    assert (maps[..., 1] <= other[1]).mean() >= 0.997
    exact = told("pad", "hot.npy", "--padding=0", "-o", "y.png", "--range", "minmax")
    assert exact["ranges"][0] == [maps[..., 0].min(), maps[..., 0].max()]


def test_a_border_of_zeros_does_not_grey_out_a_feature_map() -> None:
    # Bright and flat but for a little noise: inside a Laplacian finds it, at the border a step.
    image = 0.9 + RANDOM.uniform(-0.01, 0.01, (30, 40, 1))
    save_array("bright.npy", image)
    save_array("bank.npy", np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[:, :, None, None])
    record = told("conv", "bright.npy", "-f", "bank.npy", "--pad-mode", "zeros", "-o", "y.png")
    assert record["mapping"] == "symmetric" and record["range"][1] < 0.1
    assert abs(record["min"]) > 0.8
    explicit = ("--pad-mode", "zeros", "--range", "symmetric")
    exact = told("conv", "bright.npy", "-f", "bank.npy", *explicit, "-o", "y.png")
    assert exact["range"][1] > 0.8


def test_a_colour_picture_has_one_range() -> None:
    save_array("c.npy", MAPS[:, :, :3])
    run_cli(*KEEP, "c.npy", "-o", "y.png", "--range", "minmax")
    expected = levels(MAPS[:, :, :3], MAPS[:, :, :3].min(), MAPS[:, :, :3].max())
    assert np.array_equal(pixels("y.png"), expected)


def test_a_bank_of_three_maps_is_no_colour_picture() -> None:
    save_array("bank.npy", RANDOM.standard_normal((3, 3, 3, 3)))
    report = run_cli("conv", "x.png", "-f", "bank.npy", "-o", "y.png").stderr
    assert "3 maps" in report


@pytest.mark.parametrize("text", ["a", "1", "2,1", "1,1", "nan,1", "0,inf", "1,2,3", ""])
def test_ranges_that_are_none(text: str) -> None:
    assert "--range" in refused_untouched(*KEEP, "one.npy", f"--range={text}", code=2)


def test_shared_range() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "own/", "--range", "symmetric")
    run_cli(*KEEP, "maps.npy", "-o", "one/", "--range", "symmetric", "--shared-range")
    for index in range(5):
        part = MAPS[:, :, index]
        for folder, most in (("own", np.abs(part).max()), ("one", np.abs(MAPS).max())):
            expected = levels(part, -most, most)
            assert np.array_equal(pixels(f"{folder}/maps-{index:03d}.png"), expected)


def test_the_colormap_diverging_has_a_neutral_middle_and_coloured_ends() -> None:
    save_array("z.npy", np.array([[-1.0, 0, 1]]))
    run_cli(*KEEP, "z.npy", "-o", "y.png", "--colormap", "diverging")
    low, middle, high = pixels("y.png")[0].astype(int)
    assert np.ptp(middle) < 12 and low[2] > low[0] + 50 and high[0] > high[2] + 50


@pytest.mark.parametrize("name", ["viridis", "magma", "inferno", "plasma"])
def test_colormaps_grow_lighter(name: str) -> None:
    save_array("ramp.npy", np.linspace(0, 1, 256)[None])
    run_cli(*KEEP, "ramp.npy", "-o", "y.png", "--colormap", name)
    light = pixels("y.png")[0].astype(float) @ [0.299, 0.587, 0.114]
    assert light[-1] - light[0] > 100 and np.diff(light).min() > -2


def test_compress_small_has_the_same_pixels() -> None:
    save("big.png", np.tile(RGB, (20, 20, 1)))
    run_cli("pool", "big.png", "-o", "fast.png")
    run_cli("pool", "big.png", "-o", "small.png", "--compress", "small")
    assert np.array_equal(pixels("fast.png"), pixels("small.png"))
    assert Path("small.png").stat().st_size <= Path("fast.png").stat().st_size


@pytest.mark.parametrize("name", ["png", "tif", "tiff", "webp", "bmp", "ppm", "pnm"])
def test_lossless_colour(name: str) -> None:
    run_cli(*KEEP, "x.png", "-o", f"y.{name}")
    assert np.array_equal(pixels(f"y.{name}"), RGB)


@pytest.mark.parametrize("name", ["jpg", "jpeg", "gif", "pgm"])
def test_other_formats(name: str) -> None:
    save("smooth.png", np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1)))
    run_cli(*KEEP, "smooth.png", "-o", f"y.{name}")
    with Image.open(f"y.{name}") as image:
        got = np.asarray(image.convert("L"))
    assert np.abs(got.astype(int) - pixels("smooth.png")).max() <= (4 if name[0] == "j" else 0)


def test_npy() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "y.npy")
    assert np.array_equal(np.load("y.npy"), MAPS) and np.load("y.npy").dtype == np.float32
    save_array("b.npy", MAPS[None].astype(float))
    run_cli(*KEEP, "b.npy", "-o", "z.npy")
    assert np.load("z.npy").shape == (1, 6, 8, 5) and np.load("z.npy").dtype == np.float64


def test_float_tiff() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "y.tif", "--depth", "float")
    with Image.open("y.tif") as image:
        pages = []
        for page in range(image.n_frames):
            image.seek(page)
            pages.append(np.asarray(image))
    assert np.array_equal(np.stack(pages, axis=2), MAPS)
    assert np.array_equal(values_of(*KEEP, "y.tif", "--as-values"), MAPS)


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "gif", "bmp", "webp", "ppm"])
def test_pictures_on_standard_output(form: str) -> None:
    result = run_cli(*KEEP, "x.png", "-o", "-", "--format", form)
    Path("out").write_bytes(result.stdout_bytes)
    with Image.open("out") as image:
        assert image.size == (8, 6)
        assert image.format == {"jpg": "JPEG", "tif": "TIFF"}.get(form, form.upper())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("x.png", "-o", "y.pgm"), "pgm"),
        (("x.png", "-o", "y.ppm", "--depth", "16"), "16-bit colour"),
        (("one.npy", "-o", "y.jpg", "--depth", "16"), "--depth 16 needs"),
        (("one.npy", "-o", "y.png", "--depth", "float"), "--depth float needs"),
        (("one.npy", "-o", "y.png", "--depth", "16", "--colormap", "magma"), "--colormap"),
        (("one.npy", "--format", "svg"), "--format"),
        (("x.png", "-o", "y.png", "--format", "jpg"), "needs a name that ends in .jpg, got .png"),
        (("one.npy", "--depth", "12"), "--depth"),
        (("one.npy", "--colormap", "jet"), "--colormap"),
        (("one.npy", "--columns", "0"), "--columns"),
        (("one.npy", "--compress", "most"), "--compress"),
    ],
)
def test_what_a_format_cannot_hold(args: tuple[str, ...], words: str) -> None:
    assert words in refused_untouched(*KEEP, *args, code=2)


@pytest.mark.parametrize(("name", "width"), [("y.jpg", 70_000), ("y.webp", 20_000)])
def test_sides_a_format_cannot_hold(name: str, width: int) -> None:
    save("long.png", np.zeros((1, 20), np.uint8))
    padding = f"0,0,0,{width - 20}" if width < 65_535 else "0,35000"
    given = ("pad", "long.png", "--padding", padding)
    error = refused_untouched(*given, "-o", name, code=2)
    assert f"'{name}'" in error and "pixels a side" in error
    run_cli(*given, "-o", "y.png")


def tiles(path: str) -> list[dict[str, Any]]:
    """Return the maps of a picture's record."""
    with Image.open(path) as image:
        return list(json.loads(image.info["cnncli"])["maps"])


def test_every_map_stands_in_its_place() -> None:
    run_cli(*KEEP, "maps.npy", "-o", "grid.png", "--range", "-9,9")
    sheet = pixels("grid.png")
    for index, tile in enumerate(tiles("grid.png")):
        left, top, width, height = tile["box"]
        zoom = tile["zoom"]
        part = sheet[top : top + height : zoom, left : left + width : zoom]
        assert np.array_equal(part, levels(MAPS[:, :, index], -9, 9))


@pytest.mark.parametrize(("columns", "across"), [(None, 3), (1, 1), (5, 5), (9, 5)])
def test_columns(columns: int | None, across: int) -> None:
    option = [] if columns is None else ["--columns", columns]
    run_cli(*KEEP, "maps.npy", "-o", "grid.png", *option)
    assert len({tile["box"][0] for tile in tiles("grid.png")}) == across


def test_labels() -> None:
    for name, options in (("with.png", []), ("without.png", ["--no-labels"])):
        run_cli(*KEEP, "maps.npy", "-o", name, *options, "--range", "0,1e-9")
    assert pixels("with.png").shape[0] > pixels("without.png").shape[0]
    # Ink between the tiles, and none without labels: there the gaps are of one grey.
    for name, inked in (("with.png", True), ("without.png", False)):
        sheet = pixels(name).copy()
        background = sheet[0, 0]
        for tile in tiles(name):
            left, top, width, height = tile["box"]
            sheet[top : top + height, left : left + width] = background
        assert (sheet != background).any() == inked


def test_an_rgb_bank_gives_a_grid_in_colour() -> None:
    run_cli("conv", "x.png", "-f", "identity", "-f", "box", "-o", "grid.png")
    left, top, width, height = tiles("grid.png")[0]["box"]
    zoom = tiles("grid.png")[0]["zoom"]
    part = pixels("grid.png")[top : top + height : zoom, left : left + width : zoom]
    assert np.array_equal(part, RGB)
    assert [tile["name"] for tile in tiles("grid.png")] == ["identity", "box"]


def test_the_picture_says_how_it_was_made() -> None:
    run_cli(*KEEP, "one.npy", "-o", "y.png", "--range", "symmetric")
    with Image.open("y.png") as image:
        record = json.loads(image.info["cnncli"])
    assert record["command"] == "cnncli pad --padding 0 one.npy -o y.png --range symmetric"
    (entry,) = record["maps"]
    assert entry["mapping"] == "symmetric"
    np.testing.assert_allclose(entry["range"], RANGES["symmetric"])
