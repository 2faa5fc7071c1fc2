"""What other tools call our options and values: for the answer to one that is unknown here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from cnncli.errors import nearest
from cnncli.filters.builtin_names import builtin_names

LONGEST: Final = 100
"""Letters of a word that an answer repeats."""

OPTIONS: Final = {
    "size": "kernel-size ksize pool-size window window-size filter-size kernel-shape s",
    "filter": "kernel kernels weight weights mask matrix convolve morphology k w kernel-size ksize "
    "kernel-shape",
    "padding": "pad pads border borders pad-width p",
    "pad-mode": "padding-mode border-type border-mode virtual-pixel boundary edge-mode",
    "pad-value": "border-value bordercolor constant cval fill",
    "stride": "strides step subsample stride-x stride-y s",
    "dilation": "dilations dilation-rate rate atrous",
    "groups": "group num-groups",
    "mode": "pooling pool-mode pool-type pool method type reduce statistic",
    "pool": "pooling pool-mode pool-type mode p",
    "ceil": "ceil-mode",
    "count-include-pad": "include-pad exclude-pad count-padding",
    "p": "norm norm-type power p",
    "bias": "delta offset b",
    "activation": "act nonlinearity nonlin",
    "filter-layout": "layout data-format kernel-layout weight-layout format-in",
    "flip": "convolution true-convolution rotate rotate180 flip-kernel",
    "normalize": "normalise norm divisor",
    "output": "out outfile out-file output-file output-path dest save write to",
    "format": "type output-format out-format ext",
    "depth": "bits bit-depth bitdepth dtype ddepth",
    "range": "clim vmin vmax rescale levels normalize normalise auto-level contrast-stretch",
    "colormap": "cmap color-map colour-map colourmap palette clut colors",
    "columns": "cols ncols ncol nrow tile grid",
    "no-labels": "nolabels hide-labels",
    "gray": "grayscale greyscale mono luminance colorspace color-mode",
    "background": "bg matte",
    "overwrite": "force replace clobber yes y",
    "skip-existing": "no-clobber resume continue",
    "quiet": "silent no-progress",
    "show": "display view imshow preview",
    "recursive": "recurse R",
    "jobs": "threads workers num-workers n-jobs cores processes parallel thread",
    "files-from": "list input-list file-list",
    "timeout": "time-limit max-time",
    "cluster": "dask scheduler",
    "max-memory": "memory limit",
    "dry-run": "n simulate check plan",
    "input": "input-shape input-size shape size",
    "layer": "node output-layer name",
    "at": "position pos pixel coord coords point location row col",
    "map": "channel out-channel filter-index index",
    "unit": "target neuron class output-unit node layer",
    "until": "stop stop-at up-to last layer",
    "tolerance": "atol rtol tol eps epsilon fuzz",
    "against": "peer with library backend",
    "convention": "like as style",
    "mean": "means subtract",
    "std": "stddev norm-std",
    "fit": "resize-mode crop letterbox aspect",
    "alpha": "transparency keep-alpha",
    "legend": "colorbar colourbar color-bar key",
    "as-values": "restore",
    "labels": "classes class-names classnames synset",
    "prep": "preprocess preprocessing preset transform transforms",
    "bgr": "swap-rb swaprb channel-order",
    "json": "as-json",
    "help": "?",
}
"""Words of PyTorch, Keras, ONNX, OpenCV, SciPy and ImageMagick for each option, without dashes."""

CHANNELS: Final = "The --filter has them: its file is (kh,kw), (kh,kw,in) or (kh,kw,in,out)."

SPELLED_OUT: Final = {
    "output-dir": "Use -o FOLDER/.",
    "out-dir": "Use -o FOLDER/.",
    "outdir": "Use -o FOLDER/.",
    "output-folder": "Use -o FOLDER/.",
    "suffix": "Use a template such as -o '{stem}-edge.png'.",
    "stride-h": "Use --stride H,W.",
    "stride-w": "Use --stride H,W.",
    "dilation-h": "Use --dilation H,W.",
    "dilation-w": "Use --dilation H,W.",
    "blur": "Use --filter gaussian.",
    "gaussian-blur": "Use --filter gaussian:SIGMA.",
    "sigma": "Use --filter gaussian:SIGMA.",
    "sigma-x": "Use --filter gaussian:SIGMA.",
    "sharpen": "Use --filter sharpen.",
    "unsharp": "Use --filter unsharp:SIGMA.",
    "emboss": "Use --filter emboss.",
    "edge": "Use --filter edge.",
    "sobel": "Use --filter sobel_v or --filter sobel_h.",
    "quality": "Use --compress small for smaller files; JPEG has quality 95, WebP is lossless.",
    "labels": "Use --no-labels to leave the names of maps out. Names of classes, --labels FILE, "
    "are for run, grad and explain.",
    "no-bias": "Leave --bias out.",
    "map": "Use -o '{stem}-{map}.png' for a file of each map.",
    "relu": "Use --activation relu.",
    "avg": "Use --mode average.",
    "max": "Use --mode max.",
    "verbosity": "Use -v or -q.",
    "in-channels": CHANNELS,
    "out-channels": CHANNELS,
    "kernel": "Use --size N.",
    "k": "Use --size N.",
    "f": "Use --size N.",
}
"""What to write where a name alone would not be enough."""

JOINED: Final = "The numbers of an option are joined by commas, as in --padding 1,1."

ARGUMENTS: Final = {
    "IMAGE": "image images img input in i src source file",
    "NETWORK": "network net model m n",
}
"""Words for what is no option here, by what commands call it."""

RESIZING: Final = ("resize", "geometry", "scale", "thumbnail", "sample")
RESIZED: Final = (
    "Pictures are resized for networks only, by --size of run; cnncli pool --mode average --size N "
    "makes them N times smaller."
)

NORMALIZING: Final = ("normalize", "normalise")
NORMALIZED: Final = "Use --prep imagenet, or --mean and --std."

OF_PICTURES: Final = (
    "cnncli convert is for networks: cnncli conv filters pictures, --filter gaussian:2 blurs."
)

FILTERS: Final = {
    "gaussian": "blur smooth gaussian-blur gaussianblur selective-blur",
    "sobel_v": "sobel",
    "prewitt_v": "prewitt",
    "scharr_v": "scharr",
    "edge": "edges edge-detect canny find-edges",
    "unsharp": "unsharp-mask unsharpmask",
}
"""Words of other tools for built-in filters, where they stand for a command."""

COMMANDS: Final = {
    "conv": "convolve convolution conv2d convolute filter morphology filter2d magick imagemagick "
    "mogrify",
    "pool": "pooling maxpool max-pool maxpool2d avgpool avg-pool avgpool2d downsample resize scale "
    "thumbnail shrink",
    "pad": "border padding",
    "run": "infer inference predict forward network net classify activations",
    "plan": "summary info identify inspect shapes describe",
    "grad": "gradient gradients saliency backward backprop",
    "explain": "show why step visualize visualise",
    "compare": "diff cmp",
    "convert": "export import onnx",
    "filters": "filter-list kernels list builtins",
}
"""Words of other tools for the commands."""

VALUES: Final = {
    "average": "avg mean avgpool averagepool avgpool2d avg_pool2d averagepooling2d",
    "max": "maximum maxpool amax maxpool2d max_pool2d maxpooling2d",
    "min": "minimum minpool amin",
    "lp": "l2 l1 norm lppool lppool2d",
    "zeros": "constant zero black border_constant",
    "edge": "replicate nearest clamp border_replicate replication",
    "reflect": "mirror reflection reflect_101 reflect101 border_reflect_101 border_reflect101",
    "symmetric": "border_reflect half-sample",
    "wrap": "circular tile periodic border_wrap grid-wrap",
    "none": "linear identity off no",
    "leaky-relu": "leakyrelu leaky_relu lrelu",
    "sigmoid": "logistic",
    "hwio": "keras tensorflow tf nhwc",
    "oihw": "torch pytorch onnx nchw",
    "imagenet": "torchvision torch pytorch timm",
    "imagenet-tf": "tf tensorflow keras",
    "torch": "pytorch",
    "tf": "tensorflow keras",
    "onnx": "onnxruntime ort",
    "onnxruntime": "onnx ort",
    "opencv": "cv2 cv",
    "imagemagick": "magick convert im",
    "float": "32 32f float32 cv_32f f32",
    "16": "16bit uint16 u16",
    "8": "8bit uint8 u8",
    "same": "same_upper full-size",
    "same-lower": "same_lower",
    "valid": "none no explicit notset",
    "diverging": "coolwarm bwr seismic rdbu",
    "jpg": "jpeg",
    "tif": "tiff",
    "npy": "numpy",
}
"""Words of other tools for the values of options with a choice."""


def meant_option(
    command: click.Command, ctx: click.Context, name: str, words: Sequence[str]
) -> tuple[str, str | None]:
    """Return an unknown option as it was typed, and what to write instead.

    Parameters
    ----------
    command : click.Command
    ctx : click.Context
    name : str
        The option as click found it: of ``-kernel`` only ``-k``.
    words : sequence of str
        The command line.

    Returns
    -------
    typed : str
    use : str or None
        None where nothing is known of it, or click knows a name like it.
    """
    typed = name if name.startswith("--") else _whole_word(name, words)
    bare = typed.lstrip("-").replace("_", "-")
    if bare.replace(".", "").replace(",", "").isdecimal():
        return typed, JOINED
    own = {flag for param in command.get_params(ctx) for flag in param.opts}
    if f"--{bare}" in own and len(bare) > 1:
        return typed, f"Did you mean --{bare}?"
    if command.name == "convert" and len(typed) > 2 and not typed.startswith("--"):
        return typed, OF_PICTURES
    word = _joined(bare)
    if word in RESIZING and "--fit" not in own and command.name in ("conv", "pool", "pad"):
        return typed, RESIZED
    if word in RESIZING and {"--fit", "--size"} <= own:
        return typed, "Did you mean --size?"
    if word in NORMALIZING and "--prep" in own and "--normalize" not in own:
        return typed, NORMALIZED
    usage = " ".join(command.collect_usage_pieces(ctx))
    arguments = [
        f"{argument} needs no option: {ctx.command_path} {usage}"
        for argument, synonyms in ARGUMENTS.items()
        if word in synonyms.split() and argument in usage
    ]
    meant = [
        f"--{option}"
        for option, synonyms in OPTIONS.items()
        if word in _joined(synonyms).split() and f"--{option}" in own
    ]
    if meant:
        # A letter alone may stand for several.
        all_meant = " or ".join(meant if len(word) == 1 else meant[:1])
        return typed, " ".join([f"Did you mean {all_meant}?", *arguments])
    use = next((use for name, use in SPELLED_OUT.items() if _joined(name) == word), "")
    if use and use.split()[1].rstrip(".") in own:
        return typed, use
    if arguments:
        return typed, arguments[0]
    return typed, _of_other_command(ctx, f"--{bare}", command.name)


def meant_command(word: str, names: Sequence[str]) -> str | None:
    """Return what to write instead of a word that is none of a group's commands, or None.

    Examples
    --------
    >>> meant_command("maxpool", ["conv", "pool"]), meant_command("cnov", ["conv", "pool"])
    ('pool', 'conv')
    >>> meant_command("filter", ["conv", "filters"])
    'conv or filters'
    >>> meant_command("photo.png", ["conv"]), meant_command("sobel_v", ["conv"])
    ('cnncli conv photo.png --filter edge', 'cnncli conv IMAGE --filter sobel_v')
    """
    lower = word.lower()
    if lower in ("help", "version"):
        return f"--{lower}"
    named = [name for name, words in FILTERS.items() if lower in (name, *words.split())]
    if "conv" in names and (named or lower in builtin_names()):
        return f"cnncli conv IMAGE --filter {(named or [lower])[0]}"
    found = [name for name, words in COMMANDS.items() if lower in words.split()]
    if found and found[0] in names:
        alike = [name for name in nearest(word, names) if name.startswith(lower)]
        return " or ".join([found[0], *(name for name in alike if name != found[0])])
    if "conv" in names and "." in word and len(word) <= LONGEST:
        return f"cnncli conv {word} --filter edge"
    return " or ".join(nearest(word, names)) or None


def _joined(text: str) -> str:
    """Return words as they are compared: borderType, border-type and bordertype are one."""
    return text.lower().replace("-", "")


def _whole_word(name: str, words: Sequence[str]) -> str:
    """Return the word with one dash in which click met a letter that is no option."""
    for word in words:
        if word.startswith("-") and not word.startswith("--") and name[1:] in word[1:]:
            return word.partition("=")[0]
    return name


def _of_other_command(ctx: click.Context, name: str, own: str | None) -> str | None:
    """Say which commands have an option of that name."""
    group = ctx.find_root().command
    if not isinstance(group, click.Group):
        return None
    having = []
    for other in group.list_commands(ctx):
        command = group.get_command(ctx, other)
        if command and other != own and any(name in param.opts for param in command.params):
            having.append(f"cnncli {other}")
    if not having:
        return None
    *others, last = having
    return f"It is an option of {', '.join(others)}{' and ' if others else ''}{last}."


def meant_value(value: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a word of another tool stands for, or None.

    Examples
    --------
    >>> meant_value("replicate", ("zeros", "edge"))
    'edge'
    >>> meant_value("AVG", ("max", "average"))
    'average'
    """
    word = value.lower()
    if word in choices:
        return word
    for choice in choices:
        if word in VALUES.get(choice, "").split():
            return choice
    return None


def meant_or_like(value: str, choices: Sequence[str]) -> str | None:
    """Return what `meant_value` does, else the choice whose words a mistyped one is most like.

    Examples
    --------
    >>> meant_or_like("reflekt", ("zeros", "reflect"))
    'reflect'
    >>> meant_or_like("avg2", ("max", "average"))
    'average'
    """
    words = [word for choice in choices for word in VALUES.get(choice, "").split()]
    like = next(iter(nearest(value, [*choices, *words])), value)
    return meant_value(value, choices) or meant_value(like, choices)
