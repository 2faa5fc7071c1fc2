"""``python -m cnncli``, and what the command ``cnncli`` starts."""

from __future__ import annotations

import gc
import os

from cnncli.processor import choose_blas_kernels


def main() -> None:
    """Run the command line; Ctrl-C counts from the first moment, while modules still load."""
    # Loading makes many objects and no garbage: to look for some would take as long as a small
    # image. `start_work` lets the collector go on.
    gc.disable()
    try:
        choose_blas_kernels()
        from cnncli.cli import cli

        cli()
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    main()
