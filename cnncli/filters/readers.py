"""Reads the arrays of filter files: .npy, .npz, .safetensors, text, and what is piped in."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from cnncli.core.arrays import Array, placeholder
from cnncli.errors import FileProblem, OptionError, nearest, printable, quote
from cnncli.filters import safetensors
from cnncli.filters.filter import LoadedArray
from cnncli.filters.matrix_text import parse_matrix, quoted_start
from cnncli.io import npy
from cnncli.io.regular_files import open_regular, open_shell_pipe
from cnncli.io.safe_names import plain_name
from cnncli.system.files import is_open

TEXTS: Final = (".txt", ".csv", ".tsv")
MAX_TEXT_BYTES: Final = 4 * 2**20
_SEPARATOR: Final = re.compile(r"\Asep=[,;\t]\r?\n")
_WEIGHT_KEYS: Final = ("w", "weight", "weights", "kernel")
_BIAS_KEYS: Final = ("b", "bias", "biases")
_LISTED: Final = 8
_TORCH = (
    "import torch, safetensors.torch as s; "
    "s.save_file(torch.load('FILE', weights_only=True), 'w.safetensors')"
)
_OF_MODULES: Final = (
    "; of a whole module, in a file that you trust, save "
    "torch.load(..., weights_only=False).state_dict()"
)
_KERAS = (
    "import keras, safetensors.numpy as s; s.save_file({w.path: w.numpy() "
    "for w in keras.saving.load_model('FILE').weights}, 'w.safetensors')"
)
NOT_READ: Final = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), ("a file of PyTorch", _TORCH)),
    **dict.fromkeys((".h5", ".keras"), ("a file of Keras", _KERAS)),
    ".tflite": ("a file of TensorFlow Lite", _KERAS.replace("FILE", "model.keras")),
}
"""Files of weights that are not read, and the line of Python that makes .safetensors of them."""


def read_file(path: str, key: str | None = None, headers_only: bool = False) -> LoadedArray:
    """Return the array of a file, chosen by its key where there are several.

    Parameters
    ----------
    path : str
        A file that exists, or what the shell puts for ``<(...)``.
    key : str, optional
        Of an archive.
    headers_only : bool
        Read no more than the headers of arrays.

    Raises
    ------
    FileProblem
        If it cannot be read, or is no filter.
    OptionError
        If a key is needed, or there is none of that name.
    """
    pipe = open_shell_pipe(path)
    if pipe is not None:
        with pipe:
            return read_stream(pipe, path)
    with open_regular(Path(path), name=path) as file:
        head = file.read(16)
    by_content = _read_npy if npy.is_npy(head) else _read_npz if npy.is_zip(head) else None
    suffix = Path(path).suffix.lower()
    # Files of PyTorch are ZIP archives too, of pickles.
    reader = None if suffix in NOT_READ else READERS.get(suffix, by_content)
    if reader is None:
        raise _not_a_filter(path)
    array, bias, key = reader(path, key, headers_only)
    name, label = Path(path).stem, path
    if key is not None:
        name, label = f"{name}-{key.lstrip('./')}", f"{path}:{key}"
    return LoadedArray(array, plain_name(name), label, Path(path), bias)


def read_stdin() -> LoadedArray:
    """Return the array that is piped in: .npy or text.

    Raises
    ------
    OptionError
        If standard input is a terminal or closed.
    """
    if not is_open(sys.stdin) or sys.stdin.isatty():
        raise OptionError("the filter must be piped in, but standard input is a terminal")
    return read_stream(sys.stdin.buffer, "standard input")


def read_stream(stream: BinaryIO, label: str) -> LoadedArray:
    """Return the array of a stream that can be read once: .npy or text.

    Examples
    --------
    >>> import io
    >>> read_stream(io.BytesIO(b"1 2; 3 4"), "standard input").array.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    data = stream.read(npy.DEFAULT_MAX_BYTES + 1)
    if len(data) > npy.DEFAULT_MAX_BYTES:
        raise FileProblem(f"a filter may take {npy.DEFAULT_MAX_BYTES} bytes, got more", path=label)
    is_npy = npy.is_npy(data[:16])
    array = npy.read_npy(data, name=label) if is_npy else _text_array(data, label)
    return LoadedArray(array, "piped", printable(label), named=False)


_Read = tuple[Array, Array | None, str | None]


def _read_npy(path: str, key: str | None, headers_only: bool) -> _Read:
    if not headers_only:
        return npy.read_npy(Path(path), name=path), None, None
    header = npy.read_npy_header(Path(path), name=path)
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
    with open_regular(Path(path), name=path) as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    return _text_array(data, path), None, None


def _text_array(data: bytes, path: str) -> Array:
    if len(data) > MAX_TEXT_BYTES:
        raise FileProblem(
            f"a matrix as text may have {MAX_TEXT_BYTES} bytes, got more",
            hint="store it as .npy",
            path=path,
        )
    try:
        # Spreadsheets begin their files with a byte order mark, and some with a line "sep=,".
        return np.array(parse_matrix(_SEPARATOR.sub("", data.decode("utf-8-sig"))))
    except UnicodeDecodeError:
        raise FileProblem("not a matrix in UTF-8 text", path=path) from None
    except OptionError as error:
        raise FileProblem(error.message, hint=error.hint, path=path) from None


def _read_safetensors(path: str, key: str | None, headers_only: bool) -> _Read:
    with open_regular(Path(path), name=path) as file:
        entries = safetensors.read_header(file, path)
        chosen = _choose(path, key, sorted(entries))
        label = f"{path}:{chosen}"
        if headers_only:
            return safetensors.placeholder_array(entries[chosen], label), None, key
        return safetensors.read_array(file, entries[chosen], label), None, key


_Reader = Callable[[str, str | None, bool], _Read]
READERS: Final[dict[str, _Reader]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    **dict.fromkeys(TEXTS, _read_text),
}


def _not_a_filter(path: str) -> FileProblem:
    suffix = Path(path).suffix.lower()
    if suffix in NOT_READ:
        kind, line = NOT_READ[suffix]
        line = line.replace("FILE", Path(path).name if len(path) < 100 else f"w{suffix}")
        hint = f'save it as safetensors: python -c "{printable(line)}"'
        more = _OF_MODULES if line.startswith("import torch") else ""
        return FileProblem(f"{kind}, which cannot be read{more}", hint=hint, path=path)
    if suffix == ".onnx":
        hint = "'cnncli run' takes the model, 'cnncli convert' writes its filters as .npz"
        return FileProblem("a network, where a filter is needed", hint=hint, path=path)
    known = " ".join(READERS)
    hint = "'cnncli filters list' shows the built-in filters; np.save writes an array as .npy"
    return FileProblem(f"not a filter, which must be one of {known}", hint=hint, path=path)


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
    # A layer's name stands before those of its arrays, of which the weights are the filter.
    begun = [name for name in keys if key and name.startswith(key)]
    begun.sort(key=lambda name: ("weight" not in name, name))
    near = begun or nearest(key or "", keys)
    shown = near or sorted(keys)
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    listed = ", ".join(quoted_start(name) for name in shown[:_LISTED]) + more
    if key is None:
        message = f"one of its {len(keys)} arrays must be named: {listed}"
    else:
        message = f"no array {quoted_start(key)} among its {len(keys)}: {listed}"
    written = quote(f"{path}:{near[0] if near else 'KEY'}")
    raise OptionError(message, hint=f"write {written}", path=path)
