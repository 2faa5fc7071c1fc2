"""``python -m cnncli``, and what the command ``cnncli`` starts."""

from __future__ import annotations

import gc
import os

from cnncli.system import signals
from cnncli.system.cpu import choose_blas_kernels


def main() -> None:
    """Run the command line; Ctrl-C counts from the first moment, while modules still load."""
    # Loading makes many objects and no garbage: to look for some would take as long as a small
    # image. `start_work` lets the collector go on.
    gc.disable()
    try:
        signals.install()
        choose_blas_kernels()
        from cnncli.cli import cli

        cli()
    except KeyboardInterrupt:
        os._exit(signals.exit_code())
    except SystemExit as end:
        if signals.is_ending():
            # Threads may still be at work, and nobody waits for them.
            os._exit(end.code if isinstance(end.code, int) else 1)
        raise
    except Exception:
        if signals.is_ending():
            os._exit(signals.exit_code())
        raise


if __name__ == "__main__":
    main()
