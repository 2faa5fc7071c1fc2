"""`load` and `Net`: a network from a file, and what the commands do with it on one image."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from numpy.typing import ArrayLike

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.io.read_options import ReadOptions
from cnncli.io.urls import local_path
from cnncli.library.arguments import check_arguments
from cnncli.library.images import (
    ImageLike,
    Reading,
    array_of,
    check_keywords,
    own_read_options,
    shape_of,
    stored_shape,
)
from cnncli.library.plan import Plan
from cnncli.library.result import Result
from cnncli.library.run import run_model
from cnncli.network.load import load_model
from cnncli.network.model import Model, SizeNeeded
from cnncli.network.summary import summarize
from cnncli.pipeline.networks import (
    ShapeOf,
    chosen_layers,
    load_for_picture,
    load_network,
    prepare_fields,
    with_labels,
)
from cnncli.plan.input_shape import check_sides, input_order_notes, input_shape

if TYPE_CHECKING:
    from cnncli.library.explain import ExplainedValue
    from cnncli.library.gradient import GradientResult


@dataclass(frozen=True, eq=False, repr=False)
class Net:
    """A network from a file; `load` makes it.

    Parameters
    ----------
    path : Path
        The file.
    prepare : mapping of str to object
        What is done to images in place of what the file says, as fields of `Preparation`.
    labels : str or sequence of str, optional
        A file of class names, or the names.
    until : str, optional
        The last layer that is used.
    """

    path: Path
    prepare: Mapping[str, Any]
    labels: str | Sequence[str] | None = None
    until: str | None = None

    @cached_property
    def _model(self) -> Model:
        return self._loaded(None, ReadOptions())

    def _loaded(self, picture: ShapeOf | None, read: ReadOptions) -> Model:
        part = self.until is not None
        model = load_network(self.path, dict(self.prepare), picture, read, part)
        return with_labels(model, self.labels).until(self.until)

    def _model_for(self, image: ImageLike, reading: Reading) -> Model:
        """Return the model; where its file leaves the size open, for that of the image."""
        with contextlib.suppress(SizeNeeded):
            if not self._model.needs_size:
                return self._model
        return self._loaded(partial(shape_of, image), own_read_options(reading))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in their order."""
        return chosen_layers(self._model.network, ())

    def __repr__(self) -> str:
        try:
            return f"{self.path}: {', '.join(self.layers)}"
        except SizeNeeded:
            return f"{self.path}: its layers depend on the size of the picture"

    def run(
        self,
        image: ImageLike,
        layers: str | Sequence[str] = (),
        *,
        jobs: int | None = None,
        **reading: Unpack[Reading],
    ) -> Result:
        """Run the network on an image, as `cnncli run` does.

        Parameters
        ----------
        image : str, path, ndarray or PIL.Image.Image
            An array is taken as a ``.npy`` file of it: (H, W), (H, W, C) or (N, H, W, C).
        layers : str or sequence of str
            The layers whose values are kept; default: all.
        jobs : int, optional
            Threads; default: one for each core.
        **reading
            gray, background, frame, as_values, max_pixels, max_memory: as the command's options.

        Returns
        -------
        Result
            ``result["conv1"]`` is the array of a layer, (n_H, n_W, n_C).

        Raises
        ------
        CnnCliError
            If the image cannot be read, does not fit, or there is no such layer.

        Examples
        --------
        >>> import numpy as np
        >>> result = load("examples/edges.toml").run(np.ones((6, 8)))
        >>> result
        smooth 6x8x1
        edges 6x8x8
        pooled 3x4x8
        edge_or_not 3x4x1
        >>> result["edges"].names[:2]
        ('robinson_n', 'robinson_ne')
        """
        check_keywords(Net.run, reading)
        model = self._model_for(image, reading)
        names = [layers] if isinstance(layers, str | int) else layers
        chosen = chosen_layers(model.network, [model.find(str(name)) for name in names])
        call = f"cnncli.load({str(self.path)!r}).run(...)"
        model = model.showing(chosen)
        return run_model(model, image, reading, layers=chosen, call=call, jobs=jobs)

    def plan(self, input: tuple[int, ...] | None = None, *, image: ImageLike | None = None) -> Plan:
        """Show shapes, sizes and costs without running the network, as `cnncli plan` does.

        Parameters
        ----------
        input : (H, W, C) or (H, W), optional
            Size of the image; default: the network's own, or that of `image`.
        image : str, path, ndarray or PIL.Image.Image, optional
            Its size is taken.

        Returns
        -------
        Plan
            A table in a notebook; ``plan.summary.layers`` has its numbers.

        Raises
        ------
        CnnCliError
            If nothing tells the size, or it does not fit.

        Examples
        --------
        >>> plan = load("examples/edges.toml").plan((6, 8, 3))
        >>> [(layer.name, layer.shape) for layer in plan.summary.layers][2:]
        [('pooled', (3, 4, 8)), ('edge_or_not', (3, 4, 1))]
        """
        if input is not None:
            check_sides(input)
        size = {} if input is None else {"size": (input[0], input[1])}
        load = partial(load_model, self.path, weights=False, part=self.until is not None)
        prepare = {**self.prepare, **size}
        picture = None if image is None else partial(shape_of, image)
        try:
            whole = load_for_picture(load, prepare, picture, ReadOptions())
        except SizeNeeded as error:
            raise SizeNeeded(error.message, hint="input=(H, W, C)", path=error.path) from None
        model = whole.until(self.until)
        stored = None if image is None else stored_shape(image, model)
        shape, notes = input_shape(model, input, stored)
        notes = (*model.notes, *input_order_notes(input or ()), *notes)
        return Plan(summarize(model.network, shape, model.shown), notes, whole.network.names)

    def grad(
        self,
        image: ImageLike,
        unit: str | None = None,
        *,
        upstream: ArrayLike | None = None,
        **reading: Unpack[Reading],
    ) -> GradientResult:
        """Run the network as far as a unit and back, as `cnncli grad` does.

        Parameters
        ----------
        image : str, path, ndarray or PIL.Image.Image
        unit : str, optional
            ``LAYER:MAP,ROW,COL``, ``LAYER:MAP`` or ``LAYER``; by default the last layer. Several
            values stand for their sum.
        upstream : array, optional
            Begin with this gradient of the layer's output instead.
        **reading
            As in `run`.

        Returns
        -------
        GradientResult
            ``.input`` is the gradient by the pixels, ``.parameters["conv1"]["W"]`` by weights.

        Raises
        ------
        CnnCliError
            If the image cannot be read, does not fit, or there is no such unit.

        Examples
        --------
        >>> import numpy as np
        >>> found = load("examples/edges.toml").grad(np.eye(8), "edges:0,4,4")
        >>> found.input.shape, sorted(found.parameters)
        ((8, 8, 1), ['edges', 'smooth'])
        """
        from cnncli.library.gradient import find_unit_gradient

        check_keywords(Net.grad, reading)
        given = None if upstream is None else array_of(upstream, "upstream")
        call = f"cnncli.load({str(self.path)!r}).grad(...)"
        return find_unit_gradient(
            self._model_for(image, reading), image, unit, given, reading, call
        )

    def explain(
        self,
        image: ImageLike,
        layer: str | None = None,
        *,
        at: Pair | None = None,
        map: int | str | None = None,
        backward: bool = False,
        channel: int | str | None = None,
        trail: bool = False,
        height: int = 800,
        **reading: Unpack[Reading],
    ) -> ExplainedValue:
        """Explain one value of the network, as `cnncli explain` does.

        Parameters
        ----------
        image : str, path, ndarray or PIL.Image.Image
        layer : str, optional
            Of the value that the page begins with; by default the last.
        at : (row, column), optional
            Of the layer's output; backward of its input.
        map : int or str, optional
            By index or name; by default a strong value is chosen, of class scores the largest.
        backward, channel, trail
            As in `cnncli.explain`.
        height : int
            Of the page's frame, in pixels.
        **reading
            As in `run`.

        Returns
        -------
        ExplainedValue
            An interactive page in a notebook; ``.text``, ``.html``, ``.trail`` and
            ``.save("steps.gif")`` elsewhere.

        Raises
        ------
        CnnCliError
            If the image cannot be read, does not fit, or there is no such value.

        Examples
        --------
        >>> net = load("examples/digits.toml")
        >>> explained = net.explain("examples/digits/3.png", trail=True)
        >>> explained.result.explanation.at, explained.trail.units[-1].layer
        ((0, 0), 'input')
        """
        from cnncli.library.explain import explain_model

        check_keywords(Net.explain, reading)
        model = self._model_for(image, reading)
        call = f"cnncli.load({str(self.path)!r}).explain(...)"
        return explain_model(
            model,
            image,
            reading,
            call,
            layer=layer,
            at=at,
            map=map,
            backward=backward,
            channel=channel,
            trail=trail,
            height=height,
        )


