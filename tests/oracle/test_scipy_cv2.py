"""SciPy and OpenCV as judges of convolution, borders and pooling at stride 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli import conv_forward, pool_forward
from cnncli.core.padding import pad_borders

pytestmark = pytest.mark.oracle

SCIPY_MODES = {
    "zeros": "constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "wrap",
}
CV2_BORDERS = {
    "zeros": "BORDER_CONSTANT",
    "edge": "BORDER_REPLICATE",
    "symmetric": "BORDER_REFLECT",
    "reflect": "BORDER_REFLECT_101",
}
KERNELS = [(3, 3), (1, 5), (5, 3), (2, 2), (4, 3), (2, 5)]


def image(*shape: int) -> Any:
    return np.random.default_rng(31).standard_normal(shape)


def kernel(size: tuple[int, int]) -> Any:
    return np.random.default_rng(32).standard_normal(size)


def centred(size: tuple[int, int]) -> str:
    """Return the padding that puts tap ``size // 2`` on the output's cell, as both judges do."""
    return "same-lower" if 0 in (size[0] % 2, size[1] % 2) else "same"


def correlated(X: Any, K: Any, **hparameters: Any) -> Any:
    """Return (H, W, C) filtered by one 2-D kernel on every channel on its own."""
    channels = X.shape[2]
    W = np.repeat(K[:, :, None, None], channels, axis=3).astype(X.dtype)
    fields = {"groups": channels, **hparameters}
    return conv_forward(X[None], W, np.zeros((1, 1, 1, channels)), fields)[0][0]


def close(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", KERNELS, ids=str)
@pytest.mark.parametrize("mode", SCIPY_MODES)
def test_ndimage_correlate(mode: str, size: tuple[int, int]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    X, K = image(9, 7, 1), kernel(size)
    Z = correlated(X, K, pad=centred(size), pad_mode=mode)
    close(Z[:, :, 0], ndimage.correlate(X[:, :, 0], K, mode=SCIPY_MODES[mode]))


@pytest.mark.parametrize("value", [-2.0, 0.5])
def test_ndimage_correlate_with_a_constant(value: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    X, K = image(6, 8, 1), kernel((3, 5))
    Z = correlated(X, K, pad="same", pad_value=value)
    close(Z[:, :, 0], ndimage.correlate(X[:, :, 0], K, mode="constant", cval=value))


def test_ndimage_convolve_is_the_flipped_kernel() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    X, K = image(6, 8, 1), kernel((3, 5))
    Z = correlated(X, K[::-1, ::-1], pad="same")
    close(Z[:, :, 0], ndimage.convolve(X[:, :, 0], K, mode="constant"))


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 2), (4, 1)], ids=str)
@pytest.mark.parametrize("size", KERNELS, ids=str)
def test_signal_correlate_with_strides(size: tuple[int, int], stride: tuple[int, int]) -> None:
    signal = pytest.importorskip("scipy.signal")
    X, K = image(9, 8, 1), kernel(size)
    valid = signal.correlate2d(X[:, :, 0], K, mode="valid")
    Z = correlated(X, K, stride=stride, pad="valid")
    close(Z[:, :, 0], valid[:: stride[0], :: stride[1]])
    full = signal.correlate2d(X[:, :, 0], K, mode="full")
    Z = correlated(X, K, stride=stride, pad=(size[0] - 1, size[1] - 1))
    close(Z[:, :, 0], full[:: stride[0], :: stride[1]])


@pytest.mark.parametrize(("boundary", "mode"), [("symm", "symmetric"), ("wrap", "wrap")])
def test_signal_correlate_with_boundaries(boundary: str, mode: str) -> None:
    signal = pytest.importorskip("scipy.signal")
    X, K = image(9, 8, 1), kernel((5, 3))
    expected = signal.correlate2d(X[:, :, 0], K, mode="full", boundary=boundary)
    close(correlated(X, K, pad=(4, 2), pad_mode=mode)[:, :, 0], expected)


