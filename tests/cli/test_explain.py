"""``cnncli explain``: the numbers that it prints, and what it refuses."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.judges import loop_conv_forward
from tests.support.netfiles import layer
from tests.support.shell import npy_bytes, refused_untouched, run_cli, save, save_array, values_of
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(11)


def record_of(*args: object, stdin: bytes | None = None) -> dict[str, Any]:
    """Run ``explain --json`` and return its object."""
    done: dict[str, Any] = json.loads(run_cli("explain", *args, "--json", stdin=stdin).stdout)
    return done


@pytest.fixture
def photo(empty_folder: Path) -> Path:
    """A small colour photograph."""
    return save("photo.png", RNG.integers(0, 256, (12, 17, 3), np.uint8))


LAYERS: list[tuple[str, ...]] = [
    ("--filter", "edge"),
    ("--filter", "gabor_color", "--stride", "2", "--bias", "0.25", "--activation", "tanh"),
    ("--filter", "sobel_h", "--flip", "--dilation", "2", "--pad-mode", "reflect"),
    ("--filter", "1 2 3; 4 5 6", "--normalize", "--padding", "1,0,2,0", "--pad-value", "0.5"),
    ("--filter", "bank.npy", "--filter-layout", "oihw", "--groups", "3", "--stride", "1,2"),
]
POOLS: list[tuple[str, ...]] = [
    ("max",),
    ("min", "--size", "3", "--padding", "1"),
    (
        "average",
        "--size",
        "2,3",
        "--stride",
        "2",
        "--ceil",
        "--count-include-pad",
        "--padding",
        "1",
    ),
    ("lp", "--p", "3", "--dilation", "2", "--stride", "1"),
]


def check_everywhere(photo: Path, explained: tuple[str, ...], values: np.ndarray) -> None:
    """Compare explanations with what the command of that layer writes."""
    for at in [(0, 0), (values.shape[0] - 1, values.shape[1] - 1), (2, 3)]:
        place = f"{at[0]},{at[1]}"
        first = record_of(photo, *explained, "--at", place)
        assert first["output_shape"] == list(values.shape)
        for k in {0, first["maps"] - 1}:
            found = record_of(photo, *explained, "--at", place, "--map", k)
            for step in found["steps"]:
                assert step["fast"] == values[at][step["channel"]]
                assert step["value"] == pytest.approx(step["fast"], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("options", LAYERS, ids=" ".join)
def test_convolutions_are_those_of_conv(photo: Path, options: tuple[str, ...]) -> None:
    save_array("bank.npy", RNG.normal(size=(6, 1, 3, 3)))
    check_everywhere(photo, options, values_of("conv", photo, *options))


@pytest.mark.parametrize("options", POOLS, ids=" ".join)
def test_pools_are_those_of_pool(photo: Path, options: tuple[str, ...]) -> None:
    values = values_of("pool", photo, "--mode", *options)
    check_everywhere(photo, ("--pool", *options), values)


NET = (
    layer("conv", name="first", filter="w.npz:a", bias="w.npz:b", activation="relu")
    + layer("batchnorm", name="norm", mean="w.npz:b", var="w.npz:v")
    + layer("pool", name="half")
    + layer("conv", name="second", filter="w.npz:c", padding=0)
    + layer("add", name="sum", inputs=["second", "second"])
)


@pytest.mark.parametrize("name", ["first", "norm", "half", "second", "sum"])
def test_layers_of_networks_are_those_of_run(photo: Path, name: str) -> None:
    a, b, c = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4), RNG.normal(size=(3, 3, 4, 2))
    np.savez("w.npz", a=a, b=b, c=c, v=RNG.random(4) + 0.5)
    Path("net.toml").write_text(NET)
    run_cli("run", "net.toml", photo, "--layer", name, "-o", "values.npy")
    check_everywhere(photo, ("net.toml", "--layer", name), np.load("values.npy"))
    assert record_of("net.toml", photo, "--at", "1,1")["layer"] == "sum"


def by_products(values: np.ndarray, weights: np.ndarray, at: tuple[int, int]) -> dict[str, Any]:
    """The cell of the largest product under a window that begins at a place, and its numbers."""
    row, column = at
    window = values[row : row + weights.shape[0], column : column + weights.shape[1]]
    products = window * weights
    cell = tuple(map(int, np.unravel_index(np.abs(products).argmax(), products.shape)))
    place = {"row": row + cell[0], "column": column + cell[1], "channel": cell[2]}
    numbers = {"value": window[cell], "weight": weights[cell], "contribution": products[cell]}
    return place | {name: pytest.approx(float(v), rel=1e-5) for name, v in numbers.items()}


def test_a_trail_leads_through_every_layer_to_a_pixel(photo: Path) -> None:
    a, b, c = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4), RNG.normal(size=(3, 3, 4, 2))
    np.savez("w.npz", a=a, b=b, c=c, v=RNG.random(4) + 0.5)
    Path("net.toml").write_text(NET)
    run_cli("run", "net.toml", photo, "-o", "all.npz")
    values = dict(np.load("all.npz"))
    X = np.pad(values_of("pad", photo, "--padding", "0"), ((1, 1), (1, 1), (0, 0)))
    for at, k in (((0, 0), 0), ((3, 5), 1)):
        found = record_of("net.toml", photo, "--at", f"{at[0]},{at[1]}", "--map", k, "--trail")
        trail, end = found["trail"]["units"], found["trail"]["end"]
        layers = ["sum", "second", "half", "norm", "first", "input"]
        assert [unit["layer"] for unit in trail] == layers and end == "ends at the input"
        for unit in trail[:-1]:
            cell = unit["row"], unit["column"], unit["channel"]
            assert unit["value"] == pytest.approx(values[unit["layer"]][cell], rel=1e-5)
        assert (trail[0]["row"], trail[0]["column"], trail[0]["map"]) == (*at, k)
        assert trail[0]["weight"] is trail[0]["contribution"] is None
        assert trail[2] | by_products(values["half"], c[..., k], at) == trail[2]
        row, column, channel = (trail[2][name] for name in ("row", "column", "channel"))
        pool = values["norm"][2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        assert (trail[3]["value"], trail[3]["weight"]) == (pool.max(), 1)
        row, column = trail[4]["row"], trail[4]["column"]
        pixel = by_products(X, a[..., channel], (row, column))
        pixel = pixel | {"row": pixel["row"] - 1, "column": pixel["column"] - 1}
        assert trail[5] | pixel == trail[5] and trail[5]["map_name"] in ("red", "green", "blue")
    told = run_cli("explain", "net.toml", photo, "--at", "3,5", "--map", "1", "--trail").stdout
    lines = [line for line in told.splitlines() if not line.startswith("against: ")]
    assert lines[-1] == "ends at the input"
    assert [line.split()[0] for line in lines[-8:-2]] == layers


def test_a_trail_is_for_the_way_forward_in_text_and_json(photo: Path) -> None:
    for way in (("--backward",), ("-o", "page.html"), ("-o", "steps.gif")):
        said = refused_untouched("explain", photo, "--filter", "edge", "--trail", *way, code=2)
        assert "--trail is for the text and --json, without --backward and -o" in said
    assert "trail" not in record_of(photo, "--filter", "edge")


def test_standard_input_and_images_of_a_batch() -> None:
    batch = RNG.random((3, 6, 7, 2))
    found = record_of("--pool", "max", "--at", "1,2", "--image", "2", stdin=npy_bytes(batch))
    assert (found["image"], found["images"]) == (2, 3)
    assert found["steps"][0]["value"] == batch[2, 2:4, 4:6, 0].max()
    assert "images of standard input are 0 to 2, got 3" in refused_untouched(
        *("explain", "--pool", "max", "--image", "3"), code=2, stdin=npy_bytes(batch)
    )


def test_which_image_of_a_batch_is_explained_is_said() -> None:
    save_array("batch.npy", RNG.random((3, 6, 7, 1)))
    for way in ((), ("--backward",)):
        done = run_cli("explain", "batch.npy", "--pool", "max", "--at", "1,2", *way)
        assert "image 0 of 3" in done.stdout.splitlines()[0]
        assert "note: image 0 of 3 is shown; --image N shows another\n" in done.stderr
    asked = run_cli("explain", "batch.npy", "--pool", "max", "--at", "1,2", "--image", "0")
    assert "image 0 of 3" in asked.stdout and "--image" not in asked.stderr
    save_array("one.npy", RNG.random((1, 6, 7, 1)))
    alone = run_cli("explain", "one.npy", "--pool", "max", "--at", "1,2")
    assert "image" not in alone.stdout + alone.stderr


def test_of_class_scores_the_largest_is_explained_as_run_reports_it() -> None:
    scores = np.array([3.37, -4.588, 1.2])
    save_array("W.npy", scores.reshape(1, 1, 1, 3))
    save_array("one.npy", np.ones((1, 1, 1, 1)))
    assert (
        "largest 0 W-0 (3.37)"
        in run_cli("conv", "one.npy", "--filter", "W.npy", "-o", "s.png").stderr
    )
    found = record_of("one.npy", "--filter", "W.npy")
    assert (found["map"], found["steps"][0]["value"]) == (0, 3.37)
    assert found["notes"][-1] == "--at 0,0 --map 0 was chosen: the largest value"
    page = run_cli("explain", "one.npy", "--filter", "W.npy", "-o", "page.html")
    assert "--map 0 was chosen: the largest value" in page.stderr
    only = run_cli("explain", "one.npy", "--filter", "W.npy", "--map", "1")
    assert "was chosen" not in only.stderr


def test_feature_maps_are_read_back_as_values(photo: Path) -> None:
    run_cli("conv", photo, "--filter", "gabor_color", "-o", "maps/")
    one = sorted(Path("maps").iterdir())[3]
    values = values_of("pad", one, "--as-values", "--padding", "0")
    found = record_of(one, "--as-values", "--pool", "min", "--size", "3", "--at", "0,0")
    assert found["steps"][0]["value"] == values[:3, :3].min()


def test_printed_products_add_up(photo: Path) -> None:
    text = run_cli("explain", photo, "--filter", "laplacian_8", "--gray", "--at", "0,4").stdout
    rows = [re.findall(r"-?\d+\.\d+|(?<= )-?\d+(?= )", line.split("=")[-1][-28:]) for line in
            text.splitlines() if re.match(r" *-?\d+ [ \[]", line)]  # fmt: skip
    rows = [[float(cell) for cell in row] for row in rows if len(row) == 3]
    (result,) = re.findall(r"^result +(\S+)$", text, re.M)
    assert len(rows) == 3
    assert np.sum(rows) == pytest.approx(float(result), abs=9 * 5e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--filter", "edge", "--at", "12,0"),
            "the output are 0 to 11 and columns 0 to 16, got 12,0",
        ),
        (("--pool", "max", "--at", "0,8"), "rows of the output are 0 to 5 and columns 0 to 7"),
        (("--filter", "edge", "--at", "1"), "must be ROW,COL"),
        (("--filter", "edge", "--map", "sobel"), "no map 'sobel'; there are edge"),
        (("--filter", "gabor_color", "--map", "16"), "maps are 0 to 15, got 16"),
        (("--filter", "edge", "--pool", "max"), "exactly one of --filter, --pool and NETWORK"),
        ((), "exactly one of --filter, --pool and NETWORK"),
        (("--pool", "max", "--bias", "1"), "--bias does not go with --pool"),
        (("--filter", "edge", "--size", "2"), "--size does not go with --filter"),
        (("--filter", "edge", "--layer", "a"), "--layer does not go with --filter"),
        (("other.png", "--filter", "edge"), "one NETWORK at most, and one IMAGE"),
        (("--filter", "edge", "--pad-mode", "edge", "--pad-value", "1"), "--pad-value is for"),
        (("--filter", "edge", "--image", "1"), "are 0 to 0, got 1"),
        (("--filter", "edge", "--channel", "1"), "--channel is for --backward"),
        (("--filter", "edge", "--backward", "--at", "0,17"), "the input are 0 to 11 and columns 0"),
        (("--filter", "edge", "--backward", "--channel", "3"), "channels are 0 to 2, got 3"),
        (("--filter", "edge", "--backward", "--channel", "rot"), "no channel 'rot'; there are red"),
        (("--filter", "edge", "--channels", "some"), "must be a whole number from 0, or all"),
    ],
    ids=str,
)
def test_refusals(photo: Path, options: tuple[str, ...], message: str) -> None:
    assert message in refused_untouched("explain", photo, *options, code=2)


def test_the_way_back(photo: Path) -> None:
    done = record_of(
        photo,
        "--filter",
        "edge",
        "--backward",
        "--at",
        "0,0",
        "--channel",
        "green",
        "--pad-mode",
        "zeros",
    )
    assert done["channel"] == 1 and done["gradient"] == 8 - 3
    assert [(path["output"], path["tap"], path["weight"]) for path in done["paths"]] == [
        ([0, 0], [1, 1], 8), ([0, 1], [1, 0], -1), ([1, 0], [0, 1], -1), ([1, 1], [0, 0], -1),
    ]  # fmt: skip
    text = run_cli("explain", photo, "--pool", "max", "--backward", "--map", "0").stdout
    assert "each window sends its gradient to the cell that won" in text
    save_array("two.npy", RNG.random((6, 7, 2)))
    args = ("explain", "two.npy", "--pool", "max", "--backward", "--map", "1", "--json")
    assert json.loads(run_cli(*args).stdout)["channel"] == 1
    result = run_cli("explain", photo, "--pool", "max", "--backward")
    assert "note: --at 6,8 was chosen: the middle of the input" in result.stderr


def test_several_inputs_have_no_way_back(photo: Path) -> None:
    Path("net.toml").write_text(
        layer("pool", size=2) + layer("add", name="both", inputs=["pool1", "pool1"])
    )
    error = refused_untouched("explain", "net.toml", photo, "--backward", code=2)
    assert "--backward needs a layer of one input, both has several" in error


@pytest.mark.oracle
def test_layers_of_onnx_models(photo: Path) -> None:
    onnxmodels = pytest.importorskip("tests.support.onnxmodels")
    W = RNG.normal(size=(5, 3, 3, 3)).astype(np.float32)
    nodes = [
        onnxmodels.node("Conv", "x w", "y", "first", pads=[1, 1, 1, 1]),
        onnxmodels.node("Relu", "y", "z", "second"),
    ]
    made = onnxmodels.model(nodes, {"w": W}, shape=(1, 3, 12, 17))
    Path("net.onnx").write_bytes(made.SerializeToString())
    X = values_of("pad", photo, "--padding", "0")[None].astype(float)
    judge = loop_conv_forward(X, W.transpose(2, 3, 1, 0), np.zeros((1, 1, 1, 5)), {"pad": 1})
    for name, wanted in (("first", judge), ("second", np.maximum(judge, 0))):
        found = record_of("net.onnx", photo, "--layer", name, "--map", "4", "--at", "3,16")
        assert found["steps"][0]["value"] == pytest.approx(wanted[0, 3, 16, 4], abs=1e-5)


def on_terminal(*args: object, columns: int, **environment: str) -> str:
    """Run a command on a terminal of its own and return what it prints there."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    given = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "TERM")}
    with subprocess.Popen(
        [sys.executable, "-m", "cnncli", *map(str, args)],
        stdin=subprocess.DEVNULL, stdout=there, stderr=there, env={**given, **environment},
    ) as process:  # fmt: skip
        os.close(there)
        read = bytearray()
        # Linux ends the reading of a terminal that nobody holds open any more with an error.
        with contextlib.suppress(OSError):
            while part := os.read(here, 65536):
                read += part
    os.close(here)
    assert process.returncode == 0, read
    return read.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", sweep([40, 80, 200], keep=1))