def load(
    path: str | os.PathLike[str],
    *,
    size: int | Pair | None = None,
    fit: str | None = None,
    bgr: bool | None = None,
    prep: str | None = None,
    scale: float | None = None,
    mean: float | tuple[float, ...] | None = None,
    std: float | tuple[float, ...] | None = None,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    until: str | None = None,
) -> Net:
    """Load a network file or an ONNX model.

    Parameters
    ----------
    path : str or path
        A ``.toml`` or ``.onnx`` file.
    size, fit, bgr, prep, scale, mean, std
        What is done to images first, in place of what the file says; as the options of
        `cnncli run`.
    labels : str, path, or sequence of str, optional
        The names of a classifier's classes, or a text file with one a line.
    until : str, optional
        The last layer to be used; by default all are.

    Returns
    -------
    Net

    Raises
    ------
    CnnCliError
        If the file, or one that it names, cannot be read or is no network.

    Examples
    --------
    >>> load("examples/edges.toml")
    examples/edges.toml: smooth, edges, pooled, edge_or_not
    """
    check_arguments(bgr=bgr)
    prepare = prepare_fields(prep, size, fit=fit, bgr=bgr, scale=scale, mean=mean, std=std)
    names = os.fspath(labels) if isinstance(labels, os.PathLike) else labels
    last = None if until is None else str(until)
    net = Net(local_path(os.fspath(path), "path"), prepare, names, last)
    # What needs the size of a picture is loaded with one.
    with contextlib.suppress(SizeNeeded):
        _ = net._model
    return net
