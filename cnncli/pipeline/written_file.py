"""The record of one file that was written."""

from __future__ import annotations

from cnncli._dataclass import dataclass
from cnncli.pipeline.largest_values import LargestValue


@dataclass(frozen=True)
class WrittenFile:
    """One file that was written.

    Parameters
    ----------
    output : str
        Path, or ``-`` for standard output.
    form : str
        Size and kind in words.
    shape : tuple of int
        (n_H, n_W, n_C) of the values in it, with the batch in front if there is one.
    maps : tuple of str
        Names of its pictures.
    low, high : float
        Smallest and largest finite value.
    non_finite : int
        NaN and infinite values.
    mapping : str
        How values became pixels, ``values`` if they were written themselves.
    clipped : float
        Share of the values outside the range, 0..1.
    ranges : tuple of (float, float)
        The values shown black and white, of each map.
    layer : str, optional
        Of a network from a file.
    pad_mode : str, optional
        What the layer's border holds, if it has one.
    pad_value : float
        The number of a border of ``zeros`` that holds another.
    window : str, optional
        How a pool made it: mode, window and stride; and which rows and columns no window reads.
    largest : tuple of LargestValue or None
        Of maps of one row and column the one of the largest value in each image, without its share;
        None if none is finite. Empty for other maps.
    largest_values : tuple of LargestValue
        Of one image's maps of one row and column those of the largest values.
    has_white_note : bool
        Whether a note tells that a number was meant for pixels of 8 bits: no range would help.
    drawn : str, optional
        What a picture shows whose pixels are no levels of the values.
    """

    output: str
    form: str
    shape: tuple[int, ...]
    maps: tuple[str, ...]
    low: float
    high: float
    non_finite: int
    mapping: str = "values"
    clipped: float = 0.0
    ranges: tuple[tuple[float, float], ...] = ()
    layer: str | None = None
    pad_mode: str | None = None
    pad_value: float = 0.0
    window: str | None = None
    largest: tuple[LargestValue | None, ...] = ()
    largest_values: tuple[LargestValue, ...] = ()
    has_white_note: bool = False
    drawn: str | None = None

    @property
    def range(self) -> tuple[float, float] | None:
        """The values shown black and white, if all maps share them."""
        return self.ranges[0] if len(set(self.ranges)) == 1 else None
