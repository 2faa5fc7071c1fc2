"""`explain`: the arithmetic of one value of a layer, as a page in a notebook, text and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError, OptionError
from cnncli.explain.animation.frames import FrameOptions
from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import Explanation
from cnncli.explain.page.write import make_page
from cnncli.explain.run import ExplainRequest, ExplainResult, run, run_backward
from cnncli.explain.text.forward import TextOptions
from cnncli.explain.text.result import result_lines
from cnncli.explain.trail import Trail
from cnncli.explain.write import write_explanation
from cnncli.library.arguments import check_arguments
from cnncli.library.images import ImageLike, Reading, check_keywords, source_of, work_on
from cnncli.library.layers import conv, conv_model, pool_model
from cnncli.library.layers import pool as pool_image
from cnncli.library.run import make_job
from cnncli.network.model import Model
from cnncli.pipeline.layers import FilterLike
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.source import Source

COLUMNS = 100
"""Of the text."""


@dataclass(frozen=True, eq=False, repr=False)
class ExplainedValue:
    """An explanation: a page in a notebook, its text elsewhere; `explain` makes it.

    Parameters
    ----------
    result : ExplainResult
        ``result.explanation`` has all numbers.
    job : ExplainRequest
        What was asked for.
    source : Source
        The image.
    height : int
        Of the page's frame, in pixels.
    """

    result: ExplainResult[Explanation] | ExplainResult[BackwardExplanation]
    job: ExplainRequest
    source: Source
    height: int = 800

    @cached_property
    def html(self) -> str:
        """The page of `-o page.html`, one document that loads nothing.

        Raises
        ------
        CnnCliError
            If no page can show it: the backward pass of a network that a page does not compute.
        """
        with work_on(self.source, self.job.job.read.max_memory):
            return make_page(self.job, self.result, self.source)

    @property
    def text(self) -> str:
        """What the command prints, 100 columns wide."""
        return "\n".join(result_lines(self.result, TextOptions(COLUMNS, False, None)))

    @property
    def trail(self) -> Trail | None:
        """The strongest contributions back to a pixel, where ``trail=True`` asked for them."""
        return self.result.trail

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        cells: int | None = None,
        fps: float = 2.0,
        frames: int = 60,
        overwrite: bool = False,
    ) -> None:
        """Write the page or an animation, as `-o` of `cnncli explain` does.

        Parameters
        ----------
        path : str or path
            ``.html``: the page. ``.gif``, ``.webp``, ``.png``: an animation. ``folder/`` or
            ``{frame:03d}.png``: a picture for each frame.
        cells, fps, frames
            Of frames, as the command's options.
        overwrite : bool
            Whether a file that exists is replaced.

        Raises
        ------
        CnnCliError
            If the file exists or cannot be written, or nothing of its kind can show the layer.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> explain(np.eye(4), "1 -1", at=(1, 1)).save(f"{folder.name}/steps.gif", frames=2)
        >>> os.listdir(folder.name)
        ['steps.gif']
        >>> folder.cleanup()
        """
        check_arguments(cells=cells, frames=frames, overwrite=overwrite)
        options = FrameOptions(cells, fps, frames)
        output = OutputOptions(output=os.fspath(path), overwrite=overwrite)
        request = replace(self.job, job=replace(self.job.job, output=output))
        is_backward = isinstance(self.result.explanation, BackwardExplanation)
        with work_on(self.source, request.job.read.max_memory):
            write_explanation(request, self.source, options, is_backward)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the command would say."""
        return self.result.notes

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str | None:
        try:
            page = self.html
        except CnnCliError:
            return None  # the text stands there instead
        # In a frame of its own the page can neither read the notebook nor change it.
        return (
            f'<iframe srcdoc="{escape(page)}" width="100%" height="{self.height}" '
            'sandbox="allow-scripts allow-downloads" allow="camera; clipboard-write" '
            'style="border: 0"></iframe>'
        )


