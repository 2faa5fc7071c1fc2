"""Dense layers of network files: as PyTorch and Keras count the values, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnncli
from cnncli.errors import FileProblem, ShapeError
from cnncli.network.load import load_model
from cnncli.network.model import SizeNeeded
from cnncli.network.passes import forward
from tests.support.shell import refused, run_cli, save_array, values_of

RNG = np.random.default_rng(12)
X = RNG.random((1, 4, 6, 3))
W = RNG.normal(size=(24 // 4 * 3, 5))
POOLED = X.reshape(1, 2, 2, 3, 2, 3).max(axis=(2, 4))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("w.npz", fc=W, bias=np.arange(5.0))
    save_array("x.npy", X[0])


def output(dense: str, before: str = "type = 'pool'", top: str = "") -> Any:
    text = f"{top}\n[[layers]]\n{before}\n[[layers]]\nname = 'fc'\ntype = 'dense'\n{dense}"
    Path("net.toml").write_text(text)
    return load_model(Path("net.toml"))


SIZED = "[input]\nsize = [4, 6]\n"


def test_keras_counts_channels_last_and_pytorch_first() -> None:
    given = 'filter = "w.npz:fc"\nbias = "w.npz:bias"'
    network = output(given, top=SIZED).network
    expected = POOLED.reshape(-1) @ W + np.arange(5)
    found = forward(network, X).values["fc"]
    assert found.shape == (1, 1, 1, 5)
    np.testing.assert_allclose(found.ravel(), expected)
    np.savez("w.npz", fc=W.T, bias=np.arange(5.0))
    network = output(f'{given}\nfilter_layout = "oihw"', top=SIZED).network
    expected = POOLED.transpose(0, 3, 1, 2).reshape(-1) @ W + np.arange(5)
    np.testing.assert_allclose(forward(network, X).values["fc"].ravel(), expected)


@pytest.mark.parametrize("layout", ["hwio", "oihw"])
@pytest.mark.parametrize(
    "top, channels",
    [
        ("[input]\nsize = [2, 3]\n", 1),
        ("[input]\nsize = [2, 3]\n", 3),
        ("[input]\nsize = [2, 3]\nchannels = 2\n", 2),
        ("[input]\nsize = [1, 1]\n", 5),
    ],
)
def test_the_first_layer_may_be_one(top: str, channels: int, layout: str) -> None:
    size = (1, 1) if "[1, 1]" in top else (2, 3)
    image = np.random.default_rng(2).normal(size=(*size, channels))
    W = np.random.default_rng(3).normal(size=(image.size, 2))
    np.save("w.npy", W if layout == "hwio" else W.T)
    dense = f'[[layers]]\ntype = "dense"\nfilter = "w.npy"\nfilter_layout = "{layout}"\n'
    Path("first.toml").write_text(top + dense, "utf-8")
    values = image if layout == "hwio" else image.transpose(2, 0, 1)
    found = forward(load_model(Path("first.toml")).network, image[None]).values["dense1"]
    np.testing.assert_allclose(found.ravel(), values.ravel() @ W)


def test_a_first_one_of_colour_pictures_takes_a_grey_one_three_times() -> None:
    save_array("w.npy", np.random.default_rng(3).normal(size=(27, 2)).astype(np.float32))
    Path("first.toml").write_text("[[layers]]\ntype = 'dense'\nfilter = 'w.npy'\n")
    grey = np.arange(0, 243, 27, np.uint8).reshape(3, 3)
    Image.fromarray(grey).save("grey.png")
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save("colour.png")
    found, expected = (values_of("run", "first.toml", name) for name in ("grey.png", "colour.png"))
    np.testing.assert_array_equal(found, expected)
    layer = load_model(Path("first.toml")).network.node("dense1").layer
    with pytest.raises(ShapeError, match=r"its matrix takes 27 values \(3x3x3\), not 3x3x4"):
        layer.output_shape((1, 3, 3, 4))


def test_sizes_that_need_not_be_given() -> None:
    pool = "type = 'pool'\nmode = 'average'\nsize = 'global'"
    behind = output("filter = [[1, 0], [0, 1], [1, 1.5]]\nactivation = 'softmax'", pool)
    mean = X.mean(axis=(1, 2)).ravel()
    scores = np.exp([mean[0] + mean[2], mean[1] + 1.5 * mean[2]])
    found = forward(behind.network, X).values["fc"].ravel()
    np.testing.assert_allclose(found, scores / scores.sum())
    square = output('filter = "w.npz:fc"', "type = 'conv'\nfilter = [[[[1, 0]], [[0, 1]]]]")
    assert square.network.node("fc").layer.output_shape((1, 3, 3, 2)) == (1, 1, 1, 5)


def test_plan_reads_no_weights_and_convert_writes_it() -> None:
    output('filter = "w.npz:fc"', top=SIZED)
    assert "1x1x5" in run_cli("plan", "net.toml").stdout
    run_cli("convert", "net.toml", "-o", "own.toml")
    assert 'type = "dense"' in Path("own.toml").read_text()
    own = values_of("run", "own.toml", "x.npy")
    np.testing.assert_array_equal(own, values_of("run", "net.toml", "x.npy"))
    np.testing.assert_allclose(own.ravel(), POOLED.reshape(-1) @ W, rtol=1e-12)


@pytest.mark.parametrize(
    ("dense", "top", "message"),
    [
        ('filter = "w.npz:fc"', "[input]\nsize = [8, 8]\n", "18 values, not 4x4x3 of pool1"),
        ('filter = "w.npz:bias"', SIZED, r"needs a matrix, got shape \(5,\)"),
        ("filter = [[[1]]]", SIZED, "needs a matrix"),
        ('filter = "none.npy"', SIZED, "no such file"),
        ('filter = "w.npz:fc"\nbias = [1, 2]', SIZED, "bias"),
        ('filter = "w.npz:fc"\nstride = 2', SIZED, "no field"),
        ('filter = "w.npz:fc"\nactivation = "soft"', SIZED, "activation"),
    ],
)
def test_refused(dense: str, top: str, message: str) -> None:
    with pytest.raises(FileProblem, match=message) as caught:
        output(dense, top=top)
    assert "layer fc" in str(caught.value)


def test_a_size_that_must_be_given() -> None:
    with pytest.raises(FileProblem, match="30 values") as caught:
        output("filter = " + str(np.ones((30, 2)).tolist()))
    assert "size = [H, W] in [input]" in caught.value.hint


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 2, 3), (4, 6, 3)])
def test_pictures_of_another_size_are_refused_and_not_slid_over(shape: tuple[int, ...]) -> None:
    output("filter = " + str(np.ones((12, 2)).tolist()))
    np.save("other.npy", np.ones(shape))
    for command in (["run", "net.toml", "other.npy"], ["plan", "net.toml", "--image", "other.npy"]):
        assert "layer fc: its matrix takes 12 values (2x2x3)" in refused(*command, code=2)


def test_the_picture_tells_the_size_of_an_input_that_is_no_square() -> None:
    np.savez("w.npz", fc=W)
    Path("net.toml").write_text(
        "[[layers]]\ntype = 'pool'\n[[layers]]\ntype = 'dense'\nfilter = 'w.npz:fc'\nname = 'fc'"
    )
    expected = POOLED.reshape(-1) @ W
    np.testing.assert_allclose(values_of("run", "net.toml", "x.npy").ravel(), expected, rtol=1e-6)
    assert "dense 2x3" in run_cli("plan", "net.toml", "--image", "x.npy").stdout
    assert "dense 2x3" in run_cli("plan", "net.toml", "--input", "4x6x3").stdout
    run_cli("grad", "net.toml", "x.npy", "--unit", "fc:2", "-o", "gradient.npy")
    assert np.load("gradient.npy").shape == (4, 6, 3)
    assert "fc, dense" in run_cli("explain", "net.toml", "x.npy").stdout
    assert cnncli.load("net.toml").run("x.npy")["fc"].shape == (1, 1, 5)


def test_an_unknown_size_is_asked_for() -> None:
    with pytest.raises(SizeNeeded, match="18 values, which no square picture gives") as caught:
        output('filter = "w.npz:fc"')
    assert caught.value.hint == "size = [H, W] in [input] (--size H,W)"
    assert "--input HxW" in refused("plan", "net.toml")
    np.save("other.npy", np.ones((8, 6, 3)))
    assert "takes 18 values, not 4x3x3 of pool1" in refused("run", "net.toml", "other.npy")
    np.savez("w.npz", fc=W.T)
    assert 'filter_layout = "oihw" turns it' in refused("run", "net.toml", "x.npy")


def test_any_number_of_channels_that_fits_is_read() -> None:
    network = output("filter = " + str(np.ones((2 * 3 * 5, 2)).tolist()), top=SIZED).network
    assert network.shapes((1, 4, 6, 5))["fc"] == (1, 1, 1, 2)


def test_its_filters_are_taken_with_what_makes_them_a_dense_layer() -> None:
    output('filter = "w.npz:fc"\nactivation = "relu"', top=SIZED)
    save_array("small.npy", POOLED[0])
    result = run_cli("conv", "small.npy", "-f", "net.toml:fc", "-o", "map.npy")
    said = result.stderr.partition("its layer has ")[2].split()
    assert said == ["--padding", "valid", "--activation", "relu"]
    np.testing.assert_array_equal(
        values_of("conv", "small.npy", "-f", "net.toml:fc", *said).ravel(),
        values_of("run", "net.toml", "x.npy").ravel(),
    )


def test_a_matrix_given_the_other_way_round_is_said() -> None:
    np.savez("w.npz", fc=W.T, bias=np.arange(5.0))
    with pytest.raises(FileProblem, match="takes 5 values") as caught:
        output('filter = "w.npz:fc"\nbias = "w.npz:bias"', top=SIZED)
    assert 'filter_layout = "oihw" turns it' in caught.value.hint


def test_a_dense_layer_is_called_so() -> None:
    output('filter = "w.npz:fc"\nbias = 0', top=SIZED)
    assert "dense 2x3" in run_cli("plan", "net.toml").stdout
    text = run_cli("explain", "net.toml", "x.npy", "--layer", "fc").stdout
    assert "fc, dense (fully connected), map" in text and "bias       0" in text


@pytest.mark.parametrize(
    ("before", "top", "message"),
    [
        (
            "type = 'pool'\nsize = 30",
            "[input]\nsize = [20, 20]",
            "layer pool1: the window must fit",
        ),
        ("type = 'conv'\nfilter = 'w.npz:c'\nbias = [1, 2]", "", "layer conv1: the bias must hold"),
        (
            "type = 'conv'\nfilter = 'w.npz:c'",
            "[input]\nmean = [1, 2]",
            "scale, mean and std of the input: mean must hold 1 value or 3",
        ),
    ],
)
def test_a_fault_of_an_earlier_layer_is_told_as_that_ones(
    before: str, top: str, message: str
) -> None:
    np.savez("w.npz", fc=W, c=np.ones((3, 3, 3, 4)))
    with pytest.raises(FileProblem) as caught:
        output("filter = 'w.npz:fc'", before, top)
    assert str(caught.value).partition(": ")[2].startswith(message)


def test_the_layer_that_does_not_fit_is_named_and_not_the_dense_one() -> None:
    before = "type = 'conv'\nfilter = ['sobel_h', 'sobel_v']\n[[layers]]\nname = 'two'\n"
    before += "type = 'conv'\nfilter = [[[[1.0], [1.0], [1.0]]]]\nfilter_layout = 'hwio'"
    with pytest.raises(FileProblem, match="layer two: the filter two has 3 channels in"):
        output("filter = [[1.0], [1.0]]", before, "[input]\ngray = true\nsize = [1, 2]")
