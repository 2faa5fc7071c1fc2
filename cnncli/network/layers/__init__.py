"""Layers: frozen descriptions that know their shapes, and run forward, backward and in strips."""

from __future__ import annotations

from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.layers.base import AnyLayer, Gradients, Layer, MergeLayer, RowSource, StripStage
from cnncli.network.layers.channels import PadChannelsLayer
from cnncli.network.layers.conv import ConvLayer
from cnncli.network.layers.conv_transpose import ConvTransposeLayer
from cnncli.network.layers.merge import AddLayer, ConcatLayer, MulLayer
from cnncli.network.layers.pad import PadLayer
from cnncli.network.layers.pointwise import (
    ActivationLayer,
    BatchNormLayer,
    QuotientLayer,
    ScaleLayer,
)
from cnncli.network.layers.pool import PoolLayer
from cnncli.network.layers.resize import ResizeLayer
from cnncli.network.layers.slice import SliceLayer
from cnncli.network.layers.view import ViewLayer

__all__ = [
    "ActivationLayer",
    "AddLayer",
    "AnyLayer",
    "BatchNormLayer",
    "ConcatLayer",
    "ConvLayer",
    "ConvTransposeLayer",
    "FloatArray",
    "Gradients",
    "MergeLayer",
    "Layer",
    "MulLayer",
    "PadChannelsLayer",
    "PadLayer",
    "PoolLayer",
    "QuotientLayer",
    "ResizeLayer",
    "RowSource",
    "ScaleLayer",
    "Shape",
    "SliceLayer",
    "StripStage",
    "ViewLayer",
]
