"""PyTorch as judge of a trained network: the face detector in examples/face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.load import load_model
from cnncli.network.passes import forward
from tests.support.shell import save, values_of

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.oracle
F = torch.nn.functional
torch.set_num_threads(1)

DETECTOR = Path(__file__).resolve().parents[2] / "examples" / "face" / "pnet.toml"


def probabilities(pixels: Any) -> Any:
    """Return what PyTorch makes of pixels (N, H, W, 3) in 0..255, and keep their gradients."""
    arrays = np.load(DETECTOR.with_suffix(".npz"))
    weights = {key: torch.tensor(array) for key, array in arrays.items()}

    def conv(x: Any, name: str) -> Any:
        # From rows, columns, channels, maps.
        return F.conv2d(x, weights[f"{name}.weight"].permute(3, 2, 0, 1), weights[f"{name}.bias"])

    x = (pixels.permute(0, 3, 1, 2) - 127.5) / 128
    x = F.prelu(conv(x, "conv1"), weights["conv1.alpha"])
    # SAME at size and stride 2: an odd row or column at the end is pooled with nothing beyond it.
    x = F.max_pool2d(x, 2, ceil_mode=True)
    for name in ("conv2", "conv3"):
        x = F.prelu(conv(x, name), weights[f"{name}.alpha"])
    return torch.softmax(conv(x, "face"), dim=1).permute(0, 2, 3, 1)


@pytest.mark.parametrize("size", [(12, 12), (33, 48), (47, 25)], ids=str)
def test_values_and_gradients(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(51).integers(0, 256, (2, *size, 3))
    x = torch.tensor(pixels, dtype=torch.float32, requires_grad=True)
    expected = probabilities(x)
    network = load_model(DETECTOR).network
    done = forward(network, np.asarray(pixels / 255, np.float32))
    np.testing.assert_allclose(done.values["face"], expected.detach().numpy(), rtol=0, atol=1e-4)
    expected[..., 1].sum().backward()
    upstream = np.zeros(expected.shape, np.float32)
    upstream[..., 1] = 1
    gradient = done.backward({"face": upstream}).values["input"]
    # Pixels there are in 0..255.
    judge = x.grad.numpy() * 255
    assert np.abs(judge).max() > 1e-3
    np.testing.assert_allclose(gradient, judge, rtol=0, atol=1e-4 * np.abs(judge).max())


def test_the_command_on_a_picture(empty_folder: Path) -> None:
    # As large as the file says, so that nothing is resized.
    pixels = np.random.default_rng(52).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    expected = probabilities(torch.tensor(pixels[None], dtype=torch.float32)).numpy()[0]
    assert np.ptp(expected[..., 1]) > 0.01
    values = values_of("run", DETECTOR, save("noise.png", pixels))
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)
