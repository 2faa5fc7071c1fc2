"""Protobuf types of ONNX files (ModelProto, NodeProto, TensorProto), without the package's rest."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any, Final

from cnncli.errors import FileProblem

_NAME: Final = "onnx.onnx_ml_pb2"


def check_package(path: Path) -> None:
    """Raise FileProblem about a file unless the package ``onnx`` is there."""
    try:
        if find_spec("onnx"):
            protobuf_types()
            return
    except ImportError:
        pass
    raise FileProblem(
        ".onnx files need an extra package", hint="pip install 'cnncli[onnx]'", path=path
    )


def protobuf_types() -> Any:
    """Return the module of ONNX's protobuf types, which is the package's own.

    To import the package takes 110 ms of processor time, and this module 22: most networks need
    nothing else. What imports the package later finds the module here.

    Examples
    --------
    >>> from importlib.util import find_spec
    >>> find_spec("onnx") is None or protobuf_types().TensorProto.EXTERNAL == 1
    True
    """
    if _NAME not in sys.modules:
        package = find_spec("onnx")
        spec = package and PathFinder.find_spec(_NAME, package.submodule_search_locations)
        if not spec or not spec.loader:
            return import_module("onnx")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[_NAME] = module
    return sys.modules[_NAME]
