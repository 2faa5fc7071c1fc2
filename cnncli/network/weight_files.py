"""The arrays that network files name: filters, matrices, biases and other numbers."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, is_placeholder, placeholder
from cnncli.errors import OptionError, ShapeError
from cnncli.filters import files, filter
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.filter import Filter, LoadedArray
from cnncli.filters.matrix_text import INLINE
from cnncli.network.error_context import error_context


@dataclass
class WeightFiles:
    """The arrays a network file names, and what is to be said of them.

    Parameters
    ----------
    folder : str
        Where relative paths start.
    weights : bool
        Whether values are read, or headers only.
    files : list of Path
        What was read.
    notes : list of str
    """

    folder: str
    weights: bool
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def bank(
        self,
        filters: str | list[Any],
        layout: str,
        layer: str,
        lower: bool = False,
        dilated: bool = False,
    ) -> Filter:
        """Return the filters of a text, a list of texts, or nested lists of numbers.

        Maps are numbered; those of built-ins and of lists keep their filters' names. `lower` and
        `dilated` are those of `filter.stack`.
        """
        with error_context("filter"):
            if isinstance(filters, str):
                return _named(self._filter(filters, layout), layer)
            if all(isinstance(text, str) for text in filters):
                banks = [self._filter(text, layout) for text in filters]
                return filter.stack(banks, lower=lower, dilated=dilated)
            inline = filter.from_array(_as_array(filters), name=INLINE, layout=layout)
            return _named(inline, layer)

    def matrix(self, value: str | list[Any], layout: str) -> FloatArray:
        """Return the matrix of a dense layer, (values in, values out).

        As PyTorch has it, ``oihw``, it is (values out, values in).
        """
        with error_context("filter"):
            if isinstance(value, str):
                loaded = files.load_array(value, builtins=False, **self._where)
                array = self._noted(loaded)
            else:
                array = _as_array(value)
            if array.ndim != 2 or array.dtype.kind not in "iuf" or not array.size:
                raise ShapeError(f"a dense layer needs a matrix, got shape {array.shape}")
            matrix = array.T if layout == "oihw" else array
            wanted = np.float32 if array.dtype == np.float32 else np.float64
            if is_placeholder(array):
                return placeholder(np.dtype(wanted), matrix.shape)
            if not np.isfinite(matrix).all():
                raise OptionError("every number must be finite")
            return np.asarray(matrix, wanted)

    @property
    def _where(self) -> dict[str, Any]:
        """Where files are looked for, and whether only their headers are read."""
        return {"folder": self.folder, "headers_only": not self.weights}

    def _noted(self, loaded: LoadedArray) -> FloatArray:
        """Return an array, and keep the name of its file."""
        self.files += loaded.files
        return loaded.array

    def _filter(self, text: str, layout: str) -> Filter:
        bank = files.load_filter(text, layout=layout, **self._where)
        self.files += bank.files
        return bank

    def bias(self, value: Any, count: int) -> FloatArray:
        """Return one bias for each of `count` maps."""
        if not isinstance(value, str):
            return self.numbers("bias", value)
        with error_context("bias"):
            return self._noted(files.load_bias(value, count, **self._where))

    def numbers(self, name: str, value: Any) -> FloatArray:
        """Return the numbers of a field in line."""
        with error_context(name):
            if isinstance(value, str):
                return self._noted(files.load_numbers(value, name, **self._where))
            values = _as_array(value).reshape(-1)
            if not values.size or not np.isfinite(values).all():
                raise OptionError("every number must be finite, and there must be one")
            return values


def _as_array(value: Any) -> FloatArray:
    """Return a number or nested lists of numbers as an array; nothing else is taken for one."""
    try:
        array = np.array(value)
        if array.dtype.kind not in "iuf":
            raise ValueError
    except ValueError:
        raise OptionError("lists must hold numbers only, and rows of the same length") from None
    return np.asarray(array, np.float64)


def _named(bank: Filter, layer: str) -> Filter:
    """Return a bank named after its layer, with its maps numbered; built-ins keep their names."""
    if bank.name in builtin_names():
        return bank
    # One 2-D filter leaves the maps their names.
    alone = bank.per_channel and bank.maps == 1
    names = ("",) if alone else tuple(map(str, range(bank.maps)))
    return replace(bank, name=layer, map_names=names)
