"""Which axes and channels the array of an image may have. Reads no array."""

from __future__ import annotations

from cnncli.errors import CHANNELS_FIRST, ShapeError
from cnncli.io.read_options import ReadOptions


def check_axes(shape: tuple[int, ...], options: ReadOptions, name: str) -> None:
    """Refuse other axes, and other channels where it is known how many there must be.

    Parameters
    ----------
    shape : tuple of int
        Of the array, as it is stored.
    options : ReadOptions
        Its ``gray`` and ``channels`` say which channels are wanted.
    name : str
        Of the file.

    Raises
    ------
    ShapeError
        With the call of numpy that turns the array into one that fits, where there is one.

    Examples
    --------
    >>> check_axes((4, 6, 3), ReadOptions(channels=3), "x.npy")
    >>> check_axes((3, 4, 6), ReadOptions(channels=3), "x.npy")
    Traceback (most recent call last):
    cnncli.errors.ShapeError: 'x.npy': an array of 3 channels is needed, got shape (3, 4, 6)
    """
    if len(shape) not in (2, 3, 4) or 0 in shape:
        text = "an image array needs shape (H,W), (H,W,C) or (N,H,W,C) with no side of 0"
        raise ShapeError(f"{text}, got {shape}", path=name)
    wanted = (1, 3) if options.gray else (options.channels,)
    hint = _channels_hint(shape, options)
    if hint is not None:
        count = " or ".join(map(str, wanted))
        text = f"an array of {count} channel{'' if wanted == (1,) else 's'} is needed"
        raise ShapeError(f"{text}, got shape {shape}", hint=hint, path=name)


def _channels_hint(shape: tuple[int, ...], options: ReadOptions) -> str | None:
    """Return what gives an array the channels that it must have; None where it may fit."""
    channels, wanted = shape[-1] if len(shape) > 2 else 1, options.channels
    if channels not in (1, 3):
        is_known = options.gray or wanted is not None
        return CHANNELS_FIRST if is_known and shape[-3] in (1, 3) else None
    if options.gray or wanted in (None, channels):
        return None
    if wanted == 1:
        return "--gray makes one channel of three"
    x = "x" if len(shape) > 2 else "x[:, :, None]"
    return f"np.repeat({x}, 3, axis=-1) makes three channels of one"


def order_notes(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Say when an array is likely to have its channels first.

    Examples
    --------
    >>> order_notes((3, 40, 60))[0]
    '3x40x60 is read as height, width, channels; transpose it if channels come first'
    """
    if len(shape) == 2 or shape[-3] not in (1, 3) or min(shape[-2:]) <= 16:
        return ()
    sizes = "x".join(map(str, shape[-3:]))
    return (f"{sizes} is read as height, width, channels; transpose it if channels come first",)
