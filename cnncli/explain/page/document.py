"""A page of an explanation as HTML: data, scripts, style, and the policy that allows no others."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import zlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import groupby

from cnncli.explain.page.layer_data import PageData
from cnncli.explain.page.pack import as_text, pack
from cnncli.explain.page.parts import SCRIPTS, STYLES, UNPACK_SCRIPTS, WORKER
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
        One document without any address in it. Its data, style, elements and scripts are
        deflated, and page/unpack.js opens them. Its content security policy names the hashes of
        its own style and scripts, so that nothing else runs and nothing is loaded.

    Examples
    --------
    >>> text = page_text({"kind": "network", "title": "</script><b>", "layers": []})
    >>> "</script><b>" in text, "&lt;/script&gt;&lt;b&gt;" in text
    (False, True)
    """
    kind = data["kind"]
    style = "".join(_shortened(name) for name in STYLES[kind])
    # One script for those that follow each other: the policy names the hash of each.
    runs = groupby(SCRIPTS[kind], key=WORKER.__contains__)
    scripts = [("".join(map(_shortened, run)), in_worker) for in_worker, run in runs]
    told = [{"text": text, "worker": in_worker} for text, in_worker in scripts]
    body = _file("layer/layer.html" if kind == "layer" else "network/network.html")
    contents = pack({"data": data, "style": style, "body": body, "scripts": told})
    packed = zlib.compress(contents, 9)
    openers = [_shortened(name) for name in UNPACK_SCRIPTS]
    values = {
        "policy": _policy(data, style, [*openers, *(text for text, _ in scripts)]),
        # Bytes of a file's name that are no text are made visible.
        "title": html.escape(data["title"].encode("utf-8", "backslashreplace").decode()),
        "packed": as_text(packed),
        "bytes": str(len(packed)),
        "scripts": "\n".join(f"<script>{text}</script>" for text in openers),
    }
    return _PLACEHOLDER.sub(lambda match: values[match[1]], _file("page/page.html"))


def _policy(data: PageData, style: str, scripts: Sequence[str]) -> str:
    # A page that computes a network does it in a worker, whose script is put together from its own.
    is_live = data["kind"] != "layer" and "input" in data
    types = ["cnncli-unpack", *["cnncli"] * is_live]
    none = "'none'"
    rules = [
        "default-src 'none'",
        f"script-src {' '.join(map(_hash, scripts))}",
        f"style-src {_hash(style)}",
        f"worker-src {'blob:' if is_live else none}",
        f"trusted-types {' '.join(types)}",
        # The empty icon, which keeps browsers from asking for one.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _file(name: str) -> str:
    return resources.files("cnncli.explain").joinpath("web", *name.split("/")).read_text("utf-8")


@cache
def _shortened(name: str) -> str:
    shorten = shorten_style if name.endswith(".css") else shorten_script
    return shorten(_file(name))
