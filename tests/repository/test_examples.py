"""The networks in examples/: that training teaches, and that what is shipped knows its subject."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.graph import Network
from cnncli.network.load import load_model
from tests.support.judges import numeric_gradient
from tests.support.patience import patient
from tests.support.shell import pixels, run_cli, values_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """What train_digits.py defines."""
    return runpy.run_path(str(EXAMPLES / "train_digits.py"))


def patterns(count: int) -> tuple[Any, Any]:
    """Return noisy copies (count, 8, 8, 1) of ten pictures, and which one each is of."""
    rng = np.random.default_rng(41)
    labels = rng.integers(0, 10, count)
    X = rng.random((10, 8, 8, 1))[labels] + rng.normal(0, 0.1, (count, 8, 8, 1))
    return X.astype(np.float32), labels


@pytest.mark.slow
def test_some_steps_make_the_loss_fall(script: dict[str, Any]) -> None:
    X, labels = patterns(256)
    losses, networks = zip(*script["train"](X, labels, epochs=8), strict=True)
    # Guessing among ten costs log 10.
    assert losses[0] > 1 and losses[-1] < 0.5
    assert np.mean(script["answers"](networks[-1], X) == labels) > 0.95


def test_the_gradient_of_the_loss(script: dict[str, Any]) -> None:
    X, labels = patterns(7)
    network = with_floats(script["first_network"](np.random.default_rng(42)), {})
    X = X.astype(np.float64)
    _, gradients = script["loss_and_gradients"](network, X, labels)
    for name in ("conv1", "digit"):
        for key, value in network.node(name).layer.parameters.items():

            def loss(changed: Any, name: str = name, key: str = key) -> Any:
                moved = with_floats(network, {name: {key: changed}})
                return np.array(script["loss_and_gradients"](moved, X, labels)[0])

            numeric = numeric_gradient(loss, value, np.ones(()), every=151)
            looked_at = ~np.isnan(numeric)
            actual = gradients[name][key][looked_at]
            np.testing.assert_allclose(actual, numeric[looked_at], rtol=1e-6, atol=1e-8)


def with_floats(network: Network, changed: dict[str, Any]) -> Network:
    """Return a network in float64, with some of its parameters exchanged."""
    nodes = []
    for node in network.nodes:
        given = {k: v.astype(np.float64) for k, v in node.layer.parameters.items()}
        layer = node.layer.with_parameters({**given, **changed.get(node.name, {})})
        nodes.append(type(node)(node.name, layer, node.inputs))
    return Network(tuple(nodes))


@pytest.mark.parametrize("digit", range(10))
def test_the_shipped_network_reads_the_shipped_digits(digit: int) -> None:
    picture = EXAMPLES / "digits" / f"{digit}.png"
    assert pixels(picture).shape == (8, 8)
    values = values_of("run", EXAMPLES / "digits.toml", picture)
    assert values.shape == (1, 1, 10)
    assert values.argmax() == digit and values.max() > 0.5
    assert values.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.oracle
def test_training_from_nothing_reaches_97_percent(script: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, EXAMPLES / "train_digits.py"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=patient(60))
    X, labels = (each[-script["TEST_IMAGES"] :] for each in script["load_images"]())
    for folder in (tmp_path, EXAMPLES):
        network = load_model(folder / "digits.toml").network
        assert np.mean(script["answers"](network, X) == labels) >= 0.97
    made = sorted(path.name for path in tmp_path.rglob("*.*"))
    assert made == [*(f"{digit}.png" for digit in range(10)), "digits.npz", "digits.toml"]
    for digit in range(10):
        shipped, new = (pixels(f / "digits" / f"{digit}.png") for f in (EXAMPLES, tmp_path))
        np.testing.assert_array_equal(shipped, new)


def test_the_detector_lights_up_on_the_face(samples: Path) -> None:
    values = values_of("run", EXAMPLES / "face" / "pnet.toml", samples / "astronaut.png")
    assert values.shape == (27, 27, 2)
    face = values[:, :, 1]
    # Each value sees 12x12 of 64x64 pixels, two further on than the one before; the face of the
    # astronaut is about 110 pixels wide, around row 120 and column 222 of 512.
    rows, columns = ((2 * place + 6) * 8 for place in np.nonzero(face > 0.99))
    assert rows.size and face.max() > 0.999
    assert (np.abs(rows - 120) < 40).all() and (np.abs(columns - 222) < 40).all()


def test_explain_of_the_detector_begins_at_the_face(samples: Path) -> None:
    done = run_cli("explain", EXAMPLES / "face" / "pnet.toml", samples / "astronaut.png")
    assert "note: --at 5,11 --map 1 was chosen: the share furthest above" in done.stderr


def test_the_answer_is_said_in_numbers(empty_folder: Path) -> None:
    result = run_cli("run", EXAMPLES / "digits.toml", EXAMPLES / "digits" / "3.png")
    (said,) = [line for line in result.stderr.splitlines() if "largest first" in line]
    words = said.partition("largest first: ")[2].split(", ")
    shares = [float(word.split()[1]) for word in words]
    assert words[0].startswith("3 ") and shares[0] > 0.5
    assert len(shares) == 5 and shares == sorted(shares, reverse=True)