def test_signal_correlate_sums_over_channels() -> None:
    signal = pytest.importorskip("scipy.signal")
    X, W = image(7, 8, 3), np.random.default_rng(33).standard_normal((3, 2, 3, 4))
    Z, _ = conv_forward(X[None], W, np.full((1, 1, 1, 4), 0.5), {})
    for c in range(4):
        volume = signal.correlate(X, W[:, :, :, c], mode="valid")
        close(Z[0, :, :, c], volume[:, :, 0] + 0.5)


@pytest.mark.parametrize("dilation", [(2, 2), (1, 3)], ids=str)
def test_dilation_is_a_kernel_with_holes(dilation: tuple[int, int]) -> None:
    signal = pytest.importorskip("scipy.signal")
    X, K = image(9, 10, 1), kernel((3, 3))
    holes = np.zeros((2 * dilation[0] + 1, 2 * dilation[1] + 1))
    holes[:: dilation[0], :: dilation[1]] = K
    expected = signal.correlate2d(X[:, :, 0], holes, mode="valid")
    close(correlated(X, K, dilation=dilation)[:, :, 0], expected)


@pytest.mark.parametrize("size", KERNELS, ids=str)
@pytest.mark.parametrize("mode", CV2_BORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_filter2d(dtype: Any, mode: str, size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    X, K = image(9, 8, 3).astype(dtype), kernel(size).astype(dtype)
    expected = cv2.filter2D(X, -1, K, borderType=getattr(cv2, CV2_BORDERS[mode]))
    Z = correlated(X, K, pad=centred(size), pad_mode=mode)
    assert Z.dtype == expected.dtype
    close(Z, expected, 1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("mode", [*CV2_BORDERS, "wrap"])
def test_copy_make_border(mode: str) -> None:
    cv2 = pytest.importorskip("cv2")
    X = image(6, 5, 3)
    border = getattr(cv2, CV2_BORDERS.get(mode, "BORDER_WRAP"))
    for pads in (((1, 2), (3, 0)), ((0, 0), (4, 4)), ((9, 0), (0, 12))):
        expected = cv2.copyMakeBorder(X, *pads[0], *pads[1], border)
        np.testing.assert_array_equal(pad_borders(X[None], pads, mode)[0], expected)


@pytest.mark.parametrize("size", [3, (1, 3), (5, 3), 2, (4, 2)], ids=str)
@pytest.mark.parametrize(("mode", "name"), [("max", "maximum_filter"), ("min", "minimum_filter")])
def test_ndimage_rank_filters(mode: str, name: str, size: Any) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    X = image(8, 7, 1)
    outside = -np.inf if mode == "max" else np.inf
    expected = getattr(ndimage, name)(X[:, :, 0], size, mode="constant", cval=outside)
    A, _ = pool_forward(X[None], {"f": size, "stride": 1, "pad": "same-lower"}, mode)
    np.testing.assert_array_equal(A[0, :, :, 0], expected)


@pytest.mark.parametrize("size", [(3, 3), (5, 1), (2, 4)], ids=str)
@pytest.mark.parametrize(("mode", "name"), [("max", "dilate"), ("min", "erode")])
def test_morphology(mode: str, name: str, size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    X = image(8, 7, 3)
    expected = getattr(cv2, name)(X, np.ones(size, np.uint8))
    A, _ = pool_forward(X[None], {"f": size, "stride": 1, "pad": "same-lower"}, mode)
    np.testing.assert_array_equal(A[0], expected)


@pytest.mark.parametrize("size", [(3, 3), (5, 2)], ids=str)
def test_box_filter(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    X = image(8, 7, 3)
    expected = cv2.blur(X, size[::-1], borderType=cv2.BORDER_CONSTANT)
    fields = {"f": size, "stride": 1, "pad": "same-lower", "count_include_pad": True}
    close(pool_forward(X[None], fields, "average")[0][0], expected)
    shrunk = cv2.resize(X[:, :6], (3, 4), interpolation=cv2.INTER_AREA)
    close(pool_forward(X[None, :, :6], {"f": 2}, "average")[0][0], shrunk)
