"""`explain`: the arithmetic of one value of a layer, as an interactive page in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from numpy.typing import ArrayLike

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError
from cnncli.explain.model import Explanation
from cnncli.explain.page.run import make_page
from cnncli.explain.run import ExplainJob, ExplainResult
from cnncli.explain.text.forward import TextOptions, text_lines
from cnncli.library.images import ImageLike, Reading, source_of, work_on
from cnncli.library.layers import conv_model, pool_model
from cnncli.library.run import make_job
from cnncli.network.model import Model
from cnncli.pipeline.layers import FilterLike

COLUMNS = 100
"""Of the text that stands in for the page where there is none."""


@dataclass(frozen=True, eq=False, repr=False)
class Page:
    """An explanation: a page in a notebook, its text elsewhere.

    Parameters
    ----------
    html : str
        The page, one document that loads nothing; written to a file it is that of `-o page.html`.
    result : ExplainResult
        ``result.explanation`` has all numbers.
    height : int
        Of its frame, in pixels.
    """

    html: str
    result: ExplainResult[Explanation]
    height: int = 800

    @property
    def notes(self) -> tuple[str, ...]:
        """What the command would say."""
        return self.result.notes

    def __repr__(self) -> str:
        return "\n".join(text_lines(self.result.explanation, TextOptions(COLUMNS, False, None)))

    def _repr_html_(self) -> str:
        # In a frame of its own the page can neither read the notebook nor change it.
        return (
            f'<iframe srcdoc="{escape(self.html)}" width="100%" height="{self.height}" '
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
    height: int = 800,
    **options: Any,
) -> Page:
    """Explain one value of a layer: its window, the products and sums, on an interactive page.

    It is called as ``cnncli.explain``. `Net.explain` does the same with a layer of a network.

    Parameters
    ----------
    image : str, path, ndarray or PIL.Image.Image
    filter : str, path, array, or a list of these
        For a convolution, as in `conv`.
    pool : {"max", "average", "min", "lp"}, optional
        For a pool instead.
    at : (row, column), optional
        Of the output; by default a strong value near the middle.
    map : int or str, optional
        Of the output, by index or name.
    height : int
        Of the page's frame, in pixels.
    **options
        Those of `conv` or `pool`, such as ``stride=2`` and ``gray=True``.

    Returns
    -------
    Page

    Raises
    ------
    CnnCliError
        If not exactly one of `filter` and `pool` is given, or as `conv` and `pool` say.

    Examples
    --------
    >>> import numpy as np
    >>> page = explain(np.eye(4), "1 -1", at=(1, 1), padding="valid")
    >>> page.result.explanation.at, page.html[:15]
    ((1, 1), '<!doctype html>')
    """
    given = {name: options.pop(name) for name in Reading.__annotations__ if name in options}
    reading = Reading(**given)  # type: ignore[typeddict-item]
    if filter is not None and pool is None:
        model = conv_model(filter, **options)
    elif pool is not None and filter is None:
        model = pool_model(pool, **options)
    else:
        raise OptionError("exactly one of filter and pool must be given")
    call = "cnncli.explain(...)"
    return explain_model(model, image, reading, call, at=at, map=map, height=height)


def explain_model(
    model: Model,
    image: ImageLike,
    reading: Reading,
    call: str,
    *,
    layer: str | None = None,
    at: Pair | None = None,
    map: int | str | None = None,
    height: int = 800,
) -> Page:
    """Explain one value of a model's layer; the parameters are those of `explain`."""
    source = source_of(image)
    job = make_job(model, reading, call, jobs=1, read_too=model.files)
    name = model.network.names[-1] if layer is None else model.find(layer)
    request = ExplainJob(job, name, at, None if map is None else str(map))
    with work_on(source, job.read.max_memory):
        html, result = make_page(request, source)
    return Page(html, result, height)
