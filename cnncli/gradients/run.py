"""``cnncli grad``: computes a gradient of one image, checks it and writes its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import as_real, non_finite_text
from cnncli.errors import CnnCliError, OptionError, quote
from cnncli.gradients.check import TOLERANCE, Check, check_gradient, check_line, quick_count
from cnncli.gradients.gradient import Gradient, find_gradient, parameter_names, winning_pools
from cnncli.gradients.pictures import (
    GradientView,
    overlay_limit,
    overlay_view,
    plain_view,
    winner_views,
)
from cnncli.gradients.unit import Unit, check_upstream, labelled, unit_upstream
from cnncli.io.atomic import make_folder
from cnncli.io.formats import FORMATS, NPY
from cnncli.io.images import Picture
from cnncli.io.limits import MAX_INPUT_BYTES
from cnncli.io.npy import read_npy
from cnncli.io.safe_names import distinct, safe_name
from cnncli.io.urls import join
from cnncli.io.writers import NpyFile, holds_values
from cnncli.network.graph import Network, input_groups
from cnncli.network.layers import FloatArray, ScaleLayer
from cnncli.network.passes import backward_bytes, require_gradients
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.input_notes import notes_of
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.output_checks import plan_targets
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.planned_results import check_format_of, with_files
from cnncli.pipeline.process import named_error
from cnncli.pipeline.source import Source
from cnncli.pipeline.write import write_results, written_values
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.finite_values import measure
from cnncli.render.result_rows import ArrayRows
from cnncli.render.rounding_noise import rounding_notes
from cnncli.system.memory import check_memory


@dataclass(frozen=True)
class GradJob:
    """What gradient is wanted, and how it is to be seen.

    Parameters
    ----------
    job : Job
        The network, and how images are read and results written.
    unit : Unit, optional
        By default the last layer.
    upstream : Path, optional
        A ``.npy`` file with the gradient of that layer's output.
    shows : str
        ``gradient``, ``overlay`` or ``winners``.
    params : str, optional
        Folder for the gradients of all parameters.
    check : int or "auto", optional
        Random cells of each array to compare with finite differences; auto: as many as take some
        seconds.
    """

    job: Job
    unit: Unit | None = None
    upstream: Path | None = None
    shows: str = "gradient"
    params: str | None = None
    check: int | str | None = None


@dataclass(frozen=True)
class _GradPlan:
    """A job with all that can be known before the image is read."""

    request: GradJob
    network: Network
    unit: Unit
    target: Target
    access: LocalFiles

    @property
    def job(self) -> Job:
        """The job of the request."""
        return self.request.job


def run(request: GradJob, source: Source) -> tuple[Outcome, Check | None]:
    """Find a gradient and write it.

    Parameters
    ----------
    request : GradJob
    source : Source

    Returns
    -------
    tuple of (Outcome, Check or None)
        What became of the image, and what the comparison with finite differences found.

    Raises
    ------
    CnnCliError
        If it cannot work whatever the image; nothing was read by then.
    """
    plan = _plan(request, source)
    to_stdout = plan.target.to_stdout
    try:
        with np.errstate(all="ignore"):
            outcome, check = _process(plan, source)
    except BrokenPipeError:
        raise
    except (CnnCliError, MemoryError, OSError) as error:
        return Outcome(source, error=named_error(error, source), to_stdout=to_stdout), None
    return replace(outcome, to_stdout=to_stdout), check


def _plan(request: GradJob, source: Source) -> _GradPlan:
    job = request.job
    unit = request.unit or Unit(job.network.names[-1])
    require_gradients(job.network.until(unit.layer))
    if request.upstream is not None and unit.map is not None:
        raise OptionError(
            f"--upstream is for a whole layer, got --unit {unit}", hint=f"--unit {unit.layer}"
        )
    output, pools = job.output, tuple[str, ...]()
    if request.shows == "winners":
        pools = winning_pools(job.network, unit.layer)
        if output.output is None and source.path is not None:
            name = f"{{stem}}-{{layer}}-winners.{output.format or 'png'}"
            output = replace(output, output=name)
    read_too = (*job.read_too, *([] if request.upstream is None else [request.upstream]))
    targets = plan_targets([source], output, op="grad", read_too=read_too, layers=pools)
    (target,) = targets.targets
    if request.shows == "overlay" and _as_values(target, job):
        raise OptionError(
            "--overlay is a picture, got an output of numbers",
            hint="leave --overlay away for the gradient itself",
        )
    if request.params is not None:
        _check_params(request.params)
        folder = replace(job.output, output=os.path.join(request.params, ""), format="npy")
        plan_targets([source], folder, op="grad")
    access = LocalFiles(job.output, targets.inputs)
    return _GradPlan(request, job.network.until(unit.layer), unit, target, access)


def _check_params(params: str) -> None:
    """Refuse the name of a file for the folder of parameters."""
    if Path(params).suffix[1:].lower() in FORMATS and not os.path.isdir(params):
        message = f"--params names a folder, got {quote(params)}"
        raise OptionError(message, hint=f"--params {os.path.splitext(params)[0]}/")


def _process(plan: _GradPlan, source: Source) -> tuple[Outcome, Check | None]:
    picture = plan.access.read(plan.job, Task(0, plan.target))
    groups = plan.network.groups(input_groups(picture.shape[3]))
    plan = replace(plan, unit=labelled(plan.unit, groups[plan.unit.layer]))
    views = _views(plan, picture)
    results = [view.expected for view in views]
    files = plan.access.select(plan.target, plan.target.files(results))
    if not files:
        return Outcome(source, skipped=True), None
    for file in files:
        view = views[file.result]
        check_format_of(replace(plan.job, render=view.render), file, view.expected)
    parameters = _parameter_files(plan)
    request, limit = plan.request, plan.job.read.max_memory
    check_memory_for(plan.network, picture, limit, checked=bool(request.check))
    upstream = upstream_for(plan.network, plan.unit, picture, _given_upstream(request))
    gradient = find_gradient(plan.network, picture.values(), plan.unit.layer, upstream)
    count = request.check
    check = None if count is None else require_check(plan.network, picture, gradient, count)
    # Layers behind the unit may not even fit the image.
    said = notes_of(replace(plan.job, network=plan.network), picture)
    plan.access.prepare(plan.target, files)
    written, notes, drawing = _write_views(plan, views, files, gradient, picture)
    written += _write_parameters(plan, parameters, gradient)
    notes = (*said, *_notes(plan, gradient, check), *notes)
    return Outcome(source, written, notes, drawing=drawing), check


def _as_values(target: Target, job: Job) -> bool:
    """Whether numbers go out; all files of a target have one format."""
    format = target.unknown_files()[0].format
    return holds_values(format, job.output.depth)


def _views(plan: _GradPlan, picture: Picture) -> list[GradientView]:
    shape, render = picture.shape, plan.job.render
    as_values = _as_values(plan.target, plan.job)
    if plan.request.shows == "gradient":
        return [plain_view(shape, str(plan.unit), as_values, render)]
    if plan.request.shows == "overlay":
        return [overlay_view(shape, str(plan.unit), render)]
    return winner_views(plan.target.pattern.chosen_layers, plan.network, shape, as_values, render)


def _given_upstream(request: GradJob) -> FloatArray | None:
    path = request.upstream
    if path is None:
        return None
    return read_npy(path, name=os.fspath(path), max_bytes=MAX_INPUT_BYTES)


def upstream_for(
    network: Network, unit: Unit, picture: Picture, given: FloatArray | None
) -> FloatArray:
    """Return the upstream gradient that was given for a unit's layer, or that picks the unit.

    Raises
    ------
    ShapeError, OptionError
        As `check_upstream` and `unit_upstream` say.
    """
    shape = network.shapes(picture.shape)[unit.layer]
    if given is None:
        groups = network.groups(input_groups(picture.shape[3]))
        return unit_upstream(unit, shape, groups[unit.layer], picture.dtype)
    return check_upstream(as_real(given, picture.dtype), shape, unit.layer)


def check_memory_for(
    network: Network, picture: Picture, limit: int | None, checked: bool = False
) -> None:
    """Refuse a picture whose way back does not fit into memory, with its check if there is one."""
    needed = backward_bytes(network, picture.shape, picture.dtype)
    if checked:
        # The passes in float64 beside what is kept of the others, and outputs of changed numbers.
        needed += 2 * backward_bytes(network, picture.shape, np.dtype(np.float64))
    check_memory(
        needed,
        "the backward pass",
        "a smaller image, or a layer nearer to it",
        limit=limit,
        held=picture.pixels.nbytes,
    )


def require_check(
    network: Network, picture: Picture, gradient: Gradient, count: int | str
) -> Check:
    """Compare a gradient of a network's last layer with finite differences.

    Parameters
    ----------
    network : Network
    picture : Picture
    gradient : Gradient
    count : int or "auto"
        As in `GradJob`.

    Raises
    ------
    CnnCliError
        If they differ, or nothing can be compared.
    """
    number = quick_count(network, picture.shape) if count == "auto" else int(count)
    layer, X = network.names[-1], picture.values()
    if faulty := non_finite_text("values", X):
        raise CnnCliError(f"--check needs an input of finite numbers, {faulty} NaN or infinite")
    # Gradients are those without the rounding.
    smooth = _without_rounding(network)
    check = check_gradient(smooth, X, layer, gradient.upstream, number)
    if check.compared == 0:
        raise CnnCliError(
            f"none of {check.left_out} cells can be compared: their slope differs from side to "
            "side, or is lost in rounding",
            hint=_check_hint(network),
        )
    if not check.passed:
        raise CnnCliError(
            f"gradients differ from finite differences by up to {check.difference:.3g}, relative "
            f"{check.relative:.3g} ({check.where}), more than {TOLERANCE:g}"
        )
    return check


def _without_rounding(network: Network) -> Network:
    """Return a network whose layers leave fractions."""
    nodes = [
        replace(node, layer=replace(node.layer, whole=False))
        if isinstance(node.layer, ScaleLayer)
        else node
        for node in network.nodes
    ]
    return replace(network, nodes=tuple(nodes))


def _check_hint(network: Network) -> str:
    """Say what may be compared where nothing can be."""
    more = "more cells: --check 100"
    activations = [getattr(node.layer, "activation", node.layer.op) for node in network.nodes]
    return f"a unit before the softmax, or {more}" if "softmax" in activations else more


def _write_views(
    plan: _GradPlan,
    views: Sequence[GradientView],
    files: Sequence[OutFile],
    gradient: Gradient,
    picture: Picture,
) -> tuple[tuple[WrittenFile, ...], tuple[str, ...], str]:
    """Write each result to its files."""
    by_name = {view.expected.name: view for view in views}
    results = with_files([view.result(gradient, picture.batched) for view in views], files)
    made = ((result.name, by_name[result.name].make(gradient)) for result in results)
    computed = ((name, ArrayRows(values, source=picture.pixels)) for name, values in made)
    return write_results(replace(plan.job, render=views[0].render), results, computed, plan.access)


def _parameter_files(plan: _GradPlan) -> dict[tuple[str, str], OutFile]:
    """Name a file for each parameter of each layer, and refuse those that must not be written."""
    if plan.request.params is None:
        return {}
    arrays = [
        (node.name, key) for node in plan.network.nodes for key in parameter_names(node.layer)
    ]
    stems = distinct(safe_name(f"{name}-{key}") for name, key in arrays)
    files = {
        array: OutFile(join(plan.request.params, f"{stem}.npy"), NPY, 0, (0,))
        for array, stem in zip(arrays, stems, strict=True)
    }
    chosen = plan.access.select(plan.target, tuple(files.values()))
    return {array: file for array, file in files.items() if file in chosen}


def _write_parameters(
    plan: _GradPlan, files: dict[tuple[str, str], OutFile], gradient: Gradient
) -> tuple[WrittenFile, ...]:
    written = []
    for (name, key), file in files.items():
        array = gradient.parameters[name][key]
        if isinstance(file.path, Path):
            make_folder(file.path.parent)
        with plan.access.open(file) as stream:
            NpyFile(stream.write, array.shape, array.dtype).add(array)
        form, maps = f"{array.dtype} array", (f"{name}-{key}",)
        written.append(written_values(file, array.shape, measure(array), form, maps))
    return tuple(written)


def _notes(plan: _GradPlan, gradient: Gradient, check: Check | None) -> tuple[str, ...]:
    request, notes = plan.request, []
    pixels = request.shows != "winners"
    if request.upstream is None and pixels:
        verb = "is" if np.count_nonzero(gradient.upstream) == 1 else "adds up to"
        notes.append(f"{plan.unit} {verb} {gradient.value:.6g}")
    notes += zero_notes(plan.unit, gradient, pixels)
    if request.shows == "winners":
        if not _as_values(plan.target, plan.job):
            notes.append("orange cells won a window, grey cells did not; brighter means larger")
        notes += _tie_notes(plan, gradient)
    elif request.shows == "overlay":
        most = overlay_limit(gradient, plan.job.render.range)
        if most:
            notes.append(f"full red is a gradient of {most:.4g} and more, full blue of {-most:.4g}")
    if request.params is not None:
        nodes = [node for node in plan.job.network.nodes if parameter_names(node.layer)]
        after = [node.name for node in nodes if node.name not in plan.network.names]
        if after:
            notes.append(f"no gradients of {', '.join(after)}: {plan.unit} does not depend on them")
    if check is not None:
        notes.append(check_line(check))
    return tuple(notes)


def _tie_notes(plan: _GradPlan, gradient: Gradient) -> list[str]:
    """Say which pools have maps of one value alone: their winners tell nothing of the picture."""
    notes = []
    for pool in plan.target.pattern.chosen_layers:
        (before,) = plan.network.node(pool).inputs
        X = gradient.done.values[before]
        ties = int((X[:, :1, :1] == X).all(axis=(0, 1, 2)).sum())
        if ties:
            notes.append(
                f"{ties} of {X.shape[3]} maps that {pool} works on hold one value alone: every "
                "window of them is a tie, which its first cell wins"
            )
    return notes


def zero_notes(unit: Unit, gradient: Gradient, pixels: bool = True) -> tuple[str, ...]:
    """Say of a gradient that it is zero, or, where `pixels` show it, but for rounding."""
    if not np.isfinite(gradient.value):
        return ()
    if not gradient.input.any():
        return (f"no pixel changes {unit}: its gradient is 0 everywhere",)
    if not pixels or not gradient.is_rounding:
        return ()
    name = f"the gradient of {unit}"
    return rounding_notes([name], [measure(gradient.input)], [True])
