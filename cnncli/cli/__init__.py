"""The command line: the group ``cnncli`` and its commands."""

from __future__ import annotations

import click

from cnncli._version import __version__
from cnncli.cli.group import CommandGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

COMMANDS = {
    "pad": "cnncli.cli.layer_commands",
    "conv": "cnncli.cli.layer_commands",
    "pool": "cnncli.cli.layer_commands",
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
  cnncli conv photo.png -f sobel_v --range symmetric --colormap diverging
  cnncli conv photo.png -f edge -o - | cnncli pool --mode max -o pooled.png
  cnncli filters list

cnncli COMMAND --help shows the options that people use first, --help-all shows all.

Exit codes: 0 all done; 1 something failed, or compare found a difference; 2 the command line is
wrong or does not fit the image; 130 after Ctrl-C.
"""


@click.group(cls=CommandGroup, modules=COMMANDS, context_settings=CONTEXT, epilog=EPILOG)
@click.version_option(__version__, prog_name="cnncli", message="%(prog)s %(version)s")
def cli() -> None:
    """Convolution and pooling on images, as a CNN layer does them."""
