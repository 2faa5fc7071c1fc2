"""``cnncli run``: a whole network from a file."""

from __future__ import annotations

from dataclasses import replace

import click

from cnncli._dataclass import dataclass
from cnncli.cli.batch import run_batch
from cnncli.cli.command import Command, OptionGroup, option
from cnncli.cli.completion import complete_layer
from cnncli.cli.options import (
    BatchOptions,
    InputOptions,
    LayerResultOptions,
    PictureOptions,
    class_names_option,
    network_argument,
    read_options,
    until_option,
)
from cnncli.cli.progress import show_steps
from cnncli.cli.wrong_calls import refuse_filter_as_network, refuse_layer_as_image

EXAMPLES = """\b
Examples:
  cnncli run net.toml photo.jpg
  cnncli run net.toml photo.jpg --layer conv1 -o conv1.png
  cnncli run net.toml photo.jpg -o layers/
  cnncli run net.toml photos/ --until pool2 -o 'maps/{stem}-{map:03d}.png'
  cnncli run net.toml photo.jpg -o values.npz
"""


# fmt: off
@dataclass(frozen=True)
class NetworkOptions(OptionGroup):
    """The network, and which of its layers are run and written."""

    network: str = network_argument
    until: str | None = until_option
    layers: tuple[str, ...] = option(
        "--layer", metavar="NAME", multiple=True, common=True, shell_complete=complete_layer,
        help="Write this layer. Several --layer: a file each, into a folder, a template with "
        "{layer} or one .npz file.  [default: all layers into those, else the last]",
    )
    class_names: str | None = class_names_option
# fmt: on


@click.command(cls=Command, own_section="Network", epilog=EXAMPLES)
def run(
    options: NetworkOptions,
    inputs: InputOptions,
    images: PictureOptions,
    batch: BatchOptions,
    results: LayerResultOptions,
) -> int:
    """Run a network on images and show what its layers see.

    NETWORK is a network file (.toml) or an ONNX model (.onnx). IMAGE is a picture, a .npy array, a
    folder, a quoted pattern or - for standard input. The last layer's feature maps become one
    labelled sheet; a folder, or a template with {layer}, gets a sheet for every layer, and {map}
    a file for every map. An .npz file gets all layers' values.
    """
    from cnncli.cli.networks import load_network, network_first
    from cnncli.pipeline.networks import chosen_layers, with_labels

    network, pictures = network_first((options.network, *batch.images))
    refuse_filter_as_network(network, pictures)
    batch = replace(batch, images=pictures)
    prepare, picture = inputs.prepare(), next(iter(pictures), None)
    read = read_options(images)
    part = options.until is not None or bool(options.layers)
    with show_steps(results.quiet):
        model = load_network(network, prepare, picture, read, part)
        model = with_labels(model, options.class_names).until(options.until)
    refuse_layer_as_image(pictures, model.network.names)
    layers = chosen_layers(model.network, [model.find(name) for name in options.layers])
    several = len(set(options.layers)) > 1
    model = model.showing(layers)
    return run_batch(model, images, batch, results, layers=layers, needs_all_layers=several)
