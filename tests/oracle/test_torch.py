"""PyTorch as judge: its own operator samples, and products of options, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncli import conv_backward, conv_forward, pool_backward, pool_forward
from cnncli.core.activations import get_activation
from cnncli.core.padding import pad_borders, pad_borders_backward
from tests.support.judges import distinct_values

torch = pytest.importorskip("torch")
F = torch.nn.functional
# On tensors this small threads only wait for each other.
torch.set_num_threads(1)

# PyTorch's test helpers and some of its calls warn of PyTorch's own plans.
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]

TORCH_MODES = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def to_nhwc(tensor: Any) -> Any:
    """Return (N, C, H, W) or (C, H, W) as an array (N, H, W, C)."""
    array = tensor.detach().numpy()
    return np.moveaxis(array if array.ndim == 4 else array[None], 1, -1)


def to_tensor(array: Any) -> Any:
    """Return (N, H, W, C) as a tensor (N, C, H, W) whose gradient is kept."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(array, -1, 1)), requires_grad=True)


def close(actual: Any, expected: Any, context: object) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=str(context))


def random_like(Z: Any) -> Any:
    return np.random.default_rng(21).standard_normal(Z.shape)


def gradients(output: Any, dZ: Any, *inputs: Any) -> Any:
    """Return autograd's gradients of the inputs for the gradient dZ (N, H, W, C) of an output."""
    dZ = torch.tensor(np.moveaxis(dZ, -1, 1).copy()).reshape(output.shape)
    return torch.autograd.grad(output, inputs, dZ)


@pytest.fixture(scope="module")
def samples() -> Any:
    """Return a function that gives PyTorch's samples for testing one of its operators."""
    pytest.importorskip("expecttest")
    from torch.testing._internal.common_methods_invocations import op_db

    def of(name: str) -> Iterator[Any]:
        (operator,) = [op for op in op_db if op.name == f"nn.functional.{name}"]
        return operator.sample_inputs("cpu", torch.float64, requires_grad=True)

    return of


def check_conv(x: Any, weight: Any, bias: Any, fields: dict[str, Any]) -> None:
    """Compare F.conv2d on (N, C, H, W) or (C, H, W) with conv_forward and conv_backward."""
    expected = F.conv2d(x, weight, bias, **fields)
    hparameters = dict(fields)
    hparameters["pad"] = hparameters.pop("padding", 0)
    W = weight.detach().numpy().transpose(2, 3, 1, 0)
    b = np.zeros(W.shape[3]) if bias is None else bias.detach().numpy()
    Z, cache = conv_forward(to_nhwc(x), W, b.reshape(1, 1, 1, -1), hparameters)
    close(Z, to_nhwc(expected), fields)
    dZ = random_like(Z)
    dA_prev, dW, db = conv_backward(dZ, cache)
    inputs = [x, weight] if bias is None else [x, weight, bias]
    dx, dweight, *dbias = gradients(expected, dZ, *inputs)
    close(dA_prev, to_nhwc(dx), fields)
    close(dW, dweight.numpy().transpose(2, 3, 1, 0), fields)
    for gradient in dbias:
        close(db.ravel(), gradient.numpy(), fields)


def check_pool(x: Any, expected: Any, hparameters: dict[str, Any], mode: str) -> None:
    A, cache = pool_forward(to_nhwc(x), hparameters, mode)
    close(A, to_nhwc(expected), (mode, hparameters))
    dA = random_like(A)
    (dx,) = gradients(expected, dA, x)
    close(pool_backward(dA, cache, mode), to_nhwc(dx), (mode, hparameters))


def pool_fields(size: Any, stride: Any, padding: Any, **extra: Any) -> dict[str, Any]:
    """Return hparameters for PyTorch's arguments: no stride means the window's size."""
    pad = padding[0] if isinstance(padding, tuple) and len(padding) == 1 else padding
    return {"f": size, "stride": stride or size, "pad": pad, **extra}


def test_samples_of_conv2d(samples: Any) -> None:
    ran = 0
    for sample in samples("conv2d"):
        weight, bias = (*sample.args, None)[:2]
        check_conv(sample.input, weight, bias, sample.kwargs)
        ran += 1
    assert ran >= 28


def test_samples_of_max_pool2d(samples: Any) -> None:
    ran = 0
    for sample in samples("max_pool2d"):
        # Every sample comes a second time to ask for the winners' places, which cnncli never gives.
        if sample.kwargs["return_indices"]:
            continue
        fields = sample.kwargs
        expected = F.max_pool2d(sample.input, *sample.args, **fields)
        hparameters = pool_fields(
            fields["kernel_size"],
            fields["stride"],
            fields["padding"],
            dilation=fields["dilation"],
            ceil=fields["ceil_mode"],
        )
        check_pool(sample.input, expected, hparameters, "max")
        ran += 1
    assert ran >= 700


