"""Which height, width and channels a plan is for: those asked for, or a picture's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cnncli.core.hparameters import is_count
from cnncli.errors import OptionError
from cnncli.io.images import CHANNEL_NOTES
from cnncli.io.resize import full_size
from cnncli.network.model import Model
from cnncli.pipeline.networks import fits_size, sides_text

MOST_CHANNELS: Final = 16
"""More channels are likelier to be columns, where the first side is 1 or 3."""

SizeOfImage = tuple[int, int, int]


def input_order_notes(shape: Sequence[int]) -> tuple[str, ...]:
    """Say how the sides are ordered, where channels seem to come first, as PyTorch has them.

    Examples
    --------
    >>> input_order_notes((224, 224, 3)), len(input_order_notes((3, 224, 224)))
    ((), 1)
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or shape[2] <= MOST_CHANNELS:
        return ()
    first, height, width = shape
    right = f"{height}x{width}x{first}"
    return (f"--input is height x width x channels: {right} has {first} channels",)


def check_sides(asked: object) -> None:
    """Raise OptionError for a size from Python that is not two or three whole numbers.

    Examples
    --------
    >>> check_sides("32x32x3")
    Traceback (most recent call last):
    cnncli.errors.OptionError: input must be (H, W, C) or (H, W), got '32x32x3'
    """
    sides = asked if isinstance(asked, tuple | list) else ()
    if len(sides) not in (2, 3) or not all(map(is_count, sides)):
        raise OptionError(
            f"input must be (H, W, C) or (H, W), got {asked!r}", hint="input=(224, 224, 3)"
        )


def input_shape(
    model: Model, asked: Sequence[int] | None, stored: SizeOfImage | None
) -> tuple[SizeOfImage, tuple[str, ...]]:
    """Return the (H, W, C) that a network will be given, and notes on it.

    Parameters
    ----------
    model : Model
    asked : (H, W, C) or (H, W), optional
    stored : (H, W, C), optional
        Of a picture, before it is resized.

    Raises
    ------
    OptionError
        If nothing tells the size.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> input_shape(Model.of_layer(PoolLayer()), (8, 9), None)
    ((8, 9, 3), ())
    """
    wanted = model.channels
    channels = stored[2] if stored else model.channels or 3
    size, notes = model.input.size, tuple[str, ...]()
    if size is None and stored is not None:
        size = full_size(model.own_size or (None, None), stored[:2])
    if asked is not None:
        height, width, channels = (*asked, channels)[:3]
        if not fits_size(model, (height, width)):
            own = sides_text(model.own_size or (height, width))
            unless = f"unless --size {height},{width} is given"
            notes = (f"the network's own size is {own}; run resizes pictures to it {unless}",)
    elif size is not None:
        height, width = size
        if stored is not None and stored[:2] != (height, width):
            notes = (f"resized from {stored[0]}x{stored[1]} to {height}x{width}, as run does",)
    else:
        raise OptionError("--input HxWxC or --image IMAGE is needed: the size of an image")
    # As a picture is read: grey is repeated for colour, and of colour the luminance taken for grey.
    if wanted is not None and (channels, wanted) in ((1, 3), (3, 1)):
        notes += (CHANNEL_NOTES[wanted],) if asked is not None and len(asked) == 3 else ()
        channels = wanted
    return (height, width, channels), notes
