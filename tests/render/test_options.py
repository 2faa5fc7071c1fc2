"""Groups of maps and their names."""

from __future__ import annotations

from cnncli.network.graph import input_groups
from cnncli.render.options import MapGroup, channel_names

GROUPS = (MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,)))


def test_channels_are_named_by_map_and_colour() -> None:
    assert channel_names(GROUPS) == ("photo-red", "photo-green", "photo-blue", "edge")
    assert channel_names(input_groups(3)) == ("red", "green", "blue")
    assert channel_names(input_groups(1)) == ("",)
