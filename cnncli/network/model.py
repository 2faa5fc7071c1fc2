"""`Model`: the network of a file, with what the file says of its images and names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem, OptionError, among, printable, quote
from cnncli.io.read_options import Sides
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, Layer
from cnncli.network.layers.view import Layout
from cnncli.network.preparation import Preparation

SIZE_UNKNOWN: Final = "the size of the picture must be known"
"""Why a file that leaves the size open may not be read to its end."""

SIZE_HINT: Final = "--size H,W"
_SHOWN: Final = 4
"""Names that a message has."""


class SizeNeeded(FileProblem):
    """A file that cannot be read at all unless the size of the picture is known.

    ``own_size`` is what it says of that size, as in `Model`.
    """

    own_size: Sides | None = None


@dataclass(frozen=True)
class Stop:
    """What in a file cannot be read, and so is all behind it.

    Parameters
    ----------
    reason : str
    layer : str
        The last layer before it.
    needs_size : bool
        Whether the size of the picture, if it were known, may do away with it.
    hint : str, optional
        What else would.
    """

    reason: str
    layer: str
    needs_size: bool = False
    hint: str | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A network with what its file says of the images that it takes.

    Parameters
    ----------
    network : Network
        With the scale of its input, where there is one, as the first layer `NORMALIZE`.
    input : Preparation
        What is done to images first.
    files : tuple of Path
        All files that it was read from.
    notes : tuple of str
        What was done while reading.
    aliases : mapping of str to str
        Further names of layers.
    missing : mapping of str to str
        Names in its file that became no layer, and why.
    stop : Stop, optional
        Why its file could not be read to its end; None if it could.
    channels : int, optional
        How many channels its pictures must have: 1 or 3.
    array_channels : int, optional
        How many an array must have, as its file says.
    classes : tuple of str
        Names of what the last layer's channels stand for, if the file has them.
    numbered : tuple of str
        Names of all layers of its file, of which this may be a part: a number is one of these.
    tensors : mapping of str to (str, Layout)
        For layers of an ONNX file, and for what goes in: the value that it is there, and how that
        is stored in maps.
    own_size : (int or None, int or None), optional
        Rows and columns of the pictures that its file asks for, whatever they are resized to; None
        for a side that it leaves open.
    shown : mapping of str to Layer
        For layers of an ONNX file whose maps have other axes than its value: what makes maps of
        the value's axes of them.
    """

    network: Network
    input: Preparation = field(default_factory=Preparation)
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    stop: Stop | None = None
    channels: int | None = None
    classes: tuple[str, ...] = ()
    tensors: Mapping[str, tuple[str, Layout]] = field(default_factory=dict)
    numbered: tuple[str, ...] = ()
    own_size: Sides | None = None
    array_channels: int | None = None
    shown: Mapping[str, Layer] = field(default_factory=dict)

    @classmethod
    def of_layer(cls, layer: Layer, notes: tuple[str, ...] = ()) -> Model:
        """Return the model of one layer, with the notes and files of its filter.

        Examples
        --------
        >>> from cnncli.network.layers import PoolLayer
        >>> Model.of_layer(PoolLayer()).network.names
        ('pool1',)
        """
        if not isinstance(layer, ConvLayer):
            return cls(Network.chain(layer), notes=notes)
        bank = layer.filter
        return cls(Network.chain(layer), notes=(*bank.notes, *notes), files=bank.files)

    @property
    def needs_size(self) -> bool:
        """Whether the rest of its file could be read if the size of the picture were known."""
        return self.stop is not None and self.stop.needs_size

    def read_fields(self, gray: bool = False) -> dict[str, Any]:
        """Return how images are read for it, as fields of `ReadOptions`.

        Parameters
        ----------
        gray : bool
            Whether they become luminance in any case.
        """
        own = self.input
        # A size that is known is in the preparation, where it may have been taken away.
        half_open = self.own_size if None in (self.own_size or ()) else None
        return {
            "gray": gray or own.gray,
            "channels": self.channels,
            "array_channels": self.array_channels,
            "size": own.size or half_open,
            "fit": own.fit,
            "bgr": own.bgr,
            "whole_scale": own.scale if own.whole else 1.0,
        }

    def find(self, name: str, numbers: bool = True) -> str:
        """Return the layer that a name, the beginning of one or a number stands for.

        Parameters
        ----------
        name : str
            A beginning must be that of one layer alone.
        numbers : bool
            Whether a number is that of a layer, counted from 1 as `plan` does, if none is named so.

        Raises
        ------
        OptionError
            If there is none, with the nearest names, or if there are several.
        FileProblem
            If it became no layer; with the reason.
        """
        if name not in self.aliases and name in self.missing:
            raise FileProblem(f"no layer {quote(name)}: {self.missing[name]}")
        name = self._found(self.aliases.get(name, name), numbers)
        names = self.network.names
        if name in self.numbered and name not in names:
            raise OptionError(f"{quote(names[-1])} does not depend on the layer {quote(name)}")
        if self.stop is not None and name not in names:
            raise OptionError(
                f"no layer {name!r} in the part that can be read, up to {self.stop.layer}"
                + among(name, names),
                hint=f"what stops it: {self.stop.reason}",
            )
        return self.network.node(name).name

    def _found(self, name: str, numbers: bool) -> str:
        """Return a layer's name by its number or its beginning; else the name itself."""
        names = self.network.names
        if not name or name in names or name in self.numbered:
            return name
        if name.isdecimal() and numbers:
            all_names = self.numbered or names
            number = int(name) if len(name) < 9 else 0
            if not 1 <= number <= len(all_names):
                last = f", {len(all_names)} is {all_names[-1]}" if all_names[1:] else ""
                raise OptionError(
                    f"the number of a layer must be 1 to {len(all_names)}, got {printable(name)}",
                    hint=f"1 is {all_names[0]}{last}",
                )
            return all_names[number - 1]
        if name.isdecimal():
            return name
        whole = {own: own for own in names} | dict(self.aliases)
        found = sorted({own for known, own in whole.items() if known.startswith(name)})
        if len(found) > 1:
            shown, more = ", ".join(found[:_SHOWN]), len(found) - _SHOWN
            rest = f" and {more} more" if more > 0 else ""
            raise OptionError(f"{quote(name)} begins several layers' names: {shown}{rest}")
        return found[0] if found else name

    def until(self, name: str | None) -> Model:
        """Return the model of a layer, by any of its names, and those that it depends on.

        Without a name all of it. Errors are those of `find`.
        """
        if name is None:
            return self
        part = self.network.until(self.find(name))
        return replace(self, network=part, numbered=self.numbered or self.network.names)

    def showing(self, names: Collection[str]) -> Model:
        """Return the model with layers as their file has them, see `shown`, under their names.

        Parameters
        ----------
        names : collection of str
            Layers of the network.
        """
        views = {name: self.shown[name] for name in names if name in self.shown}
        if not views:
            return self
        network, numbered = self.network.with_layers_behind(views), self.numbered
        return replace(self, network=network, numbered=numbered or self.network.names)
