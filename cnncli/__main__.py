"""``python -m cnncli``, and what the command ``cnncli`` starts."""

from __future__ import annotations

import os

from cnncli.processor import choose_blas_kernels


def main() -> None:
    """Run the command line; Ctrl-C counts from the first moment, while modules still load."""
    try:
        choose_blas_kernels()
        from cnncli.cli import cli

        cli()
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    main()
