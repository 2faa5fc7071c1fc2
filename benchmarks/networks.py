"""Whole networks, exported by PyTorch as ONNX files: time, processor time and peak memory.

Beside ours stand onnxruntime, PyTorch's own modules and, for some networks, ONNX's
ReferenceEvaluator, which is numpy as ours is. All run the same random picture; every output is
compared first. Ours prepares its filters in the first passes only, as in a batch of images of one
size. Memory is that of a process that loads the model and runs it once, beyond what its imports
take.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time
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
from benchmarks.measure import PAUSE, Contender, compare, difference
from benchmarks.pictures import Workshop
from benchmarks.table import OURS, Row, row_of
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers

SECTION: Final = "networks"
PROCESSOR: Final = "network processor time"
MEMORY: Final = "network memory"
PEER: Final = "onnxruntime"
REFERENCE: Final = "ReferenceEvaluator"

REFERENCED: Final = ("ResNet-18", "MobileNet V2", "SqueezeNet", "U-Net, Resize")
"""Networks that ONNX's ReferenceEvaluator runs too: it takes seconds for each."""

REFERENCE_LIMIT: Final = 0.1
PROCESSOR_LIMIT: Final = 3.0
"""Largest ratios to `REFERENCE` in time, and to `PEER` in processor time."""

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
    Architecture("ResNet-18", "resnet18", (224, 224)),
    Architecture("SqueezeNet", "squeezenet", (224, 224)),
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
    """Yield three rows for each network: milliseconds, those of the processor, and megabytes.

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
        network = build(architecture, X.shape)
        path = export(network, X.shape, shop.folder / "model.onnx")
        contenders = contenders_of(architecture.name, network, path, X)
        yield from time_rows(architecture.name, path, contenders, X.shape, min(repeats, BLOCKS))
        yield memory_row(architecture.name, path, X, shop)


def build(architecture: Architecture, shape: Sequence[int]) -> Any:
    """Return a network of PyTorch for pictures of a shape (1, H, W, 3), ready to be run."""
    import torch

    from benchmarks import architectures, detectors

    torch.manual_seed(0)
    module = architectures if hasattr(architectures, architecture.make) else detectors
    network = getattr(module, architecture.make)(*architecture.given)
    # Statistics of batch normalisation, without which deep layers of random weights give zeros.
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(2, 3, *shape[1:3]))
    return network.eval()


def export(network: Any, shape: Sequence[int], path: Path) -> Path:
    """Write a network for pictures of a shape (1, H, W, 3) as an ONNX file."""
    import torch

    x = torch.rand(1, 3, *shape[1:3])
    silent = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silent):
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), str(path), dynamo=False, opset_version=18)
    return path


def contenders_of(name: str, network: Any, path: Path, X: NDArray[Any]) -> list[Contender]:
    """Return ours and the peers that are there, each as a pass to every output of a model."""
    onnx = peers.module("onnx")
    assert onnx is not None
    outputs = [output.name for output in onnx.load(str(path)).graph.output]
    found = [Contender(OURS, ours(path, X, outputs), flat)]
    if peers.module(PEER) is not None:
        found.append(Contender(PEER, runtime(path, X), flat, tolerance=1e-3))
    found.append(Contender("torch", eager(network, X), flat, tolerance=1e-3))
    if name in REFERENCED:
        found.append(Contender(REFERENCE, reference(path, X), flat, tolerance=1e-3))
    return found


def time_rows(
    name: str, path: Path, contenders: list[Contender], shape: Sequence[int], repeats: int
) -> Iterator[Row]:
    """Compare every output and yield the times and the processor times of all."""
    compared = compare(contenders, repeats)
    row = row_of(SECTION, name, contenders, compared)
    if any(contender.name == REFERENCE for contender in contenders):
        row.limits = {REFERENCE: REFERENCE_LIMIT}
    layers = len(load_model(path).network.nodes)
    row.facts = {"picture": f"{shape[1]}x{shape[2]}", "layers": str(layers)}
    pair = [each.read(each.run()) for each in contenders if each.name in (OURS, PEER)]
    if len(pair) == 2:
        row.facts["difference"] = f"{difference(pair[0], pair[1]):.1e}"
    yield row
    compared.seconds = {
        each.name: processor_seconds(each.run, repeats)
        for each in contenders
        if each.name in compared.seconds and each.name != REFERENCE
    }
    yield row_of(PROCESSOR, name, contenders, compared, {PEER: PROCESSOR_LIMIT})


def processor_seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of a run, without what idle threads burn between runs."""
    spent = []
    for _ in range(repeats):
        time.sleep(PAUSE)
        before = time.process_time()
        run()
        spent.append(time.process_time() - before)
    return statistics.median(spent)


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


def eager(network: Any, X: NDArray[Any]) -> Callable[[], list[NDArray[Any]]]:
    """Return a pass of PyTorch's own modules."""
    import torch

    given = torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1)))

    def run() -> list[NDArray[Any]]:
        with torch.inference_mode():
            return list(_arrays(network(given)))

    return run


def _arrays(made: Any) -> Iterator[NDArray[Any]]:
    """Yield the tensors of what a network returns, in the order of the model's outputs."""
    if isinstance(made, (list, tuple)):
        for each in made:
            yield from _arrays(each)
    else:
        yield made.numpy()


def reference(path: Path, X: NDArray[Any]) -> Callable[[], list[NDArray[Any]]]:
    """Return a pass of ONNX's own evaluator to every output of a model."""
    session = import_module("onnx.reference").ReferenceEvaluator(str(path))
    given = {session.input_names[0]: np.ascontiguousarray(np.moveaxis(X, -1, 1))}
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
