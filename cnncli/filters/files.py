"""Filters from text: read from a file, a built-in name or numbers as text; and filters to files."""

from __future__ import annotations

import io
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli.core.arrays import Array
from cnncli.errors import OptionError, ShapeError, nearest, printable, quote
from cnncli.filters.builtin_names import SUFFIX, builtin_file, builtin_names
from cnncli.filters.channels import naming_other_layout
from cnncli.filters.filter import Filter, LoadedArray, from_loaded
from cnncli.filters.generators import GENERATORS, make_by_text
from cnncli.filters.matrix_text import (
    INLINE,
    looks_inline,
    parse_matrix,
    point_hint,
    quoted_start,
    respell_kernel,
    with_points,
)
from cnncli.filters.readers import NOT_READ, READERS, read_file, read_stdin
from cnncli.io import atomic, npy
from cnncli.io.atomic import is_folder_name, is_special, is_stdout, make_folder
from cnncli.io.nearby import files_like
from cnncli.io.safe_names import plain_name

_KEYED = re.compile(
    rf"(.+?\.(?:npz|safetensors|onnx|{'|'.join(suffix[1:] for suffix in NOT_READ)})):(.*)",
    re.IGNORECASE | re.DOTALL,
)
_DENSE_KEY = re.compile(r"(?:^|[._/\d])(?:fc|linear|dense|classifier|head|proj|mlp)(?:[._/\d]|$)")
_NUMBERED_KIND = re.compile(r"([A-Za-z]+)(_?)(\d{1,4})")
_LARGEST = 128
_LONGEST = 4
"""More rows or columns than the first, or more times as many of the one, has no image filter."""
_ARCHIVES = (".safetensors", ".npz")
_MEANT = {
    **dict.fromkeys(("blur", "smooth", "lowpass", "low_pass"), ("gaussian", "box")),
    **dict.fromkeys(("disk", "square", "octagon", "plus"), ("box", "gaussian")),
    "unity": ("identity",),
    **dict.fromkeys(("mean", "average", "avg"), ("box",)),
    **dict.fromkeys(("edges", "outline"), ("edge", "laplacian")),
}
"""Words of other tools for built-in filters."""
_LIST_HINT = "'cnncli filters list' shows the built-in filters"


def load_filter(
    text: str,
    *,
    layout: str = "hwio",
    folder: str = "",
    headers_only: bool = False,
    stdin: bool = False,
) -> Filter:
    """Return the filter that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A path to ``.npy``, ``.npz``, ``.safetensors`` (both with ``:KEY`` when they hold
        several arrays), ``.txt`` or ``.csv``; the name of a built-in, with or without ``.npy``;
        a kind with its parameter such as ``gaussian:2.5``; or a matrix such as
        ``"0 -1 0; -1 5 -1; 0 -1 0"``. A path that exists wins over a name.
    layout : {"hwio", "oihw"}
        How to read the shape: rows, columns, channels in, maps out (Keras); or PyTorch's order.
    folder, headers_only, stdin
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
        If the array is empty or has fewer than 2 or more than 4 axes, or is the matrix of a dense
        layer.

    Examples
    --------
    >>> load_filter("1/9 1/9 1/9").weights.shape
    (1, 3, 1)
    >>> load_filter("kirsch").map_names[0]
    'kirsch_n'
    """
    loaded = load_array(text, folder=folder, headers_only=headers_only, stdin=stdin)
    _check_image_filter(loaded)
    bank = from_loaded(loaded, layout)
    if loaded.bias is not None:
        with naming_other_layout(bank):
            bias = replace(loaded, array=loaded.bias).per_map(bank.maps)
        bank = replace(bank, bias=bias)
    notes = [*_decimal_comma_note(loaded, text), *_one_row_note(loaded)]
    return replace(bank, notes=(*bank.notes, *notes))


def _decimal_comma_note(loaded: LoadedArray, text: str) -> list[str]:
    """Say of rows such as 0,5 that decimals have a point."""
    is_inline = loaded.name == INLINE
    has_commas = with_points(text) != text if is_inline else text.lower().endswith(".csv")
    if not has_commas or loaded.array.shape[1:] != (2,):
        return []
    hint = point_hint(loaded.array.ravel().tolist())
    return [f"{loaded.name}: {len(loaded.array)}x2; {hint}"] if hint else []


