"""The commands of one layer each: ``cnncli pad``, ``cnncli conv`` and ``cnncli pool``."""

from __future__ import annotations

import click

from cnncli.cli.batch import run_batch
from cnncli.cli.command import Command
from cnncli.cli.group import tell, typed_words
from cnncli.cli.layer import conv_layer, pool_layer
from cnncli.cli.layer_options import ConvOptions, PadOptions, PoolOptions
from cnncli.cli.options import BatchOptions, FilterResultOptions, PictureOptions, ResultOptions
from cnncli.cli.wrong_calls import refuse_value_as_image, second_filter_note

PAD_EXAMPLES = """\b
Examples:
  cnncli pad photo.png --padding 10
  cnncli pad photo.png --padding 0,0,40,40 --pad-mode reflect -o wide.png
"""

CONV_EXAMPLES = """\b
Examples:
  cnncli conv photo.png --filter edge.npy
  cnncli conv photo.png --filter "0 -1 0; -1 5 -1; 0 -1 0" -o sharp.png
  cnncli conv photo.png --filter gabor_color --stride 2 -o maps.png
  cnncli conv photos/ --filter sobel_v --range symmetric -o edges/
"""

POOL_EXAMPLES = """\b
Examples:
  cnncli pool photo.png --mode max
  cnncli pool photo.png --mode average --size 8 -o mosaic.png
  cnncli conv photo.png -f edge -o - | cnncli pool --mode max -o pooled.png
"""


@click.command(cls=Command, own_section="Layer", epilog=PAD_EXAMPLES)
def pad(
    border: PadOptions, images: PictureOptions, batch: BatchOptions, results: ResultOptions
) -> int:
    """Add a border to images.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input.
    """
    from cnncli.network.model import Model
    from cnncli.pipeline.layers import pad_layer

    notes: tuple[str, ...] = ()
    if isinstance(border.padding, str):
        text = f"--padding {border.padding} adds no border, as pad has no filter: --padding 1 does"
        notes = (text,)
    layer = pad_layer(border.padding, border.pad_mode, border.pad_value)
    return run_batch(Model.of_layer(layer, notes), images, batch, results)


@click.command(cls=Command, own_section="Layer", epilog=CONV_EXAMPLES)
def conv(
    layer: ConvOptions, images: PictureOptions, batch: BatchOptions, results: FilterResultOptions
) -> int:
    """Convolve images with filters, as a CNN layer does.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input. A 2-D
    filter works on every channel on its own and keeps colour; a 3-D one sums over channels into
    one feature map; a 4-D bank gives many. What CNNs call convolution does not flip the filter;
    --flip does.
    """
    from cnncli.pipeline.layers import model_of

    convolution = conv_layer(layer, (*batch.images, *filter(None, [batch.files_from])))
    note = second_filter_note(typed_words(), batch.images)
    if note and not results.quiet:
        tell(f"note: {note}")
    return run_batch(model_of(convolution, layer.convention), images, batch, results)


@click.command(cls=Command, own_section="Layer", epilog=POOL_EXAMPLES)
def pool(
    layer: PoolOptions, images: PictureOptions, batch: BatchOptions, results: ResultOptions
) -> int:
    """Pool images: make one value of each window.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input.
    """
    from cnncli.pipeline.layers import model_of

    refuse_value_as_image(click.get_current_context(), batch.images)
    return run_batch(model_of(pool_layer(layer), layer.convention), images, batch, results)
