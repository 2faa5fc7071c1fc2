"""Loads networks for pictures: with what prepares these, at their size, with notes and labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cnncli.core.choices import FITS, PREPARATIONS
from cnncli.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from cnncli.core.geometry import Pair
    from cnncli.io.read_options import ReadOptions, Sides
    from cnncli.network.graph import Network
    from cnncli.network.model import Model


RAW_NOTE: Final = (
    "pictures go in as 0..1, arrays as they are; for others: --prep, or --scale, --mean and --std"
)


NETWORKS: Final = (".toml", ".onnx")


def is_network(text: str | Path) -> bool:
    """Tell by its suffix whether an argument names a network.

    Examples
    --------
    >>> is_network("nets/edges.TOML"), is_network("photo.png")
    (True, False)
    """
    return Path(text).suffix.lower() in NETWORKS


def is_onnx(path: str | Path) -> bool:
    """Tell by its suffix whether a network is an ONNX model.

    Examples
    --------
    >>> is_onnx("nets/edges.ONNX"), is_onnx("net.toml")
    (True, False)
    """
    return Path(path).suffix.lower() == ".onnx"


def prepare_fields(
    prep: str | None = None, size: int | Pair | None = None, **given: Any
) -> dict[str, Any]:
    """Return what prepares pictures as fields of `Preparation`; what is None is not given.

    Parameters
    ----------
    prep : str, optional
        A name of `PREPARATIONS`; the other numbers come before those it stands for.
    size : int or (int, int), optional
    **given
        Further fields: fit, bgr, scale, mean, std.

    Raises
    ------
    OptionError
        If numbers do not fit together, before any work.

    Examples
    --------
    >>> prepare_fields(size=8, scale=None, mean=0.5)
    {'mean': 0.5, 'size': (8, 8)}
    """
    for name, word, known_words in (
        ("prep", prep, tuple(PREPARATIONS)),
        ("fit", given.get("fit"), FITS),
    ):
        if word is not None and word not in known_words:
            raise OptionError(f"--{name} must be one of {', '.join(known_words)}, got {word!r}")
    fields = {name: value for name, value in given.items() if value is not None}
    fields |= {name: _numbers(name, fields[name]) for name in ("mean", "std") if name in fields}
    if not isinstance(scale := fields.get("scale", 1.0), Real):
        raise OptionError(f"--scale must be a number, got {scale!r}")
    if size is not None:
        from cnncli.core.geometry import pair

        fields["size"] = pair(size, "size")
    known: dict[str, Any] = {} if prep is None else dict(PREPARATIONS[prep])
    found = known | fields
    mean, std = found.get("mean"), found.get("std")
    if isinstance(mean, tuple) and isinstance(std, tuple) and len(mean) != len(std):
        names = [f"--{n}" if n in fields else f"the {n} of --prep {prep}" for n in ("mean", "std")]
        raise OptionError(
            f"{names[0]} and {names[1]} must have the same length, got {len(mean)} and {len(std)}"
        )
    return found


def _numbers(name: str, given: Any) -> float | tuple[float, ...]:
    """Return a number, or several."""
    try:
        return float(given) if isinstance(given, Real) else tuple(map(float, given))
    except (TypeError, ValueError):
        raise OptionError(f"--{name} must be a number or several, got {given!r}") from None


ShapeOf = Callable[["ReadOptions"], tuple[int, int, int]]
"""Returns the (H, W, C) of a picture that is read so."""


def load_network(
    path: Path,
    prepare: dict[str, Any],
    picture: str | ShapeOf | None,
    read: ReadOptions,
    part: bool = False,
    part_option: str = "--until",
) -> Model:
    """Load a network; where its file leaves the size of pictures open, the first one tells it.

    Parameters
    ----------
    path : Path
        The file.
    prepare : dict
        As `load_model` takes it.
    picture : str or callable, optional
        The first picture, which is asked only if it is a file, or what returns its shape.
    read : ReadOptions
        How it is read.
    part, part_option
        As in `load_model`.
    """
    from cnncli.network.load import load_model

    load = partial(load_model, path, part=part, part_option=part_option)
    model = load_for_picture(load, prepare, picture, read)
    is_raw = not {"scale", "mean", "std"} & set(prepare) and _takes_raw_pixels(model)
    raw_notes = (RAW_NOTE,) if is_raw else ()
    return replace(model, notes=(*model.notes, *_size_notes(model, prepare), *raw_notes))


def load_for_picture(
    load: Callable[..., Model],
    prepare: dict[str, Any],
    picture: str | ShapeOf | None,
    read: ReadOptions,
) -> Model:
    """Return what ``load(prepare=...)`` does; where it needs the picture's size, of that size."""
    from cnncli.network.model import SizeNeeded

    shape_of = _shape_of_file(picture) if isinstance(picture, str) else picture
    try:
        model = load(prepare=prepare)
        if shape_of is None or not model.needs_size:
            return model
        own_size = model.own_size
    except SizeNeeded as error:
        if shape_of is None:
            raise
        own_size = error.own_size
    height, width, _ = shape_of(replace(read, size=own_size))
    return load(prepare={**prepare, "size": (height, width)})


