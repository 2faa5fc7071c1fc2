"""Layers: frozen descriptions that know their shapes, and run forward, backward and in strips."""

from __future__ import annotations

from cnncli.core.arrays import FloatArray, Shape
from cnncli.network.layers.base import AnyLayer, Gradients, Layer, MergeLayer, RowSource, StripStage
from cnncli.network.layers.blocks import DepthToSpaceLayer, SpaceToDepthLayer
from cnncli.network.layers.cell_scale import CellScaleLayer
from cnncli.network.layers.channels import PadChannelsLayer
from cnncli.network.layers.conv import ConvLayer, DenseLayer
from cnncli.network.layers.conv_transpose import ConvTransposeLayer
from cnncli.network.layers.matmul import MatMulLayer
from cnncli.network.layers.merge import (
    AddLayer,
    ConcatLayer,
    DivLayer,
    Elementwise,
    MaxLayer,
    MinLayer,
    MulLayer,
    SubLayer,
)
from cnncli.network.layers.norm import GroupNormLayer, InstanceNormLayer, LayerNormLayer, LRNLayer
from cnncli.network.layers.pad import PadLayer
from cnncli.network.layers.pointwise import (
    ActivationLayer,
    BatchNormLayer,
    QuotientLayer,
    ScaleLayer,
)
from cnncli.network.layers.pool import PoolLayer
from cnncli.network.layers.reduce import ReduceLayer
from cnncli.network.layers.resize import ResizeLayer
from cnncli.network.layers.slice import SliceLayer
from cnncli.network.layers.softmax import SoftmaxLayer
from cnncli.network.layers.view import ViewLayer

__all__ = [
    "ActivationLayer",
    "AddLayer",
    "AnyLayer",
    "BatchNormLayer",
    "CellScaleLayer",
    "ConcatLayer",
    "ConvLayer",
    "ConvTransposeLayer",
    "DenseLayer",
    "DepthToSpaceLayer",
    "DivLayer",
    "Elementwise",
    "FloatArray",
    "Gradients",
    "GroupNormLayer",
    "InstanceNormLayer",
    "Layer",
    "LayerNormLayer",
    "LRNLayer",
    "MatMulLayer",
    "MaxLayer",
    "MergeLayer",
    "MinLayer",
    "MulLayer",
    "PadChannelsLayer",
    "PadLayer",
    "PoolLayer",
    "QuotientLayer",
    "ReduceLayer",
    "ResizeLayer",
    "RowSource",
    "ScaleLayer",
    "Shape",
    "SliceLayer",
    "SoftmaxLayer",
    "SpaceToDepthLayer",
    "StripStage",
    "SubLayer",
    "ViewLayer",
]
