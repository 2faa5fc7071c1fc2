"""The text of a page: one file with all that it needs, and a policy that lets it load nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib import resources
from typing import Any, Final

from cnncli.explain.page.layer_data import Scene

_PARTS: Final = {
    "layer": ("arithmetic.js", "drawing.js", "layer.js", "why.js", "controls.js"),
    "network": ("drawing.js", "network.js"),
}
"""The scripts of each kind of page, in the order in which they run."""

_HOLE = re.compile(r"\{\{(\w+)\}\}")


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
