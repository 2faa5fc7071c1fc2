"""Laws that hold for every layer, on layers that hypothesis makes up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncli import conv_backward, conv_forward, pool_backward, pool_forward, zero_pad
from cnncli.core.geometry import place_window
from cnncli.core.padding import pad_borders, pad_borders_backward

deterministic = settings(derandomize=True, deadline=None, max_examples=25, database=None)

MODES = ["zeros", "edge", "reflect", "symmetric", "wrap"]
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
sides = st.tuples(st.integers(0, 4), st.integers(0, 4))
named = st.sampled_from(["same", "same-lower"])
paddings = st.one_of(st.integers(2, 4), st.tuples(sides, sides), named)
seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Layer:
    """Shapes and fields of a convolution whose window fits."""

    A_shape: tuple[int, ...]
    W_shape: tuple[int, ...]
    hparameters: dict[str, Any]

    def arrays(self, seed: int) -> tuple[Any, Any, Any, np.random.Generator]:
        """Return an input, filters, a bias of zeros and the generator that goes on."""
        rng = np.random.default_rng(seed)
        A_prev, W = rng.standard_normal(self.A_shape), rng.standard_normal(self.W_shape)
        return A_prev, W, np.zeros((1, 1, 1, self.W_shape[3])), rng


@st.composite
def layers(draw: st.DrawFn, modes: tuple[str, ...] = tuple(MODES)) -> Layer:
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    groups, n_in, n_out = draw(pairs), draw(pairs), draw(st.integers(1, 2))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [span + draw(st.integers(0, 5)) for span in spans]
    hparameters = {
        "stride": stride,
        "pad": draw(paddings),
        "dilation": dilation,
        "groups": groups[0],
        "pad_mode": draw(st.sampled_from(modes)),
    }
    A_shape = (draw(st.integers(1, 2)), *size, n_in[0] * groups[0])
    return Layer(A_shape, (*kernel, n_in[0], n_out * groups[0]), hparameters)


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    f, dilation = draw(pairs), draw(pairs)
    spans = [d * (k - 1) + 1 for k, d in zip(f, dilation, strict=True)]
    size = [span + draw(st.integers(0, 5)) for span in spans]
    hparameters = {
        "f": f,
        "stride": draw(pairs),
        "pad": draw(paddings),
        "dilation": dilation,
        "ceil": draw(st.booleans()),
        "count_include_pad": draw(st.booleans()),
    }
    return (draw(st.integers(1, 2)), *size, draw(st.integers(1, 2))), hparameters


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


@deterministic
@given(layer=layers(), seed=seeds)
def test_convolution_is_linear_in_its_input(layer: Layer, seed: int) -> None:
    A_prev, W, b, rng = layer.arrays(seed)
    other = rng.standard_normal(A_prev.shape)
    together, _ = conv_forward(2 * A_prev - 3 * other, W, b, layer.hparameters)
    first, _ = conv_forward(A_prev, W, b, layer.hparameters)
    second, _ = conv_forward(other, W, b, layer.hparameters)
    close(together, 2 * first - 3 * second)


@deterministic
@given(layer=layers(), seed=seeds)
def test_convolution_is_linear_in_its_filters(layer: Layer, seed: int) -> None:
    A_prev, W, b, rng = layer.arrays(seed)
    other = rng.standard_normal(W.shape)
    together, _ = conv_forward(A_prev, 2 * W - 3 * other, b, layer.hparameters)
    first, _ = conv_forward(A_prev, W, b, layer.hparameters)
    second, _ = conv_forward(A_prev, other, b, layer.hparameters)
    close(together, 2 * first - 3 * second)


@deterministic
@given(layer=layers(), seed=seeds)
def test_backward_is_the_adjoint_of_forward(layer: Layer, seed: int) -> None:
    A_prev, W, b, rng = layer.arrays(seed)
    Z, cache = conv_forward(A_prev, W, b, layer.hparameters)
    dZ = rng.standard_normal(Z.shape)
    dA_prev, dW, db = conv_backward(dZ, cache)
    product = np.vdot(Z, dZ)
    close(np.vdot(A_prev, dA_prev), product)
    close(np.vdot(W, dW), product)
    close(db.ravel(), dZ.sum(axis=(0, 1, 2)))


@deterministic
@given(layer=layers(), seed=seeds)
def test_images_of_a_batch_do_not_see_each_other(layer: Layer, seed: int) -> None:
    A_prev, W, b, _ = layer.arrays(seed)
    Z, _ = conv_forward(A_prev, W, b, layer.hparameters)
    alone = [conv_forward(A_prev[m : m + 1], W, b, layer.hparameters)[0] for m in range(len(Z))]
    close(np.concatenate(alone), Z)


@deterministic
@given(layer=layers(modes=("zeros",)), seed=seeds, shift=pairs)
def test_shifted_by_strides_the_output_shifts_by_cells(
    layer: Layer, seed: int, shift: tuple[int, int]
) -> None:
    A_prev, W, b, _ = layer.arrays(seed)
    hparameters = {**layer.hparameters, "pad": 0}
    moved = [s * by for s, by in zip(hparameters["stride"], shift, strict=True)]
    shifted = zero_pad(A_prev, ((moved[0], 0), (moved[1], 0)))
    Z, _ = conv_forward(A_prev, W, b, hparameters)
    Z_shifted, _ = conv_forward(shifted, W, b, hparameters)
    close(Z_shifted[:, shift[0] :, shift[1] :], Z)


@deterministic
@given(layer=layers(), seed=seeds)
def test_a_stride_takes_every_so_many_outputs(layer: Layer, seed: int) -> None:
    A_prev, W, b, _ = layer.arrays(seed)
    fields = layer.hparameters
    size, kernel = layer.A_shape[1:3], layer.W_shape[:2]
    pads = place_window(size, kernel, fields["stride"], fields["pad"], fields["dilation"]).pads
    Z, _ = conv_forward(A_prev, W, b, fields)
    dense, _ = conv_forward(A_prev, W, b, {**fields, "pad": pads, "stride": 1})
    rows, cols = fields["stride"]
    close(dense[:, ::rows, ::cols], Z)


@deterministic
@given(layer=layers(), seed=seeds)
def test_padding_first_is_the_same(layer: Layer, seed: int) -> None:
    A_prev, W, b, _ = layer.arrays(seed)
    fields = layer.hparameters
    size, kernel = layer.A_shape[1:3], layer.W_shape[:2]
    pads = place_window(size, kernel, fields["stride"], fields["pad"], fields["dilation"]).pads
    padded = pad_borders(A_prev, pads, fields["pad_mode"])
    Z, _ = conv_forward(A_prev, W, b, fields)
    close(conv_forward(padded, W, b, {**fields, "pad": "valid"})[0], Z)


@deterministic
@given(size=pairs, pads=st.tuples(sides, sides), mode=st.sampled_from(MODES), seed=seeds)
def test_padded_and_cropped_is_the_image(size: Any, pads: Any, mode: str, seed: int) -> None:
    X = np.random.default_rng(seed).standard_normal((2, *size, 2))
    (top, _), (left, _) = pads
    padded = pad_borders(X, pads, mode)
    np.testing.assert_array_equal(padded[:, top : top + size[0], left : left + size[1]], X)


@deterministic
@given(size=pairs, pads=st.tuples(sides, sides), mode=st.sampled_from(MODES), seed=seeds)
def test_backward_is_the_adjoint_of_padding(size: Any, pads: Any, mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2, *size, 2))
    padded = pad_borders(X, pads, mode)
    dX_pad = rng.standard_normal(padded.shape)
    close(np.vdot(X, pad_borders_backward(dX_pad, pads, mode)), np.vdot(padded, dX_pad))


@deterministic
@given(pool=pools(), seed=seeds)
def test_backward_is_the_adjoint_of_average_pooling(pool: Any, seed: int) -> None:
    shape, hparameters = pool
    rng = np.random.default_rng(seed)
    A_prev = rng.standard_normal(shape)
    A, cache = pool_forward(A_prev, hparameters, "average")
    dA = rng.standard_normal(A.shape)
    close(np.vdot(A_prev, pool_backward(dA, cache, "average")), np.vdot(A, dA))


@deterministic
@given(pool=pools(), seed=seeds)
def test_average_pooling_is_a_convolution_with_equal_weights(pool: Any, seed: int) -> None:
    shape, hparameters = pool
    hparameters = {**hparameters, "ceil": False, "count_include_pad": True}
    A_prev = np.random.default_rng(seed).standard_normal(shape)
    A, _ = pool_forward(A_prev, hparameters, "average")
    kernel, channels = hparameters["f"], shape[3]
    W = np.full((*kernel, 1, channels), 1 / (kernel[0] * kernel[1]))
    fields = {name: hparameters[name] for name in ("stride", "pad", "dilation")}
    Z, _ = conv_forward(A_prev, W, np.zeros(channels), {**fields, "groups": channels})
    close(A, Z)


@deterministic
@given(pool=pools(), seed=seeds, mode=st.sampled_from(["max", "min"]))
def test_extremes_commute_with_rising_functions(pool: Any, seed: int, mode: str) -> None:
    shape, hparameters = pool
    A_prev = np.random.default_rng(seed).standard_normal(shape)
    before, _ = pool_forward(A_prev, hparameters, mode)
    after, _ = pool_forward(np.arctan(A_prev), hparameters, mode)
    met = np.isfinite(before)
    np.testing.assert_array_equal(np.isfinite(after), met)
    np.testing.assert_array_equal(after[met], np.arctan(before)[met])


@deterministic
@given(pool=pools(), seed=seeds)
def test_minimum_is_the_negated_maximum(pool: Any, seed: int) -> None:
    shape, hparameters = pool
    A_prev = np.random.default_rng(seed).integers(-2, 3, shape).astype(float)
    A_min, min_cache = pool_forward(A_prev, hparameters, "min")
    A_max, max_cache = pool_forward(-A_prev, hparameters, "max")
    np.testing.assert_array_equal(A_min, -A_max)
    dA = np.random.default_rng(seed).standard_normal(A_min.shape)
    np.testing.assert_array_equal(
        pool_backward(dA, min_cache, "min"), pool_backward(dA, max_cache, "max")
    )


@deterministic
@given(pool=pools(), seed=seeds)
def test_the_average_lies_between_the_extremes(pool: Any, seed: int) -> None:
    shape, hparameters = pool
    hparameters = {**hparameters, "count_include_pad": False}
    A_prev = np.random.default_rng(seed).standard_normal(shape)
    low, mean, high = (pool_forward(A_prev, hparameters, m)[0] for m in ("min", "average", "max"))
    met = np.isfinite(low)
    assert np.all(low[met] <= mean[met] + 1e-12)
    assert np.all(mean[met] <= high[met] + 1e-12)
    assert np.array_equal(mean[~met], np.zeros_like(mean[~met]))


@deterministic
@given(pool=pools(), seed=seeds)
def test_gradient_is_conserved_on_ties(pool: Any, seed: int) -> None:
    shape, hparameters = pool
    A_prev = np.random.default_rng(seed).integers(0, 2, shape).astype(float)
    A, cache = pool_forward(A_prev, hparameters)
    dA = np.random.default_rng(seed).standard_normal(A.shape)
    close(pool_backward(dA, cache).sum(), dA[np.isfinite(A)].sum())


@pytest.mark.parametrize("p", [1, 2, 3.5])
@deterministic
@given(pool=pools(), seed=seeds, scale=st.floats(-8, 8))
def test_norms_scale_with_the_magnitude(pool: Any, seed: int, scale: float, p: float) -> None:
    shape, hparameters = pool
    A_prev = np.random.default_rng(seed).standard_normal(shape)
    fields = {**hparameters, "p": p}
    scaled, _ = pool_forward(scale * A_prev, fields, "lp")
    close(scaled, abs(scale) * pool_forward(A_prev, fields, "lp")[0])
