"""Names of layers for shells to complete, from the network that the command line names before."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import click

from cnncli.pipeline.networks import is_network


def complete_layer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of layers that begin with a text; nothing where no network can be read.

    In an ONNX model names of nodes and values are offered too, where no layer's name begins so.
    """
    network = _network(ctx)
    if network is None:
        return []
    # A shell that completes a word has no room for an error.
    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        from cnncli.network.graph import NORMALIZE
        from cnncli.network.load import load_model

        model = load_model(network, weights=False, part=True)
        own = [name for name in model.network.names if name != NORMALIZE]
        found = [name for name in own if name.startswith(incomplete)]
        return found or sorted(name for name in model.aliases if name.startswith(incomplete))
    return []


def _network(ctx: click.Context) -> Path | None:
    """Return the first file of a network among the words before; click sorts them only in part."""
    given = (ctx.params.get("network"), *(ctx.params.get("paths") or ()), *ctx.args)
    paths = (os.path.expanduser(word) for word in given if word and is_network(word))
    return next((Path(path) for path in paths if os.path.isfile(path)), None)
