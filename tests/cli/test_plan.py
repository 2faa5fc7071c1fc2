"""``cnncli plan``: tables, JSON and CSV, and the picture of a receptive field."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.plan.draw import DIM, OWN
from tests.support.shell import pixels, refused_untouched, run_cli, save, save_array

NET = """
[[layers]]
type = "conv"
filter = "w.npz:c1"
bias = "w.npz:b1"
activation = "relu"
padding = 1

[[layers]]
type = "pool"

[[layers]]
type = "conv"
filter = "w.npz:c2"
filter_layout = "oihw"
padding = 0
"""
RNG = np.random.default_rng(3)

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def network(empty_folder: Path) -> None:
    """A network of three layers in net.toml and a photograph beside it."""
    c1, b1 = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4)
    np.savez("w.npz", c1=c1, b1=b1, c2=RNG.normal(size=(12, 4, 3, 3)))
    Path("net.toml").write_text(NET)
    save("photo.png", np.full((20, 33, 3), (200, 100, 40), np.uint8))


def test_table() -> None:
    result = run_cli("plan", "net.toml", "--input", "20x33x3", "-v")
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        *(
            "LAYER",
            "NO",
            "TYPE",
            "OUTPUT",
            "ROWS",
            "COLUMNS",
            "PADS",
            "PARAMETERS",
            "MULTIPLY-ADDS",
        ),
        *("FIELD", "STEP", "CENTRE", "MEMORY", "PEAK", "MEMORY", "ALGORITHM", "REASON"),
    ]
    assert lines[1].split()[:19] == [
        *("conv1", "1", "conv", "3x3", "relu", "20x33x4", "(20+2*1-3)//1+1", "=", "20"),
        *("(33+2*1-3)//1+1", "=", "33", "1", "112", "71,280", "3x3", "1x1", "0,0", "10.6"),
    ]
    assert lines[2].split() == [
        *("pool1", "2", "max", "pool", "2x2/2", "10x16x4", "(20+2*0-2)//2+1", "=", "10"),
        *("(33+2*0-2)//2+1", "=", "16", "0", "4x4", "2x2", "0.5,0.5"),
        *("2.56", "kB", "13.1", "kB"),
    ]
    assert lines[4:] == [
        "",
        "20x33x3 to 8x14x12, 3 layers",
        "parameters: 544, multiply-adds: 119,664",
        "receptive field of a unit of conv2: 8x8 of 20x33 input cells, step 2x2",
        "peak memory: 18.5 kB for the outputs held at once",
    ]
    assert result.stderr == (
        "warning: column 32 of conv1 (0 to 32) is never read: "
        "pool1 has (33+2*0-2)//2+1 = 16 columns\n"
    )


def test_it_fits_80_columns_and_shows_algorithms_when_asked() -> None:
    long = "a_long_name_of_a_layer/with/parts/of/a/path/as/in/models/of/onnx/Conv"
    Path("net.toml").write_text(NET.replace('type = "pool"', f'type = "pool"\nname = "{long}"'))
    text = run_cli("plan", "net.toml", "--input", "224x224x3").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "ALGORITHM" not in text and "PEAK MEMORY" in text and "onnx/Conv" in text
    verbose = run_cli("plan", "net.toml", "--input", "224x224x3", "-v").stdout
    assert "ALGORITHM" in verbose and long in verbose


def test_quiet_leaves_the_warnings_out() -> None:
    assert run_cli("plan", "net.toml", "--input", "20x33x3", "-q").stderr == ""


def test_layers_without_a_window_have_formulas_too() -> None:
    parts = ['[[layers]]\ntype = "resize"\nscale = 1.5\n', '[[layers]]\ntype = "space-to-depth"\n']
    Path("sizes.toml").write_text("".join(parts) + "block = 2\n")
    result = run_cli("plan", "sizes.toml", "--input", "20x33x3", "--until", 1)
    assert "floor(20*1.5) = 30" in result.stdout and "floor(33*1.5) = 49" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = run_cli("plan", "sizes.toml", "--input", "20x36x3", "--json").stdout.splitlines()
    assert json.loads(lines[1])["formula"] == ["30//2 = 15", "54//2 = 27"]


def test_json() -> None:
    result = run_cli("plan", "net.toml", "--input", "20x33x3", "--json")
    *layers, last = map(json.loads, result.stdout.splitlines())
    assert [fields["layer"] for fields in layers] == ["conv1", "pool1", "conv2"]
    assert layers[0]["formula"] == ["(20+2*1-3)//1+1 = 20", "(33+2*1-3)//1+1 = 33"]
    assert layers[0]["pads"] == {"top": 1, "bottom": 1, "left": 1, "right": 1}
    assert layers[1]["unread_columns"] == [[32, 33]]
    assert layers[2]["receptive_field"] == {"size": [8, 8], "step": [2, 2], "centre": [2.5, 2.5]}
    assert last["totals"]["parameters"] == 544
    assert len(last["totals"]["warnings"]) == 1
    assert result.stderr == ""


def test_csv() -> None:
    result = run_cli("plan", "net.toml", "--input", "20x33x3", "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["layer"] for row in rows] == ["conv1", "pool1", "conv2"]
    assert sum(int(row["multiply_adds"]) for row in rows) == 119_664
    assert result.stderr.startswith("warning: column 32 ")


@pytest.mark.parametrize(
    ("header", "args", "shape"),
    [
        ("", ["--input", "20x33x3"], [20, 33, 3]),
        ("", ["--input", "20X33"], [20, 33, 3]),
        ("", ["--image", "photo.png"], [20, 33, 3]),
        ("[input]\nsize = [9, 12]", [], [9, 12, 3]),
        ("[input]\nsize = [9, 12]", ["--image", "photo.png"], [9, 12, 3]),
        ("[input]\nsize = [9, 12]", ["--input", "20x33x3"], [20, 33, 3]),
    ],
)
def test_where_the_size_comes_from(header: str, args: list[str], shape: list[int]) -> None:
    Path("net.toml").write_text(header + NET)
    result = run_cli("plan", "net.toml", *args, "--json")
    assert json.loads(result.stdout.splitlines()[-1])["totals"]["input"] == shape


@pytest.mark.parametrize("args", [("--image", "photo.png"), ("--input", "20x33x3")])
def test_a_grey_network_takes_one_channel(args: tuple[str, str]) -> None:
    Path("net.toml").write_text('[input]\ngray = true\n[[layers]]\ntype = "pool"\n')
    result = run_cli("plan", "net.toml", *args, "--json")
    assert json.loads(result.stdout.splitlines()[-1])["totals"]["input"] == [20, 33, 1]


def test_the_scale_of_the_input_is_no_parameter() -> None:
    Path("net.toml").write_text("[input]\nscale = 255.0\nmean = [1, 2, 3]\n" + NET)
    result = run_cli("plan", "net.toml", "--input", "20x33x3", "--json")
    first, *_, last = map(json.loads, result.stdout.splitlines())
    assert (first["layer"], first["parameters"]) == ("normalize", 0)
    assert last["totals"]["parameters"] == 544


def test_neither_pixels_nor_weights_are_read() -> None:
    # Noise does not compress, so most of the file is pixels, and most of them are missing.
    save("noise.png", RNG.integers(0, 256, (64, 64, 3), np.uint8))
    Path("noise.png").write_bytes(Path("noise.png").read_bytes()[:2000])
    np.savez("w.npz", c1=RNG.normal(size=(3, 3, 3, 1000)))
    Path("net.toml").write_text('[[layers]]\ntype = "conv"\nfilter = "w.npz:c1"\n')
    expected = run_cli("plan", "net.toml", "--input", "64x64x3").stdout
    assert run_cli("plan", "net.toml", "--image", "noise.png").stdout == expected
    # Stored members carry checksums: to read damaged weights would be an error.
    data = bytearray(Path("w.npz").read_bytes())
    data[100_000] ^= 255
    Path("w.npz").write_bytes(bytes(data))
    assert run_cli("plan", "net.toml", "--input", "64x64x3").stdout == expected
    save_array("x.npy", np.zeros((64, 64, 3)))
    refused_untouched("run", "net.toml", "x.npy")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--input", "4x4x3"], "layer conv2: the window must fit into the padded input, but spans "
         "3 of 2 rows: (2+2*0-3)//1+1 = 0"),
        (["--input", "20x33x4"], "layer conv1: "),
        (["--input", "20"], "--input"),
        (["--input", "0x20x3"], "whole numbers of 1 to 65535"),
        (["--input", "20x20x999999999999"], "whole numbers of 1 to 65535"),
        (["--input", "20x²x3"], "HxWxC"),
        ([], "--input HxWxC or --image IMAGE is needed"),
        (["--input", "20x33x3", "--json", "--csv"], "exclude each other"),
        (["--input", "20x33x3", "-o", "x.png"], "--output is for the picture of --trace"),
        (["--input", "20x33x3", "--trace", "conv2:1,1"], "--image IMAGE is needed"),
        (["--image", "photo.png", "--trace", "conv2:1"], "LAYER:ROW,COL"),
        (["--image", "photo.png", "--trace", "1,1"], "LAYER:ROW,COL"),
        (["--image", "photo.png", "--trace", "conv2:-1,1"], "LAYER:ROW,COL"),
        (["--image", "photo.png", "--trace", "conv2:1_0,1"], "LAYER:ROW,COL"),
        (["--image", "photo.png", "--trace", "conv2:100000,1"], "units 0,0 to"),
        (["--image", "photo.png", "--trace", "conv2:8,1"], "layer conv2 has units 0,0 to 7,13"),
        (["--image", "photo.png", "--trace", "conv9:1,1"], "no layer 'conv9' in the network"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "--csv"], "exclude each other"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "-o", "x.npy"], "got .npy"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "-o", "x.npz"], "got .npz"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "-o", "x.pgm"], "pgm"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "-o", "photo.png", "--overwrite"],
         "never overwritten"),
        (["--image", "photo.png", "--trace", "conv2:1,1", "-o", "net.toml", "--overwrite"],
         "extension"),
    ],
)  # fmt: skip
def test_usage_errors(args: list[str], message: str) -> None:
    assert message in refused_untouched("plan", "net.toml", *args, code=2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.toml", "--input", "8x8x3"], "none.toml"),
        (["net.toml", "--image", "none.png"], "'none.png': cannot be read"),
        (["net.toml", "--image", "net.toml"], "not a picture"),
        (["net.toml", "--image", "photo.png", "--max-pixels", "100"], "660 pixels"),
    ],
)
def test_files_that_cannot_be(args: list[str], message: str) -> None:
    assert message in refused_untouched("plan", *args, code=1)


TRACE = ("plan", "net.toml", "--image", "photo.png", "--trace")


def test_trace_draws_the_pixels_that_reach_a_unit() -> None:
    result = run_cli(*TRACE, "conv2:0,5", "-o", "field.png")
    assert result.stdout == ""
    assert result.stderr.startswith("field.png, ")
    assert result.stderr.endswith(
        "unit 0,5 of conv2 sees 7x8 of 20x33 pixels: rows 0 to 6, columns 9 to 16, "
        "and 1 row of padding above the image\n"
    )
    with Image.open("field.png") as image:
        found = {colour for _, colour in image.getcolors(image.width * image.height) or ()}
    assert {OWN, (200, 100, 40), tuple(round(v * DIM) for v in (200, 100, 40))} <= found
    lit = (pixels("field.png") == (200, 100, 40)).all(axis=2)
    # The whole image is enlarged 16 times, and 7x8 of its pixels are as they were.
    assert lit[:, : 24 + 33 * 16].sum() == 7 * 8 * 16 * 16


def test_trace_leaves_a_record_in_the_picture() -> None:
    run_cli(*TRACE, "conv2:3,5")
    with Image.open("photo-field.png") as image:
        record: dict[str, Any] = json.loads(image.info["cnncli"])
    assert record["command"].startswith("cnncli plan net.toml")
    assert record["trace"][-1] == {
        "layers": ["conv2"],
        "unit": [3, 5],
        "rows": [5, 13],
        "columns": [9, 17],
        "beyond": [0, 0, 0, 0],
        "skipped": 0,
    }


def test_trace_as_json() -> None:
    result = run_cli(*TRACE, "conv2:3,5", "-o", "out/", "--json")
    report = json.loads(result.stdout)
    assert report["output"] == os.path.join("out", "photo-field.png")
    assert [each["layers"] for each in report["trace"]] == [["conv1"], ["pool1"], ["conv2"]]
    assert Path("out/photo-field.png").is_file()
    assert result.stderr == ""


def test_trace_to_standard_output() -> None:
    result = run_cli(*TRACE, "conv2:3,5", "-o", "-")
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.format == "PNG"
    assert result.stderr.startswith("standard output, ")


def test_trace_overwrites_only_when_told() -> None:
    Path("field.png").write_bytes(b"mine")
    error = refused_untouched(*TRACE, "conv2:3,5", "-o", "field.png", code=1)
    assert "exists already" in error
    run_cli(*TRACE, "conv2:3,5", "-o", "field.png", "--overwrite", "-q")
    assert pixels("field.png").ndim == 3


@pytest.mark.parametrize("args", [["--input", "10x11x3"], []])
def test_trace_on_a_picture_of_another_size(args: list[str]) -> None:
    Path("net.toml").write_text(("" if args else "[input]\nsize = [10, 11]\n") + NET)
    result = run_cli(*TRACE, "conv2:1,1", *args, "-o", "field.jpg")
    assert "of 10x11 pixels" in result.stderr
    assert "resized from 20x33 to 10x11" in result.stderr


@pytest.mark.parametrize(
    "array",
    [
        RNG.normal(size=(20, 33, 3)),
        RNG.integers(0, 65_536, (20, 33, 3), np.uint16),
        RNG.random((2, 20, 33, 3)).astype(np.float32),
    ],
    ids=["float64", "uint16", "batch"],
)
def test_trace_on_arrays(array: np.ndarray) -> None:
    save_array("x.npy", array)
    run_cli("plan", "net.toml", "--image", "x.npy", "--trace", "conv2:3,5", "-o", "field.png")
    assert pixels("field.png").shape[2] == 3


def test_a_unit_that_sees_more_than_the_input_is_said() -> None:
    Path("deep.toml").write_text(
        "".join('[[layers]]\ntype = "conv"\nfilter = "box"\npadding = 1\n' for _ in range(4))
    )
    lines = run_cli("plan", "deep.toml", "--input", "7x7x1").stdout.splitlines()
    seen = "9x9 (more than the 7x7 input), step 1x1"
    assert f"receptive field of a unit of conv4: {seen}" in lines
    lines = run_cli("plan", "deep.toml", "--input", "7x20x1").stdout.splitlines()
    assert "receptive field of a unit of conv4: 9x9 of 7x20 input cells, step 1x1" in lines


def test_a_picture_that_the_network_resizes_is_noted() -> None:
    Path("sized.toml").write_text("[input]\nsize = [10, 12]\n" + NET.lstrip())
    done = run_cli("plan", "sized.toml", "--image", "photo.png")
    assert "10x12x3 to" in done.stdout
    assert done.stderr.count("note: resized from 20x33 to 10x12, as run does") == 1
    assert "resized" not in run_cli("plan", "net.toml", "--image", "photo.png").stderr


def test_a_run_at_another_size_than_the_networks_own_is_noted() -> None:
    Path("sized.toml").write_text("[input]\nsize = [10, 12]\n" + NET.lstrip())
    said = "the network's own size is 10x12, not 20x24: other programs may refuse it\n"
    done = run_cli("run", "sized.toml", "photo.png", "--size", "20,24", "-o", "a.npy")
    assert said in done.stderr
    assert "own size" not in run_cli("run", "sized.toml", "photo.png", "-o", "b.npy").stderr


def test_a_size_that_is_not_the_networks_own_is_noted() -> None:
    Path("sized.toml").write_text("[input]\nsize = [10, 12]\n" + NET.lstrip())
    done = run_cli("plan", "sized.toml", "--input", "20x24x3")
    wanted = "note: the network's own size is 10x12; run resizes pictures to it unless --size 20,24"
    assert done.stderr.startswith(wanted) and "20x24x3 to" in done.stdout
    for args in (["sized.toml", "--input", "10x12x3"], ["net.toml", "--input", "20x24x3"]):
        assert "own size is" not in run_cli("plan", *args).stderr
    assert not run_cli("plan", "sized.toml", "--input", "20x24x3", "-q").stderr


@pytest.mark.oracle
def test_a_size_that_is_not_an_onnx_models_own_is_noted() -> None:
    from tests.support.onnxmodels import model, node

    W = np.ones((2, 3, 3, 3), np.float32)
    graph = model([node("Conv", "x W", "y")], {"W": W}, (1, 3, 10, 12))
    Path("sized.onnx").write_bytes(graph.SerializeToString())
    done = run_cli("plan", "sized.onnx", "--input", "20x24x3")
    assert "note: the network's own size is 10x12; run resizes pictures to it unless" in done.stderr
    assert "own size is" not in run_cli("plan", "sized.onnx", "--input", "10x12").stderr


def test_channels_in_the_first_place_are_noted() -> None:
    said = run_cli("plan", "net.toml", "--input", "3x40x50", code=2).stderr
    wanted = "note: --input is height x width x channels: 40x50x3 has 3 channels\n"
    assert said.startswith(wanted)
    assert "height x width" not in run_cli("plan", "net.toml", "--input", "40x50x3").stderr
