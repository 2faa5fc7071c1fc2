"""Whether a filter fits the channels of its input, and which option helps when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cnncli.core.choices import FILTER_LAYOUTS
from cnncli.errors import CHANNELS_FIRST, OptionError, ShapeError
from cnncli.filters.filter import Filter

_LARGEST_LIKELY: Final = 15
"""Rows and columns of the largest window that is likely."""


def check_channels(bank: Filter, channels: int, groups: int = 1, rows: int = 0) -> None:
    """Check that a filter fits the channels of its input.

    Parameters
    ----------
    bank : Filter
        2-D kernels fit any number of channels.
    channels : int
        Of the input.
    groups : int
        1 or more; each group of C_out/groups maps reads its own channels/groups channels.
    rows : int
        Of the input, if they are known: as many as channels are needed may be channels put first.

    Raises
    ------
    ShapeError
        With what was got and needed, and in the hint the option that helps.
    OptionError
        If 2-D kernels are given groups: they already are one group per channel.

    Examples
    --------
    >>> from cnncli.filters.files import load_filter
    >>> check_channels(load_filter("box"), 3)
    >>> check_channels(load_filter("kirsch"), 3)
    Traceback (most recent call last):
    cnncli.errors.ShapeError: the filter kirsch has 1 channel in, the input has 3
    """
    if groups < 1:
        raise OptionError(f"groups must be at least 1, got {groups}")
    if bank.channels_in is None:
        if groups != 1:
            raise OptionError(
                f"groups need a filter of shape (kh,kw,C_in/{groups},C_out), got the 2-D "
                f"{bank.name}, which works on every channel on its own",
                hint="leave out --groups",
            )
        return
    if bank.channels_in * groups != channels:
        times = f" in each of {groups} groups" if groups > 1 else ""
        needed = bank.channels_in * groups
        # No picture has so few rows, or so many channels.
        most = len("RGBA")
        is_turned = rows == needed and (needed <= most or channels > most)
        hint = CHANNELS_FIRST if is_turned else _fitting_option(bank, channels, groups)
        raise ShapeError(
            f"the filter {bank.name} has {_count(bank.channels_in)}{times} in, "
            f"the input has {channels}",
            hint=hint,
        )
    if bank.maps % groups:
        raise ShapeError(
            f"the feature maps of {bank.name} must divide evenly into {groups} groups, "
            f"got {bank.maps}"
        )


def layout_notes(bank: Filter, channels: int, groups: int = 1) -> tuple[str, ...]:
    """Say when a filter that fits is likely to be in the other layout.

    Parameters
    ----------
    bank : Filter
    channels : int
        Of the input.
    groups : int

    Returns
    -------
    tuple of str
        Empty unless only the other one makes the window square, and it fits too or is likelier.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> layout_notes(from_array(np.ones((64, 3, 3, 3)), name="vgg"), 3)[0]
    'vgg read as hwio, window 64x3, 3 maps; --filter-layout oihw is likelier, window 3x3, 64 maps'
    >>> layout_notes(from_array(np.ones((64, 2, 2, 2)), name="w"), 2)[0]
    'w read as hwio, window 64x2, 2 maps; --filter-layout oihw fits too, window 2x2, 64 maps'
    """
    inputs, (rows, columns), _ = _other_reading(bank)
    if rows != columns or bank.window[0] == bank.window[1]:
        return ()
    if likelier_layout(bank):
        return (_readings(bank, "is likelier"),)
    return (_readings(bank, "fits too"),) if groups * inputs == channels else ()


def likelier_layout(bank: Filter) -> str | None:
    """Return the other layout where it makes much better sense of a filter's shape, or None.

    Parameters
    ----------
    bank : Filter

    Returns
    -------
    str or None
        Never for 2-D filters and for built-in ones.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> likelier_layout(from_array(np.ones((8, 1, 3, 3)))), likelier_layout(
    ...     from_array(np.ones((3, 3, 1, 8)))
    ... )
    ('oihw', None)
    """
    _, (rows, columns), _ = _other_reading(bank)
    high, wide = bank.window
    if rows != columns or rows % 2 == 0 or rows > _LARGEST_LIKELY:
        return None
    if rows == 1:
        # Of one cell are both layers of 1x1 in the other order and lines in this one.
        unlikely = max(high, wide) > _LARGEST_LIKELY and high != wide
    else:
        unlikely = high != wide or high % 2 == 0 or high > _LARGEST_LIKELY
    return _other_layout(bank) if unlikely else None


def likelier_layout_note(bank: Filter) -> str | None:
    """Say how a filter's shape reads in the layout that makes much better sense of it.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> likelier_layout_note(from_array(np.ones((8, 1, 3, 3)), name="w"))
    'w read as hwio, window 8x1, 3 maps; --filter-layout oihw is likelier, window 3x3, 8 maps'
    """
    return _readings(bank, "is likelier") if likelier_layout(bank) else None


@contextmanager
def naming_other_layout(bank: Filter) -> Iterator[None]:
    """Say of a bias that does not fit a filter when the filter's layout may be the cause.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.filters.filter import from_array
    >>> with naming_other_layout(from_array(np.ones((8, 1, 3, 3)), name="w")):
    ...     raise ShapeError("got 8")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    cnncli.errors.ShapeError: got 8: w read as hwio, window 8x1, 3 maps; --filter-layout oihw is ...
    """
    try:
        yield
    except ShapeError as error:
        if (layout := likelier_layout(bank)) is None:
            raise
        message = f"{error.message}: {likelier_layout_note(bank)}"
        hint = f"--filter-layout {layout}"
        raise ShapeError(message, hint=hint, path=error.path) from None


def _readings(bank: Filter, judged: str) -> str:
    """Say how a filter's shape is read, and how the other layout reads it."""
    _, (rows, columns), maps = _other_reading(bank)
    high, wide = bank.window
    return (
        f"{bank.name} read as {bank.layout}, window {high}x{wide}, {_maps_text(bank.maps)}; "
        f"--filter-layout {_other_layout(bank)} {judged}, window {rows}x{columns}, "
        f"{_maps_text(maps)}"
    )