def sides_text(size: Sides) -> str:
    """Return rows and columns as text; ``?`` for one that is left open.

    Examples
    --------
    >>> sides_text((224, 224)), sides_text((64, None))
    ('224x224', '64x?')
    """
    return "x".join("?" if side is None else str(side) for side in size)


def _size_notes(model: Model, prepare: dict[str, Any]) -> tuple[str, ...]:
    """Say that a network runs at another size than its own, or that there is none to fit."""
    own_size, given = model.own_size, model.input.size
    if "fit" in prepare and given is None and own_size is None:
        return ("--fit does nothing here: pictures keep their size without --size",)
    if "size" not in prepare or given is None or fits_size(model, given):
        return ()
    own, size = sides_text(own_size or given), sides_text(given)
    return (f"the network's own size is {own}, not {size}: other programs may refuse it",)


def fits_size(model: Model, size: Pair) -> bool:
    """Whether pictures of a size are what the network's file asks for."""
    own = model.own_size or (None, None)
    return all(side in (None, other) for side, other in zip(own, size, strict=True))


def chosen_layers(network: Network, names: Sequence[str]) -> tuple[str, ...]:
    """Return the layers asked for, in the network's order; without any, all of the file.

    Examples
    --------
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.layers import PoolLayer
    >>> chosen_layers(Network.chain(PoolLayer(), PoolLayer()), ["pool2"])
    ('pool2',)
    """
    from cnncli.network.graph import NORMALIZE

    asked = {network.node(name).name for name in names}
    if asked:
        return tuple(name for name in network.names if name in asked)
    return tuple(name for name in network.names if name != NORMALIZE) or network.names


def with_labels(model: Model, labels: str | Sequence[str] | None) -> Model:
    """Return the model with names for its classes: those of a file, ``--labels``, or given ones."""
    from cnncli.io.urls import local_path
    from cnncli.network.class_names import read_class_names, with_class_names

    if labels is None:
        return model
    file = local_path(labels, "--labels") if isinstance(labels, str) else None
    names = tuple(labels) if file is None else read_class_names(file)
    try:
        network = with_class_names(model.network, names)
    except ShapeError as error:
        raise OptionError(error.message, path=file) from None
    return replace(model, network=network, classes=names)


def _takes_raw_pixels(model: Model) -> bool:
    """Whether an ONNX model convolves pixels as they are: no file of its kind says how to scale."""
    from cnncli.network.graph import SOURCE
    from cnncli.network.layers import ConvLayer

    first = [node.layer for node in model.network.nodes if SOURCE in node.inputs]
    return any(map(is_onnx, model.files)) and any(isinstance(layer, ConvLayer) for layer in first)


def _shape_of_file(picture: str) -> ShapeOf | None:
    from cnncli.io.image_headers import read_shape
    from cnncli.io.urls import local_path

    return partial(read_shape, local_path(picture, "IMAGE")) if os.path.isfile(picture) else None
