"""Network files in tests: written as a person would, or from networks, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.network.load import load_model
from cnncli.network.model import Model
from cnncli.network.passes import forward
from cnncli.network.toml_writer import encode_weights, write_network


def layer(type_: str, **fields: Any) -> str:
    """Return one ``[[layers]]`` table; texts, numbers, lists and flags look in TOML as in JSON."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"type": type_, **fields}.items()]
    return "\n".join(["[[layers]]", *lines, ""])


def read_back(model: Model, folder: Path, weights: str = "w.npz", **options: Any) -> Model:
    """Write a model as files and load it from them; written once more it must be the same bytes."""
    text, arrays = write_network(model, weights, **options)
    (folder / "net.toml").write_text(text, "utf-8")
    data = encode_weights(arrays, Path(weights).suffix)
    if arrays:
        place = folder / weights
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    found = load_model(folder / "net.toml")
    text_again, arrays_again = write_network(found, weights, **options)
    assert text_again == text
    assert encode_weights(arrays_again, Path(weights).suffix) == data
    return found


def check_converted(model: Model, X: Any, folder: Path) -> None:
    """Check that a model as a network file computes every layer to the last bit."""
    ours = forward(read_back(model, folder).network, X).values
    for name, expected in forward(model.network, X).values.items():
        assert ours[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)
