"""Filters to files of the user's own."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.errors import OptionError, quote
from cnncli.io.atomic import is_special, make_folder, write_stdout, write_whole

Array = np.ndarray[Any, Any]


def save_filter(weights: Array, name: str, output: str, overwrite: bool) -> str:
    """Write a filter's weights where the user says.

    Parameters
    ----------
    weights : ndarray
        Of any shape; text files hold 2-D ones.
    name : str
        For the file, where `output` is a folder.
    output : str
        A file ``.npy``, ``.txt`` or ``.csv``, a folder, or ``-`` for standard output (.npy).
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    str
        The file, printable, or ``standard output``.

    Raises
    ------
    OptionError
        For another extension, or a bank as text.
    FileProblem
        If it cannot be written.
    """
    if output in ("-", "/dev/stdout"):
        write_stdout(_encoded(weights, ".npy"))
        return "standard output"
    path = Path(output)
    if output.endswith(os.sep) or path.is_dir():
        path = path / f"{name}.npy"
        make_folder(path.parent)
    device = path.exists() and is_special(path.stat())
    data = _encoded(weights, ".npy" if device else path.suffix)
    write_whole(path, data, overwrite=overwrite)
    return quote(path)[1:-1]


def _encoded(weights: Array, suffix: str) -> bytes:
    if suffix.lower() in (".txt", ".csv") and weights.ndim == 2:
        separator = "," if suffix.lower() == ".csv" else " "
        # repr gives the shortest text that reads back as the same number.
        rows = (separator.join(repr(float(value)) for value in row) for row in weights)
        return "".join(f"{row}\n" for row in rows).encode("ascii")
    if suffix.lower() != ".npy":
        raise OptionError(
            f"--output must be .npy, or for 2-D filters .txt or .csv, got {suffix or 'nothing'}",
            hint="-o filter.npy",
        )
    stream = io.BytesIO()
    np.save(stream, weights)
    return stream.getvalue()
