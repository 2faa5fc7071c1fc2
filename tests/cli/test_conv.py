"""``cnncli conv`` as a user meets it, judged by sums over numpy's sliding windows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from tests.support.shell import (
    npy_bytes,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    run_shell,
    save,
    save_array,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

REPOSITORY = Path(__file__).resolve().parents[2]
RANDOM = np.random.default_rng(7)
RGB = RANDOM.integers(0, 256, (9, 11, 3), np.uint8)
VALUES = RANDOM.standard_normal((9, 11, 4))
KERNEL = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
BANK = RANDOM.standard_normal((3, 2, 4, 5))
EDGE = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
SOBEL_V = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def correlate(
    X: np.ndarray,
    W: np.ndarray,
    pads: Pads = ((0, 0), (0, 0)),
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    **border: Any,
) -> np.ndarray:
    """(H, W, C) with (kh, kw, C, maps), in float64."""
    padded = np.pad(X.astype(float), (*pads, (0, 0)), **border)
    spans = [(k - 1) * d + 1 for k, d in zip(W.shape, dilation, strict=False)]
    windows = sliding_window_view(padded, spans, axis=(0, 1))
    windows = windows[:: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return np.einsum("hwcij,ijcm->hwm", windows, W)


def each_channel(X: np.ndarray, kernel: np.ndarray, *settings: Any, **named: Any) -> np.ndarray:
    """(H, W, C) with (kh, kw), channel by channel; the picture goes on beyond its edge."""
    named = {"mode": "edge", **named}
    weights = kernel[:, :, None, None]
    parts = [correlate(X[:, :, [c]], weights, *settings, **named) for c in range(X.shape[2])]
    return np.concatenate(parts, axis=2)


def as_text(kernel: np.ndarray) -> str:
    return "; ".join(" ".join(str(float(v)) for v in row) for row in kernel)


def agree(got: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_what_the_project_is_known_for_anywhere(samples: Path) -> None:
    shutil.copy(samples / "chelsea.png", "image.png")
    done = run_shell(
        "cnncli conv image.png --filter edge.npy && cnncli pool --mode max < image.png"
    )
    assert done.returncode == 0, done.stderr
    photo = pixels("image.png")
    exact = each_channel(photo, EDGE, ((1, 1), (1, 1)))
    assert np.array_equal(pixels("image-edge.png"), np.clip(exact, 0, 255))
    Path("pooled.npy").write_bytes(done.stdout)
    expected = photo[:300, :450].reshape(150, 2, 225, 2, 3).max(axis=(1, 3))
    assert np.array_equal(np.rint(np.load("pooled.npy") * 255), expected)


@pytest.mark.slow
def test_what_the_project_is_known_for_in_the_repository(samples: Path) -> None:
    for entry in REPOSITORY.iterdir():
        if not entry.name.startswith("."):
            Path(entry.name).symlink_to(entry)
    shutil.copy(samples / "camera.png", "image.png")
    line = "cnncli conv image.png --filter edge.npy && cnncli pool --mode max < image-edge.png"
    done = run_shell(line + " > pooled.npy")
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    exact = each_channel(pixels("image.png")[:, :, None], EDGE, ((1, 1), (1, 1)))[:, :, 0]
    assert np.array_equal(pixels("image-edge.png"), np.clip(exact, 0, 255))
    assert np.load("pooled.npy").shape == (256, 256, 1)


def test_negative_values_survive_a_pipe() -> None:
    save("a.png", RGB)
    line = "cnncli conv a.png --filter edge.npy -o - | cnncli pool --mode max -o pooled.npy"
    assert run_shell(line).returncode == 0
    edges = each_channel(RGB / 255, EDGE, ((1, 1), (1, 1)))
    expected = edges[:8, :10].reshape(4, 2, 5, 2, 3).max(axis=(1, 3))
    assert expected.min() < 0
    agree(np.load("pooled.npy"), expected)


@pytest.mark.parametrize(
    "text",
    [as_text(KERNEL), "1,-2,.5;1/4,3,-1", "1 -2 1/2 ;2.5e-1 +3 -1 ", "\t1 , -2 , 0.5 ; 0.25 3 -1;"],
)
def test_inline_matrices(text: str) -> None:
    save("x.png", RGB)
    agree(values_of("conv", "x.png", "-f", text), each_channel(RGB / 255, KERNEL, ((0, 1), (1, 1))))


def write_filters() -> None:
    save_array("k.npy", KERNEL)
    np.savez("one.npz", any=KERNEL)
    np.savez("two.npz", first=KERNEL * 0, second=KERNEL)
    np.savez("pair.npz", W=KERNEL, b=np.array([0.0]))
    Path("k.txt").write_text("# a kernel\n1 -2 .5\n1/4 3 -1\n")
    Path("k.csv").write_text("\ufeff1,-2,.5\r\n0.25,3,-1\r\n", encoding="utf-8", newline="")
    shutil.copy("k.npy", "edge")
    shutil.copy("k.npy", "box.npy")


@pytest.mark.parametrize(
    "name",
    ["k.npy", "./k.npy", "one.npz", "one.npz:any", "two.npz:second", "pair.npz", "pair.npz:W"]
    + ["k.txt", "k.csv", "edge", "box.npy"],
)
def test_filter_files_and_a_path_before_a_name(name: str) -> None:
    write_filters()
    save_array("x.npy", VALUES)
    agree(
        values_of("conv", "x.npy", "--filter", name), each_channel(VALUES, KERNEL, ((0, 1), (1, 1)))
    )


@pytest.mark.oracle
def test_safetensors() -> None:
    numpy_files = pytest.importorskip("safetensors.numpy")
    numpy_files.save_file({"conv1.weight": BANK.transpose(3, 2, 0, 1).copy()}, "w.safetensors")
    save_array("x.npy", VALUES)
    for key in ("", ":conv1.weight"):
        given = ("-f", f"w.safetensors{key}", "--filter-layout", "oihw")
        agree(values_of("conv", "x.npy", *given), correlate(VALUES, BANK, ((1, 1), (0, 1))))


@pytest.mark.parametrize("name", ["edge", "edge.npy", "sobel_v"])
def test_built_in_names(name: str) -> None:
    save("x.png", RGB)
    kernel = SOBEL_V if name == "sobel_v" else EDGE
    agree(values_of("conv", "x.png", "-f", name), each_channel(RGB / 255, kernel, ((1, 1), (1, 1))))


def test_an_unknown_filter_names_its_neighbours() -> None:
    save("x.png", RGB)
    error = refused_untouched("conv", "x.png", "-f", "sobel_x", code=2)
    assert "sobel_v" in error and "sobel_h" in error


def test_three_axes_make_one_map_and_four_a_bank() -> None:
    save_array("x.npy", VALUES)
    save_array("one.npy", BANK[..., 0])
    save_array("bank.npy", BANK)
    pads = ((1, 1), (0, 1))
    agree(values_of("conv", "x.npy", "-f", "one.npy"), correlate(VALUES, BANK[..., :1], pads))
    agree(values_of("conv", "x.npy", "-f", "bank.npy"), correlate(VALUES, BANK, pads))


@pytest.mark.parametrize("maps", [slice(None), 0])
def test_layouts(maps: Any) -> None:
    save_array("x.npy", VALUES)
    save_array("oihw.npy", BANK.transpose(3, 2, 0, 1)[maps])
    got = values_of("conv", "x.npy", "-f", "oihw.npy", "--filter-layout", "oihw")
    expected = correlate(VALUES, BANK, ((1, 1), (0, 1)))
    agree(got, expected if isinstance(maps, slice) else expected[:, :, :1])
    error = refused("conv", "x.npy", "-f", "oihw.npy", code=2)
    assert "--filter-layout oihw would fit" in error and "4" in error


def test_a_layout_that_fits_the_other_way() -> None:
    save_array("x.npy", VALUES)
    save_array("hwio.npy", BANK)
    error = refused_untouched("conv", "x.npy", "-f", "hwio.npy", "--filter-layout=oihw", code=2)
    assert "--filter-layout hwio would fit" in error


def test_groups() -> None:
    save_array("x.npy", VALUES)
    save_array("g.npy", BANK[:, :, :2, :4])
    got = values_of("conv", "x.npy", "-f", "g.npy", "--groups", 2)
    first = correlate(VALUES[:, :, :2], BANK[:, :, :2, :2], ((1, 1), (0, 1)))
    second = correlate(VALUES[:, :, 2:], BANK[:, :, :2, 2:4], ((1, 1), (0, 1)))
    agree(got, np.concatenate([first, second], axis=2))


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((3, 3, 2, 4), (), "--groups 2 would fit"),
        ((3, 3, 2, 3), ("--groups", 2), "evenly"),
        ((3, 3, 2, 4), ("--groups", 3), "3 groups"),
        ((3, 3), ("--groups", 2), "2-D"),
        ((3, 3, 5), (), "5 channels in, the input has 4"),
        ((), (), "(kh,kw)"),
        ((4,), (), "(4,)"),
        ((1, 2, 3, 4, 5), (), "(1,2,3,4,5)"),
        ((0, 3), (), "(0,3)"),
    ],
)
def test_filters_of_a_wrong_shape(
    shape: tuple[int, ...], options: tuple[Any, ...], words: str
) -> None:
    save_array("x.npy", VALUES)
    save_array("w.npy", np.ones(shape))
    assert words in refused_untouched("conv", "x.npy", "-f", "w.npy", *options, code=2)


def test_several_filters_stack_in_their_order_and_keep_their_names() -> None:
    save("x.png", RGB)
    save_array("own.npy", np.arange(9.0).reshape(3, 3))
    given = ("-f", "sobel_v", "-f", "own.npy", "-f", "edge", "-f", "edge")
    got = values_of("conv", "x.png", *given)
    kernels = [SOBEL_V, np.arange(9.0).reshape(3, 3), EDGE, EDGE]
    parts = [each_channel(RGB / 255, kernel, ((1, 1), (1, 1))) for kernel in kernels]
    agree(got, np.concatenate(parts, axis=2))
    run_cli("conv", "x.png", *given, "-o", "maps/")
    names = ["x-edge-2.png", "x-edge.png", "x-own.png", "x-sobel_v.png"]
    assert sorted(path.name for path in Path("maps").iterdir()) == names
    for name, part in zip(("sobel_v", "own", "edge"), parts, strict=False):
        assert np.array_equal(pixels(f"maps/x-{name}.png"), np.rint(np.clip(part, 0, 1) * 255))


def test_filters_of_unequal_channels_do_not_stack() -> None:
    save("x.png", RGB)
    error = refused_untouched("conv", "x.png", "--gray", "-f", "edge", "-f", "kirsch", code=2)
    assert "equal channels" in error and "(3,3)" in error


SIZES = ("edge", "1 2; 3 4", "box_5", "1 2 3 4", "9")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--padding", "same-lower"),
        ("--flip",),
        ("--padding", "same-lower", "--flip"),
        *(("--convention", name) for name in ("torch", "opencv", "scipy", "imagemagick")),
    ],
    ids=" ".join,
)
def test_filters_of_different_sizes_make_the_maps_that_each_makes_alone(
    options: tuple[str, ...],
) -> None:
    save_array("x.npy", VALUES)
    given = [word for name in SIZES for word in ("-f", name)]
    done = run_cli("conv", "x.npy", *given, *options, "-o", "bank.npy")
    alone = [values_of("conv", "x.npy", "-f", name, *options) for name in SIZES]
    # The border may be wider in the bank, but holds the same cells.
    agree(np.load("bank.npy"), np.concatenate(alone, axis=2), 1e-9)
    assert "edge: 3x3, zeros around it to 5x5" in done.stderr


def test_with_dilation_even_and_odd_sides_have_no_common_centre() -> None:
    save_array("x.npy", VALUES)
    given = ("-f", "edge", "-f", "1 2; 3 4", "--dilation", "2")
    error = refused_untouched("conv", "x.npy", *given, code=2)
    assert "must have all even or all odd sides, got 3x3 for edge and 2x2" in error
    odd = ("edge", "box_5", "1 2 3")
    bank = values_of("conv", "x.npy", *(w for n in odd for w in ("-f", n)), "--dilation", "2")
    alone = [values_of("conv", "x.npy", "-f", name, "--dilation", "2") for name in odd]
    agree(bank, np.concatenate(alone, axis=2), 1e-9)


def test_a_network_file_has_the_same_bank() -> None:
    save_array("x.npy", VALUES)
    listed = ", ".join(f'"{name}"' for name in SIZES)
    Path("net.toml").write_text(
        f'[[layers]]\ntype = "conv"\nfilter = [{listed}]\nconvention = "imagemagick"\n'
    )
    given = [word for name in SIZES for word in ("-f", name)]
    expected = values_of("conv", "x.npy", *given, "--convention", "imagemagick")
    assert np.array_equal(values_of("run", "net.toml", "x.npy"), expected)


@pytest.mark.parametrize("flip", [False, True])
def test_flip_turns_rows_and_columns_only(flip: bool) -> None:
    save_array("x.npy", VALUES)
    save_array("bank.npy", BANK)
    got = values_of("conv", "x.npy", "-f", "bank.npy", *(["--flip"] if flip else []))
    weights = BANK[::-1, ::-1] if flip else BANK
    agree(got, correlate(VALUES, weights, ((1, 1), (0, 1))))


@pytest.mark.parametrize(("name", "kernel", "by"), [("k.npy", KERNEL, 1.75), ("edge", EDGE, 8)])
def test_normalize_divides_and_says_by_what(name: str, kernel: np.ndarray, by: float) -> None:
    save_array("k.npy", KERNEL)
    save_array("x.npy", VALUES)
    result = run_cli("conv", "x.npy", "-f", name, "--normalize", "--padding=valid", "-o", "y.npy")
    agree(np.load("y.npy"), each_channel(VALUES, kernel / by))
    assert f"divided by {by:g}" in result.stderr


def test_normalize_divides_each_map_by_its_own_sum() -> None:
    save_array("x.npy", VALUES)
    save_array("bank.npy", np.abs(BANK))
    got = values_of("conv", "x.npy", "-f", "bank.npy", "--normalize", "--padding", "valid")
    agree(got, correlate(VALUES, np.abs(BANK) / np.abs(BANK).sum(axis=(0, 1, 2))))


BIASES: dict[str, np.ndarray] = {
    "-0.5": np.full(5, -0.5),
    "1/4": np.full(5, 0.25),
    "b.npy": np.arange(5.0),
    "b.txt": np.arange(5.0),
    "b4.npy": np.arange(5.0),
    "many.npz:b": np.arange(5.0),
    "1 2 3 4 5": np.arange(1.0, 6.0),
}


@pytest.mark.parametrize("text", BIASES)
def test_biases(text: str) -> None:
    save_array("x.npy", VALUES)
    save_array("bank.npy", BANK)
    save_array("b.npy", np.arange(5.0))
    save_array("b4.npy", np.arange(5.0).reshape(1, 1, 1, 5))
    np.savez("many.npz", b=np.arange(5.0), c=np.zeros(5))
    Path("b.txt").write_text("0 1 2 3 4\n")
    got = values_of("conv", "x.npy", "-f", "bank.npy", f"--bias={text}")
    agree(got, correlate(VALUES, BANK, ((1, 1), (0, 1))) + BIASES[text])


def test_weights_and_bias_of_one_file_and_the_option_before_the_file() -> None:
    save_array("x.npy", VALUES)
    np.savez("layer.npz", W=BANK, b=np.arange(5.0).reshape(1, 1, 1, 5))
    plain = correlate(VALUES, BANK, ((1, 1), (0, 1)))
    agree(values_of("conv", "x.npy", "-f", "layer.npz"), plain + np.arange(5.0))
    agree(values_of("conv", "x.npy", "-f", "layer.npz", "--bias", 3), plain + 3)
    agree(values_of("conv", "x.npy", "-f", "layer.npz:W"), plain)


def test_biases_of_2d_filters_go_with_their_filter() -> None:
    save("x.png", RGB)
    save_array("b.npy", np.array([10.0, 20.0]))
    got = values_of("conv", "x.png", "-f", "edge", "-f", "sobel_v", "--bias", "b.npy")
    parts = [each_channel(RGB / 255, k, ((1, 1), (1, 1))) for k in (EDGE, SOBEL_V)]
    agree(got, np.concatenate([parts[0] + 10, parts[1] + 20], axis=2))


@pytest.mark.parametrize("text", ["abc", "nan", "b3.npy", "missing.npy", ""])
def test_biases_that_are_none(text: str) -> None:
    save("x.png", RGB)
    save_array("b3.npy", np.arange(3.0))
    error = refused_untouched("conv", "x.png", "-f", "edge", f"--bias={text}", code=2)
    assert "bias" in error or "b3.npy" in error or "missing.npy" in error


ACTIVATIONS = {
    "none": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky-relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "abs": lambda z: np.sqrt(z * z),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_come_after_the_bias(name: str) -> None:
    save_array("x.npy", VALUES)
    given = ("-f", "edge", "--bias", "-1.5", "--activation", name, "--padding", "valid")
    agree(values_of("conv", "x.npy", *given), ACTIVATIONS[name](each_channel(VALUES, EDGE) - 1.5))


def same(n: int, span: int, stride: int) -> Pair:
    total = max(0, (-(-n // stride) - 1) * stride + span - n)
    return total // 2, total - total // 2


@pytest.mark.parametrize(("dilation", "gaps"), [("1", (1, 1)), ("2", (2, 2)), ("2,3", (2, 3))])
@pytest.mark.parametrize(("stride", "steps"), [("1", (1, 1)), ("2", (2, 2)), ("3,2", (3, 2))])
def test_stride_and_dilation_with_the_default_padding(
    stride: str, steps: Pair, dilation: str, gaps: Pair
) -> None:
    save_array("x.npy", VALUES)
    given = ("-f", as_text(KERNEL), "--stride", stride, "--dilation", dilation)
    pads = (same(9, gaps[0] + 1, steps[0]), same(11, 2 * gaps[1] + 1, steps[1]))
    expected = each_channel(VALUES, KERNEL, pads, steps, gaps)
    assert expected.shape[:2] == (-(-9 // steps[0]), -(-11 // steps[1]))
    agree(values_of("conv", "x.npy", *given), expected)


@pytest.mark.parametrize(
    ("text", "pads"),
    [
        ("same", ((0, 1), (1, 2))),
        ("same-lower", ((1, 0), (2, 1))),
        ("valid", ((0, 0), (0, 0))),
        ("2", ((2, 2), (2, 2))),
        ("1,3", ((1, 1), (3, 3))),
        ("1,2,3,4", ((1, 2), (3, 4))),
    ],
)
@pytest.mark.parametrize("border", ["zeros", "edge", "reflect", "symmetric", "wrap", "value"])
def test_paddings_with_every_border(text: str, pads: Pads, border: str) -> None:
    save_array("x.npy", VALUES)
    kernel = np.arange(1.0, 9.0).reshape(2, 4)
    given = ["-f", as_text(kernel), "--padding", text]
    given += ["--pad-value", "-3"] if border == "value" else ["--pad-mode", border]
    named: Any = {"mode": "constant" if border in ("zeros", "value") else border}
    named |= {"constant_values": -3} if border == "value" else {}
    agree(values_of("conv", "x.npy", *given), each_channel(VALUES, kernel, pads, **named))


@pytest.mark.parametrize(
    ("dtype", "result"), [("float64", "float64"), ("float32", "float32"), ("uint8", "float32")]
)
def test_precision_follows_the_image(dtype: str, result: str) -> None:
    array = (np.abs(VALUES) * 50).astype(dtype)
    save_array("x.npy", array)
    got = values_of("conv", "x.npy", "-f", "gaussian_3", "--padding", "valid")
    assert got.dtype == np.dtype(result)
    kernel = np.load(REPOSITORY / "filters/gaussian_3.npy")
    scale = 255 if dtype == "uint8" else 1
    agree(got, each_channel(array / scale, kernel), 1e-13 if result == "float64" else 1e-5)


def test_a_batch_and_standard_input() -> None:
    batch = RANDOM.standard_normal((2, 5, 6, 1))
    got = values_of("conv", "-f", "edge", stdin=npy_bytes(batch))
    expected = [each_channel(image, EDGE, ((1, 1), (1, 1))) for image in batch]
    agree(got, np.stack(expected))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-f", "box_5", "--padding", "valid"), "(4+2*0-5)//1+1 = 0"),
        (("-f", "edge", "--dilation", 9, "--padding", "1"), "(4+2*1-19)//1+1"),
        (("-f", "edge", "--stride", 0), "--stride"),
        (("-f", "edge", "--stride", -1), "--stride"),
        (("-f", "edge", "--dilation", 0), "--dilation"),
        (("-f", "edge", "--groups", 0), "--groups"),
        (("-f", "edge", "--activation", "selu"), "--activation"),
        (("-f", "edge", "--filter-layout", "hwoi"), "--filter-layout"),
        (("-f", "1 2; 3"), "same length"),
        (("-f", "1 x; 3 4"), "row 1"),
        (("-f", "1/0"), "zero"),
        (("-f", ""), "empty"),
        (("-f", "0 0; 0 0", "--normalize"), "normalize"),
        ((), "--filter"),
    ],
)
def test_options_that_cannot_be(options: tuple[Any, ...], words: str) -> None:
    save("x.png", RGB[:4, :5])
    assert words in refused_untouched("conv", "x.png", *options, code=2)


@pytest.mark.parametrize(
    ("words", "need"),
    [
        (
            ("-f", "edge", "--algorithm", "winograd", "--stride", 2),
            "winograd needs a window of 3x3",
        ),
        (("-f", "edge", "--algorithm", "fourier", "--stride", 2), "fourier needs .* stride 1"),
        (("-f", "bank.npy", "--algorithm", "shift-add"), "shift-add needs 2-D filters"),
        (("-f", "bank.npy", "--algorithm", "banded"), "banded needs the same 2-D filters"),
        (("-f", "bank.npy", "--algorithm", "low-rank"), "low-rank needs 2-D filters"),
    ],
)
def test_an_algorithm_says_what_it_needs(words: tuple[object, ...], need: str) -> None:
    save_array("x.npy", VALUES)
    save_array("bank.npy", BANK)
    error = refused_untouched("conv", "x.npy", *words, code=2)
    assert re.search(need, error) and "hint: --algorithm auto" in error


def test_a_bias_that_fits_the_other_layout_of_the_filter_names_it() -> None:
    save_array("x.npy", VALUES[..., :1])
    save_array("w.npy", np.ones((8, 1, 3, 3)))
    save_array("b.npy", np.ones((1, 1, 1, 8)))
    error = refused_untouched("conv", "x.npy", "-f", "w.npy", "--bias", "b.npy", code=2)
    assert "w read as hwio, window 8x1, 3 maps" in error
    assert error.endswith("hint: --filter-layout oihw\n")
