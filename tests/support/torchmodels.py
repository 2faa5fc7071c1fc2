"""Small networks in the manner of well-known ones, in PyTorch, and their exports as ONNX files."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> Any:
    """Return a convolution with batch normalisation whose statistics are no default."""
    norm = nn.BatchNorm2d(outputs)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.5, 2)
    window = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(window, norm)


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    """A block of ResNet: two convolutions beside a shortcut with a stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv(inputs, outputs, 3, stride), conv(outputs, outputs)
        self.short = conv(inputs, outputs, 1, stride)

    def forward(self, x: Any) -> Any:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


def resnet() -> Any:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    stem = [conv(3, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, Residual(8, 16, 2), Residual(16, 16, 1), *head)


class Inverted(nn.Module):  # type: ignore[misc, name-defined]
    """A block of MobileNet V2 or V3: wide, depthwise, narrow; with attention over channels."""

    def __init__(self, channels: int, act: Callable[[], Any], attend: bool) -> None:
        super().__init__()
        wide = 3 * channels
        self.wide = nn.Sequential(conv(channels, wide, 1), act())
        self.deep = nn.Sequential(conv(wide, wide, 5, 1, wide), act())
        steps = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 8, 1), nn.ReLU(), nn.Conv2d(8, wide, 1)]
        self.attend = nn.Sequential(*steps, nn.Hardsigmoid()) if attend else None
        self.narrow = conv(wide, channels, 1)

    def forward(self, x: Any) -> Any:
        y = self.deep(self.wide(x))
        if self.attend is not None:
            y = y * self.attend(y)
        return x + self.narrow(y)


def mobilenet_v2() -> Any:
    blocks = [Inverted(8, nn.ReLU6, False) for _ in range(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 10)]
    return nn.Sequential(conv(3, 8, 3, 2), nn.ReLU6(), *blocks, *head)


def mobilenet_v3() -> Any:
    blocks = [Inverted(8, nn.Hardswish, True), Inverted(8, nn.ReLU, True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 12), nn.Hardswish()]
    return nn.Sequential(conv(3, 8, 3, 2), nn.Hardswish(), *blocks, *head, nn.Linear(12, 10))


def efficientnet() -> Any:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)]
    return nn.Sequential(conv(3, 8, 3, 2), nn.SiLU(), Inverted(8, nn.SiLU, True), *head)


class Dense(nn.Module):  # type: ignore[misc, name-defined]
    """A block of DenseNet: each layer gets all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 2)
        self.steps = nn.ModuleList([conv(8 + 4 * k, 4) for k in range(3)])
        self.down = nn.Sequential(conv(20, 10, 1), nn.ReLU(), nn.AvgPool2d(2))
        self.head = nn.Linear(10, 5)

    def forward(self, x: Any) -> Any:
        maps = [self.stem(x)]
        for step in self.steps:
            maps.append(F.relu(step(torch.cat(maps, 1))))
        return self.head(self.down(torch.cat(maps, 1)).mean((2, 3)))


class Shuffle(nn.Module):  # type: ignore[misc, name-defined]
    """A block of ShuffleNet V2: half of the channels pass, then all are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 12, 3, 2)
        self.way = nn.Sequential(conv(6, 6, 1), nn.ReLU(), conv(6, 6, 3, 1, 6), conv(6, 6, 1))
        self.last, self.head = conv(12, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, F.relu(self.way(right))), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.head(F.relu(self.last(x)).mean([2, 3]))


class Inception(nn.Module):  # type: ignore[misc, name-defined]
    """A block of GoogLeNet, with its local response normalisation before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 7, 2, 3), nn.LocalResponseNorm(5, 1e-2, 0.75, 1.0)
        self.ways = nn.ModuleList([conv(8, 4, 1), conv(8, 4, 3), conv(8, 4, 5), conv(8, 4, 1)])
        self.head = nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        x = self.norm(F.max_pool2d(F.relu(self.stem(x)), 3, 2, ceil_mode=True))
        pooled = F.max_pool2d(x, 3, 1, 1)
        maps = [way(each) for way, each in zip(self.ways, (x, x, x, pooled), strict=True)]
        return F.log_softmax(self.head(torch.cat(maps, 1).mean((2, 3))), 1)


class ConvNext(nn.Module):  # type: ignore[misc, name-defined]
    """A block of ConvNeXt: layer normalisation and GELU with channels last, a scale for each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale, self.head = nn.Parameter(torch.rand(8, 1, 1)), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)
        return self.head((x + self.scale * y).mean((2, 3)))


