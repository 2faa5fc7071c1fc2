"""`pad`, `conv` and `pool`: one layer on one image, as the commands of these names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from cnncli.core.choices import AVERAGE_NAMES
from cnncli.core.geometry import PaddingLike, Pair
from cnncli.library.arguments import check_arguments
from cnncli.library.images import ImageLike, Reading, array_of, check_keywords
from cnncli.library.result import MapsArray
from cnncli.library.run import run_model
from cnncli.network.model import Model
from cnncli.pipeline.layers import (
    ConvSettings,
    FilterLike,
    conv_layer,
    model_of,
    pad_layer,
    pool_layer,
)


def pad(
    image: ImageLike,
    padding: PaddingLike,
    *,
    pad_mode: str = "auto",
    pad_value: float | None = None,
    jobs: int | None = None,
    **reading: Unpack[Reading],
) -> MapsArray:
    """Add a border to an image, as `cnncli pad` does.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
        An array is taken as a ``.npy`` file of it: (H, W), (H, W, C) or (N, H, W, C).
    padding : int, (h, w), (top, bottom, left, right) or str
        Cells that are added.
    pad_mode : {"auto", "zeros", "edge", "reflect", "symmetric", "wrap"}
        What the border holds; ``"auto"`` is zeros.
    pad_value : float, optional
        Value of the border instead of 0.
    jobs : int, optional
        Threads; default: one for each core.
    **reading
        gray, background, frame, as_values, max_pixels, max_memory: as the command's options.

    Returns
    -------
    MapsArray
        (n_H, n_W, n_C), or (N, n_H, n_W, n_C) of a batch.

    Raises
    ------
    CnnCliError
        If the image cannot be read, or an option does not fit.

    Examples
    --------
    >>> pad(np.array([[1.0, 2.0]]), (0, 1), pad_mode="edge")[..., 0].tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    check_keywords(pad, reading)
    settings = _checked(padding=padding, pad_mode=pad_mode, pad_value=pad_value)
    model = Model.of_layer(pad_layer(**settings))
    return run_model(model, image, reading, call="cnncli.pad(...)", jobs=jobs).last


