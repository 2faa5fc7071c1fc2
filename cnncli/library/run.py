"""Runs a model on an image: all that `run`, `conv` and `pool` do but for the files."""

from __future__ import annotations

import math
from typing import Any

from cnncli.library.arguments import check_arguments
from cnncli.library.images import ImageLike, Reading, read_options, source_of, work_on
from cnncli.library.result import Result, maps_array
from cnncli.network.model import Model
from cnncli.pipeline.files import read_source
from cnncli.pipeline.job import Job
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.planned_results import plan_results
from cnncli.pipeline.process import begin_layers
from cnncli.pipeline.sheets import as_computed
from cnncli.render.options import RenderOptions
from cnncli.system.memory import check_memory


def make_job(model: Model, reading: Reading, call: str, **settings: Any) -> Job:
    """Return the job of a model without files; the settings are further fields of `Job`."""
    given: dict[str, Any] = {"render": RenderOptions(), "output": OutputOptions(), **settings}
    read = read_options(model, reading)
    return Job(network=model.network, read=read, command=call, notes=model.notes, **given)


def run_model(
    model: Model,
    image: ImageLike,
    reading: Reading,
    *,
    layers: tuple[str, ...] = (),
    call: str = "cnncli",
    jobs: int | None = None,
) -> Result:
    """Run a model on an image and keep the values of its layers.

    Parameters
    ----------
    model : Model
    image : str, path, ndarray or PIL.Image.Image
    reading : Reading
    layers : tuple of str
        Those of a network that are kept, in its order; none for a layer alone.
    call : str
        What made it, for the metadata of pictures.
    jobs : int, optional
        Threads; default: one for each core.

    Raises
    ------
    CnnCliError
        As the commands say, with the image's name.
    """
    check_arguments(jobs=jobs)
    source = source_of(image, reading)
    job = make_job(model, reading, call, layers=layers, jobs=jobs)
    with work_on(source, job.read.max_memory):
        picture = read_source(source, job.read)
        expected = plan_results(job, picture.shape, layers)
        kept = sum(math.prod(result.shape) for result in expected) * picture.dtype.itemsize
        hint = "layers=['NAME'] keeps fewer"
        check_memory(kept, "keeping the values", hint, limit=job.read.max_memory)
        results, notes, computed = begin_layers(job, picture, expected)
        maps = {
            name: maps_array(job, as_computed(result, rows.shape), rows, source, notes=notes)
            for result, (name, rows) in zip(results, computed, strict=True)
        }
    return Result(maps, notes, model.find)
