"""The command line: a group, and one thin command for each thing it does."""

from __future__ import annotations

import click

import cnncli
from cnncli.cli.group import CommandGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

COMMANDS = {
    "pad": "cnncli.cli.picture",
    "conv": "cnncli.cli.picture",
    "pool": "cnncli.cli.picture",
    "run": "cnncli.cli.run",
    "plan": "cnncli.cli.plan",
    "grad": "cnncli.cli.grad",
    "explain": "cnncli.cli.explain",
    "compare": "cnncli.cli.compare",
    "convert": "cnncli.cli.convert",
    "filters": "cnncli.cli.filters",
}

EPILOG = """\b
Examples:
  cnncli conv photo.png --filter edge.npy
  cnncli conv photo.png --filter sobel_v --range symmetric --colormap diverging
  cnncli conv photo.png --filter edge -o - | cnncli pool --mode max -o pooled.png
  cnncli filters list
"""


@click.group(cls=CommandGroup, places=COMMANDS, context_settings=CONTEXT, epilog=EPILOG)
@click.version_option(cnncli.__version__, prog_name="cnncli", message="%(prog)s %(version)s")
def cli() -> None:
    """Convolution and pooling on images, as a CNN layer does them."""
