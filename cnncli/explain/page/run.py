"""Write an explanation as an HTML page: one file with all that it needs, which loads nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError, quote
from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import Explanation
from cnncli.explain.page.layer_data import ACTIVATIONS, PageData, PageLayer, Unit, layer_page_data
from cnncli.explain.page.live_network_data import live_network_page_data
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.playground_data import playground_page_data
from cnncli.explain.page.shorten import shorten_script, shorten_style
from cnncli.explain.run import ExplainJob, ExplainResult, run, run_backward
from cnncli.explain.text.phrases import kind
from cnncli.io.urls import local_path
from cnncli.network.graph import NORMALIZE, Network
from cnncli.network.layers import ConvLayer, ConvTransposeLayer
from cnncli.pipeline.one_output import OneOutput, one_output_file
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.output_names import Source
from cnncli.render.options import MapGroup

SUFFIXES: Final = (".html", ".htm")

_SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "layer": (
        "geometry.js",
        "activations.js",
        "arithmetic.js",
        "transposed_arithmetic.js",
        "backward_arithmetic.js",
        "learning_arithmetic.js",
        "numbers.js",
        "ranges.js",
        "inflate.js",
        "page_data.js",
        "drawing.js",
        "groups.js",
        "fields.js",
        "quiz_questions.js",
        "quiz_window.js",
        "quiz_panel.js",
        "picture_arithmetic.js",
        "drawing_pad.js",
        "own_picture.js",
        "layer_input.js",
        "layer.js",
        "quiz_layer.js",
        "moving.js",
        "step_panel.js",
        "arithmetic_panel.js",
        "pixel_fields.js",
        "overview.js",
        "gradient_tables.js",
        "backward.js",
        "spread.js",
        "learning_targets.js",
        "learning.js",
        "learning_panel.js",
        "filter_panel.js",
        "layer_fields.js",
        "maps.js",
        "controls.js",
    ),
    "network": (
        "geometry.js",
        "activations.js",
        "arithmetic.js",
        "numbers.js",
        "ranges.js",
        "inflate.js",
        "page_data.js",
        "drawing.js",
        "groups.js",
        "network_forward.js",
        "network_description.js",
        "backward_arithmetic.js",
        "network_backward.js",
        "network_worker.js",
        "network_live.js",
        "picture_arithmetic.js",
        "drawing_pad.js",
        "own_picture.js",
        "network_input.js",
        "network_reads.js",
        "transposed_arithmetic.js",
        "network_windows.js",
        "network_norms.js",
        "network_views.js",
        "network_arithmetic.js",
        "gradient_tables.js",
        "network_gradients.js",
        "network_ranges.js",
        "step_panel.js",
        "unit_panel.js",
        "score_comparison.js",
        "network_lazy.js",
        "network_strips.js",
        "network_cards.js",
        "network_layout.js",
        "network_graph.js",
        "fields.js",
        "filter_panel.js",
        "layer_fields.js",
        "network_editor.js",
        "quiz_questions.js",
        "quiz_window.js",
        "quiz_network.js",
        "quiz_panel.js",
        "quiz_network_panel.js",
        "network.js",
    ),
}
_SCRIPTS["playground"] = (
    *_SCRIPTS["network"][:-1],
    "playground_stack.js",
    "playground_commands.js",
    "playground_panel.js",
    "playground.js",
    "network.js",
)
"""The scripts of each kind of page, in the order in which they run."""

_PACKED: Final = frozenset(("playground",))
"""Kinds of pages whose scripts, style and data are deflated, and unpacked by unpack.js."""

_WORKER: Final = frozenset(
    (
        "geometry.js",
        "activations.js",
        "arithmetic.js",
        "ranges.js",
        "network_forward.js",
        "network_description.js",
        "backward_arithmetic.js",
        "network_backward.js",
        "network_worker.js",
    )
)
"""Those that a page of a network runs in a worker too."""

# Both pages show the numbers of a window, in the style of the layer's page.
_STYLES: Final[dict[str, tuple[str, ...]]] = {
    "layer": (
        "page.css",
        "layer.css",
        "backward.css",
        "spread.css",
        "learning.css",
        "quiz.css",
        "own_picture.css",
        "print.css",
    ),
    "network": (
        "page.css",
        "layer.css",
        "backward.css",
        "network_graph.css",
        "network_cards.css",
        "network.css",
        "quiz.css",
        "own_picture.css",
        "print.css",
        "network_print.css",
    ),
}
_STYLES["playground"] = (*_STYLES["network"], "playground.css")

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class PageDone:
    """The report on a page that was written.

    Parameters
    ----------
    output : str
    bytes : int
    layer : str
        Of the unit that it begins with.
    at : (row, column)
    map : int, optional
        Backward None where all maps count.
    notes : tuple of str
    backward : bool
        Whether the position is one of the layer's input.

    Examples
    --------
    >>> PageDone("page.html", 633_000, "conv1", (3, 4), 0, ("cut",)).report_line
    'page.html, 633 kB, begins at row 3, column 4 of conv1; cut'
    """

    output: str
    bytes: int
    layer: str
    at: Pair
    map: int | None
    notes: tuple[str, ...]
    backward: bool = False

    @property
    def report_line(self) -> str:
        """The report for people."""
        notes = "".join(f"; {note}" for note in self.notes)
        of = f"{'the input of ' if self.backward else ''}{quote(self.layer)[1:-1]}"
        return (
            f"{quote(self.output)[1:-1]}, {round(self.bytes / 1000)} kB, begins at row "
            f"{self.at[0]}, column {self.at[1]} of {of}{notes}"
        )


def write_page(job: ExplainJob, source: Source, backward: bool = False) -> PageDone:
    """Explain one position of one layer on a page, and write it.

    Parameters
    ----------
    job : ExplainJob
        Its output names the file.
    source : Source
        The image.
    backward : bool
        Whether the page begins with the gradient of an input value.

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written; then as `run` says. Backward also if the
        page would not compute the network itself.
    """
    output = _page_output(source, job.job.output, tuple(job.job.read_too))
    result = run_backward(job, source) if backward else run(job, source)
    explanation: Explanation | BackwardExplanation = result.explanation
    data = make_page(job, result, source).encode()
    output.write(data)
    unit = explanation.layer, explanation.at, explanation.map
    return PageDone(str(output), len(data), *unit, result.notes, backward)


@dataclass(frozen=True)
class PlaygroundDone:
    """The report on a playground that was written.

    Parameters
    ----------
    output : str
    bytes : int

    Examples
    --------
    >>> PlaygroundDone("playground.html", 150_000).report_line
    'playground.html, 150 kB'
    """

    output: str
    bytes: int

    @property
    def report_line(self) -> str:
        """The report for people."""
        return f"{quote(self.output)[1:-1]}, {round(self.bytes / 1000)} kB"


def write_playground(options: OutputOptions) -> PlaygroundDone:
    """Write the page on which a user stacks layers on a sample picture.

    Parameters
    ----------
    options : OutputOptions
        Name the file.

    Raises
    ------
    CnnCliError
        If the file cannot be written.
    """
    output = _page_output(Source(None), options)
    data = page_text(playground_page_data()).encode()
    output.write(data)
    return PlaygroundDone(str(output), len(data))


def _page_output(
    source: Source, options: OutputOptions, read_too: Sequence[Path] = ()
) -> OneOutput:
    """Return the file that a page goes to."""
    name = str(local_path(options.output or "", "-o"))
    if Path(name).suffix.lower() not in SUFFIXES:
        raise OptionError(f"-o must end in .html, got {quote(name)}", hint="-o page.html")
    # A page has no format among those of pictures; png stands for any that can be written.
    options = replace(options, output=name, format="png")
    return one_output_file(source, options, op="explain", read_too=read_too)


def make_page(
    job: ExplainJob,
    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation],
    source: Source,
) -> str:
    """Return the page that begins with what `run` or `run_backward` explained, as HTML.

    Errors are those of `write_page`, but for its file's.
    """
    return page_text(_page_data(job, result, source))


def _has_layer_page(network: Network) -> bool:
    """Whether the page does the arithmetic itself: of one layer, if it can."""
    (first, *more), layer = network.nodes, network.nodes[0].layer
    can_compute = getattr(layer, "activation", "none") in ACTIVATIONS
    is_single = not more and first.name != NORMALIZE
    return is_single and can_compute and isinstance(layer, PageLayer)


def _page_data(
    job: ExplainJob,
    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation],
    source: Source,
) -> PageData:
    explanation, picture, network = result.explanation, result.picture, job.job.network
    title = source.path.name if source.path is not None else "standard input"
    if picture.shape[0] > 1:
        title += f", image {explanation.image} of {picture.shape[0]}"
    (first, *more), notes = network.nodes, result.image_notes
    layer = first.layer
    if more:
        end = "".join(path.name for path in job.job.read_too[:1])
    elif isinstance(layer, ConvLayer):
        end = layer.filter.name
    else:
        end = kind(layer.op, getattr(layer, "mode", None))
    title = ", ".join(filter(None, [title, end]))
    if isinstance(explanation, BackwardExplanation):
        unit = _strongest_sender(explanation, result.explained.groups)
    else:
        unit = Unit(explanation.at, explanation.map, explanation.image)
    if not _has_layer_page(network):
        name = explanation.layer
        if isinstance(explanation, BackwardExplanation):
            live = live_network_page_data(network, picture, name, unit, title=title, notes=notes)
            data = _with_cell(live, network, explanation)
        else:
            data = network_page_data(network, picture, name, unit, title=title, notes=notes)
        # How a picture that the user brings becomes the network's input.
        reading = {"fit": job.job.read.fit, "bgr": job.job.read.bgr}
        return data | {"titleEnd": end, "reading": reading}
    assert isinstance(layer, PageLayer)
    data = layer_page_data(picture, layer, unit, title=title, notes=notes) | {"titleEnd": end}
    if isinstance(explanation, BackwardExplanation):
        only_map = explanation.map is not None
        pixel = {"at": list(explanation.at), "channel": explanation.channel, "onlyMap": only_map}
        # Backward, an input cell gets gradient from the outputs to which it adds forward.
        is_transposed = isinstance(layer, ConvTransposeLayer)
        return data | ({"source": pixel} if is_transposed else {"backward": pixel})
    return data


def _with_cell(
    live: PageData | None, network: Network, explanation: BackwardExplanation
) -> PageData:
    """Let the page of a network begin with the gradient of a value."""
    if live is None:
        raise OptionError(
            "--backward needs a page that computes its network itself: this one is too large, or "
            "has layers that pages do not compute",
            hint="-o steps.gif shows the backward pass of any layer with a window",
        )
    source = network.node(explanation.layer).inputs[0]
    cell = {"layer": source, "channel": explanation.channel, "at": list(explanation.at)}
    return live | {"gradients": cell}


def _strongest_sender(explanation: BackwardExplanation, groups: Sequence[MapGroup]) -> Unit:
    """Return the output that sends most gradient to the input value, the first if none does."""
    if not explanation.paths:
        return Unit((0, 0), explanation.map or 0, explanation.image)
    best = max(explanation.paths, key=lambda path: abs(path.product))
    number = next(k for k, group in enumerate(groups) if best.channel in group.channels)
    return Unit(best.output, number, explanation.image)


def page_text(data: PageData) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    data : dict
        What `layer_page_data` or `network_page_data` returned.

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
    kind = data["kind"]
    style = "".join(_style(name) for name in _STYLES[kind])
    scripts = {name: _script(name) for name in _SCRIPTS[kind]}
    elements = {
        "style": f"<style>{style}</style>",
        "data": _json(data),
        "scripts": "\n".join(_script_element(name, text) for name, text in scripts.items()),
    }
    if kind in _PACKED:
        elements = _packed_elements(data, style, scripts)
        scripts = {"unpack.js": _script("unpack.js"), **scripts}
    texts = elements | {
        "policy": _policy(data, style, list(scripts.values())),
        # Bytes of a file's name that are no text are made visible.
        "title": html.escape(data["title"].encode("utf-8", "backslashreplace").decode()),
        "body": _file("layer.html" if kind == "layer" else "network.html"),
    }
    return _PLACEHOLDER.sub(lambda match: texts[match[1]], _file("page.html"))


def _script_element(name: str, text: str) -> str:
    return f"<script{' data-worker' if name in _WORKER else ''}>{text}</script>"


def _packed_elements(data: PageData, style: str, scripts: Mapping[str, str]) -> dict[str, str]:
    """Return data, style and scripts as one deflated text, and the script that unpacks it."""
    texts = [{"text": text, "worker": name in _WORKER} for name, text in scripts.items()]
    packed = zlib.compress(json.dumps({"data": data, "style": style, "scripts": texts}).encode(), 9)
    text = base64.b64encode(packed).decode()
    holder = f'<script type="text/plain" id="packed">{text}</script>'
    return {
        "style": "",
        "data": "",
        "scripts": f"{holder}\n{_script_element('', _script('unpack.js'))}",
    }


def _policy(data: PageData, style: str, scripts: list[str]) -> str:
    allowed = " ".join(_hash(script) for script in scripts)
    # A page that computes a network does it in a worker, whose script is put together from its own.
    is_live = data["kind"] != "layer" and "input" in data
    types = ["cnncli"] * is_live + ["cnncli-unpack"] * (data["kind"] in _PACKED)
    none = "'none'"
    rules = [
        "default-src 'none'",
        f"script-src {allowed}",
        f"style-src {_hash(style)}",
        f"worker-src {'blob:' if is_live else none}",
        f"trusted-types {' '.join(types) or none}",
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
    """Return JSON for a script element, without the characters that mean something there."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _file(name: str) -> str:
    return resources.files("cnncli.explain").joinpath("web", name).read_text("utf-8")


@cache
def _script(name: str) -> str:
    return shorten_script(_file(name))


@cache
def _style(name: str) -> str:
    return shorten_style(_file(name))
