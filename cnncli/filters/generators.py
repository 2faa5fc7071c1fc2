"""The formulas that `cnncli filters make` offers, with their parameters. Loads no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Parameter:
    """One parameter of a generator.

    Parameters
    ----------
    name : str
        Argument of the generator's function in `cnncli.filters.kernels`.
    type : str
        ``"size"`` (an int or a pair ``(h, w)``), ``"int"``, ``"float"`` or ``"choice"``.
    default : object
        None means: derived from the others, as `help` says.
    help : str
        One line, with units.
    choices : tuple of str
        The words allowed for ``"choice"``.

    Examples
    --------
    >>> Parameter("amount", "float", 1.0, "strength, 0 changes nothing").default
    1.0
    """

    name: str
    type: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generator:
    """One formula of filters, with its parameters.

    Parameters
    ----------
    name : str
        What the user types; also the function's name in `cnncli.filters.kernels`.
    summary : str
        One line.
    parameters : tuple of Parameter
        In the order of the function's arguments.

    Examples
    --------
    >>> GENERATORS["box"].make(size=(1, 2)).tolist()
    [[0.5, 0.5]]
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]

    def make(self, **values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the filter for some values; the others take their defaults.

        Parameters
        ----------
        **values
            By the names in `parameters`. None stands for the default.

        Returns
        -------
        ndarray of float64
            ``(kh, kw)``, or ``(kh, kw, C_in, C_out)`` for banks.

        Raises
        ------
        OptionError
            For a value out of its range.

        Examples
        --------
        >>> GENERATORS["sharpen"].make(amount=0.5)[1].tolist()
        [-0.5, 3.0, -0.5]
        """
        defaults = {parameter.name: parameter.default for parameter in self.parameters}
        chosen = {name: value for name, value in values.items() if value is not None}
        function = getattr(import_module("cnncli.filters.kernels"), self.name)
        weights: np.ndarray[Any, np.dtype[np.float64]] = function(**(defaults | chosen))
        return weights


def _size(default: int, what: str = "N or H,W") -> Parameter:
    return Parameter("size", "size", default, f"rows and columns of the window, {what}, 1 to 1001")


def _number(name: str, default: float | None, text: str) -> Parameter:
    return Parameter(name, "float", default, text)


def _count(name: str, default: int, text: str) -> Parameter:
    return Parameter(name, "int", default, text)


_OPENCV_SIGMA = "in pixels; default 0.3*((N-1)/2 - 1) + 0.8 along each axis, as OpenCV"
_WIDE_SIGMA = "in pixels; default a sixth of the smaller side of the window"

_GENERATORS = (
    Generator("identity", "changes nothing", (_size(3),)),
    Generator("box", "mean of the window", (_size(3),)),
    Generator("binomial", "smoothing by Pascal's triangle, near a Gaussian", (_size(3),)),
    Generator(
        "gaussian",
        "Gaussian blur, sampled at the pixels and divided by its sum",
        (_size(5), _number("sigma", None, _OPENCV_SIGMA)),
    ),
    Generator(
        "log",
        "Laplacian of Gaussian, zero-sum",
        (_size(9), _number("sigma", None, _WIDE_SIGMA)),
    ),
    Generator(
        "dog",
        "difference of two Gaussians, narrow minus wide, zero-sum",
        (
            _size(9),
            _number("sigma", None, f"of the narrow one, {_WIDE_SIGMA} times the ratio"),
            _number("ratio", 1.6, "wide sigma / narrow sigma, above 1"),
        ),
    ),
    Generator(
        "gabor",
        "a wave in a Gaussian window, or a bank of them",
        (
            _size(15),
            _number("wavelength", 6.0, "in pixels, at least 2"),
            _number("theta", 0.0, "direction of the wave, degrees clockwise from rightwards"),
            _number("sigma", None, "in pixels along the wave; default 0.56 wavelengths"),
            _number("gamma", 0.5, "sigma along the wave / sigma across it, above 0"),
            _number("phase", 0.0, "degrees: 0 a bright bar, -90 an edge rising along theta"),
            _count("orientations", 1, "above 1: a bank, theta turned by 180/orientations each"),
        ),
    ),
    Generator(
        "sobel",
        "derivative across an edge, binomial smoothing along it",
        (
            Parameter("size", "int", 3, "rows and columns, odd, 3 to 31"),
            Parameter("axis", "choice", "h", "h: horizontal edges, v: vertical edges", ("h", "v")),
        ),
    ),
    Generator(
        "laplacian",
        "sum of the neighbours minus as many times the centre",
        (Parameter("neighbours", "choice", "4", "how many neighbours count", ("4", "8")),),
    ),
    Generator(
        "sharpen",
        "the picture minus its 4-neighbour Laplacian",
        (_number("amount", 1.0, "strength; 0 changes nothing"),),
    ),
    Generator(
        "unsharp",
        "the picture plus its difference from a Gaussian blur",
        (
            _size(5, "N or H,W, odd"),
            _number("sigma", None, _OPENCV_SIGMA),
            _number("amount", 1.0, "strength; 0 changes nothing"),
        ),
    ),
    Generator(
        "motion",
        "mean along a straight line through the centre",
        (_size(9), _number("angle", 0.0, "degrees counter-clockwise from rightwards")),
    ),
    Generator(
        "random",
        "He-normal weights, as an untrained ReLU layer has",
        (
            _size(3),
            _count("channels_in", 3, "channels of the input"),
            _count("channels_out", 8, "feature maps"),
            _count("seed", 0, "the same seed gives the same weights"),
        ),
    ),
)
GENERATORS: dict[str, Generator] = {one.name: one for one in _GENERATORS}
