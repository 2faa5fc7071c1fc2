"""Files that are broken at random, but the same for the same seed: pictures, filters, networks."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tests.support.crafted import png, tiff

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

ODD = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 257, 32_767, 32_768, 65_535, 65_536, 2**24) + (
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8),
)
"""Values at which fields of headers tend to break."""
TOKENS = (
    b"""nan inf -inf 1e999 1e308 -0.0 1/0 1/3 0x10 1_000 True None 'O' '|V0' '<c8' '<M8[s]' '<U1'
'|b1' '>f2' '<f16' ( ) [ ] { } , ; : ' " # = - -1 0 () (0,) (3,3) (3,3,3,3) (-1,3) (True,3)
(4294967296,4294967296) (1000000000000,) 999999999999999999999999999999 False \\n \\x00""".split()
    + [
        *(
            b"\n",
            b"\0",
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"9" * 5_000,
            b"(" * 300,
            b"\xc3\xa9",
            b"\t\t",
        ),
    ]
)
"""Pieces of text that filters and headers of arrays could be made of."""
HEAD = 96


def cut(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: rnd.randrange(len(data) + 1)]


def flip_bytes(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rnd.choice((1, 1, 2, 4, 16))):
        changed[_place(rnd, data)] = rnd.randrange(256)
    return bytes(changed)


def flip_bits(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rnd.choice((1, 1, 3))):
        changed[_place(rnd, data)] ^= 1 << rnd.randrange(8)
    return bytes(changed)


def set_field(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Put an odd number where a header could have one."""
    form = rnd.choice(("B", "<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    field = struct.pack(form, rnd.choice(ODD) % 256**size)
    place = _place(rnd, data)
    return data[:place] + field + data[place + size :]


def splice(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of one file and the end of another."""
    other = rnd.choice(others)
    return data[: rnd.randrange(len(data) + 1)] + other[rnd.randrange(len(other) + 1) :]


def move_block(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Leave a block out, double it, or wipe it."""
    first = _place(rnd, data)
    last = min(len(data), first + rnd.choice((1, 2, 4, 12, 64, 500)))
    block = data[first:last]
    kept = rnd.choice((b"", block * 2, bytes(len(block)), b"\xff" * len(block)))
    return data[:first] + kept + data[last:]


def put_token(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    place = _place(rnd, data)
    return data[:place] + rnd.choice(TOKENS) + data[place + rnd.choice((0, 0, 1, 5)) :]


def lengthen(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data + rnd.choice((b"\0", data, rnd.choice(others), rnd.randbytes(2_000)))


ANY: tuple[Mutation, ...] = (
    *(cut, flip_bytes, flip_bytes, flip_bits, flip_bits, set_field, set_field, set_field),
    *(splice, move_block, move_block, lengthen),
)
TEXT: tuple[Mutation, ...] = (*ANY, put_token, put_token, put_token, put_token)


def _place(rnd: random.Random, data: bytes) -> int:
    """Any byte, half of the time one of the header."""
    size = max(1, len(data))
    return rnd.randrange(min(size, HEAD)) if rnd.random() < 0.5 else rnd.randrange(size)


def repaired(data: bytes) -> bytes:
    """Correct the checksums of a PNG, as far as its chunks hold: decoders look behind them."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + length]
        if len(body) < 4 + length:
            break
        parts.append(data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join(parts) + data[place:]


def mutated(rnd: random.Random, data: bytes, others: Sequence[bytes], text: bool = False) -> bytes:
    """Return a file with one change, now and then with more."""
    for _ in range(rnd.choice((1, 1, 1, 2, 5))):
        data = rnd.choice(TEXT if text else ANY)(rnd, data, others) or b""
        if not data:
            break
    return data


def mutated_picture(rnd: random.Random, corpus: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return a broken picture with the suffix it goes by."""
    suffix, data = rnd.choice(corpus)
    data = mutated(rnd, data, [other for _, other in corpus])
    if data.startswith(b"\x89PNG") and rnd.random() < 0.7:
        data = repaired(data)
    return suffix, data


def mutated_filter(rnd: random.Random, corpus: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return a broken filter file; of archives sometimes the members alone are broken."""
    suffix, data = rnd.choice(corpus)
    others = [other for _, other in corpus]
    if suffix == "npz" and rnd.random() < 0.5:
        return suffix, _with_broken_members(rnd, data, others)
    data = mutated(rnd, data, others, text=True)
    if suffix == "npy" and rnd.random() < 0.3:
        data = _with_true_length(data)
    return suffix, data


def _with_broken_members(rnd: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    broken = rnd.choice(sorted(parts))
    method = rnd.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, part in parts.items():
            part = mutated(rnd, part, others, text=True) if name == broken else part
            archive.writestr(name, part)
    return stream.getvalue()


def _with_true_length(data: bytes) -> bytes:
    """Correct the length of the header, so that what it says is read."""
    end = data.find(b"\n", 10)
    if not data.startswith(b"\x93NUMPY\1\0") or end < 0 or end - 9 > 65_535:
        return data
    return data[:8] + struct.pack("<H", end - 9) + data[10:]


def mutated_network(rnd: random.Random, corpus: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return a broken network file."""
    suffix, data = rnd.choice(corpus)
    others = [other for kind, other in corpus if kind == suffix]
    return suffix, mutated(rnd, data, others, text=suffix == "toml")


def picture_corpus() -> list[tuple[str, bytes]]:
    """Return small whole pictures of every format and of many of their kinds."""
    rnd = np.random.default_rng(5)
    rgb = Image.fromarray(rnd.integers(0, 256, (14, 17, 3), np.uint8))
    smooth = Image.radial_gradient("L").resize((40, 30))
    grey, palette = rgb.convert("L"), rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=9)
    deep = Image.fromarray(rnd.integers(0, 65_536, (9, 11), np.uint16))
    alpha = rgb.copy()
    alpha.putalpha(grey)
    turned = Image.Exif()
    turned[274] = 6
    frames: dict[str, Any] = {"save_all": True, "append_images": [grey.convert("P"), palette]}
    pages: dict[str, Any] = {"save_all": True, "append_images": [grey, rgb]}
    made = [
        *(("png", each, {}) for each in (rgb, grey, palette, alpha, deep, grey.convert("1"))),
        *(("png", each, {}) for each in (grey.convert("LA"), smooth)),
        *(("png", rgb, {"exif": turned}), ("png", grey, {"transparency": 7})),
        *(("jpg", each, {}) for each in (rgb, grey, smooth, rgb.convert("CMYK"))),
        *(("jpg", rgb, {"progressive": True}), ("jpg", smooth, {"exif": turned, "comment": "x"})),
        *(("gif", palette, {}), ("gif", palette, frames), ("gif", grey, {"interlace": 1})),
        *(("bmp", each, {}) for each in (rgb, grey, palette, grey.convert("1"), alpha)),
        *(("tif", each, {}) for each in (rgb, grey, deep, grey.convert("F"), palette, alpha)),
        *(("tif", grey.convert("I"), {}), ("tif", grey.convert("1"), {"compression": "group4"})),
        *(("tif", rgb, {"compression": f"tiff_{c}"}) for c in ("lzw", "adobe_deflate", "jpeg")),
        *(("tif", rgb, {"compression": "packbits"}), ("tif", rgb, pages)),
        *(("tif", rgb, {"big_tiff": True}), ("tif", smooth, {"exif": turned})),
        *(("webp", rgb, {"lossless": True}), ("webp", rgb, {}), ("webp", alpha, {})),
        *(("webp", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),),
        *(("ppm", each, {}) for each in (rgb, grey, grey.convert("1"), deep)),
        *(("avif", each, {}) for each in (rgb, alpha, smooth)),
        *(("jp2", each, {}) for each in (rgb, grey, alpha, deep)),
        *(("qoi", rgb, {}), ("qoi", alpha, {}), ("ico", rgb, {}), ("ico", alpha, {})),
        ("ico", smooth, {"bitmap_format": "bmp", "sizes": [(16, 16), (32, 32)]}),
    ]
    texts = [b"P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12\n", b"P2 3 1 9 1 2 3", b"P1\n2 2\n1 0 0 1"]
    texts += [b"Pf 2 1 -1.0\n" + struct.pack("<2f", 0.5, 2), b"P5 3 1 1000 " + bytes(6)]
    texts += [b"P6 2 1 65535 " + bytes(12), b"P3 1 1 1000 999 1 0"]
    files = [(suffix, _saved(*each)) for suffix, *each in _named(made)]
    return [*files, *(("pnm", text) for text in texts), *_deep_pictures(rnd)]


def _deep_pictures(rnd: np.random.Generator) -> list[tuple[str, bytes]]:
    """Return 16-bit colour, and TIFF files in layouts that Pillow does not read."""
    levels = rnd.integers(0, 65_536, (4, 5, 4), np.uint16)
    rows = [[row.astype(">u2").tobytes() for row in levels[..., :n]] for n in (2, 3, 4)]
    files = [("png", png(5, 4, 16, kind, r)) for kind, r in zip((4, 2, 6), rows, strict=True)]
    floats, bits = rnd.normal(size=(4, 5, 3)), (16, 16, 16)
    tiffs = [
        *(tiff(5, 4, bits, 2, levels[..., :3].astype(f"{o}u2").tobytes(), order=o) for o in "<>"),
        tiff(5, 4, (12,) * 3, 2, bytes(range(92)), extra={317: (2,)}),
        *(
            tiff(5, 4, (size * 8,) * 3, 2, floats.astype(f"f{size}").tobytes(), sample_format=3)
            for size in (2, 4, 8)
        ),
    ]
    for pack, number in ((zlib.compress, 8), (zlib.compress, 32946)):
        for predictor in (1, 2, 3):
            tags = {259: (number,), 317: (predictor,)}
            data = pack(floats.astype("f4").tobytes())
            kind = 3 if predictor == 3 else 1
            tiffs.append(tiff(5, 4, (32,) * 3, 2, data, sample_format=kind, extra=tags))
    planes = {284: (2,), 273: (8, 48, 88), 279: (40, 40, 40)}
    tiffs.append(tiff(5, 4, bits, 2, levels[..., :3].tobytes(), extra=planes))
    return files + [("tif", data) for data in tiffs]


def _named(made: Sequence[tuple[str, Image.Image, dict[str, Any]]]) -> list[tuple[Any, ...]]:
    return [(suffix, suffix, image, settings) for suffix, image, settings in made]


def _saved(suffix: str, image: Image.Image, settings: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    forms = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}
    image.save(stream, forms.get(suffix, suffix.upper()), **settings)
    return stream.getvalue()


def filter_corpus() -> list[tuple[str, bytes]]:
    """Return small whole filter files of every kind; .safetensors when it is installed."""
    rnd = np.random.default_rng(6)
    kernel, bank = rnd.normal(size=(3, 3)), rnd.normal(size=(3, 3, 3, 2)).astype(np.float32)
    arrays = [kernel, bank, np.asfortranarray(bank), kernel.astype(">f4"), kernel > 0]
    arrays += [np.arange(9, dtype="i1").reshape(3, 3), kernel.astype("f2"), np.ones((3, 3, 3))]
    found = [("npy", _npy(array)) for array in arrays]
    found += [("npy", _npy(kernel, (2, 0))), ("npy", _npy(bank, (3, 0)))]
    for members in ({"W": kernel}, {"W": bank, "b": np.ones(2)}, {"a/b": kernel, "c": kernel}):
        for save in (np.savez, np.savez_compressed):
            stream = io.BytesIO()
            save(stream, **members)
            found.append(("npz", stream.getvalue()))
    texts = [b"0 -1 0\n-1 5 -1\n0 -1 0\n", b"1/9 1/9 1/9; 1/9 1/9 1/9", b"1.5e-3\t2\n# note\n3 4"]
    found += [("txt", text) for text in texts]
    found += [("csv", b"1,2,3\r\n4,5,6\r\n7,8,9\r\n"), ("csv", b"\xef\xbb\xbf0.5,-0.5\n")]
    try:
        from safetensors.numpy import save as save_tensors
    except ImportError:
        return found
    for tensors in ({"w": bank}, {"w": kernel, "b": np.ones(2)}):
        found.append(("safetensors", save_tensors(tensors)))
    return found


def _npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


NETWORK = b"""
[input]
size = [8, 9]
scale = 255.0
mean = [1.0, 2.0, 3.0]
std = [1.0, 2.0, 3.0]

[[layers]]
name = "conv1"
type = "conv"
filter = "bank.npy"
bias = 0.5
stride = 2
padding = "same"
activation = "relu"

[[layers]]
type = "pool"
mode = "average"
size = [2, 2]
ceil = true

[[layers]]
type = "pad"
padding = [1, 0, 0, 1]
pad_mode = "edge"

[[layers]]
name = "sum"
type = "add"
inputs = ["pad1", "pad1"]

[[layers]]
type = "activation"
activation = "softmax"
"""


def network_corpus() -> list[tuple[str, bytes]]:
    """Return whole network files; ONNX models when onnx is installed."""
    found = [("toml", NETWORK)]
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return found
    W = np.random.default_rng(7).normal(size=(2, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "W"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 14, 17])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(W, "W")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return [*found, ("onnx", model.SerializeToString())]
