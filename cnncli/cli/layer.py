"""Makes a layer, or a model of one layer, of the options of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from cnncli._dataclass import dataclass
from cnncli.cli.command import make
from cnncli.cli.layer_options import ConvOptions, LayerOptions, PoolOptions
from cnncli.cli.options import ImageOptions, PrepareOptions, read_options
from cnncli.cli.wrong_calls import refuse_value_as_image
from cnncli.errors import quote
from cnncli.pipeline.networks import is_network

if TYPE_CHECKING:
    from cnncli.network.layers import ConvLayer, PoolLayer
    from cnncli.network.model import Model


def conv_layer(
    options: ConvOptions | LayerOptions, images: Sequence[str] | None = None
) -> ConvLayer:
    """Load filters and bias, and return their convolution; `images` are those it is for."""
    from cnncli.pipeline import layers

    _check_stdin((*options.filter_texts, options.bias or ""), images)
    return layers.conv_layer(options.filter_texts, make(layers.ConvSettings, options))


def pool_layer(options: PoolOptions | LayerOptions) -> PoolLayer:
    """Return a pool."""
    from cnncli.network.layers import PoolLayer
    from cnncli.pipeline import layers

    fields = vars(make(PoolLayer, options))
    return layers.pool_layer(typed_options(), getattr(options, "convention", None), **fields)


def _check_stdin(texts: Sequence[str], images: Sequence[str] | None) -> None:
    """Refuse standard input for two things: two filters, or a filter and an image."""
    asked = list(texts).count("-")
    if asked > 1:
        raise click.UsageError("standard input can be read once, got '-' several times.")
    if asked and images is not None and (not images or "-" in images):
        raise click.UsageError("standard input is the filter here, so an IMAGE must be given.")


def either_layer(
    options: LayerOptions, images: Sequence[str] | None = None
) -> ConvLayer | PoolLayer | None:
    """Return the layer of a command that takes --filter or --pool; None without either."""
    if options.filter_texts and options.mode is not None:
        raise click.UsageError("--filter and --pool exclude each other.")
    if options.mode is not None:
        return pool_layer(options)
    return conv_layer(options, images) if options.filter_texts else None


_PREPARE: Final = tuple(PrepareOptions.__dataclass_fields__)


@dataclass(frozen=True)
class NetworkOrLayer:
    """What a command works on: the network of a file, or the one layer of its options.

    Parameters
    ----------
    network : str, optional
        The file.
    pictures : tuple of str
        IMAGE, if it was given.
    layer : LayerOptions
    """

    network: str | None
    pictures: tuple[str, ...]
    layer: LayerOptions

    def model(
        self,
        inputs: PrepareOptions,
        images: ImageOptions,
        part: bool = False,
        part_option: str = "--until",
    ) -> Model:
        """Load the network, or make one of the layer.

        Parameters
        ----------
        inputs : PrepareOptions
            Only a network has them.
        images : ImageOptions
            How the picture is read that tells a network its size.
        part, part_option
            As in `load_model`.
        """
        from cnncli.cli.networks import load_network
        from cnncli.pipeline.layers import model_of

        if self.network is not None:
            size = self.layer.size if "size" in typed_options() else None
            if isinstance(size, str):
                raise click.UsageError("--size of NETWORK's pictures must be N or H,W.")
            picture = next(iter(self.pictures), None)
            prepare, read = inputs.prepare(size), read_options(images)
            return load_network(self.network, prepare, picture, read, part, part_option)
        layer = either_layer(self.layer, self.pictures)
        assert layer is not None  # network_or_layer has seen to that
        return model_of(layer, getattr(self.layer, "convention", None))


def network_or_layer(
    paths: Sequence[str], layer: LayerOptions, network_fields: frozenset[str]
) -> NetworkOrLayer:
    """Tell the arguments [NETWORK] [IMAGE] apart, and check that there is one network or layer.

    Parameters
    ----------
    paths : sequence of str
    layer : LayerOptions
    network_fields : frozenset of str
        Fields of the command's options that only a network has.

    Raises
    ------
    click.UsageError
        If there are two networks, images or layers, none, or options of another kind of layer.
    """
    command = click.get_current_context()
    networks = [path for path in paths if is_network(path)]
    pictures = tuple(path for path in paths if path not in networks)
    if not (networks or layer.filter_texts or layer.mode):
        refuse_value_as_image(command, pictures)
    if len(networks) > 1 or len(pictures) > 1:
        raise click.UsageError(
            f"{command.info_name} takes one NETWORK at most, and one IMAGE, "
            f"got {' '.join(map(quote, paths))}."
        )
    kinds = {
        "--filter": (bool(layer.filter_texts), {*ConvOptions.__dataclass_fields__}),
        "--pool": (layer.mode is not None, {*PoolOptions.__dataclass_fields__}),
        "NETWORK": (bool(networks), network_fields | {*_PREPARE, "size"}),
    }
    chosen = [(kind, names) for kind, (is_chosen, names) in kinds.items() if is_chosen]
    if len(chosen) != 1:
        raise click.UsageError(
            "exactly one of --filter, --pool and NETWORK (.toml or .onnx) must be given, "
            f"got {' and '.join(kind for kind, _ in chosen) or 'none'}."
        )
    kind, own = chosen[0]
    others = set().union(*(names for _, names in kinds.values())) - own
    for name, typed in typed_options().items():
        if name in others:
            raise click.UsageError(f"{typed} does not go with {kind}.")
    return NetworkOrLayer(networks[0] if networks else None, pictures, layer)


def typed_options() -> dict[str, str]:
    """Return the long names of the options that were typed, by the names of their fields."""
    context = click.get_current_context()
    return {
        param.name or "": next(opt for opt in param.opts if opt.startswith("--"))
        for param in context.command.params
        if isinstance(param, click.Option)
        and context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    }
