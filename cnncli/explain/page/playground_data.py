"""The data of the playground: a sample picture, and all built-in filters to stack layers of."""

from __future__ import annotations

from importlib import resources
from typing import Final

import numpy as np

from cnncli.explain.page.layer_data import (
    PageData,
    bank_map_records,
    colour_tables,
    image_record,
    what_filter_does,
)
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import input_groups

PICTURE: Final = "playground.png"

STACK: Final = "1/gray/conv=sobel_v/activation=relu/pool=max"
"""The layers that the page begins with, as its address has them: see playground/stack.js."""


def playground_page_data() -> PageData:
    """Return what the page needs to compute stacks of layers.

    Returns
    -------
    dict
        Data for ``playground/playground.js``.

    Examples
    --------
    >>> data = playground_page_data()
    >>> data["input"]["size"], data["input"]["channels"]
    ([96, 96], 3)
    >>> next(one["shape"] for one in data["filters"] if one["name"] == "sobel_v")
    [3, 3]
    """
    with resources.as_file(resources.files("cnncli.explain.page").joinpath(PICTURE)) as path:
        picture = read_image(path, ReadOptions())
    _, height, width, channels = picture.shape
    whole = slice(0, height), slice(0, width)
    filters = [_filter_record(name) for name in builtin_names()]
    return {
        "kind": "playground",
        "title": "Playground",
        "input": image_record(picture, 0, whole, input_groups(channels)),
        "single": True,
        "stack": STACK,
        "layers": [],
        "unit": {"layer": "input", "map": 0, "at": [0, 0]},
        "tables": colour_tables(),
        "filters": filters,
        "presets": [
            *(_preset_record(record) for record in filters if len(record["shape"]) == 2),
            *bank_map_records(builtin_names()),
        ],
        "imageNotes": 1,
        "notes": [
            "The picture: Eileen Collins, by NASA, in the public domain.",
            "This page computes all values itself, from the image and the weights.",
        ],
    }


def _preset_record(record: PageData) -> PageData:
    """Return a 2-D filter as `preset_records` does."""
    rows = np.reshape(record["weights"], record["shape"]).tolist()
    return {"name": record["name"], "about": record["about"], "rows": rows}


def _filter_record(name: str) -> PageData:
    """Return a built-in filter with the shortest decimals of its weights in float32."""
    bank = load_filter(name)
    weights = bank.weights[:, :, 0] if bank.weights.shape[2:] == (1,) else bank.weights
    numbers = [float(str(weight)) for weight in weights.astype(np.float32).ravel()]
    return {
        "name": name,
        "about": what_filter_does(name, weights),
        "shape": list(weights.shape),
        "weights": [int(number) if number.is_integer() else number for number in numbers],
        "maps": list(bank.map_names),
    }
