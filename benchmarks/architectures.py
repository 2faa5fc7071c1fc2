"""Well-known classifiers, U-Nets and image filters in PyTorch, full size with random weights.

Written from their papers: the number, the sizes and the order of layers are theirs, the weights are
not, so each takes the time and the memory of the real one and knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional as F


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    act: Callable[[], Any] = nn.ReLU,
) -> Any:
    """Return a convolution that keeps the size at stride 1, batch normalisation, an activation."""
    window = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(window, nn.BatchNorm2d(outputs), act())


class Residual(nn.Module):
    """What a body makes beside its input, or beside what a shortcut makes of it."""

    def __init__(self, body: Any, short: Any = None, act: Any = None) -> None:
        super().__init__()
        self.body = body
        self.short = nn.Identity() if short is None else short
        self.act = nn.Identity() if act is None else act

    def forward(self, x: Any) -> Any:
        return self.act(self.short(x) + self.body(x))


class Branches(nn.Module):
    """Channels that several ways make of one input, one after another."""

    def __init__(self, *ways: Any) -> None:
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Any) -> Any:
        return torch.cat([way(x) for way in self.ways], 1)


def classifier(channels: int, *layers: Any) -> list[Any]:
    """Return the mean of each map and scores of 1000 classes."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers, nn.Linear(channels, 1000)]


def resnet18() -> Any:
    layers = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, step in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (step, 1):
            body = nn.Sequential(
                conv(channels, width, 3, stride), conv(width, width, act=nn.Identity)
            )
            same = stride == 1 and channels == width
            short = None if same else conv(channels, width, 1, stride, act=nn.Identity)
            layers.append(Residual(body, short, nn.ReLU()))
            channels = width
    return nn.Sequential(*layers, *classifier(channels))


def resnet50() -> Any:
    layers = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, step in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            stride = step if number == 0 else 1
            last = conv(width, 4 * width, 1, act=nn.Identity)
            body = nn.Sequential(conv(channels, width, 1), conv(width, width, 3, stride), last)
            short = conv(channels, 4 * width, 1, stride, act=nn.Identity) if not number else None
            layers.append(Residual(body, short, nn.ReLU()))
            channels = 4 * width
    return nn.Sequential(*layers, *classifier(channels))


class Attend(nn.Module):
    """Squeeze and excitation: a factor for each channel, made of the means of all."""

    def __init__(self, channels: int, squeezed: int, act: Any, gate: Any) -> None:
        super().__init__()
        down, up = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.factor = nn.Sequential(nn.AdaptiveAvgPool2d(1), down, act, up, gate)

    def forward(self, x: Any) -> Any:
        return x * self.factor(x)


def inverted(
    inputs: int,
    outputs: int,
    wide: int,
    kernel: int,
    stride: int,
    act: Callable[[], Any],
    attend: Any = None,
) -> Any:
    """Return an inverted residual: channels made more, a window for each, and made few again."""
    steps = [conv(inputs, wide, 1, act=act)] if wide != inputs else []
    steps.append(conv(wide, wide, kernel, stride, wide, act))
    steps += [attend] if attend is not None else []
    body = nn.Sequential(*steps, conv(wide, outputs, 1, act=nn.Identity))
    return Residual(body) if stride == 1 and inputs == outputs else body


def mobilenet_v2_layers() -> list[Any]:
    layers, channels = [conv(3, 32, 3, 2, act=nn.ReLU6)], 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    for expand, outputs, count, step in (*rows, (6, 160, 3, 2), (6, 320, 1, 1)):
        for number in range(count):
            stride = step if number == 0 else 1
            layers.append(inverted(channels, outputs, expand * channels, 3, stride, nn.ReLU6))
            channels = outputs
    return [*layers, conv(320, 1280, 1, act=nn.ReLU6)]


def mobilenet_v2() -> Any:
    return nn.Sequential(*mobilenet_v2_layers(), *classifier(1280))


