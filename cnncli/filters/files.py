"""Filters from text: read from a file, a built-in name or numbers as text; and filters to files."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.core.arrays import placeholder
from cnncli.errors import FileProblem, OptionError, nearest, quote
from cnncli.filters.builtin_names import SUFFIX, builtin_file, builtin_names
from cnncli.filters.filter import Filter, LoadedArray, from_loaded, safe_name
from cnncli.filters.matrix_text import INLINE, looks_inline, parse_matrix, shorten
from cnncli.io import atomic, npy
from cnncli.io.atomic import is_folder_name, is_special, is_stdout, make_folder

Array = np.ndarray[Any, Any]

MAX_TEXT_BYTES = 4 * 2**20
_KEYED = re.compile(r"(.+?\.(?:npz|safetensors)):(.*)", re.IGNORECASE | re.DOTALL)
_WEIGHT_KEYS = ("w", "weight", "weights", "kernel")
_BIAS_KEYS = ("b", "bias", "biases")
_SAFE_TYPES = {"BOOL": "bool", "U8": "u1", "I8": "i1", "U16": "u2", "I16": "i2"} | {
    **{"U32": "u4", "I32": "i4", "U64": "u8", "I64": "i8", "F16": "f2", "F32": "f4", "F64": "f8"}
}
_LIST_HINT = "'cnncli filters list' shows the built-in filters"
_LISTED = 8


def load_filter(
    text: str, *, layout: str = "hwio", folder: str = "", headers_only: bool = False
) -> Filter:
    """Return the filter that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A path to ``.npy``, ``.npz``, ``.safetensors`` (both with ``:KEY`` when they hold
        several arrays), ``.txt`` or ``.csv``; the name of a built-in, with or without ``.npy``;
        or a matrix such as ``"0 -1 0; -1 5 -1; 0 -1 0"``. A path that exists wins over a name.
    layout : {"hwio", "oihw"}
        How to read the shape: rows, columns, channels in, maps out (Keras); or PyTorch's order.
    folder, headers_only
        As `load_array`; of headers alone a filter gets its shape and dtype, but no weights.

    Returns
    -------
    Filter
        Float32 stays, float16 becomes float32, everything else float64.

    Raises
    ------
    FileProblem
        If the file cannot be read, or holds NaN or infinite weights.
    OptionError
        If the text stands for nothing, is no matrix, or names no key where one is needed.
    ShapeError
        If the array is empty or has fewer than 2 or more than 4 axes.

    Examples
    --------
    >>> load_filter("1/9 1/9 1/9").weights.shape
    (1, 3, 1)
    >>> load_filter("kirsch").map_names[0]
    'kirsch_n'
    """
    return from_loaded(load_array(text, folder=folder, headers_only=headers_only), layout)


def load_bias(
    text: str, count: int, *, folder: str = "", headers_only: bool = False
) -> LoadedArray:
    """Return the biases that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A number or fraction, several of them, or a file as for `load_filter`.
    count : int
        Number of feature maps.
    folder, headers_only
        As `load_array`.

    Returns
    -------
    LoadedArray
        Its array has the shape (count,); a single number serves every map.

    Raises
    ------
    FileProblem
        If the file cannot be read or a value is not finite.
    OptionError
        If the text is neither number nor file.
    ShapeError
        If there are neither 1 nor `count` values.

    Examples
    --------
    >>> load_bias("1/4", 2).array.tolist()
    [0.25, 0.25]
    """
    loaded = load_array(text, what="bias", builtins=False, folder=folder, headers_only=headers_only)
    if loaded.bias is not None:
        # An archive of weights and bias: the weights are not what is asked for here.
        loaded = replace(loaded, array=loaded.bias)
    return replace(loaded, array=loaded.per_map(count))


def load_numbers(
    text: str, what: str, *, folder: str = "", headers_only: bool = False
) -> LoadedArray:
    """Return the numbers, in line, that a text stands for: slopes, factors, statistics.

    Parameters
    ----------
    text : str
        As for `load_bias`.
    what : str
        Used in messages.
    folder, headers_only
        As `load_array`.

    Returns
    -------
    LoadedArray
        Its array has the shape (n,).

    Raises
    ------
    FileProblem, OptionError
        As `load_bias`.

    Examples
    --------
    >>> load_numbers("1/4 2", "gamma").array.tolist()
    [0.25, 2.0]
    """
    loaded = load_array(text, what=what, builtins=False, folder=folder, headers_only=headers_only)
    values = loaded.numbers()
    if not values.size:
        raise loaded.error("at least one number is needed, got none")
    return replace(
        loaded, array=values.reshape(-1) if values.size > 1 else np.full(1, values.item())
    )


def load_array(
    text: str,
    *,
    what: str = "filter",
    builtins: bool = True,
    folder: str = "",
    headers_only: bool = False,
) -> LoadedArray:
    """Return the array that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A path (``weights.npz:W`` with a key), the name of a built-in filter, or a matrix. A file
        that exists wins.
    what : str
        Used in messages.
    builtins : bool
        Whether built-in names count.
    folder : str
        Where relative paths start; default: the current folder.
    headers_only : bool
        Read no more of files than the headers of their arrays; text files are read.

    Returns
    -------
    LoadedArray

    Raises
    ------
    FileProblem
        If the file cannot be read.
    OptionError
        If the text stands for nothing, or a file with several arrays needs a key.

    Examples
    --------
    >>> load_array("edge").array.shape, load_array("edge.npy").name
    ((3, 3), 'edge')
    """
    path, key = split_key(os.path.join(folder, text))
    if os.path.exists(path) and not os.path.isdir(path):
        return _read_file(path, key, headers_only)
    name = text.removesuffix(SUFFIX)
    if builtins and name in builtin_names():
        return LoadedArray(read_builtin(name), name, quote(name), builtin=True)
    if looks_inline(text) or (";" in text and not _has_suffix(path)):
        return _read_inline(text, what)
    is_path = os.sep in text or _has_suffix(path)
    raise _unknown(path if is_path else text, what, builtins)


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
    if is_stdout(output):
        with atomic.open_stdout() as stream:
            stream.write(_encoded(weights, ".npy"))
        return "standard output"
    path = Path(output)
    if is_folder_name(output) or path.is_dir():
        path = path / f"{name}.npy"
        make_folder(path.parent)
    device = path.exists() and is_special(path.stat())
    data = _encoded(weights, ".npy" if device else path.suffix)
    with atomic.open(path, overwrite=overwrite) as stream:
        stream.write(data)
    return quote(path)[1:-1]


def read_builtin(name: str) -> Array:
    """Return a built-in filter as its file holds it, the same on every machine.

    Examples
    --------
    >>> read_builtin("edge")[1, 1].item()
    8.0
    """
    return npy.read_npy(builtin_file(name).read_bytes(), name=f"{name}{SUFFIX}")


def split_key(text: str) -> tuple[str, str | None]:
    """Part ``file.npz:key`` into file and key.

    Parameters
    ----------
    text : str
        A path, with or without a key.

    Returns
    -------
    tuple
        The path and the key, which is None without one. A file of the whole name wins.

    Examples
    --------
    >>> split_key("a/w.npz:conv1:0"), split_key("C:w.npy")
    (('a/w.npz', 'conv1:0'), ('C:w.npy', None))
    """
    match = _KEYED.fullmatch(text)
    if match is None or os.path.exists(text):
        return text, None
    return match[1], match[2]


def _read_inline(text: str, what: str) -> LoadedArray:
    label = f"the {what} {shorten(text)}"
    try:
        array = np.array(parse_matrix(text))
    except OptionError as error:
        raise OptionError(f"{label}: {error}", hint=error.hint) from None
    return LoadedArray(array, INLINE, label, named=False)


def _read_file(path: str, key: str | None, headers_only: bool) -> LoadedArray:
    with npy.open_regular(Path(path), name=path) as file:
        head = file.read(16)
    by_content = _read_npy if npy.is_npy(head) else _read_npz if npy.is_zip(head) else None
    reader = _READERS.get(Path(path).suffix.lower(), by_content)
    if reader is None:
        raise FileProblem(f"not a filter, which must be one of {' '.join(_READERS)}", path=path)
    array, bias, key = reader(path, key, headers_only)
    name, label = Path(path).stem, path
    if key is not None:
        name, label = f"{name}-{key.lstrip('./')}", f"{path}:{key}"
    return LoadedArray(array, safe_name(name), label, Path(path), bias)


_Read = tuple[Array, Array | None, str | None]


def _read_npy(path: str, key: str | None, headers_only: bool) -> _Read:
    if not headers_only:
        return npy.read_npy(Path(path), name=path), None, None
    header = npy.read_npy_header(Path(path), name=path)
    npy.check_length(header, os.path.getsize(path), path)
    return placeholder(header.dtype, header.shape), None, None


def _read_npz(path: str, key: str | None, headers_only: bool) -> _Read:
    # Loaded here: zipfile takes longer than a small image, and few filters are archives.
    from cnncli.io import npz

    keys = npz.npz_keys(Path(path), name=path)
    pair = _weights_and_bias(keys) if key is None else None
    chosen = pair or (_choose(path, key, keys),)
    if headers_only:
        headers = [npz.read_npz_header(Path(path), one, name=path) for one in chosen]
        arrays = [placeholder(header.dtype, header.shape) for header in headers]
    else:
        stored = npz.read_npz(Path(path), name=path, keys=chosen)
        arrays = [stored[one] for one in chosen]
    return arrays[0], arrays[1] if pair else None, key


def _read_text(path: str, key: str | None, headers_only: bool) -> _Read:
    with npy.open_regular(Path(path), name=path) as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise FileProblem(
            f"a matrix as text may have {MAX_TEXT_BYTES} bytes, got more",
            hint="store it as .npy",
            path=path,
        )
    try:
        # Spreadsheets begin their files with a byte order mark.
        return np.array(parse_matrix(data.decode("utf-8-sig"))), None, None
    except UnicodeDecodeError:
        raise FileProblem("not a matrix in UTF-8 text", path=path) from None
    except OptionError as error:
        raise FileProblem(error.message, hint=error.hint, path=path) from None


def _read_safetensors(path: str, key: str | None, headers_only: bool) -> _Read:
    try:
        safetensors = import_module("safetensors")
    except ImportError:
        raise FileProblem(
            ".safetensors files need an extra package",
            hint="pip install 'cnncli[safetensors]'",
            path=path,
        ) from None
    try:
        with safetensors.safe_open(path, framework="numpy") as tensors:
            chosen = _choose(path, key, list(tensors.keys()))
            header = tensors.get_slice(chosen)
            dtype, shape = header.get_dtype(), header.get_shape()
            if dtype not in _SAFE_TYPES:
                raise FileProblem(
                    f"weights must be F64, F32, F16 or whole numbers, got {dtype}",
                    path=f"{path}:{chosen}",
                )
            if 8 * math.prod(shape) > npy.DEFAULT_MAX_BYTES:
                raise FileProblem(
                    f"a filter may take {npy.DEFAULT_MAX_BYTES} bytes, "
                    f"got the shape {tuple(shape)}",
                    path=f"{path}:{chosen}",
                )
            if headers_only:
                return placeholder(_SAFE_TYPES[dtype], shape), None, key
            return tensors.get_tensor(chosen), None, key
    except (safetensors.SafetensorError, OSError) as error:
        reason = npy.fault_text(error)
        raise FileProblem(f"not a readable safetensors file: {reason}", path=path) from None


_Reader = Callable[[str, str | None, bool], _Read]
_READERS: dict[str, _Reader] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".txt": _read_text,
    ".csv": _read_text,
}


def _weights_and_bias(keys: list[str]) -> tuple[str, str] | None:
    weights = [key for key in keys if key.lower() in _WEIGHT_KEYS]
    biases = [key for key in keys if key.lower() in _BIAS_KEYS]
    if len(keys) == 2 and len(weights) == 1 and len(biases) == 1:
        return weights[0], biases[0]
    return None


def _choose(path: str, key: str | None, keys: list[str]) -> str:
    if key is None and len(keys) == 1:
        return keys[0]
    if key is not None and key in keys:
        return key
    near = nearest(key or "", keys) or sorted(keys)
    more = f" and {len(near) - _LISTED} more" if len(near) > _LISTED else ""
    listed = ", ".join(shorten(name) for name in near[:_LISTED]) + more
    if key is None:
        message = f"one of its {len(keys)} arrays must be named: {listed}"
    else:
        message = f"no array {shorten(key)} among its {len(keys)}: {listed}"
    raise OptionError(message, hint=f"write {quote(f'{path}:KEY')}", path=path)


def _has_suffix(path: str) -> bool:
    return Path(path).suffix.lower() in _READERS


def _unknown(path: str, what: str, builtins: bool) -> OptionError:
    if not path:
        return OptionError(f"a {what} must be a file, a name or a matrix, got an empty text")
    if os.path.isdir(path):
        return OptionError(f"a {what} must be a file, got a folder", path=path)
    names = nearest(Path(path).stem, builtin_names()) if builtins else []
    alike = f"; nearest built-in: {', '.join(names)}" if names else ""
    hint = _LIST_HINT if builtins else None
    if os.sep in path or _has_suffix(path):
        return OptionError(f"no such file{alike}", hint=hint, path=path)
    if "[" in path:
        hint = 'a matrix is written "1 2; 3 4", without brackets'
    if not builtins:
        return OptionError("no such file, and no number", hint=f"--{what} NUMBER", path=path)
    return OptionError(f"no such file and no such {what}{alike}", hint=hint, path=path)


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
