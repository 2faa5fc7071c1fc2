"""The border that ``--pad-mode auto`` chooses, the same one in every command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.builtins import BUILTINS
from tests.support.packed_pages import data_of
from tests.support.shell import pixels, refused, run_cli, save, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

SMOOTHING = [
    name
    for name in builtin_names()
    if BUILTINS[name].make().ndim == 2 and np.isclose(BUILTINS[name].make().sum(), 1)
]
RAMP = np.arange(12.0).reshape(3, 4)
SUM = "1 1 1; 1 1 1; 1 1 1"
CONTINUED = np.pad(RAMP, 1, mode="edge")[:3, :3].sum()
FRAMED = np.pad(RAMP, 1)[:3, :3].sum()


def network(*fields: str) -> Path:
    path = Path("net.toml")
    path.write_text("\n".join(["[[layers]]", 'type = "conv"', f'filter = "{SUM}"', *fields]))
    return path


@pytest.mark.parametrize("name", SMOOTHING)
def test_a_flat_grey_picture_stays_flat(name: str) -> None:
    assert {"box", "gaussian_15", "binomial_5", "motion_blur"} <= set(SMOOTHING)
    save("grey.png", np.full((9, 11), 128, np.uint8))
    run_cli("conv", "grey.png", "-f", name, "-o", "out.png")
    assert set(np.unique(pixels("out.png"))) == {128}


def test_every_command_continues_a_picture_under_a_2d_filter() -> None:
    save_array("x.npy", RAMP)
    net = network()
    assert values_of("conv", "x.npy", "-f", SUM)[0, 0, 0] == CONTINUED
    assert values_of("run", net, "x.npy")[0, 0, 0] == CONTINUED
    for words in (("x.npy", "-f", SUM), (net, "x.npy", "--layer", "conv1")):
        told = json.loads(run_cli("explain", *words, "--at", "0,0", "--json").stdout)
        assert (told["steps"][0]["value"], told["pad_mode"]) == (CONTINUED, "edge")
    planned = run_cli("plan", net, "--input", "3x4x1", "--json").stdout.splitlines()
    assert json.loads(planned[0])["pad_mode"] == "edge"
    row = run_cli("plan", net, "--input", "3x4x1").stdout.splitlines()[1]
    assert "1 edge" in row
    run_cli("grad", net, "x.npy", "--unit", "conv1:0,0,0", "-o", "grad.npy")
    assert np.load("grad.npy")[0, 0] == 4  # it is read through four cells of the window
    run_cli("explain", "x.npy", "-f", SUM, "-o", "page.html")
    assert data_of("page.html")["layer"]["padMode"] == "edge"


@pytest.mark.parametrize("shape", [(3, 3, 1), (3, 3, 1, 2)])
def test_layers_pad_with_zeros(shape: tuple[int, ...]) -> None:
    save_array("x.npy", RAMP)
    save_array("w.npy", np.ones(shape))
    assert values_of("conv", "x.npy", "-f", "w.npy")[0, 0, 0] == FRAMED


@pytest.mark.parametrize(
    ("options", "mode", "value"),
    [
        ((), "edge", CONTINUED),
        (("--pad-mode", "auto"), "edge", CONTINUED),
        (("--pad-mode", "zeros"), "zeros", FRAMED),
        (("--pad-value", 0), "zeros", FRAMED),
        (("--pad-value", 2), "zeros", FRAMED + 10),
        (("--convention", "torch"), "zeros", FRAMED),
        (("--convention", "torch", "--pad-mode", "edge"), "edge", CONTINUED),
        (("--padding", "valid"), None, RAMP[:3, :3].sum()),
    ],
)
def test_the_report_says_which(options: tuple[object, ...], mode: str, value: float) -> None:
    save_array("x.npy", RAMP)
    told = run_cli("conv", "x.npy", "-f", SUM, *options, "-o", "y.npy").stderr.splitlines()[0]
    told = told.removesuffix(", pad value 2")
    assert told.endswith(f", pad mode {mode}") if mode else "pad mode" not in told
    assert np.load("y.npy")[0, 0, 0] == value
    record = run_cli("conv", "x.npy", "-f", SUM, *options, "-o", "z.npy", "--json").stdout
    assert json.loads(record)["pad_mode"] == mode


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ('pad_mode = "auto"', CONTINUED),
        ('pad_mode = "zeros"', FRAMED),
        ("pad_value = 0", FRAMED),
        ('convention = "onnx"', FRAMED),
    ],
)
def test_network_files_have_the_same_rule(field: str, value: float) -> None:
    save_array("x.npy", RAMP)
    assert values_of("run", network(field), "x.npy")[0, 0, 0] == value


def test_pad_adds_zeros_and_says_so() -> None:
    save_array("x.npy", RAMP + 1)
    told = run_cli("pad", "x.npy", "--padding", 1, "-o", "y.npy").stderr
    assert "pad mode zeros" in told
    assert np.array_equal(np.load("y.npy")[:, :, 0], np.pad(RAMP + 1, 1))
    assert values_of("pad", "x.npy", "--padding", 1, "--pad-value", 7)[0, 0, 0] == 7


def test_the_report_tells_the_number_of_a_border() -> None:
    save_array("x.npy", RAMP)
    for words in (("pad", "--padding", 1), ("conv", "-f", "edge")):
        name, *rest = words
        done = run_cli(name, "x.npy", *rest, "--pad-value", 0.5, "-o", "-", "--json")
        # Standard output holds the numbers, so the record is on the other.
        assert json.loads(done.stderr)["pad_value"] == 0.5
        told = run_cli(name, "x.npy", *rest, "--pad-value", 0.5, "-o", f"{name}.npy").stderr
        assert told.endswith(", pad mode zeros, pad value 0.5\n")
    assert "pad value" not in run_cli("pad", "x.npy", "--padding", 1, "-o", "y.npy").stderr


def test_a_constant_excludes_a_copying_border() -> None:
    save_array("x.npy", RAMP)
    options = ("--pad-mode", "wrap", "--pad-value", 1)
    for words in (("conv", "-f", SUM), ("pad", "--padding", 1)):
        assert "--pad-value is for --pad-mode zeros" in refused(*words, "x.npy", *options, code=2)
