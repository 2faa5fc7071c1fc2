"""PyTorch as judge of whole networks, read from network files with the weights that it saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.folding import fold
from cnncli.network.graph import Network
from cnncli.network.layers import BatchNormLayer, ConvLayer
from cnncli.network.load import load_model
from cnncli.network.passes import forward, forward_layers
from tests.support.netfiles import layer
from tests.support.shell import pixels, run_cli, values_of

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
nn = torch.nn
# On tensors this small threads only wait for each other.
torch.set_num_threads(1)

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}

GRADIENTS = {
    (ConvLayer, "weight"): "W",
    (ConvLayer, "bias"): "b",
    (BatchNormLayer, "weight"): "gamma",
    (BatchNormLayer, "bias"): "beta",
}
"""What PyTorch calls a parameter, and what its gradient is called here."""

pytestmark = pytest.mark.oracle


def conv(name: str, **fields: Any) -> str:
    """Return a convolution whose filter PyTorch calls ``NAME.weight``, in PyTorch's order."""
    return layer("conv", name=name, filter=f"FILE:{name}.weight", filter_layout="oihw", **fields)


def biased(name: str, **fields: Any) -> str:
    return conv(name, bias=f"FILE:{name}.bias", **fields)


def batchnorm(name: str) -> str:
    keys = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
    return layer("batchnorm", name=name, **{f: f"FILE:{name}.{key}" for f, key in keys.items()})


class LeNet(nn.Module):  # type: ignore[misc, name-defined]
    """Two convolutions with average pools, and three fully connected layers (LeCun, 1998)."""

    SHAPE = (3, 1, 28, 20)

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 3, 120)
        self.fc2, self.fc3 = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = nn.functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.tanh(self.fc2(torch.tanh(self.fc1(x.flatten(1)))))
        return torch.softmax(self.fc3(x), dim=1)[:, :, None, None]

    @staticmethod
    def layers() -> list[str]:
        return [
            biased("conv1", padding=2, activation="tanh"),
            layer("pool", mode="average"),
            biased("conv2", padding="valid", activation="tanh"),
            layer("pool", mode="average"),
            # As large as the maps that it stands on, it multiplies them all.
            biased("fc1", padding="valid", activation="tanh"),
            biased("fc2", activation="tanh"),
            biased("fc3", activation="softmax"),
        ]


class Vgg(nn.Module):  # type: ignore[misc, name-defined]
    """Two stages of 3x3 convolutions and max pools (Simonyan and Zisserman, 2015)."""

    SHAPE = (2, 3, 20, 13)

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1, self.conv1_2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.conv2_1, self.conv2_2 = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.conv1_2(torch.relu(self.conv1_1(x))))
        x = nn.functional.max_pool2d(x, 2)
        x = torch.relu(self.conv2_2(torch.relu(self.conv2_1(x))))
        return nn.functional.max_pool2d(x, 2)

    @staticmethod
    def layers() -> list[str]:
        return [
            biased("conv1_1", activation="relu"),
            biased("conv1_2", activation="relu"),
            layer("pool", mode="max"),
            biased("conv2_1", activation="relu"),
            biased("conv2_2", activation="relu"),
            layer("pool", mode="max"),
        ]


def norm_of(maps: int) -> Any:
    """Return a batch normalisation as training would leave it: nothing at 0 or 1."""
    norm = nn.BatchNorm2d(maps)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return norm


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """Two convolutions, and their input added: as it is, or through a strided 1x1 convolution."""

    def __init__(self, channels: int, maps: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, 1, bias=False)
        self.bn1 = norm_of(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = norm_of(maps)
        self.downsample = None
        if stride > 1:
            shortcut = nn.Conv2d(channels, maps, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, norm_of(maps))

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    @staticmethod
    def layers(name: str, before: str, stride: int) -> list[str]:
        main = [
            conv(f"{name}.conv1", inputs=[before], stride=stride, padding=1),
            batchnorm(f"{name}.bn1"),
            layer("activation", name=f"{name}.relu1", activation="relu"),
            conv(f"{name}.conv2", padding=1),
            batchnorm(f"{name}.bn2"),
        ]
        shortcut = [
            conv(f"{name}.downsample.0", inputs=[before], stride=stride, padding="valid"),
            batchnorm(f"{name}.downsample.1"),
        ]
        added = f"{name}.downsample.1" if stride > 1 else before
        join = [
            layer("add", name=f"{name}.add", inputs=[f"{name}.bn2", added]),
            layer("activation", name=name, activation="relu"),
        ]
        return main + (shortcut if stride > 1 else []) + join


class ResNet(nn.Module):  # type: ignore[misc, name-defined]
    """The stem and two basic blocks (He and others, 2016)."""

    SHAPE = (2, 3, 45, 34)

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 12, 7, 2, 3, bias=False), norm_of(12)
        self.block1, self.block2 = Block(12, 12, 1), Block(12, 20, 2)

    def forward(self, x: Any) -> Any:
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.block2(self.block1(x))

    @staticmethod
    def layers() -> list[str]:
        return [
            conv("conv1", stride=2, padding=3),
            batchnorm("bn1"),
            layer("activation", activation="relu"),
            layer("pool", name="stem", mode="max", size=3, stride=2, padding=1),
            *Block.layers("block1", "stem", 1),
            *Block.layers("block2", "block1", 2),
        ]


