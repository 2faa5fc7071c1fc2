"""Well-known detectors and a vision transformer in PyTorch, full size with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.architectures import Residual, conv, mobilenet_v2_layers

WIDTHS: Final = (64, 128, 256)
"""Channels of the three maps that the smallest YOLO detects in."""


def silu(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> Any:
    """Return a convolution as all of YOLO are."""
    return conv(inputs, outputs, kernel, stride, act=nn.SiLU)


class Cross(nn.Module):
    """YOLOv5's block C3: half of the channels pass deep layers, half do not."""

    def __init__(self, inputs: int, outputs: int, count: int, short: bool) -> None:
        super().__init__()
        half = outputs // 2
        bodies = [nn.Sequential(silu(half, half), silu(half, half, 3)) for _ in range(count)]
        steps = [Residual(body) if short else body for body in bodies]
        self.deep = nn.Sequential(silu(inputs, half), *steps)
        self.flat, self.last = silu(inputs, half), silu(outputs, outputs)

    def forward(self, x: Any) -> Any:
        return self.last(torch.cat((self.deep(x), self.flat(x)), 1))


class Split(nn.Module):
    """YOLOv8's block C2f: what each deep layer makes is kept."""

    def __init__(self, inputs: int, outputs: int, count: int, short: bool) -> None:
        super().__init__()
        half = outputs // 2
        bodies = [nn.Sequential(silu(half, half, 3), silu(half, half, 3)) for _ in range(count)]
        self.steps = nn.ModuleList([Residual(body) if short else body for body in bodies])
        self.first, self.last = silu(inputs, outputs), silu((2 + count) * half, outputs)

    def forward(self, x: Any) -> Any:
        maps = list(self.first(x).chunk(2, 1))
        for step in self.steps:
            maps.append(step(maps[-1]))
        return self.last(torch.cat(maps, 1))


