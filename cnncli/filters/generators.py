"""The formulas that `cnncli filters make` offers, with their parameters. Loads no numpy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, among
from cnncli.filters.matrix_text import parse_number, with_points
from cnncli.io.limits import MAX_SIDE

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
    main : str
        The parameter that a text such as ``gaussian:2.5`` gives.

    Examples
    --------
    >>> GENERATORS["box"].make(size=(1, 2)).tolist()
    [[0.5, 0.5]]
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    main: str = "size"

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


def make_by_text(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the filter of a kind with its parameter, and further ones by their names.

    Parameters
    ----------
    text : str
        ``KIND:VALUE`` or ``KIND:VALUE,NAME=VALUE``, such as ``gaussian:2.5``, ``box:5x1`` or
        ``gabor:8,theta=30``. The kind must be one of `GENERATORS`.

    Raises
    ------
    OptionError
        For an unknown parameter, or a value that is none or out of range.

    Examples
    --------
    >>> make_by_text("box:1x2").tolist(), make_by_text("gaussian:2").shape
    ([[0.5, 0.5]], (13, 13))
    """
    kind, _, rest = text.partition(":")
    generator = GENERATORS[kind]
    parameters = {parameter.name: parameter for parameter in generator.parameters}
    values: dict[str, Any] = {}
    for part in rest.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            name, value = generator.main, part
        if name not in parameters or name in values:
            known = among(name, parameters)
            what, known = ("given twice", "") if name in values else ("no parameter", known)
            by = "x" if parameters[generator.main].type == "size" else "."
            joined, use = with_points(text[:80], by), f"{kind}:{generator.main.upper()}"
            if name in values and joined != text:
                use = joined
            raise OptionError(
                f"{text[:80]!a}: {what}: {name[:40]!a}{known}",
                hint=f"{use}, or {kind}:NAME=VALUE,NAME=VALUE",
            )
        values[name] = _read_value(text, parameters[name], value)
    try:
        return generator.make(**values)
    except OptionError as error:
        raise OptionError(f"{text[:80]!a}: {error}", hint=error.hint) from None


def _read_value(text: str, parameter: Parameter, value: str) -> Any:
    """Return the value of a parameter that a text gives."""
    try:
        if parameter.type == "size":
            sides = [int(side) for side in value.split("x")]
            return sides[0] if len(sides) == 1 else sides
        if parameter.type == "choice":
            return value
        return parse_number(value) if parameter.type == "float" else int(value)
    except ValueError:
        radius, _, sigma = value.partition("x")
        if parameter.name == "sigma" and radius.isdecimal() and sigma and len(radius) < 4:
            # ImageMagick's radius and sigma; a radius of 0 leaves the size open there too.
            size = f",size={2 * int(radius) + 1}" if int(radius) else ""
            kind = text.partition(":")[0]
            raise OptionError(
                f"{text[:80]!a}: one number is wanted, sigma, got {value[:40]!a}",
                hint=f"{kind}:{sigma[:40]}{size}",
            ) from None
        need = {"size": "N or HxW", "int": "a whole number"}.get(parameter.type, "a number")
        raise OptionError(
            f"{text[:80]!a}: {parameter.name} must be {need}, got {value[:40]!a}"
        ) from None


_SIDES = f"1 to {MAX_SIDE}"


def _size(default: int, what: str = "N or H,W") -> Parameter:
    return Parameter("size", "size", default, f"rows and columns of the window, {what}, {_SIDES}")


def _window(default: int, given: str = "sigma", what: str = "N or H,W") -> Parameter:
    """The size of a filter that is as large as its Gaussian, unless it is given."""
    text = f"rows and columns of the window, {what}, {_SIDES}; default {default}, or 3 sigma to "
    return Parameter("size", "size", None, f"{text}each side when {given} is given")


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
        (_window(5), _number("sigma", None, _OPENCV_SIGMA)),
        "sigma",
    ),
    Generator(
        "log",
        "Laplacian of Gaussian, zero-sum",
        (_window(9), _number("sigma", None, _WIDE_SIGMA)),
        "sigma",
    ),
    Generator(
        "dog",
        "difference of two Gaussians, narrow minus wide, zero-sum",
        (
            _window(9),
            _number("sigma", None, f"of the narrow one, {_WIDE_SIGMA} times the ratio"),
            _number("ratio", 1.6, "wide sigma / narrow sigma, above 1"),
        ),
        "sigma",
    ),
    Generator(
        "gabor",
        "a wave in a Gaussian window, or a bank of them",
        (
            _window(15, "sigma or wavelength"),
            _number("wavelength", None, "in pixels, at least 2; default 6"),
            _number("theta", 0.0, "direction of the wave, degrees clockwise from rightwards"),
            _number("sigma", None, "in pixels along the wave; default 0.56 wavelengths"),
            _number("gamma", 0.5, "sigma along the wave / sigma across it, above 0"),
            _number("phase", 0.0, "degrees: 0 a bright bar, -90 an edge rising along theta"),
            _count("orientations", 1, "above 1: a bank, theta turned by 180/orientations each"),
        ),
        "wavelength",
    ),
    Generator(
        "sobel",
        "derivative across an edge, binomial smoothing along it",
        (
            Parameter("size", "int", 3, "rows and columns, odd, 3 to 31"),
            Parameter(
                "axis", "choice", "h", "which edges it finds: h horizontal, v vertical", ("h", "v")
            ),
        ),
    ),
    Generator(
        "laplacian",
        "sum of the neighbours minus as many times the centre",
        (Parameter("neighbours", "choice", "4", "how many neighbours count", ("4", "8")),),
        "neighbours",
    ),
    Generator(
        "sharpen",
        "the picture minus its 4-neighbour Laplacian",
        (_number("amount", 1.0, "strength; 0 changes nothing"),),
        "amount",
    ),
    Generator(
        "unsharp",
        "the picture plus its difference from a Gaussian blur",
        (
            _window(5, what="N or H,W, odd"),
            _number("sigma", None, _OPENCV_SIGMA),
            _number("amount", 1.0, "strength; 0 changes nothing"),
        ),
        "sigma",
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
        "channels_out",
    ),
)
GENERATORS: dict[str, Generator] = {one.name: one for one in _GENERATORS}
