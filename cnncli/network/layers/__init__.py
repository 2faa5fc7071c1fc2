"""Layers: frozen descriptions that know their shapes, and run forward, backward and in strips."""

from __future__ import annotations

from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.layers.base import AnyLayer, Gradients, Layer, MergeLayer, RowSource, StripStage
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
    "MergeLayer",
    "Layer",
    "MulLayer",
    "PadLayer",
    "PoolLayer",
    "RowSource",
    "ScaleLayer",
    "Shape",
    "StripStage",
]