V3_LARGE: Final = (
    (3, 16, 16, 0, 0, 1),
    (3, 64, 24, 0, 0, 2),
    (3, 72, 24, 0, 0, 1),
    (5, 72, 40, 24, 0, 2),
    (5, 120, 40, 32, 0, 1),
    (5, 120, 40, 32, 0, 1),
    (3, 240, 80, 0, 1, 2),
    (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 120, 1, 1),
    (3, 672, 112, 168, 1, 1),
    (5, 672, 160, 168, 1, 2),
    (5, 960, 160, 240, 1, 1),
    (5, 960, 160, 240, 1, 1),
)
"""Kernel, wide channels, channels out, squeezed channels or 0, hard swish or ReLU, stride."""


def mobilenet_v3() -> Any:
    layers, channels = [conv(3, 16, 3, 2, act=nn.Hardswish)], 16
    for kernel, wide, outputs, squeezed, hard, stride in V3_LARGE:
        attend = Attend(wide, squeezed, nn.ReLU(), nn.Hardsigmoid()) if squeezed else None
        act = nn.Hardswish if hard else nn.ReLU
        layers.append(inverted(channels, outputs, wide, kernel, stride, act, attend))
        channels = outputs
    layers.append(conv(160, 960, 1, act=nn.Hardswish))
    return nn.Sequential(*layers, *classifier(1280, nn.Linear(960, 1280), nn.Hardswish()))


def efficientnet() -> Any:
    layers, channels = [conv(3, 32, 3, 2, act=nn.SiLU)], 32
    rows = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3))
    for expand, outputs, count, step, kernel in (
        *rows,
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ):
        for number in range(count):
            wide, stride = expand * channels, step if number == 0 else 1
            attend = Attend(wide, channels // 4, nn.SiLU(), nn.Sigmoid())
            layers.append(inverted(channels, outputs, wide, kernel, stride, nn.SiLU, attend))
            channels = outputs
    return nn.Sequential(*layers, conv(320, 1280, 1, act=nn.SiLU), *classifier(1280))


def densenet() -> Any:
    layers, channels = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for count in (6, 12, 24, 16):
        for _ in range(count):
            steps = [nn.BatchNorm2d(channels), nn.ReLU(), conv(channels, 128, 1)]
            last = nn.Conv2d(128, 32, 3, padding=1, bias=False)
            layers.append(Branches(nn.Identity(), nn.Sequential(*steps, last)))
            channels += 32
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if count != 16:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, *classifier(channels))


class Shuffle(nn.Module):
    """A block of ShuffleNet V2: half of the channels pass, or a stride halves the size."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half, given = outputs // 2, inputs if stride > 1 else outputs // 2

        def deep(channels: int) -> Any:
            return conv(channels, channels, 3, stride, channels, nn.Identity)

        self.halves = stride == 1
        self.left = nn.Sequential(deep(given), conv(given, half, 1)) if stride > 1 else None
        self.right = nn.Sequential(conv(given, half, 1), deep(half), conv(half, half, 1))

    def forward(self, x: Any) -> Any:
        left, right = x.chunk(2, 1) if self.halves else (x, x)
        left = left if self.left is None else self.left(left)
        x = torch.cat((left, self.right(right)), 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> Any:
    layers, channels = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)], 24
    for outputs, count in ((116, 4), (232, 8), (464, 4)):
        layers += [Shuffle(channels, outputs, 2)]
        layers += [Shuffle(outputs, outputs, 1) for _ in range(count - 1)]
        channels = outputs
    return nn.Sequential(*layers, conv(464, 1024, 1), *classifier(1024))


INCEPTIONS: Final = (
    (192, 64, 96, 128, 16, 32, 32),
    (256, 128, 128, 192, 32, 96, 64),
    None,
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
    None,
    (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
)
"""Channels in, of 1x1, before 3x3, of 3x3, before 5x5, of 5x5, after the pool; None: a pool."""


def plain(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Any:
    """Return a convolution with bias and a ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU())


def googlenet() -> Any:
    def pool() -> Any:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    norms = [nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0) for _ in range(2)]
    layers = [plain(3, 64, 7, 2), pool(), norms[0]]
    layers += [plain(64, 64, 1), plain(64, 192, 3), norms[1], pool()]
    for row in INCEPTIONS:
        if row is None:
            layers.append(pool())
            continue
        c, one, before3, three, before5, five, after = row
        third = nn.Sequential(plain(c, before3, 1), plain(before3, three, 3))
        fifth = nn.Sequential(plain(c, before5, 1), plain(before5, five, 5))
        last = nn.Sequential(nn.MaxPool2d(3, 1, 1), plain(c, after, 1))
        layers.append(Branches(plain(c, one, 1), third, fifth, last))
    return nn.Sequential(*layers, *classifier(1024), nn.Softmax(1))