class Pools(nn.Module):
    """YOLO's block SPPF: three pools, one after another, all kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.last = silu(channels, channels // 2), silu(2 * channels, channels)

    def forward(self, x: Any) -> Any:
        maps = [self.first(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, 1, 2))
        return self.last(torch.cat(maps, 1))


class Yolo(nn.Module):
    """The smallest YOLO of a version but for its head: three maps, by strides 8, 16 and 32."""

    def __init__(self, block: Callable[..., Any], first: Any, narrow: bool) -> None:
        super().__init__()
        small, middle, large = WIDTHS
        self.stem = nn.Sequential(first, silu(16, 32, 3, 2), block(32, 32, 1, True))
        self.down = nn.ModuleList(
            [
                nn.Sequential(silu(32, small, 3, 2), block(small, small, 2, True)),
                nn.Sequential(silu(small, middle, 3, 2), block(middle, middle, 2, True)),
                nn.Sequential(silu(middle, large, 3, 2), block(large, large, 1, True)),
            ]
        )
        self.pools = Pools(large)
        # YOLOv5 makes channels fewer before it makes maps larger.
        before = [(large, middle), (middle, small)]
        self.before = nn.ModuleList([silu(*c) if narrow else nn.Identity() for c in before])
        given = [middle + (middle if narrow else large), small + (small if narrow else middle)]
        self.up = nn.ModuleList(
            [block(given[0], middle, 1, False), block(given[1], small, 1, False)]
        )
        self.again = nn.ModuleList([silu(c, c, 3, 2) for c in (small, middle)])
        given = [small + (small if narrow else middle), middle + (middle if narrow else large)]
        self.last = nn.ModuleList(
            [block(given[0], middle, 1, False), block(given[1], large, 1, False)]
        )

    def maps(self, x: Any) -> list[Any]:
        x, kept = self.stem(x), []
        for down in self.down:
            x = down(x)
            kept.append(x)
        kept[-1] = self.pools(x)
        for number, (before, up) in enumerate(zip(self.before, self.up, strict=True)):
            kept[2 - number] = before(kept[2 - number])
            larger = F.interpolate(kept[2 - number], scale_factor=2.0)
            kept[1 - number] = up(torch.cat((larger, kept[1 - number]), 1))
        for number, (again, last) in enumerate(zip(self.again, self.last, strict=True)):
            smaller = again(kept[number])
            kept[number + 1] = last(torch.cat((smaller, kept[number + 1]), 1))
        return kept


def grid(h: int, w: int) -> Any:
    """Return the column and the row of each cell, (h, w, 2)."""
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack((xs, ys), 2).float()


class YoloV5(Yolo):
    """Boxes by three anchors a cell."""

    def __init__(self) -> None:
        first = nn.Sequential(nn.Conv2d(3, 16, 6, 2, 2, bias=False), nn.BatchNorm2d(16), nn.SiLU())
        super().__init__(Cross, first, narrow=True)
        self.heads = nn.ModuleList([nn.Conv2d(c, 3 * 85, 1) for c in WIDTHS])
        self.anchors = nn.Buffer(10 + 90 * torch.rand(3, 1, 3, 1, 1, 2))

    def forward(self, x: Any) -> Any:
        found = []
        for number, each in enumerate(self.maps(x)):
            n, _, h, w = each.shape
            y = self.heads[number](each).view(n, 3, 85, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            middle, size, rest = y.split((2, 2, 81), 4)
            middle = (middle * 2 + grid(h, w) - 0.5) * 8 * 2**number
            size = (size * 2) ** 2 * self.anchors[number]
            found.append(torch.cat((middle, size, rest), 4).view(n, -1, 85))
        return torch.cat(found, 1)


class YoloV8(Yolo):
    """Boxes by the shares of distances to their four sides."""

    def __init__(self) -> None:
        super().__init__(Split, silu(3, 16, 3, 2), narrow=False)

        def head(inputs: int, wide: int, outputs: int) -> Any:
            last = nn.Conv2d(wide, outputs, 1)
            return nn.Sequential(silu(inputs, wide, 3), silu(wide, wide, 3), last)

        self.boxes = nn.ModuleList([head(c, 64, 64) for c in WIDTHS])
        self.scores = nn.ModuleList([head(c, 80, 80) for c in WIDTHS])
        self.bins = nn.Buffer(torch.arange(16.0).view(1, 16, 1, 1))

    def forward(self, x: Any) -> Any:
        found = []
        for number, each in enumerate(self.maps(x)):
            n, _, h, w = each.shape
            shares = self.boxes[number](each).view(n, 4, 16, h * w).transpose(2, 1).softmax(1)
            sides = F.conv2d(shares, self.bins).view(n, 4, h * w)
            first, second = sides.chunk(2, 1)
            middle = grid(h, w).view(1, h * w, 2).transpose(1, 2) + 0.5
            first, second = middle - first, middle + second
            box = torch.cat(((first + second) / 2, second - first), 1) * 8 * 2**number
            scores = self.scores[number](each).view(n, 80, h * w).sigmoid()
            found.append(torch.cat((box, scores), 1))
        return torch.cat(found, 2)


class SSD(nn.Module):
    """SSD on MobileNet V2: six maps, six boxes a cell, and the shares of 21 classes."""

    def __init__(self) -> None:
        super().__init__()
        layers = mobilenet_v2_layers()
        self.first, self.second = nn.Sequential(*layers[:14]), nn.Sequential(*layers[14:])
        widths = (96, 1280, 512, 256, 256, 128)

        def deep(inputs: int, outputs: int, stride: int) -> list[Any]:
            return [
                conv(inputs, inputs, 3, stride, inputs, nn.ReLU6),
                nn.Conv2d(inputs, outputs, 1),
            ]

        def smaller(inputs: int, outputs: int) -> Any:
            half = outputs // 2
            return nn.Sequential(conv(inputs, half, 1, act=nn.ReLU6), *deep(half, outputs, 2))

        pairs = zip(widths[1:-1], widths[2:], strict=True)
        self.smaller = nn.ModuleList([smaller(*pair) for pair in pairs])
        self.scores = nn.ModuleList([nn.Sequential(*deep(c, 6 * 21, 1)) for c in widths])
        self.boxes = nn.ModuleList([nn.Sequential(*deep(c, 6 * 4, 1)) for c in widths])

    def forward(self, x: Any) -> Any:
        maps = [self.first(x)]
        maps.append(self.second(maps[0]))
        for layer in self.smaller:
            maps.append(F.relu6(layer(maps[-1])))

        def rows(layers: Any, last: int) -> Any:
            made = [layer(each) for layer, each in zip(layers, maps, strict=True)]
            return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, last) for m in made], 1)

        return F.softmax(rows(self.scores, 21), -1), rows(self.boxes, 4)


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        n, count, width = x.shape
        deep = width // self.heads
        q, k, v = self.qkv(x).reshape(n, count, 3, self.heads, deep).permute(2, 0, 3, 1, 4)
        share = (q @ k.transpose(-2, -1) * deep**-0.5).softmax(-1)
        return self.out((share @ v).transpose(1, 2).reshape(n, count, width))


class ViT(nn.Module):
    """The smallest vision transformer: patches of 16x16, 12 blocks, 192 channels, 3 heads."""

    def __init__(self, width: int = 192, heads: int = 3) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.token, self.position = (
            nn.Parameter(torch.randn(1, 1, width)),
            nn.Parameter(torch.randn(1, 197, width)),
        )

        def block() -> Any:
            wide, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            return nn.Sequential(
                Residual(nn.Sequential(nn.LayerNorm(width), Attention(width, heads))),
                Residual(nn.Sequential(nn.LayerNorm(width), wide, nn.GELU(), narrow)),
            )

        self.blocks = nn.Sequential(*(block() for _ in range(12)), nn.LayerNorm(width))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + self.position
        return self.head(self.blocks(x)[:, 0])
