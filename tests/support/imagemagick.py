"""The command of ImageMagick, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache


@cache
def imagemagick() -> str | None:
    """Return the path of ``convert`` if that is ImageMagick's: other programs bear the name too."""
    convert = shutil.which("convert")
    if convert is None:
        return None
    done = subprocess.run([convert, "-version"], capture_output=True, text=True, check=False)
    return convert if "ImageMagick" in done.stdout else None
