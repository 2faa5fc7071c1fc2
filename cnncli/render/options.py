"""The options of rendering, groups of maps and their names. Knows neither numpy nor Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError

RANGES = ("auto", "clip", "minmax", "symmetric", "abs")
COLORMAPS = ("gray", "diverging", "viridis", "magma", "inferno", "plasma")
DEPTHS = ("8", "16", "float")
COMPRESSIONS = ("fast", "small")


_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class MapGroup:
    """The channels of a result that are seen as one picture.

    Parameters
    ----------
    name : str
        What stands under the picture and in file names.
    channels : tuple of int
        One channel for a feature map, three for a colour picture (red, green, blue).

    Raises
    ------
    ValueError
        For another number of channels.

    Examples
    --------
    >>> MapGroup("photo", (0, 1, 2)).colour
    True
    """

    name: str
    channels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.channels) not in (1, 3):
            raise ValueError(f"a group has 1 or 3 channels, got {len(self.channels)}")

    @property
    def colour(self) -> bool:
        """Whether the group is a colour picture."""
        return len(self.channels) == 3


@dataclass(frozen=True)
class RenderOptions:
    """How values become pixels.

    Parameters
    ----------
    range : str or (float, float)
        ``auto``, ``clip`` (0..1 as is), ``minmax``, ``symmetric`` (about 0), ``abs``, or the
        values that become black and white.
    shared_range : bool
        One range for all maps instead of one for each.
    colormap : str
        One of `COLORMAPS`; for feature maps only.
    rgb : bool
        Three maps of a layer as one colour picture.
    depth : str
        ``8`` or ``16`` bits a pixel, or ``float``.
    labels : bool
        Names and a title in a grid.
    legend : bool
        Colour bars with numbers.
    columns : int, optional
        Columns of a grid; by default the grid is as square as can be.
    compress : str
        ``fast`` or ``small`` files.

    Raises
    ------
    OptionError
        For an unknown word, a range that is empty, or settings that exclude each other.

    Examples
    --------
    >>> RenderOptions(range=(-1.0, 1.0)).colormap
    'gray'
    """

    range: str | tuple[float, float] = "auto"
    shared_range: bool = False
    colormap: str = "gray"
    rgb: bool = False
    depth: str = "8"
    labels: bool = True
    legend: bool = False
    columns: int | None = None
    compress: str = "fast"

    def __post_init__(self) -> None:
        _one_of("--colormap", self.colormap, COLORMAPS)
        _one_of("--depth", self.depth, DEPTHS)
        _one_of("--compress", self.compress, COMPRESSIONS)
        if isinstance(self.range, str):
            _one_of("--range", self.range, RANGES)
        else:
            check_limits(*self.range)
        if self.columns is not None and self.columns < 1:
            raise OptionError(f"--columns must be at least 1, got {self.columns}")
        if self.depth == "16" and self.colormap != "gray":
            raise OptionError(
                f"--depth 16 needs --colormap gray, got {self.colormap} with its 256 colours",
                hint="--depth 8, or --colormap gray",
            )


@lru_cache(64)
def one_group_each(names: tuple[str, ...]) -> tuple[MapGroup, ...]:
    """Return a group for each channel, of these names.

    Kept because layers of a network share their number of maps: 0.2 for 5.6 ms of 20 layers of 512.

    Examples
    --------
    >>> one_group_each(("edge", "blur"))[1]
    MapGroup(name='blur', channels=(1,))
    """
    return tuple(MapGroup(name, (channel,)) for channel, name in enumerate(names))


def numbered_groups(channels: int) -> tuple[MapGroup, ...]:
    """Return a group for each channel, under its number.

    Examples
    --------
    >>> [group.name for group in numbered_groups(2)]
    ['0', '1']
    """
    return one_group_each(tuple(map(str, range(channels))))


def in_colour(groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
    """Return three single maps as one colour picture; other groups as they are.

    Examples
    --------
    >>> in_colour([MapGroup(name, (index,)) for index, name in enumerate("abc")])
    (MapGroup(name='rgb', channels=(0, 1, 2)),)
    """
    if [len(group.channels) for group in groups] != [1, 1, 1]:
        return tuple(groups)
    return (MapGroup("rgb", tuple(channel for group in groups for channel in group.channels)),)


def check_limits(lo: float, hi: float) -> None:
    """Raise OptionError unless both limits are finite and the first is the smaller one."""
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise OptionError(f"a range LO,HI needs finite LO < HI, got {lo:g},{hi:g}")


def picture_names(groups: Sequence[MapGroup], batch: int = 1) -> tuple[str, ...]:
    """Name every picture of a result, image by image.

    Parameters
    ----------
    groups : sequence of MapGroup
    batch : int
        Images in the result (N).

    Returns
    -------
    tuple of str
        The groups' names; from two images on, with ``@`` and the image's index behind.

    Examples
    --------
    >>> picture_names([MapGroup("sobel-x", (0,))], batch=2)
    ('sobel-x@0', 'sobel-x@1')
    """
    if batch == 1:
        return tuple(group.name for group in groups)
    return tuple(f"{group.name}@{image}" for image in range(batch) for group in groups)


def _one_of(option: str, word: str, words: Sequence[str]) -> None:
    if word not in words:
        raise OptionError(f"{option} must be one of {', '.join(words)}, got {word!r}")


def channel_names(groups: Sequence[MapGroup]) -> tuple[str, ...]:
    """Name each channel: by its map, and in a colour picture by its colour.

    Examples
    --------
    >>> channel_names([MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,))])
    ('photo-red', 'photo-green', 'photo-blue', 'edge')
    """
    names = {
        channel: "-".join(filter(None, (group.name, *part)))
        for group in groups
        for channel, part in zip(group.channels, _parts(group), strict=True)
    }
    return tuple(names[channel] for channel in sorted(names))


def _parts(group: MapGroup) -> Sequence[tuple[str, ...]]:
    return [(colour,) for colour in _COLOURS] if group.colour else [()]
