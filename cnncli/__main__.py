"""``python -m cnncli``."""

from __future__ import annotations

from cnncli.cli import main

if __name__ == "__main__":
    main()
