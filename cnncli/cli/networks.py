"""Loads the network that a command's argument names."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from cnncli.errors import OptionError, quote
from cnncli.pipeline import networks
from cnncli.pipeline.networks import is_network

if TYPE_CHECKING:
    from cnncli.io.read_options import ReadOptions
    from cnncli.network.model import Model


def load_network(
    network: str,
    prepare: dict[str, Any],
    picture: str | None,
    read: ReadOptions,
    part: bool = False,
    part_option: str = "--until",
) -> Model:
    """Load a network by its argument as typed; the rest as in `pipeline.networks.load_network`."""
    from cnncli.io.urls import local_path

    path = local_path(network, "NETWORK")
    if picture is not None and is_network(picture) and not is_network(network):
        command = click.get_current_context().info_name
        raise OptionError(
            f"NETWORK comes before IMAGE, got {quote(network)} first",
            hint=f"cnncli {command} {shlex.join([picture, network])}",
        )
    return networks.load_network(path, prepare, picture, read, part, part_option)