def test_samples_of_avg_pool2d(samples: Any) -> None:
    ran = 0
    for sample in samples("avg_pool2d"):
        # A divisor of one's own is the one argument that cnncli has not: leave it at its default.
        defaults = (None, None, 0, False, True)
        given = sample.args[:5]
        size, stride, padding, ceil, include = (*given, *defaults[len(given) :])
        assert sample.kwargs == {}
        expected = F.avg_pool2d(sample.input, size, stride, padding, ceil, include)
        hparameters = pool_fields(size, stride, padding, ceil=ceil, count_include_pad=include)
        check_pool(sample.input, expected, hparameters, "average")
        ran += 1
    assert ran >= 7


def images(channels: int = 2, size: tuple[int, int] = (7, 6)) -> Any:
    return to_tensor(distinct_values(np.random.default_rng(22), 2, *size, channels) / 20)


def filters(*shape: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(23)
    weight = torch.tensor(rng.standard_normal(shape), requires_grad=True)
    return weight, torch.tensor(rng.standard_normal(shape[0]) + 3, requires_grad=True)


@pytest.mark.parametrize(("out", "groups"), [(3, 1), (4, 2), (4, 4), (8, 4)])
@pytest.mark.parametrize("size", [(3, 3), (2, 3), (4, 1)], ids=str)
def test_conv(size: tuple[int, int], out: int, groups: int) -> None:
    weight, bias = filters(out, 4 // groups, *size)
    for stride, padding, dilation in product([1, 2, (2, 3)], [0, 2, (1, 2)], [1, (2, 1)]):
        fields = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        check_conv(images(4), weight, bias, fields)


@pytest.mark.parametrize("dilation", [1, 2, (1, 3)], ids=str)
@pytest.mark.parametrize("size", [(3, 3), (2, 3), (4, 2)], ids=str)
def test_same_at_stride_one(size: tuple[int, int], dilation: Any) -> None:
    weight, bias = filters(3, 2, *size)
    check_conv(images(), weight, bias, {"padding": "same", "dilation": dilation})


@pytest.mark.parametrize("stride", [1, (2, 3)], ids=str)
@pytest.mark.parametrize("mode", TORCH_MODES)
def test_conv_with_borders(mode: str, stride: Any) -> None:
    weight, bias = filters(3, 2, 3, 2)
    W = weight.detach().numpy().transpose(2, 3, 1, 0)
    for pads in (((1, 1), (1, 1)), ((0, 3), (2, 1)), ((5, 6), (4, 0))):
        x = images()
        sides = (*pads[1], *pads[0])
        expected = F.conv2d(F.pad(x, sides, TORCH_MODES[mode]), weight, bias, stride=stride)
        hparameters = {"pad": pads, "pad_mode": mode, "stride": stride}
        Z, cache = conv_forward(to_nhwc(x), W, bias.detach().numpy(), hparameters)
        close(Z, to_nhwc(expected), hparameters)
        dZ = random_like(Z)
        dA_prev, dW, db = conv_backward(dZ, cache)
        dx, dweight, dbias = gradients(expected, dZ, x, weight, bias)
        close(dA_prev, to_nhwc(dx), hparameters)
        close(dW, dweight.numpy().transpose(2, 3, 1, 0), hparameters)
        close(db.ravel(), dbias.numpy(), hparameters)


@pytest.mark.parametrize("mode", [*TORCH_MODES, "zeros"])
@pytest.mark.parametrize("pads", [((1, 2), (3, 0)), ((0, 0), (0, 5)), ((6, 6), (5, 5))], ids=str)
def test_borders(mode: str, pads: Any) -> None:
    x, value = images(), 0.0 if mode != "zeros" else -1.5
    extra = {"value": value} if mode == "zeros" else {}
    expected = F.pad(x, (*pads[1], *pads[0]), TORCH_MODES.get(mode, "constant"), **extra)
    padded = pad_borders(to_nhwc(x), pads, mode, value)
    np.testing.assert_array_equal(padded, to_nhwc(expected))
    dX_pad = random_like(padded)
    (dx,) = gradients(expected, dX_pad, x)
    close(pad_borders_backward(dX_pad, pads, mode), to_nhwc(dx), (mode, pads))


SIZES = [2, 3, (2, 3)]
STRIDES = [None, 1, 2, (2, 3)]


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("padding", [0, 1, (1, 0)], ids=str)
def test_max_pool(padding: Any, ceil: bool) -> None:
    for size, stride, dilation in product(SIZES, STRIDES, [1, 2, (1, 2)]):
        x = images()
        expected = F.max_pool2d(x, size, stride, padding, dilation, ceil)
        fields = pool_fields(size, stride, padding, dilation=dilation, ceil=ceil)
        check_pool(x, expected, fields, "max")


@pytest.mark.parametrize("ceil", [False, True])
def test_max_pool_on_ties(ceil: bool) -> None:
    rng = np.random.default_rng(24)
    for size, stride, dilation in product(SIZES, STRIDES, [1, 2]):
        x = to_tensor(rng.integers(-1, 2, (2, 7, 6, 3)).astype(float))
        expected = F.max_pool2d(x, size, stride, 1, dilation, ceil)
        fields = pool_fields(size, stride, 1, dilation=dilation, ceil=ceil)
        check_pool(x, expected, fields, "max")


@pytest.mark.parametrize("ceil", [False, True])
def test_min_pool_is_torch_on_the_negative(ceil: bool) -> None:
    rng = np.random.default_rng(25)
    for size, stride in product(SIZES, STRIDES):
        x = to_tensor(rng.integers(-1, 2, (2, 7, 6, 3)).astype(float))
        expected = -F.max_pool2d(-x, size, stride, 1, 1, ceil)
        check_pool(x, expected, pool_fields(size, stride, 1, ceil=ceil), "min")


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("padding", [0, 1, (1, 0)], ids=str)
def test_average_pool(padding: Any, ceil: bool, include: bool) -> None:
    for size, stride, rows in product(SIZES, STRIDES, (5, 6, 7)):
        x = images(size=(rows, 8))
        expected = F.avg_pool2d(x, size, stride, padding, ceil, include)
        fields = pool_fields(size, stride, padding, ceil=ceil, count_include_pad=include)
        check_pool(x, expected, fields, "average")


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 6.0])
def test_lp_pool(p: float) -> None:
    for size, stride in product(SIZES, STRIDES):
        # PyTorch takes powers without magnitudes: give it positive numbers.
        x = torch.tensor(np.abs(images().detach().numpy()), requires_grad=True)
        expected = F.lp_pool2d(x, p, size, stride)
        check_pool(x, expected, {**pool_fields(size, stride, 0), "p": p}, "lp")


