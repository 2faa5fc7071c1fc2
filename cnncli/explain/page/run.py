"""Write an explanation as an HTML page: one file with all that it needs, which loads nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from cnncli.errors import OptionError, quote
from cnncli.explain.page.layer_data import ACTIVATIONS, Place, Scene, layer_scene
from cnncli.explain.page.network_data import network_scene
from cnncli.explain.run import Explained, ExplainJob, run
from cnncli.io import atomic
from cnncli.io.urls import local_path
from cnncli.network.graph import NORMALIZE, Network
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.pipeline.outputs import (
    OutFile,
    OutputOptions,
    Source,
    plan_targets,
    select_files,
)

SUFFIXES: Final = (".html", ".htm")

_PARTS: Final = {
    "layer": ("arithmetic.js", "drawing.js", "layer.js", "arithmetic_panel.js", "controls.js"),
    "network": ("drawing.js", "network.js"),
}
"""The scripts of each kind of page, in the order in which they run."""

_HOLE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class PageDone:
    """A page that was written.

    Parameters
    ----------
    output : str
    size : int
        Bytes.
    layer : str
        Of the unit that it begins with.
    at : (row, column)
    map : int
    notes : tuple of str
    """

    output: str
    size: int
    layer: str
    at: tuple[int, int]
    map: int
    notes: tuple[str, ...]


def write_page(wanted: ExplainJob, source: Source) -> PageDone:
    """Explain one place of one layer on a page, and write it.

    Parameters
    ----------
    wanted : ExplainJob
        Its job's output names the file.
    source : Source
        The image.

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written; then as `run` says.
    """
    file = _target(wanted, source)
    done = run(wanted, source)
    data = page_text(_scene(wanted, done, source)).encode()
    assert isinstance(file.path, Path)  # _target sees to that
    with atomic.open(file.path, overwrite=wanted.job.output.overwrite) as stream:
        stream.write(data)
    found = done.explanation
    return PageDone(os.fspath(file.path), len(data), found.name, found.at, found.map, done.notes)


def _target(wanted: ExplainJob, source: Source) -> OutFile:
    """Check where the page goes, before any pixel is read."""
    output = wanted.job.output
    name = os.fspath(local_path(output.output or "", "-o"))
    if Path(name).suffix.lower() not in SUFFIXES:
        raise OptionError(f"-o must end in .html, got {quote(name)}", hint="-o page.html")
    # A page has no format among those of pictures; png stands for any that can be written.
    options = OutputOptions(name, "png", output.overwrite)
    plan = plan_targets([source], options, op="explain", one_picture=True, read_too=_read(wanted))
    (target,) = plan.targets
    (file,) = select_files(target.files(target.unknown()), options, plan.inputs)
    return file


def _read(wanted: ExplainJob) -> tuple[Path, ...]:
    return tuple(wanted.job.read_too)


def _scene(wanted: ExplainJob, done: Explained, source: Source) -> Scene:
    found, network = done.explanation, wanted.job.network
    place = Place(found.at, found.map, found.image)
    title, layer = _title(wanted, source), network.nodes[0].layer
    shape = (1, *done.picture.shape[1:])
    notes = (*wanted.job.notes, *done.picture.notes, *network.notes(shape))
    if _has_layer_page(network) and isinstance(layer, (ConvLayer, PoolLayer)):
        return layer_scene(done.picture, layer, place, title=title, notes=notes)
    return network_scene(network, done.picture, found.name, place, title=title, notes=notes)


def _has_layer_page(network: Network) -> bool:
    """Whether a network is one layer whose arithmetic a page can do."""
    (first, *more) = network.nodes
    alone = not more and first.name != NORMALIZE
    return alone and getattr(first.layer, "activation", "none") in ACTIVATIONS


def _title(wanted: ExplainJob, source: Source) -> str:
    network = wanted.job.network
    layer = network.nodes[0].layer
    image = source.path.name if source.path is not None else "standard input"
    if len(network.nodes) > 1:
        files = [path.name for path in wanted.job.read_too[:1]]
        return ", ".join([image, *files])
    what = layer.filter.name if isinstance(layer, ConvLayer) else f"{_mode(layer)}pool"
    return f"{image}, {what}"


def _mode(layer: Any) -> str:
    return f"{layer.mode} " if isinstance(layer, PoolLayer) else ""


def report_line(done: PageDone) -> str:
    """Return the report for people.

    Examples
    --------
    >>> report_line(PageDone("page.html", 633_000, "conv1", (3, 4), 0, ("cut",)))
    'page.html, 633 kB, begins at row 3, column 4 of conv1; cut'
    """
    notes = "".join(f"; {note}" for note in done.notes)
    return (
        f"{quote(done.output)[1:-1]}, {round(done.size / 1000)} kB, begins at row {done.at[0]}, "
        f"column {done.at[1]} of {quote(done.layer)[1:-1]}{notes}"
    )


def report_fields(done: PageDone) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "output": done.output,
        "bytes": done.size,
        "layer": done.layer,
        "at": list(done.at),
        "map": done.map,
        "notes": list(done.notes),
    }


def page_text(scene: Scene) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    scene : dict
        What `layer_scene` or `network_scene` returned.

    Returns
    -------
    str
        One document without any address in it. Its content security policy names the hashes of its
        own style and scripts, so that nothing else runs and nothing is loaded.

    Examples
    --------
    >>> text = page_text({"kind": "network", "title": "</script><b>", "layers": []})
    >>> "</script><b>" in text, "&lt;/script&gt;&lt;b&gt;" in text
    (False, True)
    """
    kind = scene["kind"]
    style = _file("page.css") + _file(f"{kind}.css")
    scripts = [_file(name) for name in _PARTS[kind]]
    holes = {
        "policy": _policy(style, scripts),
        "title": html.escape(_unbroken(scene["title"])),
        "style": style,
        "body": _file(f"{kind}.html"),
        "data": _json(scene),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _HOLE.sub(lambda hole: holes[hole[1]], _file("page.html"))


def _policy(style: str, scripts: list[str]) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    rules = [
        "default-src 'none'",
        f"script-src {allowed}",
        f"style-src {_hash(style)}",
        # The empty icon, which keeps browsers from asking for one.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    """Return JSON that may stand in a script element: no character of it means anything there."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _unbroken(text: str) -> str:
    """Make bytes of a file's name that are no text visible."""
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def _file(name: str) -> str:
    return resources.files("cnncli.explain").joinpath("web", name).read_text("utf-8")