def explain(
    image: ImageLike,
    filter: FilterLike | ArrayLike | Sequence[FilterLike] | None = None,
    *,
    pool: str | None = None,
    at: Pair | None = None,
    map: int | str | None = None,
    backward: bool = False,
    channel: int | str | None = None,
    trail: bool = False,
    height: int = 800,
    **options: Any,
) -> ExplainedValue:
    """Explain one value of a layer: its window, the products and sums.

    It is called as ``cnncli.explain``. `Net.explain` does the same with a layer of a network.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
    filter : str, path, array, or a list of these
        For a convolution, as in `conv`.
    pool : {"max", "average", "min", "lp"}, optional
        For a pool instead.
    at : (row, column), optional
        Of the output, by default a strong value; backward of the input.
    map : int or str, optional
        Of the output, by index or name.
    backward : bool
        Explain instead the gradient of one input value, if every output's gradient is 1.
    channel : int or str, optional
        Of the input, by index or name, with `backward`; by default the first.
    trail : bool
        Find also the strongest contributions to the value, back to a pixel; not with `backward`.
    height : int
        Of the page's frame, in pixels.
    **options
        Those of `conv` or `pool`, such as ``stride=2`` and ``gray=True``.

    Returns
    -------
    ExplainedValue
        An interactive page in a notebook; ``.text``, ``.html``, ``.trail`` and
        ``.save("steps.gif")`` elsewhere.

    Raises
    ------
    CnnCliError
        If not exactly one of `filter` and `pool` is given, or as `conv` and `pool` say.

    Examples
    --------
    >>> import numpy as np
    >>> explained = explain(np.eye(4), "1 -1", at=(1, 1), padding="valid")
    >>> explained.result.explanation.at, explained.html[:15]
    ((1, 1), '<!doctype html>')
    >>> print(explain(np.eye(4), "1 -1", at=(1, 1), padding="valid", backward=True))
    conv1, convolution, backward: the input at row 1, column 1 of 4x4, 1
    each output that reads this value sends back its gradient times the weight
    <BLANKLINE>
    output at  cell  weight  x upstream  = product
    1,0        0,1       -1           1         -1
    1,1        0,0        1           1          1
    <BLANKLINE>
    gradient   0, the sum of 2 products
    """
    given = {name: options.pop(name) for name in Reading.__annotations__ if name in options}
    reading = Reading(**given)  # type: ignore[typeddict-item]
    if filter is not None and pool is None:
        check_keywords(explain, options, conv)
        model = conv_model(filter, **options)
    elif pool is not None and filter is None:
        check_keywords(explain, options, pool_image)
        model = pool_model(pool, **options)
    else:
        raise OptionError("exactly one of filter and pool must be given")
    return explain_model(
        model,
        image,
        reading,
        "cnncli.explain(...)",
        at=at,
        map=map,
        backward=backward,
        channel=channel,
        trail=trail,
        height=height,
    )


def explain_model(
    model: Model,
    image: ImageLike,
    reading: Reading,
    call: str,
    *,
    layer: str | None = None,
    at: Pair | None = None,
    map: int | str | None = None,
    backward: bool = False,
    channel: int | str | None = None,
    trail: bool = False,
    height: int = 800,
) -> ExplainedValue:
    """Explain one value of a model's layer; the parameters are those of `explain`."""
    check_arguments(backward=backward, trail=trail, height=height)
    if channel is not None and not backward:
        raise OptionError("--channel is for --backward")
    if trail and backward:
        raise OptionError("--trail is for the way to an output, without --backward")
    source = source_of(image, reading)
    request = ExplainRequest(
        job=make_job(model, reading, call, jobs=1, read_too=model.files),
        layer=model.network.names[-1] if layer is None else model.find(str(layer)),
        at=None if at is None else _place(at),
        map=None if map is None else str(map),
        channel=None if channel is None else str(channel),
        trail=trail,
    )
    with work_on(source, request.job.read.max_memory):
        result = run_backward(request, source) if backward else run(request, source)
    return ExplainedValue(result, request, source, height)


def _place(at: Pair) -> Pair:
    """Return a row and a column, checked."""
    if np.shape(at) != (2,) or not all(isinstance(number, Integral) for number in at):
        raise OptionError(f"at must be a row and a column, got {at!r}", hint="at=(0, 0)")
    return int(at[0]), int(at[1])
