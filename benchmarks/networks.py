"""Whole networks, exported by PyTorch as ONNX files, against onnxruntime: time and peak memory.

Both read the same file and run the same random picture; every output is compared first. Ours
prepares its filters in each pass, as a command does. Memory is that of a process that loads the
model and runs it once, beyond what its imports take.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import commands, peers
from benchmarks.machine import THREADS
from benchmarks.measure import Contender, compare, difference
from benchmarks.pictures import Workshop
from benchmarks.table import OURS, Row, row_of
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers

SECTION: Final = "networks"
MEMORY: Final = "network memory"
PEER: Final = "onnxruntime"

BLOCKS: Final = 5
"""Blocks of each contender at most: all networks shall take three minutes."""

QUICK_SIDE: Final = 64
"""Side of the pictures of a quick run; a vision transformer takes one size alone."""


@dataclass(frozen=True)
class Architecture:
    """A network and the picture it gets.

    Parameters
    ----------
    name : str
    make : str
        The function or class in `benchmarks.architectures` or `benchmarks.detectors`.
    size : tuple of int
        Rows and columns of the picture.
    given : tuple
        What the function is called with.
    fixed : bool
        Whether it takes pictures of that size alone.
    """

    name: str
    make: str
    size: tuple[int, int]
    given: tuple[Any, ...] = ()
    fixed: bool = False

    def picture(self, quick: bool) -> NDArray[Any]:
        """Return a random picture (1, H, W, 3) of float32."""
        size = (QUICK_SIDE, QUICK_SIDE) if quick and not self.fixed else self.size
        return np.random.default_rng(0).random((1, *size, 3), np.float32)


ARCHITECTURES: Final = (
    Architecture("ResNet-50", "resnet50", (224, 224)),
    Architecture("MobileNet V2", "mobilenet_v2", (224, 224)),
    Architecture("MobileNet V3 large", "mobilenet_v3", (224, 224)),
    Architecture("EfficientNet-B0", "efficientnet", (224, 224)),
    Architecture("DenseNet-121", "densenet", (224, 224)),
    Architecture("ShuffleNet V2", "shufflenet", (224, 224)),
    Architecture("GoogLeNet", "googlenet", (224, 224)),
    Architecture("ConvNeXt-tiny", "convnext", (224, 224)),
    Architecture("ViT-tiny", "ViT", (224, 224), fixed=True),
    Architecture("U-Net, ConvTranspose", "unet", (256, 256), (False,)),
    Architecture("U-Net, Resize", "unet", (256, 256), (True,)),
    Architecture("ESPCN x3", "espcn", (360, 480)),
    Architecture("style transfer", "style", (256, 256)),
    Architecture("YOLOv5n", "YoloV5", (640, 640)),
    Architecture("YOLOv8n", "YoloV8", (640, 640)),
    Architecture("SSD-MobileNet V2", "SSD", (320, 320)),
)


def measure(shop: Workshop, repeats: int) -> Iterator[Row]:
    """Yield two rows for each network: milliseconds, and megabytes.

    Without PyTorch there are none: it makes the networks.

    Parameters
    ----------
    shop : Workshop
        Where the models are written.
    repeats : int
        Blocks of each contender; at most `BLOCKS` are taken.
    """
    if peers.module("torch") is None or peers.module("onnx") is None:
        return
    for architecture in ARCHITECTURES:
        X = architecture.picture(shop.quick)
        path = export(architecture, X.shape, shop.folder / "model.onnx")
        yield time_row(architecture.name, path, X, min(repeats, BLOCKS))
        yield memory_row(architecture.name, path, X, shop)


def export(architecture: Architecture, shape: Sequence[int], path: Path) -> Path:
    """Write a network for pictures of a shape (1, H, W, 3) as an ONNX file."""
    import torch

    from benchmarks import architectures, detectors

    torch.manual_seed(0)
    module = architectures if hasattr(architectures, architecture.make) else detectors
    network = getattr(module, architecture.make)(*architecture.given)
    x = torch.rand(1, 3, *shape[1:3])
    # Statistics of batch normalisation, without which deep layers of random weights give zeros.
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(2, *x.shape[1:]))
    network.eval()
    silent = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silent):
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), str(path), dynamo=False, opset_version=18)
    return path


def time_row(name: str, path: Path, X: NDArray[Any], repeats: int) -> Row:
    """Compare every output of a model and time both; say its layers and the largest difference."""
    model = load_model(path)
    onnx = peers.module("onnx")
    assert onnx is not None
    outputs = [output.name for output in onnx.load(str(path)).graph.output]
    contenders = [Contender(OURS, ours(path, X, outputs), flat)]
    facts = {"picture": f"{X.shape[1]}x{X.shape[2]}", "layers": str(len(model.network.nodes))}
    if peers.module(PEER) is not None:
        contenders.append(Contender(PEER, runtime(path, X), flat, tolerance=1e-3))
        pair = [contender.read(contender.run()) for contender in contenders]
        facts["difference"] = f"{difference(pair[0], pair[1]):.1e}"
    row = row_of(SECTION, name, contenders, compare(contenders, repeats))
    row.facts = facts
    return row


def ours(
    path: Path, X: NDArray[Any], outputs: Sequence[str] = ()
) -> Callable[[], list[NDArray[Any]]]:
    """Return a pass of ours to some outputs of a model, by default the last."""
    model = load_model(path)
    names = [model.find(output) for output in outputs] or [model.network.names[-1]]

    def run() -> list[NDArray[Any]]:
        made = dict(forward_layers(model.network, X, names))
        # Scores of (1, 1, 1, C) and boxes are tensors of fewer axes there, in the same order.
        return [np.moveaxis(made[name], -1, 1) for name in names]

    return run


def runtime(path: Path, X: NDArray[Any]) -> Callable[[], list[NDArray[Any]]]:
    """Return a pass of onnxruntime to every output of a model."""
    ort = peers.module(PEER)
    assert ort is not None
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: np.ascontiguousarray(np.moveaxis(X, -1, 1))}
    return partial(session.run, None, given)


def flat(outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return all outputs in one row, each by its largest magnitude."""
    scaled = [each.ravel() / (np.abs(each).max() or 1) for each in outputs]
    return np.concatenate(scaled)


