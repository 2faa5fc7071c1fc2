"""Finding and reading what a filter or a bias is given as: file, built-in name or text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.core.arrays import placeholder
from cnncli.errors import CnnCliError, FileProblem, OptionError, nearest, quote
from cnncli.filters.builtin_names import SUFFIX, builtin_file, builtin_names
from cnncli.filters.matrix_text import looks_inline, parse_matrix, shorten
from cnncli.io import npy

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


@dataclass(frozen=True, eq=False)
class Found:
    """An array as it was given, before anything is made of its shape.

    Parameters
    ----------
    array : ndarray
        Of any shape.
    name : str
        Safe in file names: letters, digits and ``_ . + -`` only.
    label : str
        How messages call it, quoted and printable.
    problem : type of CnnCliError
        What is raised for bad numbers: `FileProblem` for files, `OptionError` for text.
    bias : ndarray, optional
        When the file held weights and bias.
    named : bool
        False for text.
    builtin : bool
        True when it came by the name of a built-in filter.
    hollow : bool
        Whether only the shape and the dtype of the array count: one zero stands for all values.

    Examples
    --------
    >>> find_array("1 2; 3 4").array.shape
    (2, 2)
    """

    array: Array
    name: str
    label: str
    problem: type[CnnCliError]
    bias: Array | None = None
    named: bool = True
    builtin: bool = False
    hollow: bool = False


def find_array(
    text: str,
    *,
    what: str = "filter",
    builtins: bool = True,
    folder: str = "",
    hollow: bool = False,
) -> Found:
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
    hollow : bool
        Read no more of files than the headers of their arrays; text files are read.

    Returns
    -------
    Found

    Raises
    ------
    FileProblem
        If the file cannot be read.
    OptionError
        If the text stands for nothing, or a file with several arrays needs a key.

    Examples
    --------
    >>> find_array("edge").array.shape, find_array("edge.npy").name
    ((3, 3), 'edge')
    """
    path, key = split_key(os.path.join(folder, text))
    if os.path.exists(path) and not os.path.isdir(path):
        return _read_file(path, key, hollow)
    name = text.removesuffix(SUFFIX)
    if builtins and name in builtin_names():
        return Found(read_builtin(name), name, quote(name), FileProblem, builtin=True)
    if looks_inline(text) or (";" in text and not _has_suffix(path)):
        return _read_inline(text, what)
    is_path = os.sep in text or _has_suffix(path)
    raise _unknown(path if is_path else text, what, builtins)


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


def given_files(texts: Iterable[str], folder: str = "") -> list[Path]:
    """Return the files among what filters or biases are given as; relative paths start in folder.

    Examples
    --------
    >>> given_files(["1 0 -1", "edge"])
    []
    """
    paths = (split_key(os.path.join(folder, text))[0] for text in texts)
    return [Path(path) for path in paths if os.path.isfile(path)]


def safe_name(text: str) -> str:
    """Return a text as a name that is safe in file names and on a terminal.

    Parameters
    ----------
    text : str
        A file's stem or a key, possibly hostile.

    Returns
    -------
    str
        Letters, digits and ``_ . + -``, at most 80 of them, never empty, no ``..``, not beginning
        with a dot or a dash.

    Examples
    --------
    >>> safe_name("../../x"), safe_name("conv1.weight"), safe_name("\\x1b[31m")
    ('x', 'conv1.weight', '31m')
    """
    plain = re.sub(r"[^\w.+-]+|\.{2,}", "_", text)
    return re.sub(r"_{2,}", "_", plain).lstrip("._-")[:80] or "filter"


def _read_inline(text: str, what: str) -> Found:
    label = f"the {what} {shorten(text)}"
    try:
        array = np.array(parse_matrix(text))
    except OptionError as error:
        raise OptionError(f"{label}: {error}", hint=error.hint) from None
    return Found(array, "inline", label, OptionError, named=False)


def _read_file(path: str, key: str | None, hollow: bool) -> Found:
    with npy.open_regular(Path(path), name=path) as file:
        head = file.read(16)
    reader = _READERS.get(Path(path).suffix.lower()) or _reader_for(head, path)
    array, bias, key = reader(path, key, hollow)
    stem = Path(path).stem
    label = quote(path) if key is None else quote(f"{path}:{key}")
    name = stem if key is None else f"{stem}-{key.lstrip('./')}"
    return Found(array, safe_name(name), label, FileProblem, bias, hollow=hollow)


_Read = tuple[Array, Array | None, str | None]


def _read_npy(path: str, key: str | None, hollow: bool) -> _Read:
    if not hollow:
        return npy.read_npy(Path(path), name=path), None, None
    header = npy.read_npy_header(Path(path), name=path)
    npy.check_length(header, os.path.getsize(path), path)
    return placeholder(header.dtype, header.shape), None, None


def _read_npz(path: str, key: str | None, hollow: bool) -> _Read:
    # Loaded here: zipfile takes longer than a small image, and few filters are archives.
    from cnncli.io import npz

    keys = npz.npz_keys(Path(path), name=path)
    pair = _weights_and_bias(keys) if key is None else None
    chosen = pair or (_choose(path, key, keys),)
    if hollow:
        headers = [npz.read_npz_header(Path(path), each, name=path) for each in chosen]
        arrays = [placeholder(header.dtype, header.shape) for header in headers]
    else:
        found = npz.read_npz(Path(path), name=path, keys=chosen)
        arrays = [found[each] for each in chosen]
    return arrays[0], arrays[1] if pair else None, key


def _read_text(path: str, key: str | None, hollow: bool) -> _Read:
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


def _read_safetensors(path: str, key: str | None, hollow: bool) -> _Read:
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
            part = tensors.get_slice(chosen)
            dtype, shape = part.get_dtype(), part.get_shape()
            _check_tensor(path, chosen, dtype, shape)
            if hollow:
                return placeholder(_SAFE_TYPES[dtype], shape), None, key
            return tensors.get_tensor(chosen), None, key
    except (safetensors.SafetensorError, OSError) as error:
        reason = npy.fault_text(error)
        raise FileProblem(f"not a readable safetensors file: {reason}", path=path) from None


def _check_tensor(path: str, key: str, dtype: str, shape: list[int]) -> None:
    if dtype not in _SAFE_TYPES:
        raise FileProblem(
            f"weights must be F64, F32, F16 or whole numbers, got {dtype}", path=f"{path}:{key}"
        )
    if 8 * math.prod(shape) > npy.DEFAULT_MAX_BYTES:
        raise FileProblem(
            f"a filter may take {npy.DEFAULT_MAX_BYTES} bytes, got the shape {tuple(shape)}",
            path=f"{path}:{key}",
        )


_Reader = Callable[[str, str | None, bool], _Read]
_READERS: dict[str, _Reader] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".txt": _read_text,
    ".csv": _read_text,
}


def _reader_for(head: bytes, path: str) -> _Reader:
    if npy.is_npy(head):
        return _read_npy
    if npy.is_zip(head):
        return _read_npz
    raise FileProblem(f"not a filter, which must be one of {' '.join(_READERS)}", path=path)


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
    listed = _list_keys(nearest(key or "", keys) or sorted(keys))
    if key is None:
        message = f"one of its {len(keys)} arrays must be named: {listed}"
    else:
        message = f"no array {shorten(key)} among its {len(keys)}: {listed}"
    raise OptionError(message, hint=f"write {quote(f'{path}:KEY')}", path=path)


def _list_keys(keys: list[str]) -> str:
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return ", ".join(shorten(key) for key in keys[:_LISTED]) + more


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