def conv(
    image: ImageLike,
    filter: FilterLike | ArrayLike | Sequence[FilterLike],
    *,
    filter_layout: str = "hwio",
    bias: str | float | ArrayLike | None = None,
    flip: bool = False,
    normalize: bool = False,
    activation: str = "none",
    stride: int | Pair = 1,
    padding: PaddingLike = "same",
    pad_mode: str = "auto",
    pad_value: float | None = None,
    dilation: int | Pair = 1,
    groups: int = 1,
    algorithm: str = "auto",
    convention: str | None = None,
    jobs: int | None = None,
    **reading: Unpack[Reading],
) -> MapsArray:
    """Convolve an image with filters, as `cnncli conv` does.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
        An array is taken as a ``.npy`` file of it: (H, W), (H, W, C) or (N, H, W, C).
    filter : str, path, array, or a list of these
        What ``--filter`` takes, such as ``"edge"``, or weights of (kh, kw), (kh, kw, C_in) or
        (kh, kw, C_in, C_out). Several make one bank.
    filter_layout, bias, flip, normalize, activation, stride, padding, pad_mode, pad_value
        As the command's options; a bias may be an array of one number for each map.
    dilation, groups, algorithm, convention
        As the command's options.
    jobs : int, optional
        Threads; default: one for each core.
    **reading
        gray, background, frame, as_values, max_pixels, max_memory: as the command's options.

    Returns
    -------
    MapsArray
        (n_H, n_W, n_C), or (N, n_H, n_W, n_C) of a batch.

    Raises
    ------
    CnnCliError
        If the image or a filter cannot be read, or an option or shape does not fit.

    Examples
    --------
    >>> edges = conv(np.eye(4), [[1, -1]], activation="relu", padding="valid")
    >>> edges[..., 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    check_keywords(conv, reading)
    model = conv_model(
        filter,
        filter_layout=filter_layout,
        bias=bias,
        flip=flip,
        normalize=normalize,
        activation=activation,
        stride=stride,
        padding=padding,
        pad_mode=pad_mode,
        pad_value=pad_value,
        dilation=dilation,
        groups=groups,
        algorithm=algorithm,
        convention=convention,
    )
    return run_model(model, image, reading, call="cnncli.conv(...)", jobs=jobs).last


def conv_model(filter: FilterLike | ArrayLike | Sequence[FilterLike], **settings: Any) -> Model:
    """Return the model of one convolution; the settings are those of `conv`.

    Examples
    --------
    >>> conv_model(["sobel_h", "sobel_v"], stride=2).network.output_shape((1, 8, 8, 3))
    (1, 4, 4, 6)
    """
    bias = settings.pop("bias", None)
    settings = _checked(**settings)
    settings["bias"] = bias if bias is None or isinstance(bias, str) else array_of(bias, "bias")
    layer = conv_layer(_filters(filter), ConvSettings(**settings))
    return model_of(layer, settings.get("convention"))


def _checked(**settings: Any) -> dict[str, Any]:
    """Return settings with lists for arrays, once each is of its kind."""
    lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    check_arguments(**lists)
    return lists


def _filters(given: FilterLike | ArrayLike | Sequence[FilterLike]) -> list[FilterLike]:
    """Return filters one by one: a list of numbers, however nested, is one."""
    if isinstance(given, str | os.PathLike):
        return [given]
    if isinstance(given, Sequence) and any(
        isinstance(one, str | os.PathLike | np.ndarray) for one in given
    ):
        return [
            one if isinstance(one, str | os.PathLike) else array_of(one, "filter") for one in given
        ]
    return [array_of(given, "filter")]


def pool(
    image: ImageLike,
    mode: str = "max",
    size: int | Pair | str = 2,
    stride: int | Pair | None = None,
    *,
    padding: PaddingLike = "valid",
    dilation: int | Pair = 1,
    ceil: bool = False,
    count_include_pad: bool = False,
    p: float | None = None,
    convention: str | None = None,
    jobs: int | None = None,
    **reading: Unpack[Reading],
) -> MapsArray:
    """Pool an image: make one value of each window, as `cnncli pool` does.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
        An array is taken as a ``.npy`` file of it: (H, W), (H, W, C) or (N, H, W, C).
    mode : {"max", "average", "min", "lp"}
        ``"avg"`` and ``"mean"`` are ``"average"``.
    size : int, (h, w) or "global"
    stride : int or (h, w), optional
        By default the size.
    padding, dilation, ceil, count_include_pad, p, convention
        As the command's options.
    jobs : int, optional
        Threads; default: one for each core.
    **reading
        gray, background, frame, as_values, max_pixels, max_memory: as the command's options.

    Returns
    -------
    MapsArray
        (n_H, n_W, n_C), or (N, n_H, n_W, n_C) of a batch.

    Raises
    ------
    CnnCliError
        If the image cannot be read, or an option or shape does not fit.

    Examples
    --------
    >>> pool(np.arange(16.0).reshape(4, 4))[..., 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    check_keywords(pool, reading)
    model = pool_model(
        mode,
        size=size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil=ceil,
        count_include_pad=count_include_pad,
        p=p,
        convention=convention,
    )
    return run_model(model, image, reading, call="cnncli.pool(...)", jobs=jobs).last


def pool_model(
    mode: str, *, count_include_pad: bool = False, p: float | None = None, **fields: Any
) -> Model:
    """Return the model of one pool; the fields are those of `pool`.

    Examples
    --------
    >>> pool_model("max", size=4).network.output_shape((1, 8, 8, 3))
    (1, 2, 2, 3)
    """
    fields = _checked(mode=mode, count_include_pad=count_include_pad, **fields)
    given: dict[str, Any] = {} if p is None else {"p": p}
    if fields.pop("count_include_pad"):
        given["count_include_pad"] = True
    fields["mode"] = AVERAGE_NAMES.get(fields["mode"], fields["mode"])
    return model_of(pool_layer(given, **fields, **given), fields.get("convention"))