def test_lp_pool_of_negative_numbers() -> None:
    x = images()
    check_pool(x, F.lp_pool2d(x, 2, 3, 1), {"f": 3, "stride": 1, "p": 2}, "lp")


@pytest.mark.parametrize(
    ("mode", "function"), [("max", "adaptive_max_pool2d"), ("average", "adaptive_avg_pool2d")]
)
def test_global_pool(mode: str, function: str) -> None:
    x = images()
    check_pool(x, getattr(F, function)(x, 1), {"f": "global"}, mode)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", "relu"),
        ("leaky-relu", "nn.functional.leaky_relu"),
        ("sigmoid", "sigmoid"),
        ("tanh", "tanh"),
        ("abs", "abs"),
    ],
)
def test_activation(name: str, function: str) -> None:
    judge = torch
    for part in function.split("."):
        judge = getattr(judge, part)
    # Zeros are among them: the slope at the kink is PyTorch's too.
    Z = np.linspace(-9, 9, 91)
    x = torch.tensor(Z, requires_grad=True)
    expected = judge(x)
    activation = get_activation(name)
    A = activation.forward(Z)
    close(A, expected.detach().numpy(), name)
    dA = random_like(Z)
    (dx,) = torch.autograd.grad(expected, x, torch.tensor(dA))
    assert 0.0 in Z
    close(activation.backward(dA, Z, A), dx.numpy(), name)


def test_a_network_of_layers_agrees_in_float32() -> None:
    rng = np.random.default_rng(26)
    x = torch.tensor(rng.standard_normal((2, 3, 16, 16)).astype(np.float32))
    weight = torch.tensor(rng.standard_normal((8, 3, 3, 3)).astype(np.float32))
    bias = torch.tensor(rng.standard_normal(8).astype(np.float32))
    expected = F.max_pool2d(torch.relu(F.conv2d(x, weight, bias, padding=1)), 2)
    W = weight.numpy().transpose(2, 3, 1, 0)
    Z, _ = conv_forward(to_nhwc(x), W, bias.numpy().reshape(1, 1, 1, -1), {"pad": 1})
    A, _ = pool_forward(get_activation("relu").forward(Z), {"f": 2})
    assert A.dtype == np.float32
    np.testing.assert_allclose(A, to_nhwc(expected), rtol=1e-4, atol=1e-4)
