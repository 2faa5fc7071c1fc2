"""Makes a layer, or a model of one layer, of the options of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from cnncli._dataclass import dataclass
from cnncli.cli.command import make
from cnncli.cli.layer_options import ConvOptions, LayerOptions, PoolOptions
from cnncli.cli.networks import is_network
from cnncli.cli.options import ImageOptions, PrepareOptions, read_options

if TYPE_CHECKING:
    from cnncli.filters.filter import Filter, LoadedArray
    from cnncli.network.graph import Node
    from cnncli.network.layers import ConvLayer, PoolLayer
    from cnncli.network.model import Model

AnyLayer = TypeVar("AnyLayer", bound="ConvLayer | PoolLayer")


def conv_layer(
    options: ConvOptions | LayerOptions, images: Sequence[str] | None = None
) -> ConvLayer:
    """Load filters and bias, and return their convolution; `images` are those it is for."""
    from cnncli.core.borders import asked_mode
    from cnncli.filters import filter
    from cnncli.network.conventions import CONVENTIONS, centres_lower
    from cnncli.network.layers import ConvLayer

    check_stdin((*options.filter_texts, options.bias or ""), images)
    mode = asked_mode(options.pad_mode, options.pad_value)
    layout = options.filter_layout
    banks = [load_any_filter(text, layout) for text in options.filter_texts]
    convention = CONVENTIONS.get(getattr(options, "convention", None) or "")
    bank = filter.stack(
        banks,
        lower=centres_lower(options.padding, options.flip, convention),
        dilated=options.dilation not in (1, (1, 1)),
    )
    bank = filter.flip(bank) if options.flip else bank
    bank = filter.normalize(bank) if options.normalize else bank
    if options.bias is not None:
        bias = _load_bias(options.bias, bank)
        bank = replace(bank, bias=bias.array, files=(*bank.files, *bias.files))
    return _by_convention(make(ConvLayer, options, filter=bank, bias=None, pad_mode=mode), options)


def _load_bias(text: str, bank: Filter) -> LoadedArray:
    """Load the bias of a filter; where it does not fit, the filter's layout may be the cause."""
    from cnncli.errors import ShapeError
    from cnncli.filters.channels import likelier_layout, likelier_layout_note
    from cnncli.filters.files import load_bias

    try:
        return load_bias(text, bank.maps)
    except ShapeError as error:
        if (layout := likelier_layout(bank)) is None:
            raise
        message = f"{error.message}: {likelier_layout_note(bank)}"
        hint = f"--filter-layout {layout}"
        raise ShapeError(message, hint=hint, path=error.path) from None


def pool_layer(options: PoolOptions | LayerOptions) -> PoolLayer:
    """Return a pool."""
    from cnncli.core.pool import check_mode_settings
    from cnncli.network.layers import PoolLayer

    check_mode_settings(options.mode or "max", typed_options())

    return _by_convention(make(PoolLayer, options), options)


def load_any_filter(text: str, layout: str) -> Filter:
    """Load what --filter names: also the filter and bias of a layer of a network.

    That is written as ``model.onnx:conv1``.
    """
    from cnncli.filters.files import load_filter, split_layer
    from cnncli.network.load import load_model

    path, name = split_layer(text)
    if not (is_network(path) and Path(path).is_file()):
        return load_filter(text, layout=layout, stdin=True)
    model = load_model(Path(path), part=True)
    node = _node_with_filter(model, path, name)
    layer: Any = node.layer
    found: Filter = layer.filter
    bias = layer.parameters.get("b")
    if bias is not None:
        found = replace(found, bias=bias if len(bias) == found.maps else bias.repeat(found.maps))
    return replace(found, files=model.files, notes=(*found.notes, *_other_settings(node)))


