"""Filters that see one channel each, tap by tap: multiplied and added in one pass over the output.

`numpy.einsum` does it without a copy of the windows, and without the interpreter between two taps.
Its inner loop runs over neighbouring columns with all their channels; the weights lie repeated for
as many columns as stay in the first cache beside the output.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.algorithms.base import ConvTask, share_weights
from cnncli.core.arrays import FloatArray

INNER_LOOP_VALUES: Final = 768
"""Values of an inner loop: of 300 to 1800 the quickest for 96 channels on 56x56."""

LOOP_VALUES: Final = 40
"""What the start of an inner loop takes, in values of a pass: measured with 16 to 96 channels."""


@dataclass(frozen=True)
class MultiplyAdd:
    """One filter for each group, ready to slide.

    Parameters
    ----------
    weights : ndarray, shape (k_H, k_W) or (k_H, k_W, columns * groups)
        What all channels share, or the weights of each, repeated for some columns.
    task : ConvTask
    columns : int
        Output columns of an inner loop.
    """

    weights: FloatArray
    task: ConvTask
    columns: int

    @staticmethod
    def of(plane: FloatArray, task: ConvTask) -> MultiplyAdd:
        """Return the filters of a plane (k_H, k_W, groups)."""
        columns = inner_columns(task)
        if task.groups == 1 or share_weights(plane):
            return MultiplyAdd(np.ascontiguousarray(plane[:, :, 0]), task, columns)
        return MultiplyAdd(np.tile(plane, (1, 1, columns)), task, columns)

    def run(self, X_pad: FloatArray, out: FloatArray) -> None:
        """Write the filtered rows of a padded strip.

        Parameters
        ----------
        X_pad : ndarray, shape (m, rows, padded columns, groups)
            C-contiguous.
        out : ndarray, shape (m, rows, n_W, groups)
            Neighbouring channels and columns lie side by side.

        Examples
        --------
        >>> from cnncli.core.geometry import place_window
        >>> window = place_window((1, 5), (1, 2))
        >>> task = ConvTask(window, 1, 1, 1, 1, np.dtype(float))
        >>> out = np.empty((1, 1, 4, 1))
        >>> plane = np.array([[[-1.0], [1.0]]])
        >>> MultiplyAdd.of(plane, task).run(np.arange(5.0).reshape(1, 1, 5, 1) ** 2, out)
        >>> out.ravel()
        array([1., 3., 5., 7.])
        """
        columns = out.shape[2]
        blocks = columns // self.columns
        self._run_blocks(X_pad, out, 0, blocks, self.columns)
        if columns % self.columns:
            done = blocks * self.columns
            self._run_blocks(X_pad, out, done, 1, columns - done)

    def _run_blocks(
        self, X_pad: FloatArray, out: FloatArray, first: int, blocks: int, columns: int
    ) -> None:
        """Filter some blocks of that many columns each, from a column on."""
        rows, cols = self.task.window.rows, self.task.window.cols
        (image, row, column, _), cell = X_pad.strides, X_pad.itemsize
        m, n_H, _, groups = out.shape
        inner = columns * groups
        target = out[:, :, first : first + blocks * columns].reshape(m, n_H, blocks, inner)
        windows: FloatArray = np.ndarray(
            (m, n_H, blocks, rows.kernel, cols.kernel, inner),
            X_pad.dtype,
            X_pad,
            first * cols.stride * column,
            (
                image,
                rows.stride * row,
                columns * cols.stride * column,
                rows.dilation * row,
                cols.dilation * column,
                cell,
            ),
        )
        if groups == 1:
            # Columns of a window lie as near as those of the output, and einsum would loop over
            # the few of the window.
            for j, weights in enumerate(self.weights.T):
                if j == 0:
                    np.einsum("mhbix,i->mhbx", windows[..., j, :], weights, out=target)
                else:
                    target += np.einsum("mhbix,i->mhbx", windows[..., j, :], weights)
        elif self.weights.ndim == 2:
            np.einsum("mhbijx,ij->mhbx", windows, self.weights, out=target)
        else:
            np.einsum("mhbijx,ijx->mhbx", windows, self.weights[:, :, :inner], out=target)


def inner_columns(task: ConvTask) -> int:
    """Return how many output columns an inner loop takes; they must be neighbours in the input.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> def task(stride):
    ...     window = place_window((56, 56), 3, stride)
    ...     return ConvTask(window, 96, 1, 96, 96, np.dtype("float32"))
    >>> inner_columns(task(1)), inner_columns(task(2))
    (8, 1)
    """
    if task.window.cols.stride > 1:
        return 1
    return max(1, min(task.window.cols.out, INNER_LOOP_VALUES // task.groups))


def count_passes(task: ConvTask) -> float:
    """Return the passes over the output, in which the start of each inner loop counts too.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> window = place_window((56, 56), 3, 2)
    >>> count_passes(ConvTask(window, 40, 1, 40, 40, np.dtype("float32")))
    18.0
    """
    rows, cols = task.window.kernel
    additions = 2 * cols if task.groups == 1 else 0
    return rows * cols * (1 + LOOP_VALUES / (inner_columns(task) * task.groups)) + additions
