"""Single convolution layers of well-known networks against onnxruntime and torch, in float32.

Sessions, modules and our plans are prepared before the clock starts, as a network would do once.
Each layer stands twice, beside the same times of the peers: prepared, and as one call of
`conv_forward`, which chooses and prepares anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.machine import THREADS
from benchmarks.measure import Contender, compare
from benchmarks.table import BEST, OURS, Row, row_of
from cnncli import conv_forward, conv_plan

Array = NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """One convolution layer on one image, padded so that stride 1 keeps its size.

    Parameters
    ----------
    n_C_prev, n_C : int
        Channels in and out.
    kernel, size, stride : int
        Sides in cells.
    groups : int
        As many as channels where each has a filter of its own.
    limit : float
        Largest ratio of the prepared layer to the best peer that is to be reached.
    """

    n_C_prev: int
    n_C: int
    kernel: int
    size: int
    stride: int = 1
    groups: int = 1
    limit: float = 1.6

    @property
    def name(self) -> str:
        """As in ``64->64, 3x3, 224``."""
        step = f" stride {self.stride}" if self.stride > 1 else ""
        k = self.kernel
        depth = f"{self.n_C_prev}->{self.n_C}" if self.groups == 1 else f"depthwise {self.n_C}"
        return f"{depth}, {k}x{k}{step}, {self.size}"

    @property
    def pad(self) -> int:
        """Cells on each side."""
        return self.kernel // 2

    @property
    def small(self) -> Layer:
        """The layer with an eighth of its channels and cells, to try the program out."""
        prev = self.n_C_prev if self.n_C_prev < 8 else self.n_C_prev // 8
        size = self.size if self.size < 8 else max(7, self.size // 8)
        groups = max(1, self.groups // 8)
        return replace(self, n_C_prev=prev, n_C=self.n_C // 8, size=size, groups=groups)


LAYERS: Final = (
    Layer(3, 64, 3, 224),
    Layer(64, 64, 3, 224),
    Layer(128, 128, 3, 112, limit=0.8),
    Layer(256, 256, 3, 56, limit=0.8),
    Layer(512, 512, 3, 28, limit=0.8),
    Layer(512, 512, 3, 14, limit=0.8),
    Layer(3, 64, 7, 224, stride=2),
    Layer(64, 192, 5, 27),
    Layer(256, 64, 1, 56),
)


SMALL_LAYERS: Final = (
    Layer(32, 32, 3, 7),
    Layer(64, 64, 3, 14),
    Layer(16, 16, 3, 28),
    Layer(192, 32, 1, 28),
    Layer(32, 192, 1, 28),
    Layer(1280, 1000, 1, 1),
    Layer(96, 96, 3, 56, groups=96),
    Layer(96, 96, 3, 112, stride=2, groups=96),
    Layer(240, 240, 5, 14, groups=240),
    Layer(3, 32, 3, 224, stride=2),
)

ONE_CALL: Final = ", one call"
"""What a section's name ends with where filters are prepared in each call."""

ONE_CALL_LIMIT: Final = 1.6
SMALL_LIMIT: Final = 3.0
"""Largest ratio of a single layer: of one call, and of a small layer to torch's."""


def measure(repeats: int, quick: bool = False) -> Iterator[Row]:
    """Yield two rows for each layer: prepared, and one call.

    Parameters
    ----------
    repeats : int
        Blocks of each contender.
    quick : bool
        Whether layers are shrunk.
    """
    for layer in LAYERS:
        limits = {BEST: layer.limit}, {BEST: ONE_CALL_LIMIT}
        yield from rows_of("layers", layer.small if quick else layer, repeats, *limits)


