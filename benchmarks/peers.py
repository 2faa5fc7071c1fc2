"""Finds the peers that are installed; a peer that is missing is named and skipped."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

MODULES: Final = {
    "onnxruntime": "onnxruntime",
    "onnx": "onnx",
    "torch": "torch",
    "OpenCV": "cv2",
    "scipy": "scipy",
    "Pillow": "PIL",
    "joblib": "joblib",
    "distributed": "distributed",
    "simplejpeg": "simplejpeg",
    "zlib-ng": "zlib_ng",
}
"""Peers in this process, and what they are imported as; onnx writes onnxruntime's models, and the
last two are what cnncli itself uses with the extra fast."""

PACKAGES: Final = {"OpenCV": "opencv-python-headless", "Pillow": "pillow"}
"""Names of distributions that differ from the peer's."""

PROGRAMS: Final = {
    "ImageMagick": ("magick", "convert-im6", "convert"),
    "mogrify": ("mogrify",),
    "GraphicsMagick": ("gm",),
    "libvips": ("vips",),
}
"""Peers that are commands: the first name that is found is taken."""

_enabled = [True]


def leave_out_all() -> None:
    """Measure cnncli alone from now on."""
    _enabled[0] = False
    module.cache_clear()
    program.cache_clear()


@cache
def module(peer: str) -> Any | None:
    """Return a peer's module, None if it cannot be imported.

    Examples
    --------
    >>> module("Pillow") is not None
    True
    """
    if not _enabled[0]:
        return None
    try:
        return import_module(MODULES[peer])
    except ImportError:
        return None


@cache
def program(peer: str) -> str | None:
    """Return the path of a peer's command, None if there is none."""
    names = PROGRAMS[peer] if _enabled[0] else ()
    return next((path for name in names if (path := shutil.which(name))), None)


def missing() -> list[str]:
    """Return the peers that are not there."""
    return [peer for peer in MODULES if module(peer) is None] + [
        peer for peer in PROGRAMS if program(peer) is None
    ]


def versions() -> dict[str, str]:
    """Return the version of every peer that is there, and of numpy and click."""
    found = {"numpy": version("numpy"), "click": version("click")}
    for peer in MODULES:
        if (loaded := module(peer)) is not None:
            found[peer] = _module_version(peer, loaded)
    for peer in PROGRAMS:
        if (path := program(peer)) is not None and peer != "mogrify":
            found[peer] = _program_version(path)
    return found


def _module_version(peer: str, loaded: Any) -> str:
    try:
        return version(PACKAGES.get(peer, peer))
    except PackageNotFoundError:
        return str(getattr(loaded, "__version__", "unknown"))


def _program_version(path: str) -> str:
    """The first number with dots that the program says about itself."""
    option = "version" if path.endswith("/gm") else "-version"
    option = "--version" if path.endswith("/vips") else option
    said = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+\.\d+[.\d-]*", said)
    return number[0].rstrip("-.") if number else "unknown"
