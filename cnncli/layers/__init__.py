"""Layers: frozen descriptions that know their shapes, and run forward, backward and in strips."""

from __future__ import annotations

from cnncli.layers.base import AnyLayer, FloatArray, Gradients, Join, Layer, Rows, Shape, Stage
from cnncli.layers.conv import ConvLayer
from cnncli.layers.join import AddLayer, ConcatLayer, MulLayer
from cnncli.layers.pad import PadLayer
from cnncli.layers.pointwise import ActivationLayer, BatchNormLayer, ScaleLayer
from cnncli.layers.pool import PoolLayer

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
