"""Make the weights of examples/face again, from those that the package ``mtcnn`` carries.

Run it from the repository's folder, after ``pip install --no-deps mtcnn==1.0.0`` and
``pip install joblib lz4``: ``python tools/face_example.py``.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import joblib
import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent

PARAMETERS = {"conv1": 0, "conv2": 3, "conv3": 6}
FACE = 11


def main() -> None:
    """Take the arrays of the first stage, but for those of its boxes, and name them."""
    packed = distribution("mtcnn").locate_file("mtcnn/assets/weights/pnet.lz4")
    given = joblib.load(packed)
    arrays = {"face.weight": given[FACE], "face.bias": given[FACE + 1]}
    for name, first in PARAMETERS.items():
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = given[first : first + 2]
        arrays[f"{name}.alpha"] = given[first + 2].ravel()
    np.savez(REPOSITORY / "examples" / "face" / "pnet.npz", **arrays)


if __name__ == "__main__":
    main()
