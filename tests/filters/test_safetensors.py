"""Files .safetensors: every type of numbers, broken tables, and hints; PyTorch judges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import FileProblem, OptionError, ShapeError
from cnncli.filters.files import load_array, load_bias, load_filter
from cnncli.filters.safetensors import MAX_HEADER, decode
from tests.support.shell import refused_untouched, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

Table = dict[str, object]


def write(tensors: dict[str, tuple[str, list[int], bytes]], path: str = "w.safetensors") -> Path:
    """Write a file as the format's page describes it."""
    table: Table = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, (dtype, shape, data) in tensors.items():
        table[name] = {"dtype": dtype, "shape": shape}
        table[name] |= {"data_offsets": [len(body), len(body) + len(data)]}  # type: ignore[operator]
        body += data
    return write_table(json.dumps(table).encode(), body, path)


def write_table(table: bytes, body: bytes = b"", path: str = "w.safetensors") -> Path:
    Path(path).write_bytes(len(table).to_bytes(8, "little") + table + body)
    return Path(path)


STORED = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@pytest.mark.parametrize("dtype", STORED)
def test_numbers_that_numpy_has(dtype: str) -> None:
    values = np.array([[1, 0, 1], [0, 1, 1]], STORED[dtype])
    write({"other": ("F32", [1], bytes(4)), "k": (dtype, [2, 3], values.tobytes())})
    found = load_filter("w.safetensors:k")
    assert found.weights[:, :, 0].tolist() == [[1, 0, 1], [0, 1, 1]]
    assert found.name == "w-k"
    hollow = load_array("w.safetensors:k", headers_only=True).array
    assert (hollow.shape, hollow.dtype) == ((2, 3), values.dtype)


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("BF16", bytes.fromhex("803f 0040 4040 80c0")),
        ("F8_E4M3", bytes.fromhex("38 40 44 c8")),
        ("F8_E5M2", bytes.fromhex("3c 40 42 c4")),
    ],
)
def test_halves_and_quarters_of_floats(dtype: str, data: bytes) -> None:
    write({"k": (dtype, [1, 1, 2, 2], data)})
    save_array("x.npy", np.array([[1.0, 10], [100, 1000]]))
    layer = ("-f", "w.safetensors:k", "--filter-layout", "oihw", "--padding", "valid")
    assert values_of("conv", "x.npy", *layer).ravel() == [1 + 20 + 300 - 4000]
    assert load_array("w.safetensors:k").array.dtype == np.float32
    assert load_array("w.safetensors:k", headers_only=True).array.dtype == np.float32


def test_not_a_number_of_8_bits_is_refused() -> None:
    write({"k": ("F8_E4M3", [1, 2], b"\x38\x7f")})
    with pytest.raises(FileProblem, match="every number must be finite"):
        load_filter("w.safetensors")


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("dtype", "theirs", "bits"),
    [
        ("BF16", "bfloat16", np.uint16),
        ("F8_E4M3", "float8_e4m3fn", np.uint8),
        ("F8_E5M2", "float8_e5m2", np.uint8),
    ],
)
def test_every_number_is_what_torch_has(dtype: str, theirs: str, bits: type) -> None:
    torch = pytest.importorskip("torch")
    codes = np.arange(np.iinfo(bits).max + 1).astype(bits)
    judge = torch.from_numpy(codes).view(getattr(torch, theirs)).to(torch.float32).numpy()
    np.testing.assert_array_equal(decode(codes, dtype), judge)


@pytest.mark.oracle
def test_files_of_the_safetensors_package() -> None:
    numpy_files = pytest.importorskip("safetensors.numpy")
    weights = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    numpy_files.save_file({"conv.weight": weights, "conv.bias": np.ones(2)}, "w.safetensors")
    loaded = load_filter("w.safetensors:conv.weight", layout="oihw")
    np.testing.assert_array_equal(loaded.weights, weights.transpose(2, 3, 1, 0))
    assert load_bias("w.safetensors:conv.bias", 2).array.tolist() == [1, 1]
    with pytest.raises(OptionError, match="one of its 2 arrays must be named"):
        load_filter("w.safetensors")


def entry(**changes: object) -> bytes:
    fields = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8], **changes}
    return json.dumps({"k": fields}).encode()


@pytest.mark.parametrize(
    ("table", "body", "message"),
    [
        (b"", b"", "its table"),
        (b"{", b"", "its table"),
        (b"[1]", b"", "its table"),
        (b'{"k": 1}', b"", "its table"),
        (b"\xff\xfe", b"", "its table"),
        (b"[" * 100_000, b"", "its table"),
        (entry(shape=[-1, 2]), bytes(8), "its table"),
        (entry(shape=[True, 2]), bytes(8), "its table"),
        (entry(shape="22"), bytes(8), "its table"),
        (entry(data_offsets=[8, 0]), bytes(8), "its table"),
        (entry(data_offsets=[0]), bytes(8), "its table"),
        (entry(dtype=7), bytes(8), "its table"),
        (entry(), bytes(7), "ends before its last tensor"),
        (entry(shape=[2, 2]), bytes(8), "cannot take 8 bytes"),
        (entry(dtype="F4"), bytes(8), "got 'F4'"),
        (entry(shape=[10**6, 10**6, 0]), bytes(8), "cannot take 8 bytes"),
        (entry(shape=[10**12, 10**12]), bytes(8), "a filter may take"),
    ],
)
def test_broken_files(table: bytes, body: bytes, message: str) -> None:
    write_table(table, body)
    save_array("x.npy", np.ones((3, 3)))
    assert message in refused_untouched("conv", "x.npy", "-f", "w.safetensors:k", code=1)


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\xff" * 9])
def test_files_without_a_table(data: bytes) -> None:
    Path("w.safetensors").write_bytes(data)
    with pytest.raises(FileProblem, match="not a readable .safetensors file"):
        load_filter("w.safetensors:k")


def test_a_large_table_is_refused_before_it_is_read() -> None:
    with open("w.safetensors", "wb") as file:
        file.write((MAX_HEADER + 1).to_bytes(8, "little"))
        file.truncate(MAX_HEADER + 100)
    with pytest.raises(FileProblem, match=f"may have {MAX_HEADER} bytes, got {MAX_HEADER + 1}"):
        load_filter("w.safetensors:k")


@pytest.mark.parametrize(
    ("key", "shape"),
    [("k", [10, 512]), ("k", [512, 512]), ("fc.weight", [10, 84]), ("layers.3.head", [10, 12])],
)
def test_a_matrix_of_a_dense_layer_is_no_image_filter(key: str, shape: list[int]) -> None:
    write({key: ("F32", shape, bytes(4 * shape[0] * shape[1]))})
    with pytest.raises(ShapeError, match="the weight of a dense layer, no image filter") as caught:
        load_filter(f"w.safetensors:{key}")
    assert 'type = "dense"' in (caught.value.hint or "")


@pytest.mark.parametrize("shape", [[3, 3], [1, 51], [15, 15], [5, 9], [101, 101]])
def test_a_matrix_of_an_image_filter_is_one(shape: list[int]) -> None:
    write({"k": ("F32", shape, np.ones(shape, "<f4").tobytes())})
    assert load_filter("w.safetensors").window == tuple(shape)


def test_archives_of_networks_keep_their_long_2d_filters() -> None:
    np.savez("w.npz", **{"blur.weight": np.ones((5, 201)), "fc.weight": np.ones((10, 512))})
    assert load_filter("w.npz:blur.weight").window == (5, 201)
    with pytest.raises(ShapeError, match="dense layer"):
        load_filter("w.npz:fc.weight")
