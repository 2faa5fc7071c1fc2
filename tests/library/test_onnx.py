"""ONNX models from Python: those that leave the size of pictures open take that of the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnncli
from cnncli.network.model import SizeNeeded
from tests.support.onnxmodels import model, node
from tests.support.shell import run_cli, save

pytestmark = pytest.mark.oracle


def test_a_model_of_open_size_is_loaded_with_the_picture(empty_folder: Path) -> None:
    weights = np.random.default_rng(4).normal(size=(3 * 5 * 6, 2)).astype(np.float32)
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f W", "y")]
    Path("net.onnx").write_bytes(model(nodes, {"W": weights}, (1, 3, "h", "w")).SerializeToString())
    save("photo.png", np.random.default_rng(5).integers(0, 256, (5, 6, 3), np.uint8))
    frames = [Image.new("RGB", (8, 7)), Image.open("photo.png")]
    frames[0].save("pages.tif", save_all=True, append_images=frames[1:])
    net = cnncli.load("net.onnx")
    assert "depend on the size" in repr(net)
    run_cli("run", "net.onnx", "photo.png", "-o", "y.npy")
    expected = np.load("y.npy")
    np.testing.assert_array_equal(np.asarray(net.run("photo.png").last), expected)
    np.testing.assert_array_equal(net.run("pages.tif", frame=1).last, expected)
    run_cli("run", "net.onnx", "pages.tif", "--frame", 1, "-o", "page.npy")
    np.testing.assert_array_equal(np.load("page.npy"), expected)
    with Image.open("photo.png") as picture:
        for image in (picture, np.asarray(picture)):
            np.testing.assert_array_equal(net.run(image).last, expected)
            assert net.plan(image=image).summary.last.shape == (1, 1, 2)
    sized = cnncli.load("net.onnx", size=(5, 6)).run("photo.png").last
    np.testing.assert_array_equal(np.asarray(sized), expected)
    assert net.plan(image="photo.png").summary.last.shape == (1, 1, 2)
    with pytest.raises(SizeNeeded) as caught:
        net.plan()
    assert caught.value.hint == "input=(H, W, C)"
