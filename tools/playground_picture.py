"""Makes the sample picture of the playground: the middle of sample_images/astronaut.png, halved.

Run it from anywhere: ``python tools/playground_picture.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PHOTOGRAPH: Final = REPOSITORY / "sample_images" / "astronaut.png"
PICTURE: Final = REPOSITORY / "cnncli" / "explain" / "page" / "playground.png"
BOX: Final = (130, 20, 322, 212)
"""Left, top, right and bottom of the face."""


def make_picture() -> Image.Image:
    """Return the picture; each pixel is the mean of 2x2."""
    with Image.open(PHOTOGRAPH) as photograph:
        return photograph.convert("RGB").crop(BOX).reduce(2)


if __name__ == "__main__":
    make_picture().save(PICTURE, optimize=True)