def _node_with_filter(model: Model, path: str, name: str) -> Node:
    """Return a layer by its name."""
    from cnncli.errors import OptionError, among, quote
    from cnncli.network.layers import ConvLayer

    nodes = {n.name: n for n in model.network.nodes if isinstance(n.layer, ConvLayer)}
    try:
        found = model.find(name) if name else ""
        problem = f"a layer with a filter must be named: {', '.join(list(nodes)[:12]) or 'none'}"
    except OptionError:
        found = ""
        problem = f"no layer {quote(name)} with a filter{among(name, nodes)}"
    if found not in nodes:
        hint = f"write {quote(f'{path}:{next(iter(nodes))}')}" if nodes else None
        raise OptionError(problem, hint=hint, path=path)
    return nodes[found]


def _other_settings(node: Node) -> tuple[str, ...]:
    """Say which options a convolution needs to be that of a network's layer."""
    from cnncli.network.toml_writer import plain_settings

    settings = {"padding": "same"} | plain_settings(node.layer)
    if settings["padding"] == "same":
        del settings["padding"]
    options = " ".join(
        f"--{name.replace('_', '-')} {str(value).strip('()[]').replace(' ', '')}"
        for name, value in settings.items()
    )
    if getattr(node.layer, "alpha", None) is not None:
        options += ", and an alpha, which conv has no option for"
    return (f"{node.name}: the filter and bias alone; its layer has {options}",) if options else ()


def of_network(bank: Filter) -> bool:
    """Whether `load_any_filter` took it from a network, which knows the order of its axes."""
    return any(is_network(file) for file in bank.files)


def check_stdin(texts: Sequence[str], images: Sequence[str] | None) -> None:
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
        from cnncli.network.graph import Network
        from cnncli.network.layers import ConvLayer
        from cnncli.network.model import Model

        if self.network is not None:
            size = self.layer.size if "size" in typed_options() else None
            if isinstance(size, str):
                raise click.UsageError("--size of NETWORK's pictures must be N or H,W.")
            picture = next(iter(self.pictures), None)
            prepare, read = inputs.prepare(size), read_options(images)
            return load_network(self.network, prepare, picture, read, part, part_option)
        layer = either_layer(self.layer, self.pictures)
        assert layer is not None  # network_or_layer has seen to that
        bank = layer.filter if isinstance(layer, ConvLayer) else None
        network = Network.chain(layer)
        return Model(network, notes=bank.notes, files=bank.files) if bank else Model(network)


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
    if len(networks) > 1 or len(pictures) > 1:
        raise click.UsageError(f"{command.info_name} takes one NETWORK at most, and one IMAGE.")
    kinds = {
        "--filter": (bool(layer.filter_texts), {*ConvOptions.__dataclass_fields__}),
        "--pool": (layer.mode is not None, {*PoolOptions.__dataclass_fields__}),
        "a layer of NETWORK": (bool(networks), network_fields | {*_PREPARE, "size"}),
    }
    chosen = [(kind, names) for kind, (is_chosen, names) in kinds.items() if is_chosen]
    if len(chosen) != 1:
        raise click.UsageError(
            "exactly one of --filter, --pool and NETWORK (.toml or .onnx) must be given."
        )
    kind, own = chosen[0]
    others = set().union(*(names for _, names in kinds.values())) - own
    for name, param in typed_options().items():
        if name in others:
            long = next(opt for opt in param.opts if opt.startswith("--"))
            raise click.UsageError(f"{long} does not go with {kind}.")
    return NetworkOrLayer(networks[0] if networks else None, pictures, layer)


def typed_options() -> dict[str, click.Parameter]:
    """Return the options that stand on the command line, by the names of their fields."""
    context = click.get_current_context()
    return {
        param.name or "": param
        for param in context.command.params
        if context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    }


def _by_convention(layer: AnyLayer, options: object) -> AnyLayer:
    name = getattr(options, "convention", None)
    if name is None:
        return layer
    from cnncli.network.conventions import CONVENTIONS, by_convention

    return by_convention(layer, CONVENTIONS[name])
