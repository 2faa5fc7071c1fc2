"""cnncli runs convolution and pooling on images, from the shell and from Python.

`load` opens a network; `pad`, `conv` and `pool` are layers alone; results show themselves in
notebooks. The functions of the course "Convolutional Neural Networks: Step by Step" load on first
use, so that ``import cnncli`` stays light:

>>> from cnncli import zero_pad
>>> import numpy as np
>>> zero_pad(np.ones((1, 1, 1, 1)), 1).shape
(1, 3, 3, 1)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnncli._version import __version__ as __version__

if TYPE_CHECKING:
    from cnncli.core.conv import conv_backward, conv_forward, conv_plan, conv_single_step
    from cnncli.core.padding import zero_pad
    from cnncli.core.pool import (
        create_mask_from_window,
        distribute_value,
        pool_backward,
        pool_forward,
    )
    from cnncli.errors import CnnCliError
    from cnncli.library.explain import explain
    from cnncli.library.layers import conv, pad, pool
    from cnncli.library.network import load


__all__ = [
    "CnnCliError",
    "conv",
    "conv_backward",
    "conv_forward",
    "conv_plan",
    "conv_single_step",
    "create_mask_from_window",
    "distribute_value",
    "explain",
    "load",
    "pad",
    "pool",
    "pool_backward",
    "pool_forward",
    "zero_pad",
]

_HOMES = {
    "CnnCliError": "cnncli.errors",
    "load": "cnncli.library.network",
    "pad": "cnncli.library.layers",
    "conv": "cnncli.library.layers",
    "pool": "cnncli.library.layers",
    "zero_pad": "cnncli.core.padding",
    "conv_single_step": "cnncli.core.conv",
    "conv_forward": "cnncli.core.conv",
    "conv_backward": "cnncli.core.conv",
    "conv_plan": "cnncli.core.conv",
    "pool_forward": "cnncli.core.pool",
    "create_mask_from_window": "cnncli.core.pool",
    "distribute_value": "cnncli.core.pool",
    "pool_backward": "cnncli.core.pool",
}

_CALLED = ("explain",)
"""Packages that are called as functions; importing one makes it an attribute."""


def __getattr__(name: str) -> Any:
    if name in _CALLED:
        return import_module(f"cnncli.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'cnncli' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
