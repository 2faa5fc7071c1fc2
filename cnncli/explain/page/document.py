"""A page of an explanation as HTML: data, scripts, style, and the policy that allows no others."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from cnncli.explain.page.layer_data import PageData
from cnncli.explain.page.parts import PACKED, SCRIPTS, STYLES, WORKER
from cnncli.explain.page.shorten import shorten_script, shorten_style

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


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
    style = "".join(_style(name) for name in STYLES[kind])
    scripts = {name: _script(name) for name in SCRIPTS[kind]}
    elements = {
        "style": f"<style>{style}</style>",
        "data": _json(data),
        "scripts": "\n".join(_script_element(name, text) for name, text in scripts.items()),
    }
    if kind in PACKED:
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
    return f"<script{' data-worker' if name in WORKER else ''}>{text}</script>"


def _packed_elements(data: PageData, style: str, scripts: Mapping[str, str]) -> dict[str, str]:
    """Return data, style and scripts as one deflated text, and the script that unpacks it."""
    texts = [{"text": text, "worker": name in WORKER} for name, text in scripts.items()]
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
    types = ["cnncli"] * is_live + ["cnncli-unpack"] * (data["kind"] in PACKED)
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
