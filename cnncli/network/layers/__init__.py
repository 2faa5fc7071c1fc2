"""Layers: frozen descriptions that know their shapes, and run forward, backward and in strips."""

from __future__ import annotations

from cnncli.network.layers.base import (
    AnyLayer,
    FloatArray,
    Gradients,
    Join,
    Layer,
    Rows,
    Shape,
    Stage,
)
from cnncli.network.layers.conv import ConvLayer
from cnncli.network.layers.merge import AddLayer, ConcatLayer, MulLayer
from cnncli.network.layers.pad import PadLayer
from cnncli.network.layers.pointwise import ActivationLayer, BatchNormLayer, ScaleLayer
from cnncli.network.layers.pool import PoolLayer

__all__ = [
    "ActivationLayer",
    "AddLayer",
    "AnyLayer",
    "BatchNormLayer",
    "ConcatLayer",
    "ConvLayer",
    "FloatArray",
    "Gradients",
    "Join",
    "Layer",
    "MulLayer",
    "PadLayer",
    "PoolLayer",
    "Rows",
    "ScaleLayer",
    "Shape",
    "Stage",
]
