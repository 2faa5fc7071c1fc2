"""Every type of layer that network files have is planned, explained and has a gradient."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnncli.network.graph import Network
from cnncli.network.model import Model
from cnncli.network.toml_types import LAYER_TYPES
from tests.network.test_toml_writer import LAYERS, branches
from tests.support.netfiles import read_back
from tests.support.shell import run_cli, save_array

ONE_EACH = {layer.op: Network.chain(layer) for layer in LAYERS.values()}


@pytest.mark.parametrize("op", [*ONE_EACH, "joins"])
def test_every_command_knows_the_layer(op: str, empty_folder: Path) -> None:
    network = ONE_EACH[op] if op in ONE_EACH else branches()
    read_back(Model(network), empty_folder)
    save_array("x.npy", np.random.default_rng(1).random((9, 8, 3)))
    planned = run_cli("plan", "net.toml", "--input", "9x8x3", "--json").stdout.splitlines()
    for node, line in zip(network.nodes, planned, strict=False):
        assert json.loads(line)["type"] == node.layer.op
        told = run_cli("explain", "net.toml", "x.npy", "--layer", node.name, "--json").stdout
        assert json.loads(told)["layer"] == node.name
        run_cli("grad", "net.toml", "x.npy", "--unit", node.name, "-o", f"{node.name}.npy")


def test_each_type_is_among_them() -> None:
    joined = {node.layer.op for node in branches().nodes}
    assert {*ONE_EACH} | joined | {"dense"} == {*LAYER_TYPES}
