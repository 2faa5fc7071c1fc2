"""The benchmarks' own arithmetic, their judgement of equality, and a short run of cnncli alone."""

from __future__ import annotations

import doctest
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import __main__ as main
from benchmarks import (
    batches,
    choose,
    choose_cases,
    commands,
    filters,
    layers,
    machine,
    measure,
    network_table,
    peers,
    pooling,
    table,
)
from benchmarks.measure import Contender, Unable, alternate, compare
from benchmarks.pictures import Workshop
from benchmarks.table import BEST, Curve, Row

REPOSITORY = Path(__file__).resolve().parents[2]
OTHERS = measure.usage


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PATIENCE", 0.0)
    monkeypatch.setattr(measure, "usage", lambda: (0.0, 0.0))


@pytest.mark.parametrize(
    "module",
    [choose, choose_cases, filters, measure, network_table, peers, table],
    ids=lambda m: m.__name__,
)
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried and not failed


def test_a_difference_is_a_share_of_the_largest_magnitude() -> None:
    ours = np.array([10.0, -40.0])
    assert measure.difference(ours, np.array([10.0, -39.0])) == pytest.approx(1 / 40)
    assert measure.difference(ours, ours[:1]) == math.inf
    assert measure.difference(ours, np.array([10.0, np.nan])) == math.inf


def test_results_that_agree_are_timed() -> None:
    found = compare(
        [Contender("a", lambda: np.ones(3)), Contender("b", lambda: np.full(3, 1 + 1e-6))], 2
    )
    assert set(found.seconds) == {"a", "b"}
    assert not found.wrong


def test_results_that_differ_are_named_and_not_timed() -> None:
    calls = []

    def wrong() -> np.ndarray:
        calls.append("called")
        return np.zeros(3)

    found = compare([Contender("ours", lambda: np.ones(3)), Contender("peer", wrong)], 5)
    assert found.wrong == ["peer differs by 1"]
    assert found.seconds == {}
    assert len(calls) == 1


def test_a_peer_that_is_unable_is_named_and_left_out() -> None:
    def unable() -> np.ndarray:
        raise Unable("no such stride")

    found = compare([Contender("ours", lambda: np.ones(3)), Contender("peer", unable)], 1)
    assert found.unable == ["peer: no such stride"]
    assert list(found.seconds) == ["ours"]


def recorder(name: str, seconds: list[float], log: list[str]):
    remaining = iter(seconds)

    def action() -> float:
        log.append(name)
        return next(remaining)

    return action


def test_blocks_alternate_and_warming_up_does_not_count() -> None:
    log: list[str] = []
    # One run fits into a block of these; the first of each pair warms up.
    actions = {
        "a": recorder("a", [9, 0.2, 9, 0.4], log),
        "b": recorder("b", [9, 0.5, 9, 0.7], log),
    }
    medians = alternate(actions, {"a": 0.2, "b": 0.5}, 2)
    assert log == ["a", "a", "b", "b"] * 2
    assert medians == pytest.approx({"a": 0.3, "b": 0.6})


def test_disturbed_blocks_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    action = recorder("a", [9.0, 1.0, 3.0], log)
    others = iter([0, 0, 0, 5] + [5] * 8)  # others work during the first block
    monkeypatch.setattr(measure, "usage", lambda: (next(others), 10.0))
    medians = alternate({"a": action}, {"a": 2.0}, 2, warm=False, pause=0)
    assert medians == {"a": 2.0}
    assert len(log) == 3


def test_all_blocks_count_where_each_was_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "watch", watch := measure.Watch())
    others = iter(range(100))
    monkeypatch.setattr(measure, "usage", lambda: (next(others), 0.0))
    assert alternate({"a": lambda: 3.0}, {"a": 0.2}, 1, pause=0) == {"a": 3.0}
    assert watch == measure.Watch(blocks=measure.TURNS, disturbed=measure.TURNS)


