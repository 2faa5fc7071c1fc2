"""Whole networks as commands: `cnncli run` beside a script with onnxruntime and Pillow.

Both read the same model and a photograph of the model's size, and write the result as an array; the
two are compared first. Processor time and peak memory are those of the whole process.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import commands, networks, peers
from benchmarks.machine import THREADS
from benchmarks.measure import difference
from benchmarks.pictures import Workshop, enlarged
from benchmarks.table import OURS, Row

SECTION: Final = "network commands"
MEMORY: Final = "network command memory"
PEER: Final = "onnxruntime script"

LIMIT: Final = 1.0
TOLERANCE: Final = 1e-3

SCRIPT: Final = f"""\
import sys, numpy as np, onnxruntime
from PIL import Image
model, source, target = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = {THREADS}, 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
pixels = np.asarray(Image.open(source).convert("RGB"), np.float32) / 255
given = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
(made, *_) = session.run(None, {{session.get_inputs()[0].name: given}})
np.save(target, np.moveaxis(made, 1, -1))
"""


def measure(shop: Workshop, repeats: int) -> Iterator[Row]:
    """Yield two rows for each network: processor time, and peak memory.

    Parameters
    ----------
    shop : Workshop
        Where the models and the results are written.
    repeats : int
        Runs of each command.
    """
    if peers.module("torch") is None or peers.module("onnx") is None:
        return
    for architecture in networks.ARCHITECTURES:
        if architecture.name in networks.REFERENCED:
            shape = architecture.picture(shop.quick).shape
            network = networks.build(architecture, shape)
            model = networks.export(network, shape, shop.folder / "model.onnx")
            photo = shop.folder / "photo.png"
            enlarged("astronaut.png", shape[2], shape[1]).save(photo)
            yield from rows_of(architecture.name, model, photo, shop, repeats)


def rows_of(name: str, model: Path, photo: Path, shop: Workshop, repeats: int) -> list[Row]:
    """Run each command once, compare what they wrote, then measure them in turns."""
    rows = [Row(SECTION, name, limits={PEER: LIMIT}, unit="ms")]
    rows += [Row(MEMORY, name, limits={PEER: LIMIT}, unit="MB")]
    words = words_of(model, photo, shop)
    used: dict[str, list[commands.Usage]] = {who: [] for who in words}
    for _ in range(1 + repeats):
        for who, command in words.items():
            used[who].append(commands.run(command, shop))
    for who, runs in used.items():
        if any(usage.code for usage in runs):
            rows[0].problem = rows[1].problem = f"{who} failed"
            return rows
    results = [np.load(_target(who, shop)) for who in words]
    share = difference(results[0].ravel(), results[-1].ravel())
    if share > TOLERANCE:
        rows[0].problem = rows[1].problem = f"{PEER} differs by {share:.2g}"
        return rows
    for row, field, scale in ((rows[0], "work", 1e3), (rows[1], "peak", 1e-6)):
        # The first run fills the system's cache of files and Python's of modules.
        found = {
            who: scale * statistics.median(getattr(usage, field) for usage in runs[1:])
            for who, runs in used.items()
        }
        row.ours, row.peers = found.pop(OURS), found
    return rows


def words_of(model: Path, photo: Path, shop: Workshop) -> dict[str, list[str]]:
    """Return the command line of ours, and of the script where onnxruntime is there."""
    given = ["run", str(model), str(photo), "-o", str(_target(OURS, shop)), "--overwrite", "-q"]
    found = {OURS: [*commands.COMMAND, *given]}
    if peers.module("onnxruntime") is not None:
        script = shop.text("network_script.py", SCRIPT)
        words = [str(model), str(photo), str(_target(PEER, shop))]
        found[PEER] = [sys.executable, str(script), *words]
    return found


def _target(who: str, shop: Workshop) -> Path:
    return shop.folder / f"{who.replace(' ', '-')}.npy"
