"""Networks from files, told apart by their suffix."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from cnncli.errors import FileProblem, ShapeError
from cnncli.io.nearby import files_like
from cnncli.network.class_names import channels_out, with_class_names
from cnncli.network.input_channels import wanted_channels
from cnncli.network.model import SIZE_HINT, Model, SizeNeeded
from cnncli.network.preparation import Preparation
from cnncli.system import progress

_READERS: Final = {
    ".toml": "cnncli.network.toml_reader",
    ".onnx": "cnncli.network.onnx.converter",
}
"""The module that reads files of a suffix, loaded when one is asked for."""

_TORCH: Final = "in PyTorch, torch.onnx.export(model, image, 'model.onnx') makes one of a module"
_KERAS: Final = "in Keras, model.export('model.onnx', format='onnx') makes one"
_MADE_BY: Final = {
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _TORCH),
    **dict.fromkeys((".h5", ".keras"), _KERAS),
    ".tflite": "python -m tf2onnx.convert --tflite model.tflite --output model.onnx makes one",
    **{
        suffix: f"it holds weights alone: a .toml names the layers, with filter = 'w{suffix}:KEY'"
        for suffix in (".safetensors", ".npz")
    },
    ".npy": "it holds one array: cnncli conv takes it as a filter, by -f",
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg"), "it is an IMAGE: NETWORK, such as net.toml, must be given too"
    ),
}
"""How files of other tools become networks that can be read."""


def load_model(
    path: Path,
    *,
    weights: bool = True,
    prepare: Mapping[str, Any] | None = None,
    part: bool = False,
    part_option: str = "--until",
) -> Model:
    """Return the network that a file describes, its shapes checked as far as they are known.

    Parameters
    ----------
    path : Path
        A network file (``.toml``) or an ONNX model (``.onnx``).
    weights : bool
        False reads no more of the files of weights than the headers of their arrays; filters then
        have shapes, but no values.
    prepare : mapping of str to object, optional
        Fields of `Preparation` in place of what the file says.
    part : bool
        Whether a part will do, if the file cannot be read to its end.
    part_option : str
        The option that asks for a part, for the hint.

    Returns
    -------
    Model

    Raises
    ------
    FileProblem
        If the file, or one that it names, cannot be read or is no network; unless `part`, also if
        it cannot be read to its end.

    Examples
    --------
    >>> load_model(Path("net.json"))
    Traceback (most recent call last):
    cnncli.errors.FileProblem: 'net.json': a network file must end in .toml or .onnx
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        endings = " or ".join(_READERS)
        hint = _MADE_BY.get(path.suffix.lower())
        if not (hint or path.exists()):
            hint = files_like(str(path))
        raise FileProblem(f"a network file must end in {endings}", hint=hint, path=path)
    progress.set_step("reading the network")
    model: Model = import_module(reader).read(path, weights=weights, prepare=prepare)
    stop = model.stop
    if stop is not None and not part:
        if stop.needs_size:
            needed = SizeNeeded(stop.reason, hint=SIZE_HINT, path=path)
            needed.own_size = model.own_size
            raise needed
        readable = f"{part_option} {stop.layer} takes the part that can be read"
        raise FileProblem(stop.reason, hint=stop.hint or readable, path=path)
    known = 1 if model.input.gray else model.channels
    channels = known or model.array_channels
    if channels and (scale := model.input.layer(prepare or ())):
        scale.output_shape((1, 1, 1, channels))
    wanted = known or wanted_channels(model.network, model.input.size)
    notes = (*model.notes, *_mean_notes(model.input, prepare or ()))
    return _named_if_fitting(replace(model, channels=wanted, notes=notes), path)


def _mean_notes(given: Preparation, options: Collection[str]) -> tuple[str, ...]:
    """Say of a mean of pixels of 0..255 that they are 0..1 here."""
    mean = max(map(abs, given.mean)) if isinstance(given.mean, tuple) else abs(given.mean)
    if mean <= 1 or given.scale != 1:
        return ()
    name, use = (
        ("--mean", "--scale 255") if "mean" in options else ("mean", "scale = 255 to [input]")
    )
    return (f"{name} is {mean:g}, but pixels are 0..1: for those of 0..255 add {use}",)


def _named_if_fitting(model: Model, path: Path) -> Model:
    # How many maps there are may depend on the picture.
    if not model.classes or not channels_out(model.network):
        return model
    try:
        return replace(model, network=with_class_names(model.network, model.classes))
    except ShapeError as error:
        # The metadata of a detector name the columns of its table.
        if model.stop or path.suffix.lower() == ".onnx":
            return model
        raise FileProblem(str(error), path=path) from None
