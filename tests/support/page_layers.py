"""Random layers of one layer's page, as the core has them and as `apply` of the page takes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnncli.explain.page.layer_data import PageData
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter
from cnncli.io.images import Picture
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.browser import bank, random_picture


def two_filters() -> Filter:
    """Two 2-D filters, each for every channel on its own."""
    return Filter("two", bank((2, 4, 2, 1)).weights[..., 0], True, ("a", "b"))


CONV_PAGES: dict[str, tuple[Picture, ConvLayer]] = {
    "photo": (random_picture((13, 11, 3)), ConvLayer(load_filter("edge"))),
    "two 2-D": (random_picture((9, 12, 3)), ConvLayer(two_filters())),
    "bank": (random_picture((12, 10, 3)), ConvLayer(bank((3, 2, 3, 4)))),
    "groups": (random_picture((10, 9, 4), "float32"), ConvLayer(bank((3, 3, 2, 6)), groups=2)),
    "depthwise": (
        random_picture((8, 8, 3), "float64"),
        ConvLayer(bank((1, 5, 1, 3), "float64"), groups=3),
    ),
    "one row": (random_picture((1, 14, 1)), ConvLayer(bank((1, 3, 1, 2)))),
}


def random_conv(
    rng: np.random.Generator, layer: ConvLayer, dtype: Any
) -> tuple[ConvLayer, PageData]:
    """A layer with other settings, and the changes that lead the page there."""
    pads = [int(pad) for pad in rng.integers(0, 5, 4)]
    named = ["same", "same-lower", "valid", pads, pads, pads][rng.integers(6)]
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
    modes = ("zeros", "edge", "reflect", "symmetric", "wrap")
    words = ("none", "relu", "leaky-relu", "sigmoid", "tanh", "abs")
    bias = rng.normal(size=layer.filter.maps).astype(dtype)
    weights = rng.normal(size=layer.filter.weights.shape).astype(dtype)
    # In a page as in a file, numbers of float32 stay what they are.
    fields = {
        "stride": stride,
        "padding": named if isinstance(named, str) else (tuple(pads[:2]), tuple(pads[2:])),
        "dilation": dilation,
        "pad_mode": modes[rng.integers(5)],
        "pad_value": float(np.float32(rng.normal())) if rng.integers(2) else 0.0,
        "activation": words[rng.integers(6)],
    }
    changed = replace(layer, filter=replace(layer.filter, weights=weights), bias=bias, **fields)
    page = {
        "stride": list(stride),
        "padding": named,
        "dilation": list(dilation),
        "padMode": fields["pad_mode"],
        "padValue": fields["pad_value"],
        "activation": fields["activation"],
        "weights": [float(w) for w in weights.ravel()],
        "bias": [float(b) for b in bias],
    }
    return changed, page


def random_pool(rng: np.random.Generator) -> tuple[PoolLayer, PageData]:
    size, stride = (tuple(int(v) for v in rng.integers(1, 5, 2)) for _ in range(2))
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    fields = {
        "mode": ("max", "average", "min", "lp")[rng.integers(4)],
        "size": size,
        "stride": stride,
        "dilation": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "ceil": bool(rng.integers(2)),
        "count_include_pad": bool(rng.integers(2)),
        "p": (1.0, 2.0, 3.5)[rng.integers(3)],
    }
    layer = PoolLayer(padding=(tuple(pads[:2]), tuple(pads[2:])), **fields)  # type: ignore[arg-type]
    page = {
        **{name: fields[name] for name in ("mode", "ceil", "p")},
        **{name: list(fields[name]) for name in ("stride", "dilation")},  # type: ignore[call-overload]
        "kernel": list(size),
        "padding": pads,
        "countIncludePad": fields["count_include_pad"],
    }
    return layer, page