class UNet(nn.Module):  # type: ignore[misc, name-defined]
    """A U-Net of two levels; up by a transposed convolution or a resize."""

    def __init__(self, resize: bool) -> None:
        super().__init__()
        self.down, self.deep = conv(3, 8), conv(8, 16)
        up: Any = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up = (
            nn.Sequential(up, nn.Conv2d(16, 8, 1)) if resize else nn.ConvTranspose2d(16, 8, 2, 2)
        )
        self.last, self.head = conv(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x: Any) -> Any:
        left = F.relu(self.down(x))
        up = self.up(F.relu(self.deep(F.max_pool2d(left, 2))))
        return torch.sigmoid(self.head(F.relu(self.last(torch.cat([left, up], 1)))))


def espcn() -> Any:
    """Super-resolution by four: its pixels are shuffled out of channels."""
    layers = [nn.Conv2d(3, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 48, 3, padding=1)]
    return nn.Sequential(*layers, nn.PixelShuffle(4))


class Style(nn.Module):  # type: ignore[misc, name-defined]
    """Fast style transfer: reflected borders, instance normalisation, nearest resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.border, self.first = nn.ReflectionPad2d(4), nn.Conv2d(3, 8, 9)
        self.norms = nn.ModuleList([nn.InstanceNorm2d(8, affine=True) for _ in range(2)])
        self.down, self.last = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 3, 3, padding=1)
        for norm in self.norms:
            nn.init.uniform_(norm.weight)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.norms[0](self.first(self.border(x))))
        x = F.relu(self.norms[1](self.down(x)))
        return self.last(F.interpolate(x, scale_factor=2, mode="nearest"))


class Yolo(nn.Module):  # type: ignore[misc, name-defined]
    """YOLOv5's focus and head: slices of rows and columns, a grid of anchors, sigmoid boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = conv(12, 8), nn.Conv2d(8, 3 * 7, 1)
        self.down = conv(8, 8, 3, 2)
        self.register_buffer("anchors", torch.rand(1, 3, 1, 1, 2) * 30)

    def level(self, x: Any, stride: int) -> Any:
        n, _, h, w = x.shape
        x = self.head(x).view(n, 3, 7, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
        ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack((xs, ys), 2).view(1, 1, h, w, 2).float()
        middle, size, rest = x.split((2, 2, 3), 4)
        middle = (middle * 2 + grid - 0.5) * stride
        return torch.cat((middle, (size * 2) ** 2 * self.anchors, rest), 4).view(n, -1, 7)

    def forward(self, x: Any) -> Any:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        x = F.silu(self.stem(torch.cat(parts, 1)))
        return torch.cat((self.level(x, 2), self.level(F.silu(self.down(x)), 4)), 1)


class YoloV8(nn.Module):  # type: ignore[misc, name-defined]
    """YOLOv8's head: distances as softmax over bins, boxes from them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.box, self.score = conv(3, 8, 3, 4), nn.Conv2d(8, 32, 1), nn.Conv2d(8, 5, 1)
        self.register_buffer("bins", torch.arange(8.0).view(1, 8, 1, 1))

    def forward(self, x: Any) -> Any:
        x = F.silu(self.stem(x))
        n, _, h, w = x.shape
        box = self.box(x).view(n, 4, 8, h * w).transpose(2, 1).softmax(1)
        box = F.conv2d(box, self.bins).view(n, 4, h * w)
        first, second = box.chunk(2, 1)
        box = torch.cat(((first + second) / 2, second - first), 1) * 4
        return torch.cat((box, self.score(x).view(n, 5, h * w).sigmoid()), 1)


class SSD(nn.Module):  # type: ignore[misc, name-defined]
    """A detector of two maps and two outputs: shares of classes, and boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = conv(3, 8, 3, 2), conv(8, 8, 3, 2)
        self.boxes = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)])
        self.scores = nn.ModuleList([nn.Conv2d(8, 6, 3, padding=1) for _ in range(2)])

    def forward(self, x: Any) -> Any:
        first = F.relu6(self.stem(x))
        maps = [first, F.relu6(self.down(first))]

        def flat(layers: Any, last: int) -> Any:
            made = [layer(each) for layer, each in zip(layers, maps, strict=True)]
            return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, last) for m in made], 1)

        return F.softmax(flat(self.scores, 3), -1), flat(self.boxes, 4)


