"""The options of commands that look at one layer closely: explain and compare."""

from __future__ import annotations

import click

from cnncli.cli.options import (
    as_values_option,
    convention_option,
    gray_option,
    layer_options,
    max_memory_option,
    max_pixels_option,
    overwrite_option,
    read_options,
    together,
)
from cnncli.cli.types import ChannelCount, FiniteFloat, Numbers
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES

explain_options = together(
    click.argument(
        "words", metavar="[NETWORK] [IMAGE]", nargs=-1,
        type=click.Path(allow_dash=True, readable=False),
    ),
    click.option(
        "--layer", metavar="NAME", help="Layer of NETWORK.  [default: the last]"
    ),
    click.option(
        "--at", type=Numbers((2,), 0, "ROW,COL"),
        help="Row and column of the output, with --backward of the input, from 0.  "
        "[default: the strongest output of the middle part; the middle of the input]",
    ),
    click.option(
        "--map", metavar="K",
        help="Map of the output, by index or name.  [default: 0, with --backward all]",
    ),
    click.option(
        "--image", "number", type=click.IntRange(min=0), metavar="N",
        help="Image of an array of several, from 0.  [default: 0]",
    ),
    click.option(
        "--backward", is_flag=True,
        help="Show instead which outputs send gradient to one input value, if that of each is 1.",
    ),
    click.option(
        "--channel", metavar="C",
        help="Channel of the input, by index or name, with --backward.  [default: 0]",
    ),
    layer_options,
    convention_option,
    *read_options,
    click.option(
        "--channels", type=ChannelCount(),
        help="Input channels shown in full, the strongest first; of the others only the sums.  "
        "[default: 3 where there are more than 4]",
    ),
    click.option(
        "-o", "--output", metavar="FILE",
        help="Write a file instead: .html an interactive page; .gif, .webp or .png an animation of "
        "the window around --at; a folder/ or {frame:03d}.png a picture for each frame.",
    ),
    click.option(
        "--cells", type=click.IntRange(1, 64), metavar="N",
        help="Rows and columns of the input in frames.  [default: enough for five places a side]",
    ),
    click.option(
        "--fps", type=click.FloatRange(0.1, 50), default=2, show_default=True, metavar="F",
        help="Frames in a second.",
    ),
    click.option(
        "--frames", "most", type=click.IntRange(1, 500), default=60, show_default=True, metavar="N",
        help="Frames at most; of more places those around --at.",
    ),
    overwrite_option,
    click.option("--json", "as_json", is_flag=True, help="All numbers as one JSON object."),
    click.option("-q", "--quiet", is_flag=True, help="No notes; errors still show."),
)  # fmt: skip
"""What `explain` does."""

compare_options = together(
    click.option(
        "--image", type=click.Path(readable=False), metavar="IMAGE",
        help="What two results were made of, by the layer given: finds what sets them apart.",
    ),
    click.option(
        "--convention", "conventions", multiple=True, type=click.Choice(CONVENTION_NAMES),
        help="Compare with the same layer as that tool does it.  [default: all]",
    ),
    click.option(
        "--against", "peers", multiple=True, type=click.Choice(PEER_NAMES),
        help="Run the layer by that library, if it is installed, and compare.",
    ),
    click.option(
        "--tolerance", type=FiniteFloat(above=0), metavar="T",
        help="Largest difference that counts as equal.  [default: half a level of 8-bit pictures, "
        "else 1e-5; 1e-4 of the largest value against others]",
    ),
    layer_options,
    gray_option,
    as_values_option,
    max_pixels_option,
    max_memory_option,
    click.option("--json", "as_json", is_flag=True, help="A JSON object for each comparison."),
)  # fmt: skip
"""What `compare` does."""
