"""The playground's stack as a text, as commands and as Python: by node, against cnncli itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.explain.page.parts import WORKER
from cnncli.explain.page.playground_data import STACK, playground_page_data
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from tests.support.node import NODE, run_alone
from tests.support.pages import run_block
from tools.playground_picture import PICTURE, make_picture

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")

FILTERS = playground_page_data()["filters"]
SCRIPTS = (
    *(*WORKER, "shared/numbers.js", "page/data.js"),
    *("playground/stack.js", "playground/commands.js"),
)

STACKS = [
    STACK,
    "1/color/conv=edge",
    "1/gray/pool=average;kernel=3;stride=1,2;padding=1,0,2,1;ceil=1;countIncludePad=1",
    "1/color/activation=sigmoid/pool=lp;p=3",
    "1/gray/conv=2x3:0,-1,0.1,5,-1,0.33333334;stride=2,1;padding=3,2,1,0;dilation=1,2;padMode=wrap",
    "1/color/conv=gabor_color;padding=valid;bias=0.25;padValue=0.5/activation=abs/pool=min",
    "1/gray/conv=robinson;off=1,3/activation=tanh",
    "1/gray/conv=edge;off=1,5/pool=max;off=0,1",
    "1/gray/conv=2x2x1x2:1,-1,0.5,0,2,1,-1,-1;bias=0.5,-1/pool=max/conv=box/activation=leaky-relu",
    "1/color/conv=1x2x3x2:1,0,2,-1,0.5,0.25,3,-2,1,1,0,0.125/pool=max;padding=same",
    "1/color/conv=1x1x3x1:1,2,-3/pool=max;off=0/conv=sobel_h;padMode=zeros;padValue=-1/pool=average",
    "1/gray/activation=relu/activation=abs/pool=average",
]

COMPUTE = """({ text, planes, size, filters }) => {
  const { stack, picture } = readStack(text, filters);
  const specs = stackSpecs(stack);
  const kept = planes.map((plane) => Float32Array.from(plane));
  const pictures = kept.map((_, channel) => ({ name: "", channels: [channel] }));
  const range = { kind: "clip", lo: 0, hi: 1 };
  const input = { size, channels: kept.length, planes: kept, largest: 1, pictures, range };
  const made = new NetworkOutputs().compute({ specs, input }).slice(1);
  const layers = specs.map((spec, index) => ({ ...spec, channels: made[index].shape[2] }));
  const given = [layers, filters, "picture.png", picture === "gray"];
  return {
    problems: made.map(({ problem }) => problem ?? ""),
    text: stackText(stack, picture, filters),
    command: commandText(...given),
    python: pythonStackText(...given),
    shape: made[made.length - 1].shape,
    planes: made[made.length - 1].planes.map((plane) => [...plane]),
  };
}"""


def input_of(text: str) -> dict[str, Any]:
    """A text with the picture that it names, as planes."""
    picture = read_image(PICTURE, ReadOptions(gray=text.split("/")[1] == "gray"))
    values = picture.values()[0]
    planes = [values[:, :, channel].ravel().tolist() for channel in range(values.shape[2])]
    return {"text": text, "filters": FILTERS, "planes": planes, "size": list(values.shape[:2])}


@pytest.fixture(scope="module")
def computed() -> dict[str, Any]:
    """What the page's scripts make of each stack."""
    results = run_alone(SCRIPTS, COMPUTE, [input_of(text) for text in STACKS])
    return dict(zip(STACKS, results, strict=True))


def values_of(made: dict[str, Any]) -> np.ndarray[Any, Any]:
    height, width, channels = made["shape"]
    return np.reshape(made["planes"], (channels, height, width)).transpose(1, 2, 0)


def check(found: np.ndarray[Any, Any], made: dict[str, Any]) -> None:
    expected = values_of(made)
    assert found.shape == expected.shape
    most = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * most)


