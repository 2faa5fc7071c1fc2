"""Arrays of an ONNX file and of files beside it, read without trusting them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, placeholder
from cnncli.errors import FileProblem, quote
from cnncli.io.regular_files import fault_text, open_regular
from cnncli.network.onnx.large_arrays import OWN_FILE
from cnncli.network.onnx.protobuf_types import protobuf_types

FEW: Final = 4
"""Floats up to this many are read even without weights: limits, and the scales of a resize."""

OWN_DOMAINS: Final = ("", "ai.onnx")
_FLOAT_TYPES: Final = {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2"}
_TYPES: Final = {**_FLOAT_TYPES, "INT64": "i8", "INT32": "i4", "INT16": "i2", "INT8": "i1"} | {
    **{"UINT64": "u8", "UINT32": "u4", "UINT16": "u2", "UINT8": "u1", "BOOL": "?"}
}

_FIELDS: Final = {
    **{"FLOAT": "float_data", "DOUBLE": "double_data"},
    **{"INT32": "int32_data", "INT64": "int64_data"},
}
"""Where a tensor has numbers of a type, one by one."""


@dataclass(frozen=True)
class Constants:
    """The arrays that a file holds, read when they are asked for.

    Parameters
    ----------
    path : Path
        The model's file.
    tensors : dict of str to TensorProto
    weights : bool
        False: arrays of more than a few floats are placeholders, and no file beside the model is
        read for them.
    files : set of Path
        The files beside the model that were named.
    """

    path: Path
    tensors: dict[str, Any]
    weights: bool
    files: set[Path] = field(default_factory=set)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def add(self, tensors: Mapping[str, Any]) -> None:
        """Add the arrays of a graph in a node."""
        self.tensors.update(tensors)

    def read(self, name: str) -> Array | None:
        """Return an array; None if it holds something else than numbers."""
        return self.array(self.tensors[name], name)

    def array(self, tensor: Any, name: str) -> Array | None:
        """Return the array of a tensor; half floats become float32."""
        with file_problems(self.path, f"tensor {quote(name)}"):
            kind, shape, dtype = _stored_as(tensor)
            if dtype is None:
                return None
            small = _TYPES.get(kind) not in _FLOAT_TYPES.values() or math.prod(shape) <= FEW
            read = self.weights or small
            if is_elsewhere(tensor):
                array = _read_beside(self._location(tensor), dtype, shape, read)
                if array is not None and kind == "BFLOAT16":
                    # The upper half of a float32.
                    array = (array.astype("u4") << 16).view("f4")
            else:
                _check_data(tensor, dtype, shape)
                array = read_tensor(tensor) if read else None
            if array is None:
                return placeholder("f8" if kind == "DOUBLE" else "f4", shape)
            return _without_halves(array, kind)

    def _location(self, tensor: Any) -> tuple[Path, int, int | None]:
        """Return the file, the first byte and the length of the data that a tensor names."""
        entries = {entry.key: plain_text(entry.value) for entry in tensor.external_data}
        location, given = entries.get("location", ""), entries.get("length")
        try:
            offset, length = int(entries.get("offset", 0)), None if given is None else int(given)
        except ValueError:
            raise ValueError("its offset and length must be whole numbers") from None
        if location == OWN_FILE:
            return self.path, offset, length
        folder = self.path.parent.resolve()
        path = folder / location
        if not location or not path.resolve().is_relative_to(folder):
            raise ValueError(f"its data must be in the model's folder, not in {quote(location)}")
        if not path.exists():
            raise FileProblem(
                f"its weights are in {quote(location)}, which is not there",
                hint="copy that file beside the model",
                path=self.path,
            )
        self.files.add(self.path.parent / location)
        return path, offset, length


def is_elsewhere(tensor: Any) -> bool:
    """Tell whether an array stands in a file beside the model, or claims to."""
    return (
        bool(tensor.external_data) or tensor.data_location == protobuf_types().TensorProto.EXTERNAL
    )


def read_tensor(tensor: Any) -> Array:
    """Return an array that stands in the model's own file; half floats become float32.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If it stands elsewhere, holds no numbers, or others than its shape says.
    """
    kind, shape, dtype = _stored_as(tensor)
    if dtype is None or is_elsewhere(tensor):
        raise ValueError("it holds no numbers" if dtype is None else "it is in another file")
    _check_data(tensor, dtype, shape)
    numbers = _numbers(tensor, kind, dtype)
    if numbers is not None:
        return _without_halves(numbers.reshape(shape), kind)
    return _without_halves(np.asarray(import_module("onnx").numpy_helper.to_array(tensor)), kind)


def _numbers(tensor: Any, kind: str, dtype: np.dtype[Any]) -> Array | None:
    """Return the numbers of a tensor as most files hold them; None for any other way."""
    if tensor.HasField("segment"):
        return None
    if tensor.HasField("raw_data"):
        if kind not in _TYPES:
            return None
        return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False)
    field = _FIELDS.get(kind)
    return None if field is None else np.array(getattr(tensor, field), dtype)


def _stored_as(tensor: Any) -> tuple[str, tuple[int, ...], np.dtype[Any] | None]:
    """Return type and shape of a tensor, and how numpy reads it; None if it is no numbers."""
    kind = protobuf_types().TensorProto.DataType.Name(tensor.data_type)
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    known = kind in (*_TYPES, "BFLOAT16")
    return kind, shape, np.dtype(_TYPES.get(kind, "u2")) if known else None


def _without_halves(array: Array, kind: str) -> Array:
    return array.astype(np.float32) if kind in ("FLOAT16", "BFLOAT16") else array


def plain_text(value: str | bytes) -> str:
    """Return a text; protobuf gives bytes for what is none."""
    if isinstance(value, bytes):
        raise ValueError("one of its names is not UTF-8")
    return value


@contextmanager
def file_problems(path: Path, what: str) -> Iterator[None]:
    """Make one kind of error of what broken files raise in other packages."""
    decode = import_module("google.protobuf.message").DecodeError
    try:
        yield
    except (decode, ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
        raise FileProblem(f"{what}: {fault_text(error)}", path=path) from None


def _check_data(tensor: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless a tensor holds as many numbers as its shape says."""
    count = len(tensor.raw_data) // dtype.itemsize
    if not tensor.HasField("raw_data"):
        fields = (tensor.float_data, tensor.double_data, tensor.int32_data, tensor.int64_data)
        count = sum(len(numbers) for numbers in (*fields, tensor.uint64_data))
    if count != math.prod(shape):
        raise ValueError(f"its shape is {shape}, but it holds {count} numbers")


def _read_beside(
    location: tuple[Path, int, int | None], dtype: np.dtype[Any], shape: tuple[int, ...], read: bool
) -> Array | None:
    """Return an array from the model's file or one beside; None if it shall only be checked."""
    path, offset, length = location
    count = math.prod(shape)
    need = count * dtype.itemsize
    with open_regular(path, name=os.fspath(path)) as stream:
        size = os.fstat(stream.fileno()).st_size
        if length not in (None, need) or not 0 <= offset <= size - need:
            raise ValueError(f"{need} bytes at {offset} are not what {quote(path.name)} holds")
        if not read:
            return None
        stream.seek(offset)
        data = stream.read(need)
    array = np.frombuffer(data, dtype.newbyteorder("<"), count).reshape(shape)
    return array.astype(dtype, copy=False)