def test_our_own_work_is_not_that_of_others(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  10000 0 5000 30000 1000 0 0 0 0 0\ncpu0 1 1\n")
    tick = os.sysconf("SC_CLK_TCK")
    others, total = OTHERS(stat)
    assert total == pytest.approx(46000 / tick)
    assert others + sum(os.times()[:4]) == pytest.approx(15000 / tick, abs=0.05)
    assert OTHERS(tmp_path / "missing") == (0.0, 0.0)


def test_what_takes_long_runs_seldom_or_never_again() -> None:
    log: list[str] = []
    actions = {"slow": recorder("slow", [2, 3, 4], log), "very": recorder("very", [], log)}
    medians = alternate(actions, {"slow": 2.0, "very": 60.0}, 7)
    assert log == ["slow"] * measure.SLOW_ROUNDS
    assert medians == {"slow": 3, "very": 60.0}


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("s", "n", 2.0, {"a": 4.0, "b": 1.0}, limits={"a": 0.5}), True),
        (Row("s", "n", 2.0, {"a": 4.0, "b": 1.0}, limits={"a": 0.5, "b": 1.0}), False),
        (Row("s", "n", 2.0, {"a": 4.0, "b": 1.0}, limits={BEST: 1.9}), False),
        (Row("s", "n", 2.0, {}, limits={"a": 0.5}), None),
        (Row("s", "n", 2.0), None),
        (Row("s", "n", 201.0, cap=200.0), False),
        (Row("s", "n", None, problem="a differs"), False),
    ],
)
def test_goals(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_what_only_stands_beside_is_never_the_best_peer() -> None:
    row = Row("s", "n", 2.0, {"a": 4.0}, shown={"one-shot": 0.1})
    assert (row.best, row.ratio()) == ("a", 0.5)


def test_columns_stand_in_line() -> None:
    rows = [
        Row("filters", "sobel", 1.0, {"OpenCV": 20.0, "scipy": 3.0}, limits={"OpenCV": 1.0}),
        Row("filters", "gauss 61", 1234.5, {"OpenCV": 2.0}),
    ]
    lines = table.section_table(rows).split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert "1,234" in lines[3]


def test_geometric_means_are_held_against_their_goals() -> None:
    rows = [Row("filters", "x", 1.0, {"OpenCV": 4.0}, limits={"OpenCV": 1.0})]
    rows += [Row("filters", "y", 1.0, {"OpenCV": 1.0})]
    assert "0.500 to OpenCV (2 rows) (to reach: 1, met)" in table.means(rows)
    assert "not met" in table.means([Row("filters", "x", 3.0, {"OpenCV": 2.0}, limits={BEST: 9})])


def test_a_curve_tells_its_exponent_from_where_it_is_judged() -> None:
    curve = Curve("c", "side", [1, 2, 4, 8], {"cnncli": [50.0, 4.0, 16.0, None]}, limit_from=2)
    assert curve.exponent() == pytest.approx(2)
    curve.limit = 1.1
    assert "(to reach: 1.1, **not met**)" in table.curve_table(curve)


def report() -> dict[str, object]:
    rows = [
        Row("layers", "small", 0.8, {"torch": 2.0}, limits={BEST: 0.8}),
        Row("layers", "large", 3.0, {"torch": 2.0}, limits={BEST: 0.8}),
        Row("memory", "photo", 100.0, unit="MB", cap=200.0),
        Row("filters", "odd", None, problem="scipy differs by 1"),
    ]
    curve = Curve("growth", "side", [1.0, 2.0], {"cnncli": [1.0, 2.0]})
    return table.pack(machine.describe(), rows, [curve])


def test_a_report_survives_json_and_tells_what_is_not_reached(alone: None) -> None:
    text = table.render(json.loads(json.dumps(report())))
    for words in ("### layers", "### memory", "growth", "2 of 4 rows that have a goal reach it"):
        assert words in text
    assert "- layers, large: 1.50 x best peer, 0.8 wanted" in text
    assert "- layers, geometric mean" not in text
    assert "- filters, odd: scipy differs by 1" in text


def test_a_missed_geometric_mean_is_told() -> None:
    rows = [Row("filters", "x", 3.0, {"OpenCV": 2.0}, limits={"scipy": 1.0})]
    assert "- filters, geometric mean: 1.50 x OpenCV, 1 wanted" in table.not_reached(rows, [])


def test_tables_go_between_the_marks_of_readme(tmp_path: Path, alone: None) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(table.README.read_text("utf-8"), "utf-8")
    measured = tmp_path / "report.json"
    measured.write_text(json.dumps(report()), "utf-8")
    for _ in range(2):
        table.main([str(measured), "--readme", str(readme)])
    text = readme.read_text("utf-8")
    assert text.count("### memory") == 1
    head, tail = table.README.read_text("utf-8").split(table.BEGIN)[0], text.split(table.END)[1]
    assert text.startswith(head) and tail == table.README.read_text("utf-8").split(table.END)[1]


def test_text_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        table.insert("no marks", "tables")


def test_the_cpu_is_named_with_its_generation(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(
        "cpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: sse2 avx2\n"
    )
    assert machine.cpu_model(info) == "AMD EPYC (family 25, model 1)"
    assert machine.widest_vectors(info) == "avx2"


def test_separated_kernels_multiply_to_the_kernel() -> None:
    kernel = filters.kernels.sobel(3)
    sides = filters.separated(kernel)
    assert sides is not None
    np.testing.assert_allclose(np.outer(sides[1], sides[0]), kernel, atol=1e-6)
    assert filters.separated(filters.random_kernel(3)) is None


def test_pillow_computes_the_same_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    kernel = filters.random_kernel(5).astype(np.float32)
    image = pixels.astype(np.float32) / np.float32(255)
    same = filters.pillow(pixels, image, kernel)
    ours = Contender("ours", filters.ours(image, kernel), lambda made: made[0][0])
    assert compare([ours, same], 1).wrong == []
    other = filters.pillow(pixels, image, kernel[::-1].copy())
    assert np.abs(same.read(other.run()) - ours.read(ours.run())).max() > 0.1


def test_a_layer_keeps_its_shape_when_shrunk() -> None:
    small = layers.LAYERS[1].small
    assert (small.n_C_prev, small.n_C, small.size, small.kernel) == (8, 8, 28, 3)
    assert [layer.small.groups for layer in layers.SMALL_LAYERS[6:9]] == [12, 12, 30]


def test_a_layer_stands_prepared_and_as_one_call_beside_the_same_peers() -> None:
    small = layers.SMALL_LAYERS[7].small
    rows = list(layers.rows_of("small layers", small, 1, {"torch": 3.0}, {}))
    assert [row.section for row in rows] == ["small layers", "small layers, one call"]
    assert rows[0].name == rows[1].name == "depthwise 12, 3x3 stride 2, 14"
    assert not any(row.problem for row in rows)
    assert rows[0].peers == rows[1].peers
    assert rows[0].ours == rows[1].shown["cnncli prepared"]
    assert rows[1].ours == rows[0].shown["cnncli one call"]


@pytest.mark.parametrize("prepared", [False, True])
def test_every_algorithm_for_a_layer_stands_beside_the_chosen_one(prepared: bool) -> None:
    case = choose_cases.Case("VGG", 8, 8, 3, (20, 20))
    row = choose.row_of(case, prepared, 2)
    assert not row.problem and row.met is not None
    chosen = row.name.rpartition(": ")[2]
    assert {chosen, *row.peers} == {"matmul", "winograd"}
    assert chosen not in row.peers and row.ours is not None and row.ours > 0


def test_layers_to_choose_for_have_filters_of_their_rank() -> None:
    cases = list(choose_cases.cases())
    assert len({case.name for case in cases}) == len(cases) >= 60
    for case in cases:
        rank = np.linalg.matrix_rank(case.small.filters[:, :, 0, 0])
        assert rank == (case.rank or case.kernel), case.name


def test_sections_are_named_or_all_but_those_on_request() -> None:
    assert main.parse(["choose", "layers"]).sections == ["choose", "layers"]
    assert main.parse(["--quick"]).sections == list(main.SECTIONS)
    assert "choose" not in main.SECTIONS


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")
def test_a_command_tells_its_own_peak_memory_and_exit_code(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    ballast = np.ones(40_000_000)  # what the parent holds must not be counted
    idle = commands.run([sys.executable, "-S", "-c", "raise SystemExit(3)"], shop)
    busy = commands.run([sys.executable, "-S", "-c", "len(bytearray(80_000_000))"], shop)
    assert (idle.code, busy.code) == (3, 0)
    assert idle.peak < 40_000_000 < 80_000_000 < busy.peak < ballast.nbytes
    assert busy.seconds > 0


@pytest.mark.slow
def test_pictures_are_made_once_and_in_the_size_asked_for(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, quick=True)
    photo = shop.photo(12, ".png")
    stamp = photo.stat().st_mtime_ns
    with commands.Image.open(photo) as picture:
        assert picture.size == (400, 300)
    assert shop.photo(12, ".png").stat().st_mtime_ns == stamp
    assert len(list(shop.many().iterdir())) == 20


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")
@pytest.mark.slow
def test_a_command_whose_picture_differs_is_reported_and_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tmp_path, quick=True)
    case = commands.Case("small", shop.small(), ".png")

    def two(case: commands.Case, shop: Workshop) -> dict[str, list[str]]:
        target = str(commands._target(case, "cnncli", shop))
        wrong = str(commands._target(case, "peer", shop))
        return {
            "cnncli": commands.ours(str(case.source), target),
            "peer": commands.ours(str(case.source), wrong, "identity"),
        }

    monkeypatch.setattr(commands, "commands_of", two)
    row = commands.compare(case, shop, 1)
    assert row.ours is None and row.met is False
    assert row.problem.startswith("peer differs by")


def test_pictures_differ_by_the_mean_of_their_steps() -> None:
    black = np.zeros((2, 2, 3), np.uint8)
    assert commands.mean_steps(black, black + np.uint8(255)) == 255
    assert commands.mean_steps(black, black) == 0
    assert commands.mean_steps(black, black[:1]) == math.inf


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out all peers."""
    monkeypatch.setattr(peers, "program", lambda peer: None)
    monkeypatch.setattr(peers, "module", lambda peer: None)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")
@pytest.mark.slow
def test_a_batch_is_measured_by_image(tmp_path: Path, alone: None) -> None:
    shop = Workshop(tmp_path, quick=True)
    one, two = batches.batches(shop, ".jpg", 200)
    assert (one.count, one.jobs, two.jobs) == (4, 1, 2)
    row, work = batches.compare(two, shop, 1)
    assert not row.problem and row.unit == work.unit == "ms/image"
    # Two processes cannot keep more than two cores busy.
    assert row.ours is not None and work.ours is not None and 0 < work.ours < 2.2 * row.ours
    written = sorted(path.name for path in (tmp_path / "batches" / "cnncli").iterdir())
    assert written == [f"{index:05d}.jpg" for index in range(4)]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")
@pytest.mark.slow
def test_a_batch_is_measured_without_the_extra_fast_too(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "module", lambda peer: os if peer == "zlib-ng" else None)
    batch, _ = batches.batches(Workshop(tmp_path, quick=True), ".png", 200)
    rows = batches.compare(batch, Workshop(tmp_path, quick=True), 1)
    plain = f"{batch.name}, without fast"
    names = [batch.name, f"{batch.name}: processor", plain, f"{plain}: processor"]
    assert [row.name for row in rows] == names
    assert all(not row.problem and row.peers == {} and row.ours for row in rows)
    assert [row.limits.get(batches.JOBLIB) for row in rows] == [1.0, None, 1.2, None]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4")
@pytest.mark.slow
def test_a_batch_with_one_wrong_picture_is_not_timed(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(tmp_path, quick=True)
    batch, _ = batches.batches(shop, ".png", 200)
    copy = f"cp {batch.source}/* {tmp_path}/batches/peer/"
    found = {"cnncli": batches.ours(batch, shop), "peer": ["sh", "-c", copy]}
    (tmp_path / "batches" / "peer").mkdir()
    monkeypatch.setattr(batches, "contenders", lambda batch, shop: found)
    (row,) = batches.compare(batch, shop, 1)
    assert row.ours is None and row.problem.startswith("peer differs by")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
@pytest.mark.slow
def test_the_memory_of_all_processes_is_summed(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(60_000_000); held[::4096] = b'1' * 14649; time.sleep(0.5)"
    one = [sys.executable, "-S", "-c", hold]
    two = ["sh", "-c", f'"$0" -S -c "{hold}" & "$0" -S -c "{hold}"; wait', sys.executable]
    shop = Workshop(tmp_path)
    single, both = batches.peaks(one, shop), batches.peaks(two, shop)
    assert 60e6 < single["largest process"] < 90e6 < 120e6 < both["all processes"] < 180e6
    assert both["largest process"] < 90e6


ALONE = """import runpy
from benchmarks import measure
measure.PATIENCE, measure.usage = 0.0, lambda: (0.0, 0.0)
runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)"""
"""A run that neither waits for the tests beside it nor measures again what they disturb."""


def run_benchmarks(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE, *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_quick_run_of_layers_on_cnncli_alone(tmp_path: Path) -> None:
    written = tmp_path / "report.json"
    words = ["--quick", "--repeats", "1", "layers", "small", "pooling", "--no-peers"]
    done = run_benchmarks(*words, "--json", str(written))
    assert (done.returncode, done.stderr) == (0, "")
    rows, curves = table.unpack(json.loads(written.read_text("utf-8")))
    sections = [row.section for row in rows]
    assert sections[:18] == ["layers", "layers, one call"] * 9
    assert sections[18:38] == ["small layers", "small layers, one call"] * 10
    assert sections[38:] == ["pooling"] * len(pooling.CASES)
    for row in rows:
        assert row.ours is not None and not row.peers and not row.problem and row.met is None
        assert row.name in done.stdout
    assert "Missing peers: onnxruntime" in done.stdout
    assert curves == []


@pytest.mark.slow
def test_a_quick_run_of_choices(tmp_path: Path) -> None:
    done = run_benchmarks("choose", "--quick", "--repeats", "1", "--json", str(tmp_path / "r.json"))
    assert (done.returncode, done.stderr) == (0, "")
    rows, _ = table.unpack(json.loads((tmp_path / "r.json").read_text("utf-8")))
    assert len(rows) == 2 * len(list(choose_cases.cases()))
    assert not any(row.problem for row in rows)


@pytest.mark.slow
def test_a_section_that_is_not_there_is_refused() -> None:
    done = run_benchmarks("layers", "paint")
    assert done.returncode == 2
    assert "got paint" in done.stderr


@pytest.mark.oracle
def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import plot

    paths = plot.draw(report(), tmp_path / "plots")
    assert [path.name for path in paths] == ["ratios.png", "scaling.png"]
    for path in paths:
        with commands.Image.open(path) as picture:
            assert min(picture.size) > 200
