"""Loads the network that a command's argument names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnncli.pipeline import networks
from cnncli.pipeline.networks import is_network

if TYPE_CHECKING:
    from cnncli.io.read_options import ReadOptions
    from cnncli.network.model import Model


def network_first(paths: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the network and the images among arguments, in whichever order they were typed.

    Examples
    --------
    >>> network_first(["a.png", "b.png", "net.toml"])
    ('net.toml', ('a.png', 'b.png'))
    """
    named = [path for path in paths if is_network(path)]
    network = named[0] if len(named) == 1 else paths[0]
    first = list(paths).index(network)
    return network, (*paths[:first], *paths[first + 1 :])


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
    return networks.load_network(path, prepare, picture, read, part, part_option)