def squeezenet() -> Any:
    layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    channels = 64
    for squeezed, wide, pooled in (
        (16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True),
        (48, 192, False), (48, 192, False), (64, 256, False), (64, 256, False),
    ):  # fmt: skip
        layers += [plain(channels, squeezed, 1)]
        layers += [Branches(plain(squeezed, wide, 1), plain(squeezed, wide, 3))]
        layers += [nn.MaxPool2d(3, 2, ceil_mode=True)] if pooled else []
        channels = 2 * wide
    scores = [plain(channels, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *scores)


class Permuted(nn.Module):
    """Layers that work with channels last, in a network that has them first."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        return self.layers(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Scale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), 0.1))

    def forward(self, x: Any) -> Any:
        return x * self.factor


def convnext() -> Any:
    def block(c: int) -> Any:
        deep = nn.Conv2d(c, c, 7, padding=3, groups=c)
        wide, narrow = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        inner = Permuted(nn.LayerNorm(c, eps=1e-6), wide, nn.GELU(), narrow)
        return Residual(nn.Sequential(deep, inner, Scale(c)))

    layers = [nn.Conv2d(3, 96, 4, 4), Permuted(nn.LayerNorm(96, eps=1e-6))]
    for channels, count in ((96, 3), (192, 3), (384, 9), (768, 3)):
        if channels > 96:
            half = channels // 2
            layers += [Permuted(nn.LayerNorm(half, eps=1e-6)), nn.Conv2d(half, channels, 2, 2)]
        layers += [block(channels) for _ in range(count)]
    return nn.Sequential(*layers, *classifier(768, nn.LayerNorm(768, eps=1e-6)))


class Level(nn.Module):
    """A level of a U-Net: maps kept beside what deeper levels make of their half."""

    def __init__(self, left: Any, inner: Any, up: Any, right: Any) -> None:
        super().__init__()
        self.left, self.inner, self.up, self.right = left, inner, up, right

    def forward(self, x: Any) -> Any:
        kept = self.left(x)
        up = self.up(self.inner(F.max_pool2d(kept, 2)))
        return self.right(torch.cat((kept, up), 1))


def unet(resize: bool, first: int = 32, depth: int = 4) -> Any:
    def double(inputs: int, outputs: int) -> Any:
        return nn.Sequential(conv(inputs, outputs), conv(outputs, outputs))

    def level(inputs: int, width: int, below: int) -> Any:
        if not below:
            return double(inputs, width)
        up: Any = nn.ConvTranspose2d(2 * width, width, 2, 2)
        if resize:
            larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            up = nn.Sequential(larger, nn.Conv2d(2 * width, width, 1))
        inner = level(width, 2 * width, below - 1)
        return Level(double(inputs, width), inner, up, double(2 * width, width))

    return nn.Sequential(level(3, first, depth), nn.Conv2d(first, 2, 1), nn.Sigmoid())


def espcn() -> Any:
    layers = [nn.Conv2d(3, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers, nn.Conv2d(32, 27, 3, padding=1), nn.PixelShuffle(3))


def style() -> Any:
    def layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[Any]:
        window = nn.Conv2d(inputs, outputs, kernel, stride)
        border = nn.ReflectionPad2d(kernel // 2)
        return [border, window, nn.InstanceNorm2d(outputs, affine=True)]

    layers: list[Any] = []
    for inputs, outputs, kernel, stride in ((3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)):
        layers += [*layer(inputs, outputs, kernel, stride), nn.ReLU()]
    for _ in range(5):
        layers.append(Residual(nn.Sequential(*layer(128, 128, 3), nn.ReLU(), *layer(128, 128, 3))))
    for inputs, outputs in ((128, 64), (64, 32)):
        layers += [nn.Upsample(scale_factor=2), *layer(inputs, outputs, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))
