"""Networks as network files: what is written is read back as the same network."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.core.activations import ACTIVATIONS
from cnncli.errors import FileProblem, OptionError
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.graph import NORMALIZE, SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    CellScaleLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    DivLayer,
    GroupNormLayer,
    InstanceNormLayer,
    LayerNormLayer,
    LRNLayer,
    MatMulLayer,
    MaxLayer,
    MinLayer,
    MulLayer,
    PadChannelsLayer,
    PadLayer,
    PoolLayer,
    QuotientLayer,
    ReduceLayer,
    ResizeLayer,
    ScaleLayer,
    SliceLayer,
    SoftmaxLayer,
    SpaceToDepthLayer,
    SubLayer,
    ViewLayer,
)
from cnncli.network.layers.view import Layout
from cnncli.network.load import load_model
from cnncli.network.model import Model
from cnncli.network.passes import forward
from cnncli.network.preparation import Preparation
from cnncli.network.toml_writer import check_files, encode_weights, write_network
from tests.support.netfiles import read_back

RNG = np.random.default_rng(70)


def numbers(*shape: int, dtype: Any = np.float32) -> Any:
    return RNG.standard_normal(shape).astype(dtype)


def bank(*shape: int) -> Any:
    return from_array(numbers(*shape))


def positive(count: int) -> Any:
    return np.abs(numbers(count)) + 0.1


LAYERS = {
    "conv": ConvLayer(bank(3, 2, 3, 4), numbers(4)),
    "conv with every option": ConvLayer(
        bank(3, 3, 1, 6),
        numbers(1),
        stride=(2, 1),
        padding=(0, 1, 2, 3),
        dilation=2,
        groups=3,
        pad_mode="zeros",
        pad_value=-1.5,
        activation="prelu",
        alpha=numbers(6),
        algorithm="matmul",
    ),
    "conv that mirrors the border": ConvLayer(
        bank(3, 3, 3, 2), padding=((1, 1), (2, 2)), pad_mode="reflect", activation="relu"
    ),
    "conv in float64": ConvLayer(from_array(numbers(1, 1, 3, 2, dtype=np.float64))),
    "one 2-D filter": ConvLayer(load_filter("1 2; 3 4"), padding=1),
    "several 2-D filters": ConvLayer(load_filter("sobel_h"), padding="same-lower"),
    "pool": PoolLayer("average", 3, 2, (1, 1, 0, 1), ceil=True, count_include_pad=True),
    "pool of defaults": PoolLayer(),
    "pool of all": PoolLayer("max", "global"),
    "pool of powers": PoolLayer("lp", (2, 3), dilation=(1, 2), padding=((1, 0), (0, 1)), p=3.5),
    "pool of the largest": PoolLayer("lp", 2, p=np.inf),
    "pad": PadLayer(((1, 2), (0, 3)), "zeros", 0.25),
    "pad of edges": PadLayer(2, "edge"),
    "prelu": ActivationLayer("prelu", numbers(3)),
    "leaky relu of one slope": ActivationLayer("leaky-relu", np.array([0.1])),
    "clip": ActivationLayer("clip", low=-1.0, high=0.5),
    "clip from below": ActivationLayer("clip", low=0.0, high=np.inf),
    "clip from above": ActivationLayer("clip", low=-np.inf, high=1e20),
    "hard sigmoid": ActivationLayer("hard-sigmoid", np.array([1 / 6]), 0.4),
    "batchnorm": BatchNormLayer(numbers(3), numbers(3), numbers(3), positive(3), 1e-3),
    "batchnorm of one number": BatchNormLayer(np.ones(1), numbers(3), numbers(1), positive(1)),
    "scale": ScaleLayer(numbers(3), numbers(1)),
    "whole scale": ScaleLayer(np.array([255.0]), np.array([0.0]), whole=True),
    "cell-scale": CellScaleLayer((9, 8, 3), numbers(216), np.zeros(1)),
    "quotient": QuotientLayer(np.array([2.0, 3.0, -4.0])),
    "instance-norm": InstanceNormLayer(numbers(3), numbers(3), 1e-3),
    "group-norm": GroupNormLayer(3, numbers(3), np.ones(1)),
    "layer-norm": LayerNormLayer(numbers(3), numbers(3)),
    "layer-norm of all": LayerNormLayer(np.ones(1), np.zeros(1), ("rows", "columns", "channels")),
    "lrn": LRNLayer(2, 0.5, 0.25, 2.0),
    "reduce": ReduceLayer("l2", ("columns", "channels")),
    "softmax": SoftmaxLayer(("rows", "channels"), log=True),
    "softmax of pixels": SoftmaxLayer(),
    "resize": ResizeLayer(scale=(2.0, 1.5), mode="linear", coordinates="align-corners"),
    "resize to a size": ResizeLayer((5, 20), rounding="ceil"),
    "conv-transpose": ConvTransposeLayer(
        bank(3, 2, 2, 3), numbers(2), stride=2, padding=(1, 0, 0, 1), output_padding=(1, 0)
    ),
    "conv-transpose in groups": ConvTransposeLayer(bank(2, 2, 1, 3), groups=3, dilation=2),
    "depth-to-space": DepthToSpaceLayer(1, "block-first"),
    "space-to-depth": SpaceToDepthLayer(1),
    "slice": SliceLayer(0, 3, 2),
    "slice of rows": SliceLayer(-1, None, -1, rows=(1, -1), columns=(-1, -99, -2)),
    "pad-channels": PadChannelsLayer(numbers(2), numbers(1)),
    "pad-channels behind": PadChannelsLayer(after=np.zeros(4)),
    "view": ViewLayer(Layout("nhwc", dims=(1, 9, 2, 12)), (0, 3, 2, 1), 12),
    "view of what is left": ViewLayer(Layout(dims=(3, None, 4)), (1, 2, 0), 1, (1, 1, 36, 6)),
    "view of flattened maps": ViewLayer(Layout("nhwc", flat=True), (0, 1), 6, (4, 9, 6)),
    **{
        name: ActivationLayer(name)
        for name, made in ACTIVATIONS.items()
        if None not in made.settings.values()
    },
}


def values(network: Network, channels: int = 3) -> dict[str, Any]:
    X = np.random.default_rng(71).standard_normal((1, 9, 8, channels))
    return forward(network, X).values


def check_same(found: Model, written: Model) -> None:
    """Compare two models to the last bit of what they compute, and their input sections."""
    assert found.input.given == written.input.given
    assert found.classes == written.classes
    assert found.network.nodes
    assert [(n.name, type(n.layer), n.inputs) for n in found.network.nodes] == [
        (n.name, type(n.layer), n.inputs) for n in written.network.nodes
    ]
    ours, theirs = values(found.network), values(written.network)
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name: str, tmp_path: Path) -> None:
    model = Model(Network.chain(LAYERS[name]))
    found = read_back(model, tmp_path)
    check_same(found, model)
    layer: Any = found.network.nodes[0].layer
    for each in fields(layer):
        ours, theirs = getattr(layer, each.name), getattr(LAYERS[name], each.name)
        if isinstance(theirs, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
        elif isinstance(theirs, (str, bool, float)):
            assert ours == theirs, each.name
    for key, array in LAYERS[name].parameters.items():
        if array.size > 1:
            assert layer.parameters[key].dtype == array.dtype


def test_every_type_of_layer_is_among_them() -> None:
    from cnncli.network.toml_types import LAYER_TYPES

    joins = {node.layer.op for node in branches().nodes}
    assert {layer.op for layer in LAYERS.values()} | joins | {"dense"} == set(LAYER_TYPES)


def branches() -> Network:
    """A network of every join, and of a layer that goes back to the input."""
    return Network(
        (
            Node("a", ConvLayer(bank(3, 3, 3, 3)), (SOURCE,)),
            Node("all", PoolLayer("average", "global"), ("a",)),
            Node("gate", MulLayer(), ("a", "all")),
            Node("sum", AddLayer(), ("gate", SOURCE, "a")),
            Node("again", ActivationLayer("tanh"), (SOURCE,)),
            Node("less", SubLayer(), ("sum", "again")),
            Node("share", DivLayer(), ("less", "a")),
            Node("most", MaxLayer(), ("share", "again", "a")),
            Node("least", MinLayer(), ("most", "less")),
            Node("both", ConcatLayer(), ("least", "again")),
            Node("below", ConcatLayer("rows"), ("both", "both")),
            Node("one", ReduceLayer("mean", ("channels",)), ("below",)),
            Node("product", MatMulLayer(), ("one", "all")),
        )
    )


def test_joins(tmp_path: Path) -> None:
    model = Model(branches())
    check_same(read_back(model, tmp_path), model)


def test_input_section(tmp_path: Path) -> None:
    prepared = Preparation(
        **{"gray": True, "size": (20, 30), "fit": "crop", "scale": 255.0, "mean": 0.25},
        **{"std": 2.0, "whole": True},
    )
    layer = prepared.layer()
    assert layer is not None
    nodes = Node(NORMALIZE, layer, (SOURCE,)), Node("max", PoolLayer(), (NORMALIZE,))
    model = Model(Network(nodes), prepared, classes=("cat", 'a "dog"'))
    text, _ = write_network(model, "w.npz")
    assert tomllib.loads(text)["input"] == {
        **{"gray": True, "size": [20, 30], "fit": "crop", "scale": 255.0, "mean": 0.25},
        **{"std": 2.0, "whole": True},
    }
    (tmp_path / "net.toml").write_text(text)
    found = load_model(tmp_path / "net.toml")
    assert (found.input, found.classes) == (prepared, model.classes)
    X = np.random.default_rng(71).random((1, 9, 8, 1))
    np.testing.assert_array_equal(
        forward(found.network, X).values["max"], forward(model.network, X).values["max"]
    )


def test_means_of_each_channel(tmp_path: Path) -> None:
    prepared = Preparation(scale=255.0, mean=(1.5, 2.0, 3.0), bgr=True)
    layer = prepared.layer()
    assert layer is not None
    nodes = Node(NORMALIZE, layer, (SOURCE,)), Node("max", PoolLayer(), (NORMALIZE,))
    found = read_back(Model(Network(nodes), prepared), tmp_path)
    assert found.input == prepared
    X = np.full((1, 2, 2, 3), 0.5)
    expected = [127.5 - 1.5, 127.5 - 2, 127.5 - 3]
    np.testing.assert_allclose(forward(found.network, X).values[NORMALIZE][0, 0, 0], expected)


def test_only_what_is_no_default_is_written() -> None:
    network = Network.chain(ConvLayer(load_filter("1 2; 3 4")), PoolLayer("max", 3, 2))
    text, arrays = write_network(Model(network), "w.npz", comment="Two layers.\nOf mine.")
    assert text == (
        "# Two layers.\n# Of mine.\n\n"
        '[[layers]]\nname = "conv1"\ntype = "conv"\nfilter = "w.npz:conv1.weight"\n'
        'padding = "same"\n\n'
        '[[layers]]\nname = "pool1"\ntype = "pool"\nmode = "max"\nsize = 3\nstride = 2\n'
        'padding = "valid"\n'
    )
    assert arrays["conv1.weight"].shape == (2, 2)


@pytest.mark.parametrize("name", ['a"b\\c', "Größe ü 𝄞", "nabla\u2028x", "a/b", "../x", "a:b"])
def test_names_of_all_kinds(name: str, tmp_path: Path) -> None:
    network = Network((Node(name, ConvLayer(bank(1, 1, 3, 2)), (SOURCE,)),))
    text, _ = write_network(Model(network), "w.npz")
    assert tomllib.loads(text)["layers"][0]["name"] == name
    if name.isprintable():
        check_same(read_back(Model(network), tmp_path), Model(network))


def test_a_name_that_is_no_text() -> None:
    with pytest.raises(OptionError, match="UTF-8"):
        write_network(Model(branches()), "\udcff.npz")


@pytest.mark.parametrize(
    "weights",
    [
        "w.npz",
        "deep/w.npz",
        "w.NPZ",
        pytest.param("w.safetensors", marks=pytest.mark.oracle),
        pytest.param("w.SafeTensors", marks=pytest.mark.oracle),
    ],
)
def test_files_of_weights(weights: str, tmp_path: Path) -> None:
    if weights.lower().endswith("safetensors"):
        pytest.importorskip("safetensors")
    model = Model(branches())
    check_same(read_back(model, tmp_path, weights), model)


def test_other_files_of_weights_are_refused() -> None:
    check_files(Path("net.TOML"), Path("w.NPZ"), overwrite=False)
    with pytest.raises(OptionError, match=r"\.npz or \.safetensors, got 'w\.pt'"):
        check_files(Path("net.toml"), Path("w.pt"), overwrite=False)


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    with pytest.raises(FileProblem) as caught:
        encode_weights({"a": np.zeros(1)}, ".safetensors")
    assert caught.value.hint == "pip install 'cnncli[safetensors]'"


def test_weights_are_the_same_bytes_each_time() -> None:
    _, arrays = write_network(Model(branches()), "w.npz")
    assert encode_weights(arrays, ".npz") == encode_weights(arrays, ".npz")
