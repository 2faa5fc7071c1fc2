"""Models whose large arrays are read from the file when they are needed: the same values."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.network.load import load_model
from cnncli.network.onnx import large_arrays
from tests.support.shell import refused, run_cli, save, values_of

onnx = pytest.importorskip("onnx")

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(3)
W = RNG.standard_normal((128, 3, 3, 3)).astype(np.float32)


def model(path: Path, *arrays: Any) -> Path:
    """Write a model of one convolution whose filters are the first array."""
    helper, kinds = onnx.helper, onnx.TensorProto
    node = helper.make_node("Conv", ["x", arrays[0].name], ["y"], pads=[1, 1, 1, 1])
    given = helper.make_tensor_value_info("x", kinds.FLOAT, (1, 3, 8, 8))
    made = helper.make_tensor_value_info("y", kinds.FLOAT, (1, 128, 8, 8))
    graph = helper.make_graph([node], "g", [given], [made], list(arrays))
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())
    return path


def weights(path: Path) -> Any:
    """Return the filters that are read, as ONNX orders them."""
    (node,) = load_model(path).network.nodes
    return node.layer.filter.weights.transpose(3, 2, 0, 1)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_large_arrays_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    array = onnx.numpy_helper.from_array(W.astype(kind), "W")
    path = model(tmp_path / "net.onnx", array)
    with path.open("rb") as stream:
        short = large_arrays.without_large_arrays(stream, path.stat().st_size)
    assert len(short) < path.stat().st_size - W.astype(kind).nbytes + 100
    assert onnx.load_model_from_string(short).graph.initializer[0].dims == array.dims
    np.testing.assert_array_equal(weights(path), W.astype(kind))


def test_numbers_of_other_fields_and_small_arrays_stay(tmp_path: Path) -> None:
    helper = onnx.helper
    listed = helper.make_tensor("W", onnx.TensorProto.FLOAT, W.shape, W.ravel().tolist())
    path = model(tmp_path / "net.onnx", listed)
    with path.open("rb") as stream:
        assert large_arrays.without_large_arrays(stream, path.stat().st_size) == path.read_bytes()
    np.testing.assert_array_equal(weights(path), W)
    small = onnx.numpy_helper.from_array(W[:, :, :1, :1].copy(), "W")
    assert small.ByteSize() < large_arrays.LARGE
    path = model(tmp_path / "small.onnx", small)
    with path.open("rb") as stream:
        assert large_arrays.without_large_arrays(stream, path.stat().st_size) == path.read_bytes()


def test_many_small_fields_are_left_to_the_parser() -> None:
    """A field for each text of a million would take longer and more than parsing them."""
    tensor = onnx.TensorProto(dims=[0], data_type=onnx.TensorProto.STRING)
    tensor.string_data.extend([b""] * 5000)
    graph = onnx.GraphProto(initializer=[tensor])
    data = onnx.ModelProto(graph=graph).SerializeToString()

    class Counting(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    stream = Counting(data)
    assert large_arrays.without_large_arrays(stream, len(data)) == data
    assert stream.reads < 4 * large_arrays.MOST_FIELDS


def test_a_link_to_a_model_in_another_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = model(tmp_path / "a" / "net.onnx", onnx.numpy_helper.from_array(W, "W"))
    link = tmp_path / "link.onnx"
    os.symlink(path, link)
    np.testing.assert_array_equal(weights(link), W)


def test_an_array_of_another_length_is_refused(tmp_path: Path) -> None:
    array = onnx.numpy_helper.from_array(W, "W")
    array.raw_data = array.raw_data[:-4]
    with pytest.raises(FileProblem, match="tensor 'W'"):
        load_model(model(tmp_path / "net.onnx", array))


@pytest.mark.parametrize("cut", [1, 100, 3000, 7000])
def test_a_file_cut_short_is_refused_in_a_line(cut: int, tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx", onnx.numpy_helper.from_array(W, "W"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert "not a readable ONNX file" in refused("plan", path)


def test_what_is_no_message_comes_back_as_it_is() -> None:
    for data in (b"", b"\xff" * 30, b"\x3a\xff\x01ab", b"\x0b", b"\x0d\x00"):
        assert large_arrays.without_large_arrays(io.BytesIO(data), len(data)) == data


def test_a_command_gives_the_values_of_the_reference(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    picture = save(tmp_path / "x.png", pixels)
    path = model(tmp_path / "net.onnx", onnx.numpy_helper.from_array(W, "W"))
    Y = values_of("run", path, picture, "--format", "npy")
    x = (pixels / np.float32(255)).transpose(2, 0, 1)[None].astype(np.float32)
    from onnx.reference import ReferenceEvaluator

    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    np.testing.assert_allclose(np.moveaxis(Y.reshape(8, 8, 128), -1, 0), expected[0], atol=1e-5)
    assert "parameters: 3,456" in run_cli("plan", path).stdout