def memory_row(name: str, path: Path, X: NDArray[Any], shop: Workshop) -> Row:
    """Compare the memory of a process of ours and one of onnxruntime."""
    row = Row(MEMORY, name, peak(OURS, path, X, shop), limits={PEER: 1.0}, unit="MB")
    if peers.module(PEER) is not None and (found := peak(PEER, path, X, shop)):
        row.peers[PEER] = found
    return row


def peak(who: str, path: Path, X: NDArray[Any], shop: Workshop) -> float | None:
    """Return the megabytes that a process takes for a model beyond its imports; None if it fails.

    Parameters
    ----------
    who : str
        `OURS` or `PEER`.
    path : Path
    X : ndarray
        A picture of the same shape is made there.
    shop : Workshop
        It keeps what the imports take.
    """
    words = [sys.executable, "-m", "benchmarks.networks", who]
    if ("imports", who) not in shop.peaks:
        shop.peaks["imports", who] = commands.run(words, shop).peak
    usage = commands.run([*words, str(path), *map(str, X.shape)], shop)
    return None if usage.code else (usage.peak - shop.peaks["imports", who]) / 1e6


def main(who: str, path: str = "", *shape: str) -> None:
    """Import all that a run needs, then run a model once, if one is named."""
    modules = ("onnx", "onnx.reference", "onnx.numpy_helper") if who == OURS else (PEER,)
    for name in modules:
        import_module(name)
    if path:
        X = np.random.default_rng(0).random(tuple(map(int, shape)), np.float32)
        {OURS: ours, PEER: runtime}[who](Path(path), X)()


if __name__ == "__main__":
    main(*sys.argv[1:])
