"""What long work shows on a terminal: the step it has reached, on a line that is erased."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from cnncli.cli.progress import CLEAR_LINE
from cnncli.gradients.check import LEAST_CELLS, MOST_CELLS, check_gradient, quick_count
from cnncli.network.graph import Network
from cnncli.network.layers import ActivationLayer, PadLayer, PoolLayer
from cnncli.system import progress
from tests.support.shell import npy_bytes
from tests.support.terminal import in_terminal

CLEAR = CLEAR_LINE.encode()
IMAGE = npy_bytes(np.random.default_rng(5).random((8, 9, 1)))
COMMANDS = {
    "conv": ["conv", "-", "-f", "edge", "-o", "out.png"],
    "grad": ["grad", "-", "--pool", "max", "--check", "-o", "out.png"],
    "explain": ["explain", "-", "-f", "edge", "-o", "out.html"],
    "animation": ["explain", "-", "-f", "edge", "-o", "out.gif"],
    "weights": ["filters", "show", "-", "-o", "out.png"],
}
STEPS = {"conv": b"reading the image, "}


@pytest.mark.parametrize(
    "name", ["grad", *(pytest.param(n, marks=pytest.mark.slow) for n in COMMANDS if n != "grad")]
)
def test_long_work_shows_a_line_that_is_gone_at_the_end(empty_folder: Path, name: str) -> None:
    with in_terminal(*COMMANDS[name]) as terminal:
        # The work is long because its image comes late.
        terminal.wait_for(b", 2 s")
        terminal.send(IMAGE)
        assert terminal.end() == 0
    before, _, after = terminal.shown.rpartition(CLEAR)
    assert STEPS.get(name, b"working, ") in before and after.startswith(b"out.")
    assert b", 2 s" not in after


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_long_work_is_stopped_by_ctrl_c(empty_folder: Path, name: str) -> None:
    with in_terminal(*COMMANDS[name]) as terminal:
        terminal.wait_for(b", 2 s")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert terminal.shown.endswith(CLEAR + b"cnncli: error: interrupted\r\n")
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_quiet_shows_nothing(empty_folder: Path) -> None:
    with in_terminal(*COMMANDS["grad"], "-q") as quiet:
        with in_terminal(*COMMANDS["conv"]) as other:
            other.wait_for(b", 3 s")
        quiet.send(IMAGE)
        assert quiet.end() == 0
    assert quiet.shown == b""


def test_steps_are_counted() -> None:
    assert list(progress.track("abc", "reading", 3)) == ["a", "b", "c"]
    assert progress.step_text() == "reading, 2 of 3"
    X = np.random.default_rng(1).random((1, 6, 6, 1))
    check_gradient(Network.chain(PoolLayer()), X, "pool1", np.ones((1, 3, 3, 1)), 7)
    assert progress.step_text() == "checking the gradient, 6 of 7"


def test_large_networks_have_fewer_cells_checked() -> None:
    network = Network.chain(*(ActivationLayer("relu") for _ in range(20)))
    counts = [quick_count(network, (1, n, n, 3)) for n in (16, 64, 256, 512, 4096)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (MOST_CELLS, LEAST_CELLS)
    assert quick_count(Network.chain(PadLayer(0)), (1, 8, 8, 1)) == MOST_CELLS