def _maps_text(count: int) -> str:
    return f"{count} map{'' if count == 1 else 's'}"


def _fitting_option(bank: Filter, channels: int, groups: int) -> str | None:
    """Name the option under which the filter would fit, the likeliest first."""
    inputs = bank.channels_in or 0
    other_inputs, (rows, columns), _ = _other_reading(bank)
    # Nearly all filters are square: a reading that makes them so is the likelier one.
    likelier = rows == columns or bank.window[0] != bank.window[1]
    if inputs == 1 and channels == 3:
        return "--gray would fit: it makes the picture one channel"
    if groups * other_inputs == channels and likelier:
        return f"--filter-layout {_other_layout(bank)} would fit"
    if channels == 1 and inputs == 3:
        return "it needs a colour image; for grey ones take a filter of shape (kh,kw)"
    fitting, rest = divmod(channels, inputs)
    if rest == 0 and bank.maps % fitting == 0:
        return f"--groups {fitting} would fit"
    turned = f"--filter-layout {_other_layout(bank)} would fit, as a window of {rows}x{columns}"
    is_likely = max(rows, columns) <= _LARGEST_LIKELY
    is_turned = is_likely and groups * other_inputs == channels
    if groups > 1:
        return turned if is_turned else None
    kernel = ",".join(map(str, bank.window))
    maps = f",{bank.maps}" if len(bank.source_shape) == 4 else ""
    needed = f"an input of {_count(inputs)}, or a --filter of shape ({kernel},{channels}{maps})"
    if is_turned:
        return f"{turned}; else {needed}"
    return f"{needed} or, for every channel on its own, ({kernel})"


def _count(channels: int) -> str:
    return f"{channels} channel{'' if channels == 1 else 's'}"


def _other_layout(bank: Filter) -> str:
    return FILTER_LAYOUTS[1 - FILTER_LAYOUTS.index(bank.layout)]


def _other_reading(bank: Filter) -> tuple[int, tuple[int, int], int]:
    """Channels in, window and maps as the other layout reads the shape; zeros for 2-D filters."""
    shape = bank.source_shape
    if len(shape) < 3:
        return 0, (0, 0), 0
    if _other_layout(bank) == "hwio":
        return shape[2], (shape[0], shape[1]), shape[3] if len(shape) == 4 else 1
    return shape[-3], (shape[-2], shape[-1]), shape[0] if len(shape) == 4 else 1
