"""The sheets of results: class scores as bars with numbers, other maps under one title."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.pipeline.layer_result import LayerResult
from cnncli.pipeline.sheets import make_sheet, sheet_size
from cnncli.render.grid import grid
from cnncli.render.options import MapGroup, RenderOptions
from cnncli.render.tiles import make_tiles
from tests.support.netfiles import layer
from tests.support.shell import pixels, refused, run_cli, save, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(8)


def classifier(classes: int, names: bool = False) -> np.ndarray:
    """Write a network of scores and an image; return the scores."""
    image = RNG.integers(0, 256, (4, 5), np.uint8)
    save("x.png", image)
    weights = RNG.standard_normal((4, 5, 1, classes))
    np.savez("w.npz", w=weights)
    for k in range(classes if names else 0):
        save_array(f"class_{'abc'[k]}.npy", weights[:, :, :, k])
    filters = [f"class_{'abc'[k]}.npy" for k in range(classes)] if names else "w.npz:w"
    Path("net.toml").write_text(layer("conv", name="fc", filter=filters, padding="valid"))
    scores: np.ndarray = np.tensordot(image / 255, weights[:, :, 0], 2)
    return scores


@pytest.mark.parametrize("classes", [2, 10, 200, pytest.param(1000, marks=pytest.mark.slow)])
def test_class_scores_are_a_legible_sheet_and_the_largest_is_named(classes: int) -> None:
    scores = classifier(classes)
    best = int(scores.argmax())
    done = run_cli("run", "net.toml", "x.png", "-o", "y.png")
    assert f"largest {best} ({scores[best]:.4g})" in done.stderr.splitlines()[0]
    sheet = pixels("y.png")
    # Room for numbers, and ink: not a black sheet.
    assert 300 < sheet.shape[1] < 800 and 40 < sheet.shape[0] < 800
    assert (sheet > 200).mean() > 0.5 and (sheet < 100).any()
    back = values_of("pad", "y.png", "--as-values", "--padding", "0")
    np.testing.assert_allclose(back[0, 0], scores, atol=np.abs(scores).max() / 255 * 1.01)
    told = json.loads(run_cli("run", "net.toml", "x.png", "-o", "z.png", "--json").stdout)
    assert told["largest"]["map"] == best and told["largest"]["name"] == str(best)
    assert told["largest"]["value"] == pytest.approx(scores[best], rel=1e-4)
    assert told["range"] == pytest.approx([-np.abs(scores).max(), np.abs(scores).max()], rel=1e-4)


def test_a_class_with_a_name_is_named_by_index_and_name() -> None:
    scores = classifier(3, names=True)
    best = int(scores.argmax())
    done = run_cli("run", "net.toml", "x.png", "-o", "y.png")
    assert f"largest {best} class_{'abc'[best]} ({scores[best]:.4g})" in done.stderr


def test_scores_in_a_file_each_are_small_pictures_with_the_common_range() -> None:
    scores = classifier(10)
    run_cli("run", "net.toml", "x.png", "-o", "s/{layer}-{map:02d}.png")
    most = np.abs(scores).max()
    for index in range(10):
        with Image.open(f"s/fc-{index:02d}.png") as image:
            assert 200 < image.width < 800 and 20 < image.height < 120
        (value,) = values_of(
            "pad", f"s/fc-{index:02d}.png", "--as-values", "--padding", "0"
        ).ravel()
        assert abs(value - scores[index]) <= most / 255 * 1.01


@pytest.mark.parametrize("colour", ["", "1"])
def test_scores_in_the_terminal_are_lines(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", colour)
    scores = classifier(10)
    lines = run_cli("run", "net.toml", "x.png", "--show", "-q").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(k) for k in range(10)]
    # Four digits of what was computed in single precision.
    shown = [line.split()[-1] for line in lines]
    assert list(map(float, shown)) == pytest.approx(scores.tolist(), rel=6e-4)
    assert max(len(text.strip("-0.").replace(".", "")) for text in shown) <= 4


def test_the_scores_of_pools_and_banks_outside_of_networks_are_shown_alike() -> None:
    maps = RNG.uniform(0, 1, (6, 6, 5))
    save_array("maps.npy", maps)
    done = run_cli("pool", "maps.npy", "--size", "global", "--mode", "average", "-o", "y.png")
    means = maps.mean(axis=(0, 1))
    assert f"largest {means.argmax()} ({means.max():.4g})" in done.stderr
    assert pixels("y.png").shape[1] > 300
    save("photo.png", RNG.integers(0, 256, (6, 6, 3), np.uint8))
    run_cli("pool", "photo.png", "--size", "global", "-o", "one.png")
    assert pixels("one.png").shape == (1, 1, 3)


@pytest.mark.parametrize("shape", [(1, 8, 8, 5), (2, 1, 9, 3), (1, 1, 1, 7), (1, 300, 200, 2)])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("legend", [True, False])
def test_no_sheet_is_larger_than_was_planned(
    shape: tuple[int, int, int, int], labels: bool, legend: bool
) -> None:
    groups = tuple(MapGroup(f"a-long-name-of-a-map-{k}", (k,)) for k in range(shape[3]))
    result = LayerResult("features.0.conv", shape, groups, "features.0.conv")
    render = RenderOptions(labels=labels, legend=legend)
    tiles = make_tiles(RNG.standard_normal(shape), groups, render, False)
    sheet = make_sheet(result, result.all_maps, tiles, render, "run")
    width, height = sheet_size(result, result.all_maps, render, "run")
    assert sheet.pixels.shape[0] <= height and sheet.pixels.shape[1] <= width


def test_maps_are_counted_where_some_are_in_colour_and_some_grey() -> None:
    groups = (MapGroup("photo", (0, 1, 2)), MapGroup("edges", (3,)))
    result = LayerResult("joined", (1, 20, 30, 4), groups, "joined")
    tiles = make_tiles(RNG.random(result.shape), groups, RenderOptions(range="clip"), True)
    sheet = make_sheet(result, result.all_maps, tiles, RenderOptions(), "run").pixels
    title = "joined 20x30x4, 2 maps, clip 0..1"
    np.testing.assert_array_equal(sheet, grid(tiles, None, True, title=title).pixels)


def test_legend_and_title_change_no_value() -> None:
    maps = RNG.standard_normal((12, 9, 4))
    save_array("maps.npy", maps)
    plain = ("pad", "maps.npy", "--padding=0", "--range=symmetric")
    for words in ((), ("--legend",), ("--legend", "--no-labels"), ("--legend", "--shared-range")):
        run_cli(*plain, "-o", "y.png", "--overwrite", *words)
        back = values_of("pad", "y.png", "--as-values", "--padding=0")
        assert np.abs(back - maps).max() <= np.abs(maps).max() / 255 * 1.01
    run_cli("pad", "maps.npy", "--padding=0", "-o", "m/", "--legend")
    assert pixels("m/maps-000.png").shape > (60, 100)


def test_the_record_counts_with_the_title() -> None:
    # JPEG holds 65,500 pixels a side: the title must not lift a sheet over it unseen.
    save_array("tall.npy", np.zeros((32_760, 1, 2)))
    error = run_cli("pad", "tall.npy", "--padding=0", "--columns=1", "-o", "y.jpg", code=2).stderr
    assert "at most 65500 pixels" in error


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_never_the_largest(value: float) -> None:
    save_array("all.npy", np.full((1, 1, 4), value))
    save_array("some.npy", np.array([value, 1.0, 2.0, -3.0]).reshape(1, 1, 4))
    told = json.loads(run_cli("pool", "all.npy", "--size", 1, "-o", "all.png", "--json").stdout)
    assert told["non_finite"] == 4 and "largest" not in told
    told = json.loads(run_cli("pool", "some.npy", "--size", 1, "-o", "some.png", "--json").stdout)
    assert told["largest"] == {"map": 2, "name": "2", "value": 2.0}


def test_scores_of_a_batch_are_told_image_by_image() -> None:
    classifier(10)
    images = RNG.uniform(0, 1, (7, 4, 5, 1))
    save_array("batch.npy", images)
    with np.load("w.npz") as archive:
        scores = np.tensordot(images, archive["w"], 3)
    best = scores.argmax(axis=1)
    done = run_cli("run", "net.toml", "batch.npy", "-o", "y.png")
    for image in range(5):
        value = scores[image, best[image]]
        assert f"image {image}: largest {best[image]} ({value:.4g})" in done.stderr
    assert "image 5:" not in done.stderr and "and 2 more images" in done.stderr
    told = json.loads(run_cli("run", "net.toml", "batch.npy", "-o", "z.npy", "--json").stdout)
    assert [one["map"] for one in told["largest"]] == best.tolist()
    assert [one["name"] for one in told["largest"]] == [str(k) for k in best]
    assert [one["value"] for one in told["largest"]] == pytest.approx(scores.max(axis=1).tolist())
    lines = run_cli("run", "net.toml", "batch.npy", "--show", "-q").stdout.splitlines()
    # 70 scores: two for each image.
    ranks = (-scores).argsort(axis=1)[:, :2]
    for line, (image, rank) in zip(lines, np.ndindex(7, 2), strict=True):
        assert line.strip().startswith(f"image {image}: {ranks[image, rank]} ")


@pytest.mark.parametrize(
    "images, maps, columns", [(10, 8, 8), (3, 2, 2), (9, 1, 3), (2, 7, 7), (16, 2, 6)]
)
def test_every_image_of_a_batch_begins_a_row_or_fills_some(
    images: int, maps: int, columns: int
) -> None:
    groups = tuple(MapGroup(str(k), (k,)) for k in range(maps))
    result = LayerResult("conv", (images, 64, 64, maps), groups)
    tiles = make_tiles(RNG.standard_normal(result.shape), groups, RenderOptions(), False)
    sheet = make_sheet(result, result.all_maps, tiles, RenderOptions(), "conv")
    tops = [box.top for box in sheet.boxes]
    assert tops.count(tops[0]) == columns


def test_three_maps_are_one_colour_picture_where_that_is_asked_for(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random((5, 6, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    mix = np.eye(3)[None, None]
    np.save(tmp_path / "mix.npy", mix)
    args = ("conv", tmp_path / "x.npy", "-f", tmp_path / "mix.npy", "-o", tmp_path / "y.png")
    run_cli(*args, "--rgb")
    assert np.array_equal(pixels(tmp_path / "y.png"), np.rint(values * 255).astype(int))
    one = ("conv", tmp_path / "x.npy", "-f", "luminance", "-o", tmp_path / "z.png", "--rgb")
    assert "--rgb needs a layer of 3 maps, conv1 has 1" in refused(*one, code=2)


def test_narrow_maps_are_said_to_be_so(tmp_path: Path) -> None:
    for shape, said in (((2, 64), True), ((64, 2), True), ((2, 63), False), ((1, 1), False)):
        save_array("x.npy", RNG.random(shape))
        Path("net.toml").write_text(layer("activation", activation="relu"))
        told = run_cli("run", "net.toml", "x.npy", "-o", "y.png", "--overwrite").stderr
        assert ("is a narrow strip" in told) == said


def drawn(text: str) -> np.ndarray:
    """The pixels of half blocks in a terminal, shape (rows, columns, 3)."""
    rows: list[list[list[int]]] = []
    for line in text.splitlines():
        upper: list[list[int]] = []
        lower: list[list[int]] = []
        for codes, blocks in re.findall("\x1b\\[38;2;([\\d;]+)m(▀+)", line):
            numbers = [int(n) for n in codes.replace("48;2;", "").split(";")]
            upper += [numbers[:3]] * len(blocks)
            lower += [numbers[3:]] * len(blocks)
        rows += [upper, lower]
    return np.array(rows, np.uint8)


@pytest.mark.parametrize("kept", ["y.png", "y.npy", "y.tif"])
@pytest.mark.parametrize("range_", ["auto", "-0.5,2"])
@pytest.mark.parametrize("command", [("pad", "x.npy"), ("conv", "photo.png", "--filter", "edge")])
def test_signed_values_are_drawn_in_the_range_of_their_picture(
    command: tuple[str, ...], range_: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    values = RNG.normal(size=(12, 40, 1))
    values[0, 0] = 50  # a rare extreme, which auto leaves out
    save_array("x.npy", values)
    save("photo.png", RNG.integers(0, 256, (12, 40), np.uint8))
    given = *command, *(("--padding", "0") if command[0] == "pad" else ()), "--range", range_
    run_cli(*given, "-o", "picture.png")
    depth = ("--depth", "float") if kept == "y.tif" else ()
    shown = drawn(run_cli(*given, *depth, "-o", kept, "--show", "-q").stdout)
    picture = pixels("picture.png")
    assert picture.min() < 128 < picture.max() or command[0] == "conv"
    np.testing.assert_array_equal(shown, np.repeat(picture[:, :, None], 3, axis=2))


def test_a_sheet_that_could_not_be_read_is_told() -> None:
    save("x.png", np.zeros((30, 40), np.uint8))
    words = ("conv", "x.png", "-f", "edge", "-f", "box", "--max-pixels", "1500")
    note = "more than --max-pixels lets cnncli read: -o maps/ writes each map for itself"
    for more in (["--dry-run"], ["--dry-run", "--json"], []):
        result = run_cli(*words, *more, "-o", "sheet.png")
        assert note in result.stderr + result.stdout
    assert pixels("sheet.png").size > 1500
    for output in ("maps/", "values.npy"):
        assert note not in run_cli(*words, "-o", output).stderr