def test_colours_are_for_terminals_that_want_them(photo: Path, columns: int) -> None:
    command = ("explain", photo, "--filter", "gabor_color", "--at", "0,0", "-q")
    coloured = on_terminal(*command, columns=columns, TERM="xterm-256color")
    plain = on_terminal(*command, columns=columns, TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[38;2;" in coloured and "\x1b" not in plain
    uncoloured = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in uncoloured.splitlines()] == plain.splitlines()
    assert max(map(len, plain.splitlines())) <= columns


@pytest.mark.slow
def test_a_dumb_terminal_gets_no_colours(photo: Path) -> None:
    command = ("explain", photo, "--filter", "gabor_color", "--at", "0,0", "-q")
    assert "\x1b" not in on_terminal(*command, columns=80, TERM="dumb")


def test_what_was_chosen_is_said(photo: Path) -> None:
    done = run_cli("explain", photo, "--filter", "gabor_color")
    values = values_of("conv", photo, "--filter", "gabor_color")
    chosen = re.search(
        r"^note: --at (\d+),(\d+) --map (\d+) was chosen: the largest value$",
        *(done.stderr, re.M),
    )
    assert chosen is not None
    row, col, number = map(int, chosen.groups())
    # All windows of 11x11 cells see padding there.
    assert values[row, col, number] == values.max()
    pool = run_cli("explain", photo, "--pool", "max")
    assert "was chosen: the largest magnitude near the middle" in pool.stderr
    one = run_cli("explain", photo, "--filter", "gabor_color", "--map", "3")
    assert re.search(r"^note: --at \d+,\d+ was chosen: the largest", one.stderr, re.M)
    there = run_cli("explain", photo, "--filter", "gabor_color", "--at", "3,4")
    assert "note: map 0 of 16 is shown" in there.stderr
    assert run_cli("explain", photo, "--filter", "gabor_color", "-q").stderr == ""


@pytest.mark.parametrize("matrix", ["-1 -1 -1; -1 8 -1; -1 -1 -1", "1 1 1; 1 -8 1; 1 1 1"])
def test_the_largest_value_without_padding_is_chosen(photo: Path, matrix: str) -> None:
    options = (photo, "--filter", matrix, "--pad-mode", "zeros")
    place = re.search(
        r"--at (\d+),(\d+) was chosen: the largest value of a window without padding$",
        run_cli("explain", *options).stderr,
        re.M,
    )
    assert place is not None
    values = values_of("conv", *options)
    row, col = map(int, place.groups())
    # At the border a value is larger, or the smallest one is further from 0.
    assert values[row, col].max() == values[1:-1, 1:-1].max() < np.abs(values).max()


def test_values_against_the_loop(photo: Path) -> None:
    X = values_of("pad", photo, "--padding", "0")[None]
    W = np.ones((3, 3, 1, 1))
    judge = loop_conv_forward(
        X[..., [2]].astype(float), W, np.zeros((1, 1, 1, 1)), {"pad": "same", "pad_mode": "edge"}
    )
    found = record_of(photo, "--filter", "1 1 1; 1 1 1; 1 1 1", "--at", "11,16")
    assert found["steps"][2]["value"] == pytest.approx(judge[0, 11, 16, 0], abs=1e-12)
    assert found["rows"]["cells"] == [10, 11, 12] and found["rows"]["sources"] == [10, 11, 11]
    assert found["padding"][2] == [True, True, True]


def test_the_last_layer_of_a_network_leads_to_more(photo: Path) -> None:
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n' * 2)
    more = "--layer NAME shows another layer, --trail the way back to a pixel, -o page.html all"
    assert more in run_cli("explain", "net.toml", photo).stderr
    for words in (("--layer", "pool1"), ("--trail",), ("--backward",), ("-q",), ("--json",)):
        assert more not in run_cli("explain", "net.toml", photo, *words).stderr
    assert more not in run_cli("explain", photo, "--pool", "max").stderr