def measure_small(repeats: int, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of small layers, where fixed costs count most; arguments as in `measure`."""
    limits = {"torch": SMALL_LIMIT}
    for layer in SMALL_LAYERS:
        yield from rows_of("small layers", layer.small if quick else layer, repeats, limits, limits)


def rows_of(
    section: str,
    layer: Layer,
    repeats: int,
    prepared_limits: dict[str, float],
    one_call_limits: dict[str, float],
) -> Iterator[Row]:
    """Compare a layer once and yield its two rows."""
    contenders = contenders_of(layer)
    ours, one_call, *others = contenders
    compared = compare(contenders, repeats)
    prepared_ones, one_call_ones = [ours, *others], [one_call, *others]
    yield row_of(section, layer.name, prepared_ones, compared, prepared_limits)
    yield row_of(section + ONE_CALL, layer.name, one_call_ones, compared, one_call_limits)


def contenders_of(layer: Layer) -> list[Contender]:
    """Return ours, prepared and as one call, and the peers that are there."""
    X, W, b = operands(layer)
    found = [Contender(f"{OURS} prepared", prepared(layer, X, W, b))]
    one_call = partial(conv_forward, X, W, b.reshape(1, 1, 1, -1), hparameters_of(layer))
    found.append(Contender(f"{OURS} one call", one_call, lambda made: made[0]))
    if peers.module("onnxruntime") is not None and peers.module("onnx") is not None:
        found.append(Contender("onnxruntime", onnxruntime_layer(layer, X, W, b), from_onnx))
    if peers.module("torch") is not None:
        found.append(Contender("torch", torch_layer(layer, X, W, b), from_torch))
    return found


def operands(layer: Layer) -> tuple[Array, Array, Array]:
    """Return input (1, H, W, C), filters (k, k, C_in, C_out) and bias (C_out,), float32."""
    rng = np.random.default_rng(0)
    shape = (layer.kernel, layer.kernel, layer.n_C_prev // layer.groups, layer.n_C)
    X = rng.standard_normal((1, layer.size, layer.size, layer.n_C_prev), np.float32)
    W = rng.standard_normal(shape, np.float32) / np.float32(np.prod(shape[:3]) ** 0.5)
    return X, W, rng.standard_normal(layer.n_C, np.float32)


def prepared(layer: Layer, X: Array, W: Array, b: Array) -> Callable[[], Array]:
    """Return our layer, planned as a network would: once, to be run often."""
    plan = conv_plan(X, W, b.reshape(1, 1, 1, -1), hparameters_of(layer))
    return partial(plan, X)


def hparameters_of(layer: Layer) -> dict[str, int]:
    """Return the settings of a layer as `conv_forward` takes them."""
    return {"stride": layer.stride, "pad": layer.pad, "groups": layer.groups}


def onnxruntime_layer(layer: Layer, X: Array, W: Array, b: Array) -> Callable[[], Any]:
    """Return the layer as a session with its input and output bound, so that nothing is copied."""
    runtime = peers.module("onnxruntime")
    assert runtime is not None
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = runtime.InferenceSession(
        onnx_model(layer, W, b), options, providers=["CPUExecutionProvider"]
    )
    cells = -(-layer.size // layer.stride)
    binding = session.io_binding()
    given = runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(X.transpose(0, 3, 1, 2)))
    made = runtime.OrtValue.ortvalue_from_numpy(np.empty((1, layer.n_C, cells, cells), np.float32))
    binding.bind_ortvalue_input("X", given)
    binding.bind_ortvalue_output("Z", made)

    def run() -> Any:
        session.run_with_iobinding(binding)
        return made

    return run


def onnx_model(layer: Layer, W: Array, b: Array) -> bytes:
    """Return a model of one Conv node with its weights inside."""
    onnx = peers.module("onnx")
    assert onnx is not None
    helper, arrays, kinds = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    cells = -(-layer.size // layer.stride)
    given = (1, layer.n_C_prev, layer.size, layer.size)
    fields = {"pads": [layer.pad] * 4, "strides": [layer.stride] * 2, "group": layer.groups}
    node = helper.make_node("Conv", ["X", "W", "b"], ["Z"], **fields)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", kinds.FLOAT, given)],
        [helper.make_tensor_value_info("Z", kinds.FLOAT, (1, layer.n_C, cells, cells))],
        [
            arrays.from_array(np.ascontiguousarray(W.transpose(3, 2, 0, 1)), "W"),
            arrays.from_array(b, "b"),
        ],
    )
    # Older than the newest, so that every onnxruntime reads it.
    opset = [helper.make_opsetid("", 17)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return model


def torch_layer(layer: Layer, X: Array, W: Array, b: Array) -> Callable[[], Any]:
    """Return the layer as a module with weights and input stored channels-last."""
    torch = peers.module("torch")
    assert torch is not None
    module = torch.nn.Conv2d(
        layer.n_C_prev, layer.n_C, layer.kernel, layer.stride, layer.pad, groups=layer.groups
    )
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(W.transpose(3, 2, 0, 1).copy()))
        module.bias.copy_(torch.from_numpy(b))
    module = module.eval().to(memory_format=torch.channels_last)
    # The NHWC array seen as NCHW is what torch calls channels-last.
    given = torch.from_numpy(X).permute(0, 3, 1, 2)

    def run() -> Any:
        with torch.inference_mode():
            return module(given)

    return run


def from_onnx(made: Any) -> Array:
    """Return an OrtValue (N, C, H, W) as an array (N, H, W, C)."""
    array: Array = made.numpy().transpose(0, 2, 3, 1)
    return array


def from_torch(made: Any) -> Array:
    """Return a tensor (N, C, H, W) as an array (N, H, W, C)."""
    array: Array = made.numpy().transpose(0, 2, 3, 1)
    return array
