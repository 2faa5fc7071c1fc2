"""The report of a batch: JSON and tables, whole and in order, whatever the names and the end."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.patience import patient, until
from tests.support.shell import refused_untouched, run_cli, save, save_array
from tests.support.sweep import sweep

RGB = np.random.default_rng(11).integers(0, 256, (6, 8, 3), np.uint8)
ODD = ["=1+2.png", "@x.png", "-y.png", "+z.png", "two\nlines.png", "\x1b[31m.png", "bad\udcff.png"]
ODD += ['quo"te,comma.png', "\t=cmd.png", "\uff1d1.png"]

pytestmark = pytest.mark.usefixtures("empty_folder")


def load(name: str) -> dict[str, Any]:
    """Read a report as strictly as JSON is written down."""
    text = Path(name).read_bytes().decode("ascii")
    return dict(json.loads(text, parse_constant=pytest.fail))


def rows(name: str) -> list[dict[str, str]]:
    with open(name, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def make_batch() -> None:
    for name in ("a.png", "c.png", "done.png", "done-pool.png"):
        save(name, RGB)
    save_array("e.npy", np.ones((4, 4)))
    Path("b.png").write_bytes(b"no picture")


BATCH = ("a.png", "b.png", "c.png", "done.png", "e.npy", "gone.png")


def test_json_lists_every_input_in_order() -> None:
    make_batch()
    words = ("--skip-existing", "--jobs", "2", "--report", "r.json")
    run_cli("pool", *BATCH, *words, code=1)
    report = load("r.json")
    assert [entry["input"] for entry in report["inputs"]] == list(BATCH)
    states = [entry["status"] for entry in report["inputs"]]
    assert states == ["done", "failed", "done", "skipped", "done", "failed"]
    counts = [report[key] for key in ("images", "done", "skipped", "failed", "not_done")]
    assert counts == [6, 3, 1, 2, 0]
    # As it was typed, with what pictures leave out.
    assert report["command"] == f"cnncli pool {' '.join((*BATCH, *words))}"
    first, bad, *_ = report["inputs"]
    (output,) = first["outputs"]
    assert output["output"] == "a-pool.png" and output["shape"] == [3, 4, 3]
    assert output["mapping"] == "clip" and output["range"] == [0.0, 1.0]
    pooled = (RGB / 255).reshape(3, 2, 4, 2, 3).max(axis=(1, 3))
    assert np.isclose(output["min"], pooled.min()) and np.isclose(output["max"], pooled.max())
    assert first["seconds"] > 0 and report["seconds"] > 0
    assert bad["outputs"] == [] and bad["error"].startswith("'b.png': not a picture")


def test_a_table_has_a_row_for_each_output() -> None:
    make_batch()
    words = ("-f", "edge", "-f", "box", "-o", "out/", "--report", "r.csv")
    run_cli("conv", "a.png", "b.png", "e.npy", *words, code=1)
    found = rows("r.csv")
    assert [(row["input"], row["status"], row["output"]) for row in found] == [
        ("a.png", "done", "out/a-edge.png"),
        ("a.png", "done", "out/a-box.png"),
        ("b.png", "failed", ""),
        ("e.npy", "done", "out/e-edge.png"),
        ("e.npy", "done", "out/e-box.png"),
    ]
    assert found[0]["shape"] == "6x8x3" and found[2]["error"].startswith("'b.png': ")
    # A number below zero stays one.
    assert float(found[0]["min"]) < 0 and not found[0]["min"].startswith("'")
    assert float(found[0]["seconds"]) > 0


def test_a_table_has_the_strongest_class_and_its_score() -> None:
    save("a.png", RGB)
    save("b.png", 255 - RGB)
    Path("names.txt").write_text("one\ntwo\nthree\n")
    Path("net.toml").write_text(
        "[[layers]]\ntype = 'pool'\nsize = 'global'\nmode = 'average'\n"
        "[[layers]]\ntype = 'dense'\nfilter = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n"
    )
    words = ("--labels", "names.txt", "-o", "out/{stem}.png", "--report")
    run_cli("run", "net.toml", "a.png", "b.png", "gone.png", *words, "r.csv", code=1)
    run_cli("run", "net.toml", "a.png", "b.png", *words, "r.json", "--overwrite")
    found, whole = rows("r.csv"), load("r.json")["inputs"]
    for row, entry in zip(found, whole, strict=False):
        best = entry["outputs"][0]["answers"][0]
        assert row["class"] == best["name"] and float(row["score"]) == best["value"]
    means = (RGB / 255).mean(axis=(0, 1))
    assert found[0]["class"] == ("one", "two", "three")[means.argmax()]
    assert np.isclose(float(found[0]["score"]), means.max())
    assert found[2]["class"] == found[2]["score"] == ""


def test_a_list_in_the_place_of_pictures_is_a_report() -> None:
    save("a.png", RGB)
    save("b.png", RGB)
    for images in (["a.png"], ["a.png", "b.png"]):
        said = refused_untouched("pool", *images, "-o", "all.csv", code=2)
        assert "--output writes pictures or values" in said and "--report all.csv" in said
    said = refused_untouched("pool", "a.png", "-o", "x/{stem}.json", code=2)
    assert "--report report.json" in said


@pytest.mark.parametrize("fault", [False, True])
def test_odd_names(fault: bool) -> None:
    save("x.png", RGB)
    data = b"" if fault else Path("x.png").read_bytes()
    Path("x.png").unlink()
    for name in ODD:
        Path(name).write_bytes(data)
    given = ("pool", "-o", "{stem}.npy", "--report")
    run_cli(*given, "r.json", "--", *ODD, code=int(fault))
    assert [entry["input"] for entry in load("r.json")["inputs"]] == ODD
    run_cli(*given, "r.csv", "--overwrite", "--", *ODD, code=int(fault))
    found = rows("r.csv")
    assert len(found) == len(ODD)
    for row in found:
        for cell in row.values():
            assert cell.isprintable() and not cell.startswith(("=", "@", "\uff1d", "\t"))
        for key in ("input", "output"):
            assert not row[key].startswith(("+", "-"))
    assert [row["input"].lstrip("'")[:2] for row in found[:4]] == ["=1", "@x", "-y", "+z"]


def test_what_was_not_done_is_listed() -> None:
    for index in range(30):
        save(f"{index:02d}.png", RGB)
    Path("00.png").write_bytes(b"")
    given = ("pool", "*.png", "-o", "out/", "--fail-fast", "--jobs", 1, "--report")
    run_cli(*given, "r.json", code=1)
    states = [entry["status"] for entry in load("r.json")["inputs"]]
    assert len(states) == 30 and states[0] == "failed" and states[-1] == "not done"
    assert states.count("not done") == load("r.json")["not_done"] >= 20
    run_cli(*given, "r.csv", "--overwrite", code=1)
    assert [row["status"] for row in rows("r.csv")].count("not done") >= 20


def interrupted(number: int, folder: str) -> str:
    """Interrupt a batch once its first output is there; return what it said."""
    words = ["pool", "in", "-o", f"{folder}/", "--report", "r.json", "-j", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "cnncli", *words], stderr=subprocess.PIPE
    ) as process:
        until(lambda: Path(folder).exists() and os.listdir(folder))
        process.send_signal(number)
        error = process.communicate(timeout=patient(10))[1].decode()
    assert process.returncode == 128 + number
    return error


@pytest.mark.parametrize("number", sweep([signal.SIGINT, signal.SIGTERM], keep=1))
def test_an_interrupted_batch_has_its_report(number: int) -> None:
    Path("in").mkdir()
    for index in range(300):
        save(f"in/{index:03d}.png", RGB)
    # On a machine with too much to do an interrupted command ends before it has written anything.
    for attempt in range(5):
        error = interrupted(number, f"out{attempt}")
        if Path("r.json").exists():
            break
    report = load("r.json")
    total = len(os.listdir("in"))
    assert report["images"] == len(report["inputs"]) == total
    assert report["done"] + report["not_done"] == total and report["not_done"] > 0
    assert f"interrupted: {report['done']} of {total} done" in error
    made = set(os.listdir(f"out{attempt}"))
    for entry in report["inputs"]:
        if entry["status"] == "done":
            assert {os.path.basename(each["output"]) for each in entry["outputs"]} <= made


def test_a_report_replaces_nothing_but_with_overwrite() -> None:
    save("a.png", RGB)
    Path("r.json").write_text("precious")
    error = refused_untouched("pool", "a.png", "--report", "r.json")
    assert "exists already\nhint: another name, or --overwrite, which replaces results too" in error
    run_cli("pool", "a.png", "--report", "r.json", "--overwrite")
    assert load("r.json")["done"] == 1


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("r.txt", 2, ".json or .csv"),
        ("report", 2, ".json or .csv"),
        ("", 2, "must name a file"),
        ("no/r.json", 1, "does not exist"),
        ("a.png/r.json", 1, "is not a folder"),
        ("folder.csv", 1, "is a folder"),
        ("out.csv", 2, "would hold the result of 'a.png' too"),
        ("link.json", 2, "is one of the inputs"),
    ],
)
def test_reports_that_cannot_be_are_refused_before_the_work(
    name: str, code: int, words: str
) -> None:
    save("a.png", RGB)
    Path("folder.csv").mkdir()
    Path("link.json").symlink_to("a.png")
    given = ("-o", "out.csv", "--format", "png", "--overwrite")
    assert words in refused_untouched("pool", "a.png", *given, "--report", name, code=code)


@pytest.mark.parametrize("output", ["new/", "new/{stem}.png", "./new/sub/../"])
@pytest.mark.parametrize("image", ["a.png", "broken.png"])
def test_a_report_in_the_folder_of_results(output: str, image: str) -> None:
    save("a.png", RGB)
    Path("broken.png").write_bytes(b"no picture")
    is_broken = image == "broken.png"
    run_cli("pool", image, "-o", output, "--report", "new/r.json", code=int(is_broken))
    assert load("new/r.json")["failed"] == int(is_broken)


def test_a_report_to_a_device() -> None:
    save("a.png", RGB)
    Path("r.json").symlink_to("/dev/null")
    run_cli("pool", "a.png", "--report", "r.json")
    assert Path("r.json").is_symlink() and Path("/dev/null").is_char_device()


@pytest.mark.parametrize("output", ["-", "out.png"])
@pytest.mark.parametrize("name", ["filter.csv", "image.csv", "list.csv"])
def test_a_report_spares_all_that_is_read(output: str, name: str) -> None:
    save("a.png", RGB)
    Path("a.png").rename("image.csv")
    Path("filter.csv").write_text("1,0,-1\n")
    Path("list.csv").write_text("image.csv\n")
    given = ("--filter", "filter.csv", "--files-from", "list.csv", "-o", output)
    error = refused_untouched("conv", *given, "--overwrite", "--report", name, code=2)
    assert "is one of the inputs" in error


def test_a_result_spares_the_list_of_images() -> None:
    save("a.png", RGB)
    Path("list.npy").write_text("a.png\n")
    given = ("--files-from", "list.npy", "-o", "list.npy", "--overwrite")
    assert "is one of the inputs" in refused_untouched("pool", *given, code=2)
