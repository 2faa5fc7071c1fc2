"""`GradientResult`: the gradient of a unit of a network by the pixels and by every parameter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.hparameters import is_count
from cnncli.errors import OptionError
from cnncli.gradients.check import Check
from cnncli.gradients.gradient import Gradient, find_gradient, winning_pools
from cnncli.gradients.pictures import GradientView, overlay_view, plain_view, winner_views
from cnncli.gradients.run import check_memory_for, require_check, upstream_for, zero_notes
from cnncli.gradients.unit import Unit, labelled, parse_unit
from cnncli.io.images import Picture
from cnncli.library.images import ImageLike, Reading, source_of, work_on
from cnncli.library.result import MapsArray, MapsPicture, maps_array, with_sheet
from cnncli.library.run import make_job
from cnncli.network.graph import input_groups
from cnncli.network.layers import FloatArray, Gradients
from cnncli.network.model import Model
from cnncli.network.passes import require_gradients
from cnncli.pipeline.files import read_source
from cnncli.pipeline.input_notes import notes_of
from cnncli.pipeline.job import Job
from cnncli.pipeline.source import Source
from cnncli.render.options import RenderOptions
from cnncli.render.result_rows import ArrayRows


@dataclass(frozen=True, eq=False, repr=False)
class GradientResult:
    """The gradient of a unit; `Net.grad` makes it. In a notebook it shows `input`.

    Parameters
    ----------
    job : Job
        Its network ends with the unit's layer.
    unit : Unit
    picture : Picture
    gradient : Gradient
    source : Source
        The image.
    notes : tuple of str
        What the command would say.
    """

    job: Job
    unit: Unit
    picture: Picture
    gradient: Gradient
    source: Source
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The unit's value; of several values with an upstream gradient their weighted sum."""
        return self.gradient.value

    @property
    def input(self) -> MapsArray:
        """By each pixel, shape (H, W, C), or (N, H, W, C) of a batch.

        Its picture is that of `cnncli grad`: red where a brighter pixel raises the unit, blue where
        it lowers it, of each pixel's channels the strongest.
        """
        numbers, view = (
            plain_view(self.picture.shape, str(self.unit), as_values, self.job.render)
            for as_values in (True, False)
        )
        values, batched = self.gradient.input, self.picture.batched
        sheet = MapsPicture(
            replace(self.job, render=view.render),
            view.result(self.gradient, batched),
            ArrayRows(view.make(self.gradient)),
            self.source,
            (numbers.result(self.gradient, batched), ArrayRows(values)),
            op="grad",
        )
        return with_sheet(values if self.picture.batched else values[0], sheet)

    @property
    def parameters(self) -> dict[str, Gradients]:
        """By every parameter of each layer, ``parameters["conv1"]["W"]``."""
        return self.gradient.parameters

    def overlay(self) -> MapsArray:
        """Return the gradient laid over the grey picture, as colours, as ``--overlay`` does."""
        return self._shown(overlay_view(self.picture.shape, str(self.unit), self.job.render))

    def winners(self) -> dict[str, MapsArray]:
        """Return which cells won in the max pools before the unit, as ``--winners`` does."""
        network, render = self.job.network, self.job.render
        pools = winning_pools(network, self.unit.layer)
        views = winner_views(pools, network, self.picture.shape, False, render)
        return dict(zip(pools, map(self._shown, views), strict=True))

    def check(self, count: int | str = "auto") -> Check:
        """Compare with finite differences at random cells of each array, as ``--check`` does.

        Parameters
        ----------
        count : int or "auto"
            Cells of each array; auto: as many as take some seconds.

        Raises
        ------
        CnnCliError
            If they differ, or none can be compared.
        """
        if count != "auto" and not is_count(count):
            raise OptionError(f"count must be auto or a whole number above 0, got {count!r}")
        check_memory_for(self.job.network, self.picture, self.job.read.max_memory, checked=True)
        with np.errstate(all="ignore"):
            return require_check(self.job.network, self.picture, self.gradient, count)

    def _shown(self, view: GradientView) -> MapsArray:
        result = view.result(self.gradient, self.picture.batched)
        with np.errstate(all="ignore"):
            rows = ArrayRows(view.make(self.gradient))
        job = replace(self.job, render=view.render)
        return maps_array(job, result, rows, self.source, op="grad")

    def __repr__(self) -> str:
        return "\n".join(
            [f"gradient of {self.unit} = {self.value:.6g}", *(f"note: {n}" for n in self.notes)]
        )

    def _repr_png_(self) -> bytes | None:
        return self.input._repr_png_()


def find_unit_gradient(
    model: Model,
    image: ImageLike,
    unit: str | None,
    upstream: FloatArray | None,
    reading: Reading,
    call: str,
) -> GradientResult:
    """Run a model on an image as far as a unit, and back.

    Parameters
    ----------
    model : Model
    image : str, path, ndarray or PIL.Image.Image
    unit : str, optional
        ``LAYER``, ``LAYER:MAP`` or ``LAYER:MAP,ROW,COL``; by default the last layer.
    upstream : ndarray, optional
        Gradient of the whole layer's output to begin with.
    reading : Reading
    call : str
        What made it, for the metadata of pictures.

    Raises
    ------
    CnnCliError
        As `cnncli grad` says.
    """
    names = model.network.names
    chosen = Unit(names[-1]) if unit is None else parse_unit(str(unit), model)
    if upstream is not None and chosen.map is not None:
        raise OptionError(
            f"--upstream is for a whole layer, got --unit {chosen}", hint=f"--unit {chosen.layer}"
        )
    model = model.showing([chosen.layer]).until(chosen.layer)
    network, source = model.network, source_of(image, reading)
    require_gradients(network)
    job = make_job(model, reading, call, render=RenderOptions(colormap="diverging"))
    with work_on(source, job.read.max_memory):
        picture = read_source(source, job.read)
        groups = network.groups(input_groups(picture.shape[3]))
        chosen = labelled(chosen, groups[chosen.layer])
        check_memory_for(network, picture, job.read.max_memory)
        given = upstream_for(network, chosen, picture, upstream)
        gradient = find_gradient(network, picture.values(), chosen.layer, given)
        notes = (*notes_of(job, picture), *zero_notes(chosen, gradient))
    source = replace(source, data=None)
    return GradientResult(job, chosen, picture, gradient, source, notes)
