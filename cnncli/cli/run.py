"""``cnncli run``: a whole network from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.layer_commands import make_job, run_job
from cnncli.cli.option_sections import NetworkCommand
from cnncli.cli.options import network_argument, network_command, run_options

if TYPE_CHECKING:
    from cnncli.network.graph import Network

EXAMPLES = """\b
Examples:
  cnncli run net.toml photo.jpg
  cnncli run net.toml photo.jpg --layer conv1 -o conv1.png
  cnncli run net.toml photo.jpg -o layers/
  cnncli run net.toml photos/ --until pool2 -o 'maps/{stem}-{layer}-{map:03d}.png'
  cnncli run net.toml photo.jpg -o values.npz
"""


@click.command(cls=NetworkCommand, epilog=EXAMPLES)
@network_argument
@run_options
@network_command
@click.pass_obj
def run(
    command: str, /, network: str, until: str | None, layers: tuple[str, ...], **shared: Any
) -> int:
    """Run a network on images and show what its layers see.

    NETWORK is a network file (.toml) or an ONNX model (.onnx). IMAGE is a picture, a .npy array, a
    folder, a quoted pattern or - for standard input. The last layer's feature maps become one
    labelled sheet; a folder, or a template with {layer}, gets a sheet for every layer, and {map}
    a file for every map. An .npz file gets all layers' values.
    """
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model

    model = load_model(local_path(network, "NETWORK"))
    found = model.network.until(model.find(until)) if until else model.network
    job = make_job(command, found, shared)
    job = replace(
        job,
        read=replace(job.read, gray=job.read.gray or model.gray, size=model.size),
        notes=model.notes,
        read_too=model.files,
        layers=_chosen(found, [model.find(name) for name in layers]),
        several=len(set(layers)) > 1,
    )
    return run_job(job, shared)


def _chosen(network: Network, names: Sequence[str]) -> tuple[str, ...]:
    """Return the layers asked for, in the network's order; without any, all of the file."""
    from cnncli.network.graph import NORMALIZE

    asked = {network.node(name).name for name in names}
    if asked:
        return tuple(name for name in network.names if name in asked)
    return tuple(name for name in network.names if name != NORMALIZE) or network.names