def save_weights(module: Any, folder: Path, kind: str) -> Path:
    """Save what PyTorch learned; fully connected weights as the filters that they are."""
    state = dict(module.state_dict())
    if isinstance(module, LeNet):
        for name, shape in {"fc1": (16, 5, 3), "fc2": (120, 1, 1), "fc3": (84, 1, 1)}.items():
            state[f"{name}.weight"] = state[f"{name}.weight"].reshape(-1, *shape)
    path = folder / f"weights.{kind}"
    if kind == "safetensors":
        safetensors.save_file(state, path)
    else:
        np.savez(path, **{key: tensor.numpy() for key, tensor in state.items()})
    return path


def pair(architecture: Any, dtype: str, folder: Path, kind: str) -> tuple[Any, Network]:
    """Return PyTorch's network, and the one that cnncli reads from the files it was saved to."""
    torch.manual_seed(31)
    module = architecture().to(getattr(torch, dtype)).eval()
    weights = save_weights(module, folder, kind)
    text = "\n".join(architecture.layers()).replace("FILE:", f"{weights.name}:")
    (folder / "net.toml").write_text(text)
    return module, load_model(folder / "net.toml").network


def images(architecture: Any, dtype: str) -> Any:
    """Return a batch (N, C, H, W) of random images."""
    rng = np.random.default_rng(32)
    x = torch.tensor(rng.standard_normal(architecture.SHAPE), dtype=getattr(torch, dtype))
    return x.requires_grad_()


def to_nhwc(tensor: Any) -> Any:
    return np.ascontiguousarray(np.moveaxis(tensor.detach().numpy(), 1, -1))


def close(actual: Any, expected: Any, dtype: str, context: str = "") -> None:
    """Compare, in the measure of the largest number."""
    assert actual.dtype == expected.dtype == dtype
    largest = np.abs(expected).max()
    assert largest > 0, context
    tolerance = TOLERANCE[dtype] * largest
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=context)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("architecture", [LeNet, Vgg, ResNet])
@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_values(architecture: Any, dtype: str, kind: str, tmp_path: Path) -> None:
    module, network = pair(architecture, dtype, tmp_path, kind)
    x = images(architecture, dtype)
    expected = to_nhwc(module(x))
    close(forward(network, to_nhwc(x)).values[network.names[-1]], expected, dtype)
    # As `cnncli run` does it: in strips, batch normalisation folded into filters.
    ((_, values),) = forward_layers(fold(network), to_nhwc(x))
    close(values, expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("architecture", [LeNet, Vgg, ResNet])
def test_gradients(architecture: Any, dtype: str, tmp_path: Path) -> None:
    module, network = pair(architecture, dtype, tmp_path, "safetensors")
    x = images(architecture, dtype)
    output = module(x)
    upstream = np.random.default_rng(33).standard_normal(output.shape).astype(dtype)
    output.backward(torch.tensor(upstream))
    done = forward(network, to_nhwc(x))
    found = done.backward({network.names[-1]: np.ascontiguousarray(np.moveaxis(upstream, 1, -1))})
    close(found.values["input"], to_nhwc(x.grad), dtype, "input")
    for name, parameter in module.named_parameters():
        node, key = name.rsplit(".", 1)
        actual = found.parameters[node][GRADIENTS[type(network.node(node).layer), key]]
        expected = parameter.grad.numpy()
        if actual.ndim == 4:
            # A matrix (out, C*H*W) becomes the filters that it was saved as.
            expected = expected.reshape(actual.shape[3], actual.shape[2], *actual.shape[:2])
            expected = expected.transpose(2, 3, 1, 0)
        close(actual, expected, dtype, name)


def test_the_command_on_the_stem_of_resnet_18(empty_folder: Path, samples: Path) -> None:
    torch.manual_seed(34)
    stem = nn.ModuleDict({"conv1": nn.Conv2d(3, 64, 7, 2, 3, bias=False), "bn1": norm_of(64)})
    safetensors.save_file(stem.eval().state_dict(), "weights.safetensors")
    head = "[input]\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n\n"
    Path("stem.toml").write_text(
        head + "\n".join(ResNet.layers()[:4]).replace("FILE:", "weights.safetensors:")
    )
    photo = torch.tensor(pixels(samples / "chelsea.png") / 255, dtype=torch.float32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((photo - mean) / std).permute(2, 0, 1)[None]
    x = nn.functional.max_pool2d(torch.relu(stem["bn1"](stem["conv1"](x))), 3, 2, 1)
    values = values_of("run", "stem.toml", samples / "chelsea.png")
    close(values, to_nhwc(x)[0], "float32")
    assert values.shape == (75, 113, 64)
    run_cli("run", "stem.toml", samples / "chelsea.png", "-o", "sheet.png", "--columns", 8)
    height, width = pixels("sheet.png").shape
    assert height > 8 * 75 and width > 8 * 113
