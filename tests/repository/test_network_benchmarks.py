"""What measures whole networks: the table in docs, rows beside ONNX Runtime, and commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import measure, network_commands, network_table, networks, table
from benchmarks.pictures import Workshop
from benchmarks.table import Row


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PATIENCE", 0.0)
    monkeypatch.setattr(measure, "usage", lambda: (0.0, 0.0))


def test_the_table_of_networks_stands_between_its_marks(tmp_path: Path) -> None:
    facts = {"picture": "64x64", "layers": "7", "difference": "1.0e-06"}
    rows = [
        Row("networks", "small", 2.0, {"onnxruntime": 1.0}, facts=facts),
        Row("network memory", "small", 30.0, {"onnxruntime": 40.0}, unit="MB"),
        Row("networks", "wrong", problem="onnxruntime differs by 1"),
    ]
    machine = {"date": "today", "cpu": "any", "threads": 2, "load before": 0.0}
    packed = table.pack({**machine, "versions": {"numpy": "2.4"}}, rows, [])
    written, page = tmp_path / "report.json", tmp_path / "page.md"
    written.write_text(json.dumps(packed), "utf-8")
    page.write_text(f"before\n{network_table.BEGIN}\nold\n{network_table.END}\nafter\n", "utf-8")
    network_table.main([str(written), "--page", str(page)])
    lines = page.read_text("utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("before", "after") and "old" not in lines
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert cells[2] == ["small", "64x64", "7", "1.0e-06", "2.00", "1.00", "30.0", "40.0"]
    assert cells[3] == ["wrong", "", "", "", "wrong", "", "", ""]


@pytest.mark.oracle
def test_a_network_is_compared_with_onnxruntime(tmp_path: Path) -> None:
    for name in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(name)
    shop = Workshop(tmp_path, quick=True)
    (espcn,) = (each for each in networks.ARCHITECTURES if each.make == "espcn")
    X = espcn.picture(quick=True)
    network = networks.build(espcn, X.shape)
    path = networks.export(network, X.shape, tmp_path / "model.onnx")
    contenders = networks.contenders_of("SqueezeNet", network, path, X)
    row, work = networks.time_rows(espcn.name, path, contenders, X.shape, 1)
    assert not row.problem and row.ours is not None
    assert set(row.peers) == {"onnxruntime", "torch", "ReferenceEvaluator"}
    assert set(work.peers) == {"onnxruntime", "torch"} and work.ours is not None
    assert row.facts["picture"] == "64x64" and float(row.facts["difference"]) < 1e-5
    held = networks.memory_row(espcn.name, path, X, shop)
    assert held.ours is not None and 0 < held.ours < 500 and held.peers


@pytest.mark.oracle
def test_a_network_is_run_as_a_command_beside_a_script(tmp_path: Path) -> None:
    for name in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(name)
    shop = Workshop(tmp_path, quick=True)
    (espcn,) = (each for each in networks.ARCHITECTURES if each.make == "espcn")
    shape = (1, 64, 48, 3)
    model = networks.export(networks.build(espcn, shape), shape, tmp_path / "model.onnx")
    photo = tmp_path / "photo.png"
    network_commands.enlarged("chelsea.png", 48, 64).save(photo)
    work, held = network_commands.rows_of("espcn", model, photo, shop, 1)
    assert not work.problem and (work.unit, held.unit) == ("ms", "MB")
    for row in (work, held):
        assert row.ours is not None and 20 < row.ours < 10_000
        assert 20 < row.peers["onnxruntime script"] < 10_000
    assert np.load(tmp_path / "cnncli.npy").shape == (192, 144, 3)