@needs_node
@pytest.mark.parametrize("text", STACKS)
def test_copied_python_gives_the_numbers_of_the_page(
    computed: dict[str, Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = computed[text]
    assert set(made["problems"]) == {""}
    make_picture().save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(made["python"], names)
    check(np.asarray(names["x"]), made)
    assert said.getvalue() == f"{names['x'].shape}\n"


@needs_node
@pytest.mark.slow
@pytest.mark.parametrize("text", STACKS)
def test_copied_commands_give_the_numbers_of_the_page(
    computed: dict[str, Any], text: str, tmp_path: Path
) -> None:
    made = computed[text]
    make_picture().save(tmp_path / "picture.png")
    run_block(made["command"], tmp_path)
    if (tmp_path / "result.npy").exists():
        check(np.load(tmp_path / "result.npy"), made)
        return
    with np.load(tmp_path / "values.npz") as values:
        found = values[values.files[-1]]
        check(found.reshape(found.shape[-3:]), made)


@needs_node
def test_the_text_of_a_stack_comes_back(computed: dict[str, Any]) -> None:
    assert {text: computed[text]["text"] for text in STACKS} == {text: text for text in STACKS}


STEP = "a whole number from 1 to 255, or 2 of them"
KINDS = "one of conv, pool, activation"
NUMBERS = "numbers with commas between them"
CONV_FIELDS = "one of stride, padding, dilation, bias, padMode, padValue, activation, off"

# What a text is, and of what is said: its name, what must hold, and what was got.
WRONG = {
    "": ("the version", "1", '""'),
    "2/gray/conv=edge": ("the version", "1", '"2"'),
    "x" * 50: ("the version", "1", f'"{"x" * 40}…"'),
    "1": ("the picture", "one of gray, color", '""'),
    "1/blue/conv=edge": ("the picture", "one of gray, color", '"blue"'),
    "1/gray": ("the number of layers", "from 1 to 8", "0"),
    "1/gray" + "/pool=max" * 9: ("the number of layers", "from 1 to 8", "9"),
    "1/gray/": ("the kind of layer 1", KINDS, '""'),
    "1/gray/dense=3": ("the kind of layer 1", KINDS, '"dense"'),
    "1/gray/pool=max/toString=3": ("the kind of layer 2", KINDS, '"toString"'),
    "1/gray/pool=median": ("the mode of layer 1", "one of max, average, min, lp", '"median"'),
    "1/gray/pool": ("the mode of layer 1", "one of max, average, min, lp", '""'),
    "1/gray/pool=max/activation=gelu": (
        "the activation of layer 2",
        "one of relu, leaky-relu, sigmoid, tanh, abs",
        '"gelu"',
    ),
    "1/gray/conv=egde": (
        "the filter of layer 1",
        "the name of a built-in one, such as edge, or a size and weights, such as 1x3:-1,0,1",
        '"egde"',
    ),
    "1/gray/conv=3x3:1,2": (
        "the number of weights of layer 1",
        "9, as a filter of 3x3 has",
        "2",
    ),
    "1/gray/conv=99x3:1": (
        "the size of the filter of layer 1",
        "a whole number from 1 to 64",
        '"99"',
    ),
    "1/gray/conv=3:1": (
        "the size of the filter of layer 1",
        "rows x columns of at most 31, such as 3x3, or these x channels x maps, such as 3x3x1x2",
        '"3"',
    ),
    "1/gray/conv=1x2:1,x": ("the weights of layer 1", NUMBERS, '"1,x"'),
    "1/gray/conv=edge;stride=x": ("stride of layer 1", STEP, '"x"'),
    "1/gray/conv=edge;stride": ("stride of layer 1", STEP, '""'),
    "1/gray/conv=edge;stride=0": ("stride of layer 1", STEP, '"0"'),
    "1/gray/conv=edge;stride=1,2,3": ("stride of layer 1", STEP, '"1,2,3"'),
    "1/gray/conv=edge;dilation=1.5": ("dilation of layer 1", STEP, '"1.5"'),
    "1/gray/pool=max;kernel=256": ("kernel of layer 1", STEP, '"256"'),
    "1/gray/conv=edge;padding=-1": (
        "padding of layer 1",
        "same, same-lower, valid, a whole number from 0 to 255, or 4 of them",
        '"-1"',
    ),
    "1/gray/conv=edge;bias=1,2": ("bias of layer 1", "one number", '"1,2"'),
    "1/gray/conv=robinson;bias=1,2": (
        "bias of layer 1",
        "one number, or 8, one for each map",
        '"1,2"',
    ),
    "1/gray/conv=edge;bias=1e999": ("bias of layer 1", NUMBERS, '"1e999"'),
    "1/gray/conv=edge;off=1,x": ("off of layer 1", "a whole number from 0 to 1048576", '"x"'),
    "1/gray/conv=edge;valueOf=1": ("a setting of layer 1, conv,", CONV_FIELDS, '"valueOf"'),
    "1/gray/conv=edge;activation=gelu": (
        "activation of layer 1",
        "one of none, relu, leaky-relu, sigmoid, tanh, abs",
        '"gelu"',
    ),
    "1/gray/activation=relu;stride=2": (
        "a setting of layer 1, activation,",
        "off",
        '"stride"',
    ),
    "1/gray/pool=max;ceil=yes": ("ceil of layer 1", "one of 0, 1", '"yes"'),
    "1/gray/pool=lp;p=0": ("p of layer 1", "a number of at least 0.01", '"0"'),
    "1/gray/pool=lp;p=2,3": ("p of layer 1", "a number of at least 0.01", '"2,3"'),
    "1/gray/conv=edge;padMode=x": (
        "padMode of layer 1",
        "one of zeros, edge, reflect, symmetric, wrap",
        '"x"',
    ),
    "1/gray/conv=edge;padMode=zeros;padValue=1,2": (
        "padValue of layer 1",
        "a number",
        '"1,2"',
    ),
}


@needs_node
def test_a_wrong_text_is_told() -> None:
    function = """([text, filters]) => {
      try { readStack(text, filters); }
      catch (error) { return error instanceof StackError ? error.message : String(error); }
      return "";
    }"""
    told = run_alone(SCRIPTS, function, [[text, FILTERS] for text in WRONG])
    for (name, need, got), said in zip(WRONG.values(), told, strict=True):
        assert said == f"{name} must be {need}, got {got}"


def test_the_page_has_all_built_in_filters() -> None:
    filters = playground_page_data()["filters"]
    assert [one["name"] for one in filters] == list(builtin_names())
    for one in filters:
        bank = load_filter(one["name"])
        weights = np.reshape(one["weights"], one["shape"]).astype(np.float32)
        assert np.array_equal(weights.reshape(bank.weights.shape), bank.weights.astype(np.float32))
        assert one["maps"] == list(bank.map_names)


def test_the_sample_picture_is_that_of_its_maker() -> None:
    with Image.open(PICTURE) as stored:
        assert np.array_equal(np.asarray(stored), np.asarray(make_picture()))
