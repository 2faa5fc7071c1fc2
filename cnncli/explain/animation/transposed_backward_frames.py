"""The frames of a transposed convolution's backward pass: the convolution that it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnncli.explain.animation.frames import Animation, AnimationLabels, FrameOptions, plan_animation
from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.text.backward import backward_summary
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, Shape
from cnncli.render.options import one_group_each


def plan_transposed_backward_animation(
    explained: ExplainedLayer, explanation: BackwardExplanation, options: FrameOptions
) -> Animation:
    """Slide the window of the filter over the upstream gradient: each position makes one gradient.

    Parameters
    ----------
    explained : ExplainedLayer
        Of a transposed convolution.
    explanation : BackwardExplanation
        Of an input value.
    options : FrameOptions

    Raises
    ------
    OptionError
        If the window spans more cells than are shown.

    Examples
    --------
    >>> from cnncli.explain.backward import explain_backward
    >>> from cnncli.filters.filter import from_array
    >>> source, groups = array_input(np.ones((1, 1, 3, 1))), one_group_each(("",))
    >>> layer = ConvTransposeLayer(from_array(np.array([[[[1.0]], [[2]], [[4]]]])), padding=(0, 1))
    >>> up = ExplainedLayer("up", layer, (source,), groups, np.dtype(float))
    >>> explanation = explain_backward(up, (0, 1))
    >>> animation = plan_transposed_backward_animation(up, explanation, FrameOptions())
    >>> [frame.steps[0].value for frame in animation.explanations]
    [6.0, 7.0, 3.0]
    """
    layer, shape = explained.layer, explained.inputs[0].shape
    assert isinstance(layer, ConvTransposeLayer)
    map_index = explanation.map
    chosen = slice(None) if map_index is None else list(explained.groups[map_index].channels)
    convolution, read = _convolution(layer, shape)
    upstream = np.zeros((1, *read, layer.channels_out), explained.dtype)
    upstream[..., chosen] = 1
    backward = ExplainedLayer(
        explained.name,
        convolution,
        (array_input(upstream, names=explained.output_names),),
        one_group_each(explained.inputs[0].names),
        explained.dtype,
        explained.images,
        explained.image,
    )
    is_cut = any(map(any, layer.output_window(shape).pads))
    cut = "; the padding that was cut off sends nothing" if is_cut else ""
    labels = AnimationLabels(
        layer=f"{explained.name}, transposed convolution, backward",
        summary=f"{backward_summary(explanation)}{cut}",
        input="upstream",
        output="gradient of the input",
    )
    animation = plan_animation(backward, explanation.at, options, explanation.channel)
    return replace(animation, labels=labels, has_bias=False)


def _convolution(layer: ConvTransposeLayer, shape: Shape) -> tuple[ConvLayer, tuple[int, int]]:
    """The convolution whose output is the gradient, and how many rows and columns it reads."""
    window = layer.output_window(shape)
    pads, read = [], []
    for axis, size in zip((window.rows, window.cols), shape[1:3], strict=True):
        # Behind that is output padding, to which no cell of the input adds.
        reached = (size - 1) * axis.stride + axis.extent - axis.begin
        read.append(min(axis.size, reached))
        pads += [axis.begin, reached - read[-1]]
    convolution = ConvLayer(
        replace(layer.filter, bias=None),
        stride=(window.rows.stride, window.cols.stride),
        padding=(pads[0], pads[1], pads[2], pads[3]),
        dilation=(window.rows.dilation, window.cols.dilation),
        groups=layer.groups,
        pad_mode="zeros",
    )
    return convolution, (read[0], read[1])
