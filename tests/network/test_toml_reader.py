"""Network files: what they say is what is built, and what is wrong in them is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import FileProblem, ShapeError
from cnncli.filters.filter import from_array
from cnncli.network.conventions import CONVENTIONS, by_convention
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    MulLayer,
    PadLayer,
    PoolLayer,
    ScaleLayer,
)
from cnncli.network.load import load_model
from cnncli.network.model import Model
from cnncli.network.passes import forward_layers
from cnncli.network.toml_reader import MAX_BYTES, MAX_LAYERS
from tests.support.judges import loop_conv_forward
from tests.support.shell import npy_bytes, save_array, values_of

RNG = np.random.default_rng(5)

pytestmark = pytest.mark.usefixtures("empty_folder")


def write(text: str, path: str = "net.toml") -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return Path(path)


def model(text: str, **settings: Any) -> Model:
    return load_model(write(text), **settings)


def layer(fields: str, **settings: Any) -> Any:
    """Return the one layer of a network file."""
    return model(f"[[layers]]\n{fields}", **settings).network.nodes[-1].layer


def refusal(text: str, **settings: Any) -> str:
    with pytest.raises(FileProblem) as caught:
        model(text, **settings)
    message = str(caught.value)
    assert message.isprintable() and message.startswith("'net.toml': "), message
    return message.removeprefix("'net.toml': ")


def output(text: str, X: np.ndarray) -> np.ndarray:
    ((_, Y),) = forward_layers(model(text).network, X)
    return Y


def test_default_names_leave_out_those_that_are_given() -> None:
    found = model(
        '[[layers]]\ntype="pool"\n[[layers]]\ntype="pool"\n'
        '[[layers]]\nname="pool1"\ntype="pad"\npadding=1\n[[layers]]\ntype="pad"\npadding=0\n'
    )
    assert found.network.names == ("pool2", "pool3", "pool1", "pad1")
    assert found.network.is_chain


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("stride = 2", {"stride": 2}),
    ("stride = [2, 3]", {"stride": (2, 3)}),
    ('padding = "same-lower"', {"padding": "same-lower"}),
    ("padding = 0", {"padding": 0}),
    ("padding = [1, 2]", {"padding": (1, 2)}),
    ("padding = [1, 2, 3, 4]", {"padding": (1, 2, 3, 4)}),
    ('padding = 1\npad_mode = "wrap"', {"padding": 1, "pad_mode": "wrap"}),
    ("padding = 1\npad_value = -0.5", {"padding": 1, "pad_mode": "zeros", "pad_value": -0.5}),
    ("dilation = [1, 2]", {"dilation": (1, 2)}),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [*OPTIONS, ("groups = 3", {"groups": 3}), ('algorithm = "matmul"', {"algorithm": "matmul"})],
)
def test_fields_of_conv_are_its_options(fields: str, expected: dict[str, Any]) -> None:
    save_array("w.npy", np.ones((3, 3, 1, 6)))
    found = layer(f'type = "conv"\nfilter = "w.npy"\n{fields}')
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        *((text, want) for text, want in OPTIONS if "pad_" not in text),
        ('mode = "lp"\np = 3', {"mode": "lp", "p": 3.0}),
        ('mode = "lp"\np = inf', {"mode": "lp", "p": np.inf}),
        ('size = "global"', {"size": "global"}),
        ("size = [3, 2]\nceil = true", {"size": (3, 2), "ceil": True}),
        (
            'mode = "average"\ncount_include_pad = true',
            {"mode": "average", "count_include_pad": True},
        ),
    ],
)
def test_fields_of_pool_are_its_options(fields: str, expected: dict[str, Any]) -> None:
    assert layer(f'type = "pool"\n{fields}') == PoolLayer(**expected)


@pytest.mark.parametrize(("fields", "expected"), [o for o in OPTIONS if "padding" in o[0]])
def test_fields_of_pad_are_its_options(fields: str, expected: dict[str, Any]) -> None:
    assert layer(f'type = "pad"\n{fields}') == PadLayer(**expected)


def test_other_layers() -> None:
    np.savez("w.npz", m=np.array([1.0, 2.0, 3.0]), alpha=np.full((1, 1, 3), 0.5, np.float32))
    norm = layer('type = "batchnorm"\nmean = "w.npz:m"\nvar = [1, 2, 4]\nepsilon = 0.5')
    assert isinstance(norm, BatchNormLayer)
    given = [array.tolist() for array in norm.parameters.values()]
    assert given == [[1.0], [0.0], [1.0, 2.0, 3.0], [1.0, 2.0, 4.0]] and norm.epsilon == 0.5
    scale = layer('type = "scale"\nfactor = 2\noffset = [0.5, 1, 1]')
    assert isinstance(scale, ScaleLayer)
    assert [v.tolist() for v in scale.parameters.values()] == [[2.0], [0.5, 1.0, 1.0]]
    act = layer('type = "activation"\nactivation = "prelu"\nalpha = "w.npz:alpha"')
    assert isinstance(act, ActivationLayer) and act.alpha is not None
    assert act.alpha.tolist() == [0.5, 0.5, 0.5]
    clip = layer('type = "activation"\nactivation = "clip"\nlow = 0\nhigh = 6')
    assert (clip.low, clip.high) == (0, 6)


def test_joins_name_their_inputs() -> None:
    text = "".join(
        f'[[layers]]\nname="{kind}"\ntype="{kind}"\ninputs=["input", "p"]\n'
        for kind in ("add", "mul", "concat")
    )
    found = model(f'[[layers]]\nname="p"\ntype="pad"\npadding=0\n{text}').network
    assert [type(node.layer) for node in found.nodes[1:]] == [AddLayer, MulLayer, ConcatLayer]
    assert {node.inputs for node in found.nodes[1:]} == {("input", "p")}


VIEW = """
[[layers]]
type = "view"
shape = [1, 2, -1, 3, 3]
permutation = [0, 2, 1, 3, 4]
new_shape = [1, 4, 3, 3]
channels = 4
"""


@pytest.mark.parametrize("before", ["[input]\nsize = [3, 3]", ""])
def test_a_view_shuffles_channels(before: str) -> None:
    X = np.random.default_rng(3).random((1, 3, 3, 4))
    np.testing.assert_array_equal(output(before + VIEW, X), X[..., [0, 2, 1, 3]])


def test_space_to_depth_tells_how_many_channels_the_input_has() -> None:
    np.save("w.npy", np.ones((1, 1, 16, 2)))
    text = '[[layers]]\ntype = "space-to-depth"\nblock = 2\n'
    text += '[[layers]]\ntype = "conv"\nfilter = "w.npy"\n'
    assert output(text, np.ones((1, 2, 2, 4))).max() == 16


def test_an_input_of_one_channel_serves_those_that_a_layer_needs() -> None:
    text = (
        '[[layers]]\ntype = "reduce"\nmode = "l2"\naxes = ["channels"]\n'
        '[[layers]]\ntype = "mul"\ninputs = ["reduce1", "input"]\n'
        '[[layers]]\ntype = "scale"\nfactor = [1, 2, 3, 4, 5, 6, 7]\n'
    )
    assert model(text).network.output_shape((1, 4, 4, 7)) == (1, 4, 4, 7)


def test_input_section_scales_in_front_of_all_that_read_the_input() -> None:
    found = model(
        "[input]\ngray = true\nsize = [4, 6]\nscale = 255\nmean = 100.0\nstd = [50]\n"
        '[[layers]]\ntype="pool"\nsize=1\n[[layers]]\ntype="add"\ninputs=["input", "pool1"]\n'
    )
    assert (found.input.gray, found.input.size) == (True, (4, 6))
    assert found.network.names == ("normalize", "pool1", "add1")
    assert found.network.nodes[2].inputs == ("normalize", "pool1")
    X = RNG.random((1, 4, 6, 1))
    ((_, Y),) = forward_layers(found.network, X)
    np.testing.assert_allclose(Y, 2 * (X * 255 - 100) / 50)


def test_an_input_section_of_defaults_adds_no_layer() -> None:
    assert model('[input]\ngray = false\n[[layers]]\ntype="pool"\n').network.names == ("pool1",)


def test_fields_of_the_input_are_the_options_of_run() -> None:
    image = np.random.default_rng(8).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(image).save("photo.png")
    for name, field, options in (
        ("prep", 'prep = "imagenet"', ["--prep", "imagenet"]),
        ("both", 'std = 0.5\nprep = "imagenet"', ["--prep", "imagenet", "--std", "0.5"]),
        ("size", "size = 6", ["--size", "6"]),
        ("pair", "size = [6, 4]", ["--size", "6,4"]),
    ):
        Path("net.toml").write_text("[[layers]]\ntype = 'pool'")
        Path(f"{name}.toml").write_text(f"[input]\n{field}\n[[layers]]\ntype = 'pool'")
        asked = values_of("run", "net.toml", "photo.png", *options)
        np.testing.assert_array_equal(values_of("run", f"{name}.toml", "photo.png"), asked)


def test_paths_start_at_the_network_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[[layers]]\ntype="conv"\nfilter="w/a.npy"\nbias="w/b.npy"\n', "nets/net.toml")
    Path("nets/w").mkdir()
    save_array("nets/w/a.npy", np.full((1, 1, 3, 2), 7.0))
    save_array("nets/w/b.npy", np.array([1.0, 2.0]))
    found = load_model(Path("nets/net.toml"))
    conv = found.network.nodes[0].layer
    assert isinstance(conv, ConvLayer) and conv.bias is not None
    assert conv.filter.weights.max() == 7 and conv.bias.tolist() == [1, 2]
    assert found.files == tuple(Path("nets", name) for name in ("net.toml", "w/a.npy", "w/b.npy"))


def test_a_file_of_the_current_folder_never_stands_for_a_built_in() -> None:
    save_array("edge", np.full((1, 1), 9.0))
    write('[[layers]]\ntype="conv"\nfilter="edge"\n', "nets/net.toml")
    assert load_model(Path("nets/net.toml")).network.nodes[0].layer.parameters["W"].max() == 8


def names_of(fields: str) -> tuple[str, ...]:
    found: ConvLayer = layer(f'name = "c"\ntype = "conv"\n{fields}')
    return found.filter.map_names


def test_maps_are_numbered_or_named_after_their_filter() -> None:
    save_array("w.npy", np.ones((1, 1, 3, 12)))
    save_array("one.npy", np.ones((1, 1, 3)))
    assert names_of('filter = "w.npy"')[:2] == ("0", "1")
    assert names_of('filter = "one.npy"') == ("0",)
    assert names_of('filter = "1 2"') == names_of("filter = [[1, 2]]") == ("",)
    assert names_of('filter = "robinson"')[0] == "robinson_n"
    assert names_of('filter = ["sobel_h", "edge.npy"]') == ("sobel_h", "edge")


def test_inline_lists_are_read_in_either_layout() -> None:
    bank = RNG.integers(-4, 5, (2, 3, 3, 4)).tolist()
    hwio = layer(f'type = "conv"\nfilter = {bank}').filter.weights
    oihw = layer(f'type = "conv"\nfilter = {bank}\nfilter_layout = "oihw"').filter.weights
    assert hwio.tolist() == bank
    np.testing.assert_array_equal(oihw, np.transpose(bank, (2, 3, 1, 0)))


def test_lines_of_numbers_do_not_count_as_layers() -> None:
    rows = ",\n".join(f"[[{row}, 1, 2]]" for row in range(MAX_LAYERS + 1))
    found = layer(f'type = "conv"\nfilter = [\n{rows}\n]')
    assert found.filter.weights.shape == (MAX_LAYERS + 1, 1, 3, 1)


def test_flip_and_normalize() -> None:
    found = model('[[layers]]\ntype="conv"\nfilter="1 2 5"\nflip=true\nnormalize=true\n')
    weights = found.network.nodes[0].layer.parameters["W"]
    np.testing.assert_allclose(weights.ravel(), [5 / 8, 2 / 8, 1 / 8])
    assert any("divided by 8" in note for note in found.notes)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_weights_of_pytorch(multiplier: int) -> None:
    X = RNG.random((1, 6, 5, 3))
    W = RNG.normal(size=(3 * multiplier, 1, 3, 3))
    save_array("w.npy", W)
    fields = 'type="conv"\nfilter="w.npy"\nfilter_layout="oihw"\ngroups=3\npadding=1\n'
    expected = loop_conv_forward(
        X,
        W.transpose(2, 3, 1, 0),
        np.zeros((1, 1, 1, len(W))),
        {"stride": 1, "pad": 1, "groups": 3},
    )
    np.testing.assert_allclose(output(f"[[layers]]\n{fields}", X), expected, atol=1e-12)


def test_weights_and_bias_of_one_archive() -> None:
    np.savez("l.npz", W=np.ones((1, 1, 3, 2)), b=np.array([5.0, 6.0]))
    found = layer('type = "conv"\nfilter = "l.npz"')
    assert found.parameters["b"].tolist() == [5, 6]


@pytest.mark.oracle
def test_safetensors() -> None:
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    weights = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
    save_file({"c.weight": weights, "c.bias": weights[:, 0, 0, 0].copy()}, "w.safetensors")
    fields = 'type="conv"\nfilter_layout="oihw"\nfilter="w.safetensors:c.weight"\n'
    found = layer(f'{fields}bias="w.safetensors:c.bias"')
    np.testing.assert_array_equal(found.filter.weights, weights.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(found.bias, weights[:, 0, 0, 0])
    hollow = layer(f'{fields}bias="w.safetensors:c.bias"', weights=False)
    assert hollow.filter.weights.shape == (3, 3, 3, 4)
    assert not hollow.filter.weights.any() and hollow.filter.weights.dtype == np.float32


def sparse_npy(path: str, shape: tuple[int, ...]) -> None:
    """Write a float32 .npy file whose data are a hole."""
    Path(path).write_bytes(npy_bytes(np.zeros((0, *shape[1:]), np.float32)))
    header = Path(path).read_bytes().replace(b"(0,", f"({shape[0]},".encode())
    # The header is padded with spaces: what the number takes, the padding gives.
    spare = len(str(shape[0])) - 1
    Path(path).write_bytes(header.replace(b" " * (spare + 1) + b"\n", b" \n"))
    os.truncate(path, len(Path(path).read_bytes()) + 4 * int(np.prod(shape)))


def test_without_weights_headers_are_all_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sparse_npy("huge.npy", (1000, 1000, 100, 5000))
    assert os.path.getsize("huge.npy") > 10**12
    text = '[[layers]]\ntype="conv"\nfilter="huge.npy"\nflip=true\nnormalize=true\n'
    found = model(text, weights=False).network.nodes[0].layer
    assert found.parameters["W"].shape == (1000, 1000, 100, 5000)
    assert found.parameters["W"].strides == (0, 0, 0, 0)
    assert found.output_shape((1, 1500, 1200, 100)) == (1, 1500, 1200, 5000)
    assert "at most" in refusal(text)


def test_without_weights_archives_are_not_unpacked() -> None:
    np.savez("w.npz", a=np.ones((3, 3, 3, 400)), b=np.ones(400))
    # Damage in the data: whoever reads it meets a wrong checksum.
    data = bytearray(Path("w.npz").read_bytes())
    data[data.index(np.float64(1).tobytes() * 400) + 80_000] ^= 1
    Path("w.npz").write_bytes(data)
    text = '[[layers]]\ntype="conv"\nfilter="w.npz:a"\nbias="w.npz:b"\n'
    found = model(text, weights=False).network.nodes[0].layer
    shapes = [array.shape for array in found.parameters.values()]
    assert shapes == [(3, 3, 3, 400), (400,)]
    assert "layer conv1: filter: 'w.npz': corrupt" in refusal(text)


CONV = '[[layers]]\nname = "c"\ntype = "conv"\n'
POOL = '[[layers]]\ntype = "pool"\n'


@pytest.mark.parametrize("text", [POOL * 10**6, POOL * (MAX_LAYERS + 1), "# " + "x" * MAX_BYTES])
def test_too_large_files_are_refused_without_being_parsed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tomllib.loads")
    assert str(MAX_LAYERS) in refusal(text)


def test_as_many_layers_as_are_read() -> None:
    assert len(model('[[layers]]\ntype="pool"\nsize=1\n' * MAX_LAYERS).network.nodes) == MAX_LAYERS


@pytest.mark.parametrize("data", [b"\xff\xfe[\x00", b"\x89PNG\r\n\x1a\n", b"\x00" * 100])
def test_what_is_no_toml(data: bytes) -> None:
    Path("net.toml").write_bytes(data)
    with pytest.raises(FileProblem, match="^'net.toml': not (TOML|a network file)"):
        load_model(Path("net.toml"))


def test_the_mark_of_utf_8_is_skipped() -> None:
    Path("net.toml").write_text(POOL, encoding="utf-8-sig")
    assert load_model(Path("net.toml")).network == model(POOL).network


@pytest.mark.parametrize("name", ["net.txt", "net", "missing.toml"])
def test_what_is_no_network_file(name: str) -> None:
    if "missing" not in name:
        write(POOL, name)
    with pytest.raises(FileProblem, match=f"'{name}'"):
        load_model(Path(name))


def test_sizes_wait_for_the_image_where_none_is_given() -> None:
    # 7x7 fits no input of 4 rows, yet many others.
    assert model(f"{POOL}size = 7").input.size is None


def test_a_file_that_is_not_there_is_named_once(empty_folder: Path) -> None:
    with pytest.raises(FileProblem) as caught:
        load_model(Path("none.toml"))
    assert str(caught.value) == "'none.toml': cannot be read: No such file or directory"


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("pool", ["max", "average"])
def test_an_input_of_any_channels_may_be_joined_before_the_first_bank(
    pool: str, channels: int
) -> None:
    np.save("w.npy", np.ones((1, 1, 2 * channels + 8, 1)))
    text = (
        f'[[layers]]\ntype = "pool"\nmode = "{pool}"\nsize = 1\n'
        f'[[layers]]\ntype = "conv"\nfilter = "1"\n'
        '[[layers]]\nname = "k"\ntype = "conv"\nfilter = "k.npy"\n'
        '[[layers]]\ntype = "concat"\ninputs = ["input", "conv1", "k"]\n'
        '[[layers]]\ntype = "conv"\nfilter = "w.npy"\npadding = "valid"\n'
    )
    np.save("k.npy", np.ones((1, 1, channels, 8)))
    assert model(text).network.output_shape((1, 4, 4, channels)) == (1, 4, 4, 1)
    text = text.replace('"k.npy"', '["1", "2", "3", "4", "5", "6", "7", "8"]')
    np.save("w.npy", np.ones((1, 1, 10 * channels, 1)))
    assert model(text).network.output_shape((1, 4, 4, channels)) == (1, 4, 4, 1)


def test_layers_that_double_their_channels_are_refused_in_time() -> None:
    names = ["input", *(f"c{number}" for number in range(900))]
    text = "".join(
        f'[[layers]]\nname = "{name}"\ntype = "concat"\ninputs = ["{before}", "{before}"]\n'
        for before, name in zip(names, names[1:], strict=False)
    )
    with pytest.raises(ShapeError, match="layer c18: a layer may have 1048576 channels"):
        model(text).network.shapes((1, 4, 4, 3))


def test_a_convention_of_another_tool_is_a_field(empty_folder: Path) -> None:
    image = np.random.default_rng(4).normal(size=(1, 7, 9, 1))
    kernel = 'filter = "1 2; 4 8"\n'
    ours = model(f'{CONV}{kernel}convention = "scipy"').network.nodes[0].layer
    plain = model(f"{CONV}{kernel}").network.nodes[0].layer
    assert isinstance(ours, ConvLayer)
    assert isinstance(plain, ConvLayer)
    expected = by_convention(plain, CONVENTIONS["scipy"]).forward(image)[0]
    assert np.array_equal(ours.forward(image)[0], expected)
    with pytest.raises(FileProblem, match="torch, tf, onnx"):
        model(f'{POOL}convention = "scipy"')


def test_matrices_of_a_transposed_convolution_make_a_channel_each() -> None:
    X = RNG.normal(size=(1, 3, 4, 1))
    built = layer("type = 'conv-transpose'\nfilter = ['1 2; 3 4', '5 6; 7 8']\nbias = [1, 2]")
    bank = np.arange(1.0, 9).reshape(2, 2, 2).transpose(1, 2, 0)[..., None]
    expected = ConvTransposeLayer(from_array(bank), np.array([1.0, 2.0])).forward(X)[0]
    np.testing.assert_allclose(built.forward(X)[0], expected)
    with pytest.raises(ShapeError, match="takes 1 channels"):
        built.output_shape((1, 3, 4, 3))