class ViT(nn.Module):  # type: ignore[misc, name-defined]
    """A vision transformer of one block: patches, a class token, attention."""

    def __init__(self, token: bool = True) -> None:
        super().__init__()
        self.patch, self.position = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.rand(1, 17, 16))
        self.token = nn.Parameter(torch.rand(1, 1, 16))
        self.norms = nn.ModuleList([nn.LayerNorm(16) for _ in range(3)])
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow, self.head = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 5)

    def attend(self, x: Any) -> Any:
        n, count, width = x.shape
        qkv = self.qkv(x).reshape(n, count, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        share = (q @ k.transpose(-2, -1) * (width // 4) ** -0.5).softmax(-1)
        return self.out((share @ v).transpose(1, 2).reshape(n, count, width))

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + self.position
        x = x + self.attend(self.norms[0](x))
        x = x + self.narrow(F.gelu(self.wide(self.norms[1](x))))
        return self.head(self.norms[2](x)[:, 0])


class Attention(nn.Module):  # type: ignore[misc, name-defined]
    """PyTorch's own attention on patches with a class token, added to them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.position = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.rand(1, 17, 16))
        self.token, self.norm = nn.Parameter(torch.rand(1, 1, 16)), nn.LayerNorm(16)
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        # An export leaves out biases of 0.
        nn.init.normal_(self.attend.out_proj.bias)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token, x), 1) + self.position
        y = self.norm(x)
        return x + self.attend(y, y, y, need_weights=False)[0]


class Encoder(nn.Module):  # type: ignore[misc, name-defined]
    """PyTorch's own attention over patches of a picture: tables whose rows are cells."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 5)
        self.block = nn.TransformerEncoderLayer(16, 4, 32, 0.0, F.gelu, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.head(self.block(self.patch(x).flatten(2).transpose(1, 2)).mean(1))


class Reader(nn.Module):  # type: ignore[misc, name-defined]
    """Reads text: columns of maps as the steps of a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.steps, self.head = nn.LSTM(8 * 8, 6, bidirectional=True), nn.Linear(12, 11)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = x.permute(3, 0, 1, 2).flatten(2)
        return F.log_softmax(self.head(self.steps(x)[0]), 2)


class Signal1d(nn.Module):  # type: ignore[misc, name-defined]
    """Convolutions of one axis over the columns of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 8, 5, 2, 2), nn.Conv1d(8, 4, 3, padding=1)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.norm(self.first(x.mean(2))))
        return self.second(F.max_pool1d(x, 2))


class Normed(nn.Module):  # type: ignore[misc, name-defined]
    """Group normalisation, Mish and softplus, global norms of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = (
            nn.Conv2d(3, 8, 3, 2),
            nn.GroupNorm(4, 8),
            nn.Conv2d(8, 4, 1),
        )

    def forward(self, x: Any) -> Any:
        x = F.mish(self.norm(self.first(x)))
        x = F.softplus(self.last(F.elu(x)))
        return x / x.norm(dim=1, keepdim=True).clamp_min(1e-6)


class TokensToMaps(nn.Module):  # type: ignore[misc, name-defined]
    """Tokens put back into maps, a shuffle of channels, and blocks of pixels as channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.mix = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 6)

    def forward(self, x: Any) -> Any:
        tokens = self.mix(self.patch(x).flatten(2).transpose(1, 2))
        y = F.relu(tokens.transpose(1, 2).reshape(1, 6, 16, 16))
        y = torch.tanh(y.reshape(1, 2, 3, 16, 16).transpose(1, 2).reshape(1, 6, 16, 16))
        return F.pixel_unshuffle(y, 2)


NETWORKS: dict[str, Callable[[], Any]] = {
    "resnet": resnet,
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "densenet": Dense,
    "shufflenet": Shuffle,
    "googlenet": Inception,
    "convnext": ConvNext,
    "unet-transposed": lambda: UNet(False),
    "unet-resize": lambda: UNet(True),
    "espcn": espcn,
    "style": Style,
    "yolo-v5": Yolo,
    "yolo-v8": YoloV8,
    "ssd": SSD,
    "vit": ViT,
    "attention": Attention,
    "encoder": Encoder,
    "reader": Reader,
    "tokens-to-maps": TokensToMaps,
    "one-axis": Signal1d,
    "norms": Normed,
}
"""What makes each network; all take pictures of (1, 3, 32, 32)."""


def make(name: str) -> torch.nn.Module:
    """Return a network with the weights that `export` writes."""
    torch.manual_seed(7)
    return NETWORKS[name]().eval()


TRACED: dict[tuple[str, int], bytes] = {}
"""What `export` has written by tracing: most tests of this process read the same files."""


def export(name: str, path: Path, dynamo: bool, opset: int = 18) -> Path:
    """Write a network with random weights as an ONNX file, by either of PyTorch's exporters."""
    if not dynamo and (name, opset) in TRACED:
        path.write_bytes(TRACED[name, opset])
        return path
    network = make(name)
    x = torch.rand(1, 3, 32, 32)
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), quiet[0], quiet[1]:
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), str(path), dynamo=dynamo, opset_version=opset)
    if not dynamo:
        TRACED[name, opset] = path.read_bytes()
    return path


def picture(seed: int = 5) -> Any:
    """Return a picture (1, 32, 32, 3)."""
    return np.random.default_rng(seed).random((1, 32, 32, 3), dtype=np.float32)
