"""Conventions and peers, judged by the tools they speak of."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from cnncli.compare.peers import MODULES, run_peer
from cnncli.errors import CnnCliError
from cnncli.filters.filter import from_array
from cnncli.network.conventions import CONVENTIONS, by_convention
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.imagemagick import imagemagick
from tests.support.shell import run_cli

pytestmark = pytest.mark.oracle

SIDES = [(3, 3), (2, 2), (4, 3), (2, 5), (1, 6), (5, 4)]


def conv_by(name: str, kernel: np.ndarray, image: np.ndarray) -> np.ndarray:
    layer = by_convention(ConvLayer(from_array(kernel)), CONVENTIONS[name])
    return layer.forward(image[None, :, :, None])[0][0, :, :, 0]


def a_case(sides: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sides)
    return rng.normal(size=(11, 13)), rng.normal(size=sides)


@pytest.mark.parametrize("sides", SIDES)
def test_scipy_convolves_as_its_convention_says(sides: tuple[int, int]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    image, kernel = a_case(sides)
    assert np.allclose(conv_by("scipy", kernel, image), ndimage.convolve(image, kernel))


@pytest.mark.parametrize("sides", SIDES)
def test_opencv_filters_as_its_convention_says(sides: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    image, kernel = a_case(sides)
    assert np.allclose(conv_by("opencv", kernel, image), cv2.filter2D(image, -1, kernel))


@pytest.mark.parametrize("sides", SIDES)
def test_torch_pads_as_its_convention_says(sides: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    image, kernel = a_case(sides)
    with warnings.catch_warnings():
        # Once a process it says that even kernels need a copy.
        warnings.simplefilter("ignore", UserWarning)
        theirs = torch.nn.functional.conv2d(
            torch.from_numpy(image[None, None]), torch.from_numpy(kernel[None, None]),
            padding="same",
        )  # fmt: skip
    assert np.allclose(conv_by("torch", kernel, image), theirs.numpy()[0, 0])


def test_torch_averages_as_its_convention_says() -> None:
    torch = pytest.importorskip("torch")
    image = a_case((1, 1))[0]
    pool = by_convention(PoolLayer("average", 3, 2, padding=1), CONVENTIONS["torch"])
    theirs = torch.nn.functional.avg_pool2d(torch.from_numpy(image[None, None]), 3, 2, 1)
    assert np.allclose(pool.forward(image[None, :, :, None])[0][0, :, :, 0], theirs[0, 0])


def onnx_run(node: object, inputs: dict[str, np.ndarray]) -> np.ndarray:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper = onnx.helper
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
        for name, array in inputs.items()
    ]
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", infos, [out])
    opset = [helper.make_opsetid("", 19)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, inputs)[0])


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("stride", [1, 2])
def test_onnx_pads_as_its_convention_says(sides: tuple[int, int], stride: int) -> None:
    onnx = pytest.importorskip("onnx")
    image, kernel = (array.astype(np.float32) for array in a_case(sides))
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[stride] * 2
    )
    theirs = onnx_run(node, {"x": image[None, None], "w": kernel[None, None]})
    layer = by_convention(ConvLayer(from_array(kernel), stride=stride), CONVENTIONS["onnx"])
    ours = layer.forward(image[None, :, :, None])[0]
    assert np.allclose(ours[0, :, :, 0], theirs[0, 0], atol=1e-5)


@pytest.mark.skipif(not imagemagick(), reason="ImageMagick is not installed")
@pytest.mark.parametrize("sides", SIDES)
def test_imagemagick_convolves_as_its_convention_says(
    sides: tuple[int, int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(sides)
    image = rng.integers(0, 256, (11, 13), dtype=np.uint8)
    kernel = rng.integers(1, 9, sides).astype(float)
    kernel /= kernel.sum()
    Image.fromarray(image).save(tmp_path / "in.pgm")
    rows = " ".join(",".join(repr(float(v)) for v in row) for row in kernel)
    text = f"{sides[1]}x{sides[0]}: {rows}"
    given = ["convert", "in.pgm", "-morphology", "Convolve", text, "out.pgm"]
    subprocess.run(given, cwd=tmp_path, check=True)
    with Image.open(tmp_path / "out.pgm") as picture:
        theirs = np.asarray(picture).astype(float)
    assert np.abs(conv_by("imagemagick", kernel, image.astype(float)) - theirs).max() < 0.52


def layers(seed: int, count: int) -> Iterator[tuple[ConvLayer | PoolLayer, np.ndarray]]:
    """Yield layers of every kind on batches of odd sizes; some do not fit theirs."""
    chance, rng = Random(seed), np.random.default_rng(seed)
    for _ in range(count):
        dtype = chance.choice([np.float32, np.float64])
        channels = chance.choice([1, 2, 4])
        sizes = chance.choice([1, 2]), chance.randint(4, 11), chance.randint(4, 11), channels
        padding = chance.choice(["same", "same-lower", "valid", 1, ((1, 0), (2, 1))])
        if chance.random() < 0.4:
            yield PoolLayer(
                chance.choice(["max", "min", "average", "lp"]), chance.choice([2, (2, 3)]),
                chance.choice([None, (1, 3)]), padding, chance.choice([1, 2]),
                chance.random() < 0.4, chance.random() < 0.5, chance.choice([1.0, 2.0, 3.0]),
            ), rng.normal(size=sizes).astype(dtype)  # fmt: skip
            continue
        sides, groups = (chance.randint(1, 4), chance.randint(1, 4)), chance.choice([1, channels])
        shape = chance.choice([sides, (*sides, channels // groups, 2 * groups)])
        bank = from_array(rng.normal(size=shape).astype(dtype))
        yield ConvLayer(
            bank, rng.normal(size=1), chance.choice([1, (2, 3)]), padding, chance.choice([1, 2]),
            1 if len(shape) == 2 else groups,
            chance.choice(["zeros", "edge", "reflect", "symmetric", "wrap"]),
            activation=chance.choice(["none", "tanh"]),
        ), rng.normal(size=sizes).astype(dtype)  # fmt: skip


@pytest.mark.parametrize("peer", MODULES)
def test_every_peer_gives_what_our_layers_give(peer: str) -> None:
    for module in MODULES[peer]:
        pytest.importorskip(module)
    done = 0
    for layer, X in layers(7, 300):
        try:
            ours, theirs = layer.forward(X)[0], run_peer(peer, layer, X)
        except CnnCliError:
            continue
        assert theirs.shape == ours.shape
        finite = np.isfinite(ours)
        assert np.array_equal(finite, np.isfinite(theirs)), layer
        close = 1e-4 if np.float32 in (ours.dtype, theirs.dtype) else 1e-9
        assert np.allclose(ours[finite], theirs[finite], atol=close, rtol=close), layer
        done += 1
    assert done > 100


def test_too_little_memory_for_a_peer_is_no_layer_that_it_lacks() -> None:
    pytest.importorskip("scipy")
    layer = ConvLayer(from_array(np.ones((3, 3))), padding=65_535 * 16)
    with pytest.raises(MemoryError):
        run_peer("scipy", layer, np.zeros((1, 8, 8, 1)))


@pytest.mark.parametrize("peer", MODULES)
def test_a_layer_of_ours_equals_a_peers_from_the_shell(peer: str, tmp_path: Path) -> None:
    for module in MODULES[peer]:
        pytest.importorskip(module)
    photo = tmp_path / "photo.png"
    pixels = np.random.default_rng(3).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photo)
    # Of full rank: its sums are seldom taken in a peer's order, and so are rounded otherwise.
    np.save(tmp_path / "f.npy", np.random.default_rng(4).random((9, 9)))
    compare = "compare", photo, "--filter", tmp_path / "f.npy"
    said = run_cli(*compare, "--stride", 2, "--against", peer)
    assert said.stdout.startswith(f"{peer}  equal, largest difference")
    same = run_cli(*compare, "--against", peer).stdout.endswith("difference 0\n")
    said = run_cli(*compare, "--against", peer, "--tolerance", 1e-30, code=int(not same))
    assert "% differ" in said.stdout or (same and peer in ("torch", "onnxruntime"))


KERNEL = np.array([[1, 2, 4], [0, 0, 8], [-3, 0, 2]]) / 14
PIXELS = np.random.default_rng(5).integers(0, 256, (20, 31, 3), dtype=np.uint8)


def by_scipy(name: str, image: np.ndarray, kernel: np.ndarray = KERNEL) -> np.ndarray:
    run = getattr(pytest.importorskip("scipy.ndimage"), name)
    return np.stack([run(image[..., c], kernel) for c in range(3)], axis=-1)


def by_torch(image: np.ndarray, kernel: np.ndarray, **options: int) -> np.ndarray:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[:, None]))
    w = torch.from_numpy(np.ascontiguousarray(kernel)[None, None])
    result = torch.nn.functional.conv2d(x, w, **options)[:, 0]
    return np.asarray(result.numpy().transpose(1, 2, 0))


def by_opencv(image: np.ndarray, **options: int) -> np.ndarray:
    cv2 = pytest.importorskip("cv2")
    return np.asarray(cv2.filter2D(image, -1, KERNEL, **options))


SHARES = PIXELS / 255
BGR = PIXELS[..., ::-1]
RESULTS = {
    "by the convention scipy (": lambda: by_scipy("convolve", SHARES),
    "by the convention scipy.ndimage.correlate (": lambda: by_scipy("correlate", SHARES),
    "(flips the filter; odd padding at the end; border symmetric) and if the stride is 2": (
        lambda: by_scipy("convolve", SHARES)[::2, ::2]
    ),
    "wraps around": lambda: by_scipy("convolve", PIXELS, KERNEL * 3),
    "by the convention opencv (": lambda: by_opencv(PIXELS),
    "if the border is reflect and the image's channels are reversed (BGR and RGB)": (
        lambda: by_opencv(BGR)
    ),
    "if the border is edge and the image's channels are reversed (BGR and RGB) and pixels are "
    "0..255, not 0..1": lambda: by_opencv(BGR.astype(np.float32), borderType=1),
    "if the filter is flipped and the padding is 1,1 and the stride is 2": (
        lambda: by_torch(SHARES, KERNEL[::-1, ::-1], stride=2, padding=1)
    ),
    "if the filter is flipped and the border is edge": lambda: by_torch(
        np.pad(SHARES, ((1, 1), (1, 1), (0, 0)), mode="edge"), KERNEL[::-1, ::-1]
    ),
    "if nothing is padded and the stride is 3": lambda: by_torch(SHARES, KERNEL, stride=3),
}


def test_a_strided_result_of_torch_is_found_from_the_border_of_pictures(tmp_path: Path) -> None:
    photo, given = tmp_path / "photo.png", tmp_path / "r.npy"
    Image.fromarray(PIXELS).save(photo)
    np.save(given, by_torch(SHARES, KERNEL[::-1, ::-1], stride=2, padding=1))
    text = "; ".join(" ".join(repr(float(v)) for v in row) for row in KERNEL)
    said = run_cli("compare", given, photo, "--image", photo, "--filter", text, code=1).stdout
    assert (
        "if the filter is flipped and the border is zeros and the padding is 1,1 and the stride "
        "is 2" in said
    )


@pytest.mark.parametrize("words", RESULTS)
def test_what_a_tool_did_is_found(words: str, tmp_path: Path) -> None:
    result = RESULTS[words]()
    photo, given, blank = (tmp_path / name for name in ("photo.png", "r.npy", "blank.npy"))
    Image.fromarray(PIXELS).save(photo)
    np.save(given, result)
    np.save(blank, np.full_like(result, 7 if result.dtype == np.uint8 else -7))
    matrix = KERNEL * 3 if words == "wraps around" else KERNEL
    text = "; ".join(" ".join(repr(float(v)) for v in row) for row in matrix)
    layer = ["--filter", text, "--pad-mode", "zeros"]
    said = run_cli("compare", given, blank, "--image", photo, *layer, code=1).stdout
    assert f"'{given}' is equal to the operation " in said
    assert words in said


@pytest.mark.skipif(not imagemagick(), reason="ImageMagick is not installed")
def test_what_imagemagick_did_is_found(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "photo.ppm")
    rows = " ".join(",".join(repr(float(v)) for v in row) for row in KERNEL)
    given = ["convert", "photo.ppm", "-morphology", "Convolve", f"3x3: {rows}", "out.ppm"]
    subprocess.run(given, cwd=tmp_path, check=True)
    text = rows.replace(" ", ";")
    names = tmp_path / "out.ppm", tmp_path / "photo.ppm"
    said = run_cli("compare", *names, "--image", names[1], "--filter", text, code=1).stdout
    assert "by the convention imagemagick (" in said