def _one_row_note(loaded: LoadedArray) -> list[str]:
    """Say of as many typed numbers as a square has that they are one row."""
    count = loaded.array.size
    side = math.isqrt(count)
    is_row = loaded.name == INLINE and loaded.array.shape[:-1] == (1,)
    if not is_row or side < 3 or side * side != count:
        return []
    return [f"{INLINE}: one row of {count} numbers; for {side}x{side} end each row with ';'"]


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
    stdin: bool = False,
) -> LoadedArray:
    """Return the array that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A path (``weights.npz:W`` with a key), the name of a built-in filter, a kind of
        `GENERATORS` with its parameter, or a matrix. A file that exists wins.
    what : str
        Used in messages.
    builtins : bool
        Whether built-in names count.
    folder : str
        Where relative paths start; default: the current folder.
    headers_only : bool
        Read no more of files than the headers of their arrays; text files are read.
    stdin : bool
        Whether ``-`` is standard input.

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
    if text == "-" and stdin:
        return read_stdin()
    path, key = split_key(os.path.join(folder, text))
    if os.path.exists(path) and not os.path.isdir(path):
        return read_file(path, key, headers_only)
    name = text.removesuffix(SUFFIX)
    if builtins and name not in builtin_names() and name.lower() in builtin_names():
        name = name.lower()
    if builtins and name in builtin_names():
        return LoadedArray(read_builtin(name), name, quote(name), builtin=True)
    if builtins and ":" in text and text.partition(":")[0] in GENERATORS:
        made = make_by_text(text)
        return LoadedArray(made, plain_name(text.replace(":", "-")), quote(text), builtin=True)
    if looks_inline(text) or (";" in text and not _has_suffix(path)):
        return _read_inline(text, what)
    is_path = os.sep in text or _has_suffix(path) or os.path.isfile(path.rpartition(":")[0])
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
    return printable(path)


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
    label = f"the {what} {quoted_start(text)}"
    try:
        array = np.array(parse_matrix(text))
    except OptionError as error:
        raise OptionError(f"{label}: {error}", hint=error.hint) from None
    return LoadedArray(array, INLINE, label, named=False)


def _check_image_filter(loaded: LoadedArray) -> None:
    """Refuse a matrix of a file of weights that must be that of a dense layer."""
    shape = loaded.array.shape
    if loaded.path is None or len(shape) != 2 or loaded.path.suffix.lower() not in _ARCHIVES:
        return
    short, long = sorted(shape)
    key = loaded.label.rpartition(":")[2] if ":" in loaded.label else ""
    named_dense = _DENSE_KEY.search(key) is not None
    is_line = short == 1 and long <= _LARGEST
    looks_dense = long > _LARGEST or (not is_line and long > max(16, _LONGEST * short))
    # cnncli writes 2-D filters of networks into archives itself, by the names of their layers.
    is_model = loaded.path.suffix.lower() == ".safetensors"
    if not (named_dense and looks_dense) and not (is_model and (named_dense or looks_dense)):
        return
    raise loaded.error(
        f"a matrix of {shape[0]}x{shape[1]} is the weight of a dense layer, no image filter",
        ShapeError,
        hint='a layer with type = "dense" in a network file takes it; a file .npy is any filter',
    )


def _has_suffix(path: str) -> bool:
    return Path(path).suffix.lower() in (*READERS, *NOT_READ)


def split_layer(text: str) -> tuple[str, str]:
    """Return a network's file and the layer named behind it; no layer if none is.

    Examples
    --------
    >>> split_layer("model.onnx:block:conv1"), split_layer("edge.npy:W")
    (('model.onnx', 'block:conv1'), ('edge.npy:W', ''))
    """
    match = re.fullmatch(r"(?s)(.+?\.(?:toml|onnx)):(.*)", text, re.IGNORECASE)
    return (match[1], match[2]) if match else (text, "")


def _unknown(path: str, what: str, builtins: bool) -> OptionError:
    if not path:
        return OptionError(f"a {what} must be a file, a name or a matrix, got an empty text")
    network, layer = split_layer(path)
    if layer:
        if not os.path.isfile(network):
            return OptionError("no such file", hint=files_like(network), path=network)
        use = f"'cnncli convert {printable(network)}' writes its weights as a file"
        return OptionError(f"a layer of a network, where a {what} is needed", hint=use, path=path)
    file, _, key = path.rpartition(":")
    if os.path.isfile(file):
        message = f"a key, {quoted_start(key)}, is for .npz and .safetensors alone"
        return OptionError(message, hint=f"without it: --{what} {printable(file)}", path=path)
    if respelled := respell_kernel(path):
        return OptionError(
            f"a kernel as ImageMagick has it, {quoted_start(path)}",
            hint=f'write "{respelled}" --convention imagemagick',
        )
    names = _builtins_like(path) if builtins else []
    alike = f"; nearest built-in: {', '.join(names)}" if names else ""
    if os.path.isdir(path):
        return OptionError(f"a {what} must be a file, got a folder{alike}", path=path)
    hint = _respell_kind(path) or _LIST_HINT if builtins else None
    several = re.split(r"[,+ ]+", path)
    if builtins and several[1:] and set(several) <= {*builtin_names()}:
        hint = f"each by its own option: {' '.join(f'--filter {name}' for name in several)}"
    if os.sep in path or _has_suffix(path):
        near = files_like(path, near_only=Path(path).suffix.lower() == SUFFIX)
        return OptionError(f"no such file{alike}", hint=near or hint, path=path)
    if not builtins:
        return OptionError("no such file, and no number", hint=f"--{what} NUMBER", path=path)
    return OptionError(f"no such file and no such {what}{alike}", hint=hint, path=path)


def _respell_kind(text: str) -> str | None:
    """Return a kind as ours is written: ImageMagick's radius and sigma, gaussian2, gaussian_9."""
    kind, _, rest = text.partition(":")
    numbered = _NUMBERED_KIND.fullmatch(text)
    if numbered:
        # Built-in filters are named by their size: gaussian_7.
        kind, rest = numbered[1], f"{'size=' if numbered[2] else ''}{numbered[3]}"
    known = GENERATORS.get(kind.lower())
    if not rest or known is None or not (numbered or known.main == "sigma"):
        return None
    respelled = f"{kind.lower()}:{rest}"
    try:
        make_by_text(respelled)
    except OptionError as error:
        return error.hint
    return respelled


def _builtins_like(path: str) -> list[str]:
    """Name the built-in filters that a text may mean; a file's name must be nearly theirs."""
    stem = Path(path).stem.lower()
    stem = stem if _has_suffix(path) else stem.partition(":")[0]
    if stem in _MEANT and not _has_suffix(path):
        return list(_MEANT[stem])
    names = nearest(stem, builtin_names())
    if os.sep not in path and not _has_suffix(path):
        return names
    return [name for name in names if name[:3] == stem[:3]]


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
