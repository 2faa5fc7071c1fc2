"""Which axes and channels images may have, arrays above all. Reads no array."""

from __future__ import annotations

from cnncli.errors import CHANNELS_FIRST, ShapeError
from cnncli.io.frames import refuse_frame
from cnncli.io.read_options import ReadOptions


def array_sizes(
    shape: tuple[int, ...], options: ReadOptions, name: str
) -> tuple[int, int, int, int]:
    """Return the (N, H, W, C) of an array that is read as images.

    Parameters
    ----------
    shape : tuple of int
        Of the array, as it is stored.
    options : ReadOptions
        Its ``gray``, ``channels`` and ``array_channels`` say which channels are wanted; it has no
        ``frame`` but 0, for a single image.
    name : str
        Of the file.

    Returns
    -------
    (int, int, int, int)

    Raises
    ------
    ShapeError
        For other axes, and for other channels where it is known how many there must be: with the
        call of numpy that turns the array into one that fits, where there is one.
    OptionError
        For another frame.

    Examples
    --------
    >>> array_sizes((4, 6, 3), ReadOptions(channels=3), "x.npy")
    (1, 4, 6, 3)
    >>> array_sizes((3, 4, 6), ReadOptions(channels=3), "x.npy")
    Traceback (most recent call last):
    cnncli.errors.ShapeError: 'x.npy': an array of 3 channels is needed, got shape (3, 4, 6)
    """
    if len(shape) not in (2, 3, 4) or 0 in shape:
        text = "an image array needs shape (H,W), (H,W,C) or (N,H,W,C) with no side of 0"
        raise ShapeError(f"{text}, got {shape}", path=name)
    hint, needed = _channels_hint(shape, options), options.array_channels
    is_other = not options.gray and needed not in (None, _channels(shape))
    if hint is not None or is_other:
        count = "1 or 3" if options.gray else needed or options.channels
        text = f"an array of {count} channel{'' if count == 1 else 's'} is needed"
        raise ShapeError(f"{text}, got shape {shape}", hint=hint, path=name)
    n, height, width, channels = shape if len(shape) == 4 else (1, *shape, 1)[:4]
    refuse_frame(options.frame, n > 1, "an array", name)
    return n, height, width, channels


def check_luminance(channels: int, name: str) -> None:
    """Refuse an image that has no luminance."""
    if channels not in (1, 3):
        raise ShapeError(
            f"a picture that is to be grey must have 1 or 3 channels, got {channels}",
            hint="--gray asks for grey, and so does a network that takes grey pictures",
            path=name,
        )


def _channels(shape: tuple[int, ...]) -> int:
    return shape[-1] if len(shape) > 2 else 1


def _channels_hint(shape: tuple[int, ...], options: ReadOptions) -> str | None:
    """Return what gives an array the channels that it must have; None where it may fit."""
    channels, wanted = _channels(shape), options.array_channels or options.channels
    if channels == wanted or not (options.gray or wanted):
        return None
    if channels not in (1, 3):
        return CHANNELS_FIRST if shape[-3] in (1, 3, wanted) else None
    if options.gray or wanted not in (1, 3):
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
