"""Results of every odd size through every command and output form: right, never a traceback.

The quick core is one row, one column and one cell, of one, three and many channels; the whole
product of sizes, commands and forms is slow.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save, save_array, values_of
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")

Shape = tuple[int, ...]

CORE: list[Shape] = [(1, 1, 1), (1, 1, 3), (1, 7, 1), (7, 1, 3), (2, 1, 1, 2), (1, 1, 300)]

ALL: list[Shape] = [
    *CORE,
    *[(1, 1, channels) for channels in (2, 4, 5, 1000)],
    *[(1, 7, 3), (7, 1, 1), (7, 1, 5), (1, 9, 300)],
    *[(4, 5, channels) for channels in (1, 2, 3, 4, 5, 300)],
    *[(2, 4, 5, 2), (3, 1, 1, 3), (2, 1, 1, 1), (3, 1, 6, 1)],
]

MANY = 300
"""From so many channels on, forms that make something of each channel alone say nothing new."""

EMPTY: list[Shape] = [(0, 5, 5, 3), (0, 1, 1, 10), (0, 5, 1), (5, 0, 3)]


def spatial(values: np.ndarray) -> tuple[int, int]:
    """The axes of rows and columns."""
    return (1, 2) if values.ndim == 4 else (0, 1)


def padded(values: np.ndarray) -> np.ndarray:
    sides = [(1, 1) if axis in spatial(values) else (0, 0) for axis in range(values.ndim)]
    return np.pad(values, sides)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


COMMANDS: dict[str, tuple[tuple[str, ...], Callable[[np.ndarray], np.ndarray]]] = {
    "pad": (("pad", "x.npy", "--padding=1"), padded),
    "conv": (("conv", "x.npy", "-f", "2"), lambda X: 2 * X),
    "conv-two": (
        ("conv", "x.npy", "-f", "2", "-f", "-1"),
        lambda X: np.concatenate([2 * X, -X], axis=-1),
    ),
    "pool": (("pool", "x.npy", "--size=1"), lambda X: X),
    "global": (
        ("pool", "x.npy", "--size=global", "--mode=average"),
        lambda X: X.mean(axis=spatial(X), keepdims=True),
    ),
    "run": (("run", "relu.toml", "x.npy"), lambda X: np.maximum(X, 0)),
    "run-global": (
        ("run", "global.toml", "x.npy"),
        lambda X: X.max(axis=spatial(X), keepdims=True),
    ),
    "run-shares": (("run", "shares.toml", "x.npy"), softmax),
}

VALUES = {
    "npy": ("-o", "y.npy"),
    "npz": ("-o", "y.npz"),
    "stdout": ("-o", "-"),
    "float tif": ("-o", "y.tif", "--depth=float"),
}

PICTURES = {
    "png": ("-o", "y.png"),
    "png16": ("-o", "y.png", "--depth=16"),
    "jpg": ("-o", "y.jpg"),
    "bmp": ("-o", "y.bmp"),
    "tif": ("-o", "y.tif"),
    "show": ("-o", "y.png", "--show"),
    "legend": ("-o", "y.png", "--legend"),
    "diverging": ("-o", "y.png", "--legend", "--colormap=diverging"),
    "plain": ("-o", "y.png", "--no-labels", "--shared-range"),
    "json": ("-o", "y.png", "--json"),
    "png on stdout": ("-o", "-", "--format=png"),
}


def prepare(shape: Shape) -> np.ndarray:
    """Write an array of that shape and three networks; return the array."""
    X = np.random.default_rng(sum(shape)).normal(size=shape)
    save_array("x.npy", X)
    Path("relu.toml").write_text(layer("activation", activation="relu"))
    Path("global.toml").write_text(layer("pool", size="global"))
    pool = layer("pool", size=1)
    Path("shares.toml").write_text(pool + layer("activation", activation="softmax"))
    return X


def check_values(shape: Shape, command: str, form: str) -> None:
    """The numbers of a result, in one form, are those computed beside it."""
    X = prepare(shape)
    words, compute = COMMANDS[command]
    expected = compute(X)
    done = run_cli(*words, *VALUES[form], "--overwrite")
    if form == "npy":
        found = np.load("y.npy")
    elif form == "npz":
        with np.load("y.npz") as archive:
            (found,) = [archive[name] for name in archive.files][-1:]
    elif form == "stdout":
        found = np.load(io.BytesIO(done.stdout_bytes))
    else:
        with Image.open("y.tif") as image:
            pages = [np.asarray(image) for k in range(image.n_frames) if image.seek(k) is None]
        planes = expected.reshape(-1, *expected.shape[-3:])
        found = np.stack(pages).reshape(len(planes), planes.shape[3], *planes.shape[1:3])
        found = found.transpose(0, 2, 3, 1).reshape(expected.shape)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def check_picture(shape: Shape, command: str, form: str) -> None:
    """A picture decodes, and from a PNG the numbers come back to within half a step."""
    words, compute = COMMANDS[command]
    expected = compute(prepare(shape))
    done = run_cli(*words, *PICTURES[form], "--overwrite")
    name = PICTURES[form][1]
    if name == "-":
        Path("y.png").write_bytes(done.stdout_bytes)
        name = "y.png"
    with Image.open(name) as image:
        image.load()
        assert image.width > 0 and image.height > 0
    # Colour of 16 bits is another test's.
    if not name.endswith("png") or (form == "png16" and expected.shape[-1] % 3 == 0):
        return
    check_numbers("y.png", expected)
    if form == "show":
        assert done.stdout.strip()
    if form == "json":
        (record,) = map(json.loads, done.stdout.splitlines())
        assert record["shape"] == list(expected.shape)
        assert record["max"] == pytest.approx(expected.max(), rel=1e-5, abs=1e-6)


def check_numbers(name: str, expected: np.ndarray) -> None:
    with Image.open(name) as image:
        maps = json.loads(image.info["cnncli"])["maps"]
    back = values_of("pad", name, "--as-values", "--padding=0")
    assert back.size == expected.size
    steps = max((m["range"][1] - m["range"][0]) / (2 ** int(m["depth"]) - 1) for m in maps)
    lo, hi = (
        np.array([m["range"][end] for m in maps for _ in m["channels"]]).reshape(
            -1, expected.shape[-1]
        )
        for end in (0, 1)
    )
    shown = expected.reshape(len(lo), -1, expected.shape[-1])
    shown = np.clip(shown, lo[:, None], hi[:, None])
    # A map of nothing but one value has one level, and its range tells the value.
    assert np.abs(back.reshape(shown.shape) - shown).max() <= steps / 2 * 1.01 + 1e-5


def check_files(shape: Shape, command: str) -> None:
    """A file for each map, in a folder and by a template: as many as maps, each readable."""
    words, compute = COMMANDS[command]
    expected = compute(prepare(shape))
    for target in ("-o", "each/"), ("-o", "t/{stem}-{layer}-{map}.png"):
        run_cli(*words, *target, "--overwrite")
        folder = target[1].partition("/")[0]
        files = sorted(Path(folder).iterdir())
        per_layer = command.startswith("run") and folder == "each"
        colour = expected.shape[-1] == 3 or (command == "conv-two" and shape[-1] == 3)
        images = expected.shape[0] if expected.ndim == 4 else 1
        count = images * (expected.shape[-1] // (3 if colour else 1))
        layers = 2 if command == "run-shares" else 1
        assert len(files) == (layers if per_layer else count * layers)
        for file in files[:20]:
            with Image.open(file) as image:
                image.load()


@pytest.mark.parametrize(("command", "shape"), sweep(COMMANDS, CORE, rounds=2))
def test_the_core_of_sizes_and_commands(command: str, shape: Shape) -> None:
    check_values(shape, command, "npy")
    check_picture(shape, command, "png")
    if shape[-1] < MANY:
        check_files(shape, command)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ALL, ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_all_sizes_and_commands_in_every_form(shape: Shape, command: str) -> None:
    many = shape[-1] >= MANY
    for form in VALUES:
        if not many or form in ("npy", "npz"):
            check_values(shape, command, form)
    for form in PICTURES:
        if not many or form in ("png", "legend", "json"):
            check_picture(shape, command, form)
    if not many:
        check_files(shape, command)


UNITS = {"relu.toml": "activation1", "global.toml": "pool1"}


def check_tools(shape: Shape) -> None:
    """Gradients, explanations, pages, animations, comparisons and plans of one size."""
    X = prepare(shape)
    batch, rows, columns = X.ndim == 4, *X.shape[-3:-1]
    images = ("--image", "0") if batch else ()
    for net, unit in UNITS.items():
        run_cli("plan", net, "--input", "x".join(map(str, shape[-3:])))
        explain = ("explain", net, "x.npy", "--layer", unit, "--at", "0,0", *images)
        told = json.loads(run_cli(*explain, "--json").stdout)
        expected = (X[0] if batch else X)[..., 0]
        value = max(expected[0, 0], 0) if net == "relu.toml" else expected.max()
        assert told["steps"][0]["value"] == pytest.approx(value, rel=1e-5, abs=1e-6)
        run_cli(*explain, "-o", "page.html", "--overwrite")
        assert "</html>" in Path("page.html").read_text("utf-8")
        if not batch:
            for form in ("g.png", "g.npy"):
                run_cli("grad", net, "x.npy", "--unit", f"{unit}:0", "-o", form, "--overwrite")
            assert np.load("g.npy").shape == X.shape
            run_cli("grad", net, "x.npy", "--unit", f"{unit}:0", "--overlay", "--overwrite")
    at = ("--at", f"{rows - 1},{columns - 1}", *images)
    for words in (("-f", "edge"), ("--pool", "average", "--size", "1")):
        assert run_cli("explain", "x.npy", *words, *at).stdout
        for form in ("page.html", "steps.gif"):
            run_cli("explain", "x.npy", *words, *at, "-o", form, "--overwrite")
        with Image.open("steps.gif") as image:
            assert image.width > 0
    assert "equal" in run_cli("compare", "x.npy", "x.npy").stdout


@pytest.mark.parametrize("shape", [(1, 7, 1)], ids=str)
def test_the_core_of_sizes_through_the_tools(shape: Shape) -> None:
    check_tools(shape)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [s for s in ALL if s[-1] <= 300], ids=str)
def test_all_sizes_through_the_tools(shape: Shape) -> None:
    check_tools(shape)


@pytest.mark.parametrize("shape", EMPTY, ids=str)
def test_nothing_at_all_is_refused_in_one_line(shape: Shape) -> None:
    save_array("x.npy", np.zeros(shape))
    for words in (("pad", "--padding=1"), ("pool",), ("conv", "-f", "edge")):
        for target in ("y.npy", "y.png", "y/"):
            error = refused(words[0], "x.npy", *words[1:], "-o", target, code=2)
            assert "no side of 0" in error
            assert not Path(target).exists()


@pytest.mark.parametrize(
    "pixels", [[[[10, 200, 30]]], [[[10, 200, 30]] * 4]], ids=["one pixel", "one row"]
)
@pytest.mark.parametrize("form", ["v.npy", "v.png", "v.npz", "v/"])
def test_colour_results_of_one_row_and_column(pixels: list[list[list[int]]], form: str) -> None:
    """Case 1-traceback-1x1-colour."""
    save("px.png", np.array(pixels, np.uint8))
    Path("relu.toml").write_text(layer("activation", activation="relu"))
    Path("gp.toml").write_text(layer("pool", mode="average", size="global"))
    for net in ("relu.toml", "gp.toml"):
        run_cli("run", net, "px.png", "-o", form, "--overwrite")
        if form == "v.npy":
            expected = np.array(pixels if net == "relu.toml" else [[[10, 200, 30]]]) / 255
            np.testing.assert_allclose(np.load("v.npy"), expected, atol=1e-6)
        elif form == "v.png":
            with Image.open("v.png") as image:
                assert image.getpixel((0, 0)) == (10, 200, 30)
