"""Train a small convolutional network to read handwritten digits, with cnncli's layers alone.

    pip install 'cnncli[examples]'
    python examples/train_digits.py

It trains on scikit-learn's copy of the digits for some seconds, and writes the network and one
picture of each digit into the current folder, for `cnncli run` to use.

The pieces, each a few lines: the pictures, the network, the loss and its gradient, one step
downhill, and the loop. All derivatives but that of the loss come from the layers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnncli.filters.filter import from_array
from cnncli.network.graph import Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConvLayer,
    FloatArray,
    Gradients,
    Layer,
    PoolLayer,
)
from cnncli.network.model import Model
from cnncli.network.passes import forward
from cnncli.network.preparation import Preparation
from cnncli.network.toml_writer import write_network

Labels = NDArray[np.integer]

TEST_IMAGES = 360
EPOCHS = 20
BATCH = 32
RATE = 0.05
MOMENTUM = 0.9
NOISE = 0.25


def load_images() -> tuple[FloatArray, Labels]:
    """Return all digits (1797, 8, 8, 1) in 0..1, and which digit each is, in an order by chance."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The very values that 8-bit pictures hold: what is learned on one kind of numbers is worth
    # little on another.
    X = np.rint(digits.images * 255 / 16).astype(np.float32)[..., None] / 255
    # Neighbours in the file come from one hand. Shuffled with a fixed seed, every run holds back
    # the same pictures of all hands.
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], digits.target[order]


def first_network(rng: np.random.Generator) -> Network:
    """Return a network that has learned nothing yet.

    Pooling halves the maps twice, from 8x8 to 2x2. There the last filters are as large as what they
    stand on and see the whole picture: such a convolution is a fully connected layer.
    """

    def conv(window: int, channels: int, maps: int, **options: Any) -> ConvLayer:
        # Equal weights would get equal gradients and stay equal for ever. With a variance of 2 over
        # the number of inputs, values neither grow nor fade from layer to layer (He and others,
        # 2015).
        spread = np.sqrt(2 / (window * window * channels))
        W = rng.normal(0, spread, (window, window, channels, maps)).astype(np.float32)
        return ConvLayer(from_array(W), bias=np.zeros(maps, np.float32), **options)

    layers: dict[str, Layer] = {
        "conv1": conv(3, 1, 8, activation="relu"),
        "conv2": conv(3, 8, 16, activation="relu"),
        "pool1": PoolLayer("max", 2),
        "conv3": conv(3, 16, 32, activation="relu"),
        "pool2": PoolLayer("max", 2),
        "digit": conv(2, 32, 10, padding="valid"),
        "probability": ActivationLayer("softmax"),
    }
    before = ["input", *layers]
    return Network(tuple(Node(n, layers[n], (b,)) for n, b in zip(layers, before, strict=False)))


def loss_and_gradients(
    network: Network, X: FloatArray, labels: Labels
) -> tuple[float, dict[str, Gradients]]:
    """Return the cross-entropy of a batch, and its gradient for every weight and bias.

    The loss is ``-log p`` of the right digit, in the mean. Its gradient at the scores that softmax
    turns into p is simply ``p - 1`` for the right digit and ``p`` for the others.
    """
    passed = forward(network, X)
    p = passed.values["probability"]
    right = (np.arange(len(X)), 0, 0, labels)
    loss = -np.log(p[right]).mean()
    dZ = p.copy()
    dZ[right] -= 1
    # From the scores on, the layers do it. From p on they would divide by what may be almost 0.
    return float(loss), passed.backward({"digit": dZ / len(X)}).parameters


def descend(
    network: Network,
    velocities: dict[str, Gradients],
    gradients: dict[str, Gradients],
    rate: float,
) -> tuple[Network, dict[str, Gradients]]:
    """Return the network one step of gradient descent further on, and its velocities.

    A velocity gathers what the gradients of many steps agree on; their noise cancels out.
    """
    velocities = {
        name: {key: MOMENTUM * v[key] - rate * gradients[name][key] for key in v}
        for name, v in velocities.items()
    }

    def moved(node: Node) -> Node:
        layer, step = node.layer, velocities[node.name]
        # Layers never change: a step makes new ones.
        new = {key: value + step[key] for key, value in layer.parameters.items()}
        return replace(node, layer=layer.with_parameters(new))

    return Network(tuple(moved(node) for node in network.nodes)), velocities


def batches(count: int, rng: np.random.Generator) -> Iterator[Labels]:
    """Yield the numbers of all pictures once, some at a time, in an order by chance."""
    order = rng.permutation(count)
    for first in range(0, count, BATCH):
        yield order[first : first + BATCH]


def train(
    X: FloatArray, labels: Labels, epochs: int = EPOCHS, seed: int = 0
) -> Iterator[tuple[float, Network]]:
    """Yield the mean loss and the network after each pass over all pictures."""
    rng = np.random.default_rng(seed)
    network = first_network(rng)
    velocities: dict[str, Gradients] = {
        node.name: {key: np.zeros_like(v) for key, v in node.layer.parameters.items()}
        for node in network.nodes
    }
    for epoch in range(epochs):
        # Long steps to get near, short ones to settle: half a cosine, from the rate down to 0.
        rate = RATE * (1 + cos(pi * epoch / epochs)) / 2
        losses = []
        for chosen in batches(len(X), rng):
            # Through noise only whole strokes can be relied on. Without it single pixels decide,
            # and a picture of the gradient shows no strokes.
            noisy = X[chosen] + rng.normal(0, NOISE, X[chosen].shape).astype(np.float32)
            loss, gradients = loss_and_gradients(network, noisy, labels[chosen])
            network, velocities = descend(network, velocities, gradients, rate)
            losses.append(loss)
        yield float(np.mean(losses)), network


def answers(network: Network, X: FloatArray) -> Labels:
    """Return the digit with the largest score for each picture."""
    return np.asarray(forward(network, X).values["digit"][:, 0, 0].argmax(axis=1))


def save(network: Network, folder: Path) -> None:
    """Write the network as ``digits.toml``, and the weights that it names as ``digits.npz``."""
    model = Model(network, Preparation(gray=True, size=(8, 8)))
    comment = "Reads a handwritten digit, white on black: ten probabilities, one for each digit."
    text, arrays = write_network(model, "digits.npz", comment=comment)
    (folder / "digits.toml").write_text(text)
    np.savez(folder / "digits.npz", **arrays)


def save_samples(X: FloatArray, labels: Labels, folder: Path) -> None:
    """Write the first picture of each digit as ``0.png`` to ``9.png``, 8x8 grey pixels each."""
    folder.mkdir(exist_ok=True)
    for digit in range(10):
        pixels = np.rint(X[labels == digit][0, :, :, 0] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{digit}.png")


def main() -> None:
    """Train, tell how it goes, and write the network and some pictures of the test."""
    X, labels = load_images()
    # The last pictures are never trained on: they tell what was learned and not only remembered.
    test_X, test_labels = X[-TEST_IMAGES:], labels[-TEST_IMAGES:]
    for epoch, (loss, network) in enumerate(train(X[:-TEST_IMAGES], labels[:-TEST_IMAGES]), 1):
        right = np.mean(answers(network, test_X) == test_labels)
        print(f"pass {epoch:2d}: loss {loss:.4f}, {right:.1%} of the test's digits right")
    save(network, Path())
    save_samples(test_X, test_labels, Path("digits"))


if __name__ == "__main__":
    main()
