"""What is said of an outcome: lines for people, JSON for programs, pictures for the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.batch.report import Report, json_lines, lines
from cnncli.errors import FileProblem, OptionError
from cnncli.pipeline.job import Outcome
from cnncli.pipeline.source import Source
from cnncli.pipeline.written_file import WrittenFile
from tests.support.shell import refused, run_cli, run_process, save, save_array
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(17)
RGB = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
MAPS = (RANDOM.standard_normal((6, 8, 5)) * [1, 2, 3, 4, 5]).astype(np.float32)
KEEP = ("pad", "--padding", "0")
UNEQUAL = ((-2.0, 2.0), (-1.0, 1.0))
PHOTO = Source(Path("in/photo.png"))


@pytest.fixture
def inputs(empty_folder: Path) -> None:
    save("x.png", RGB)
    save_array("maps.npy", MAPS)


def written(**changes: Any) -> WrittenFile:
    """One ordinary picture."""
    fields: dict[str, Any] = {
        "output": "y.png",
        "form": "8x6 grey",
        "shape": (6, 8, 1),
        "maps": ("edge",),
        "low": -2.0,
        "high": 1.5,
        "mapping": "symmetric",
        "ranges": ((-2.0, 2.0),),
        "clipped": 0.0,
        "non_finite": 0,
    }
    return WrittenFile(**{**fields, **changes})


def line(**changes: Any) -> str:
    (found,) = lines(Outcome(PHOTO, (written(**changes),)))
    return found


def entry(outcome: Outcome) -> dict[str, Any]:
    (found,) = json_lines(outcome)
    return dict(json.loads(found))


def test_a_line_has_name_size_values_and_mapping() -> None:
    assert line() == "y.png, 8x6 grey, values -2 to 1.5, range symmetric -2..2"


def test_values_are_not_mapped() -> None:
    assert line(mapping="values", ranges=()).endswith("values -2 to 1.5, values unchanged")


def test_maps_of_unequal_ranges() -> None:
    assert line(ranges=UNEQUAL).endswith("range symmetric, each map its own")


@pytest.mark.parametrize(
    ("clipped", "words"),
    [(0.001, "under 1 % clipped)"), (0.0199, "2 % clipped)"), (0.5, "50 % clipped; --range ")],
)
def test_a_hint_only_where_much_is_clipped(clipped: float, words: str) -> None:
    said = line(clipped=clipped, mapping="clip", ranges=((0.0, 1.0),))
    assert words in said and ("--range" in said) == (clipped > 0.02)


@pytest.mark.parametrize(("low", "better"), [(-0.1, "symmetric"), (0.0, "minmax")])
def test_the_hint_names_a_range_that_shows_all(low: float, better: str) -> None:
    said = line(clipped=0.5, low=low, mapping="clip", ranges=((0.0, 1.0),))
    assert f"--range {better} shows all" in said


@pytest.mark.parametrize(("share", "percent"), [(0.003, "0.3 %"), (0.0001, "under 0.1 %")])
def test_what_auto_cut_off_is_told_with_the_word_that_shows_all(share: float, percent: str) -> None:
    kind, end = "range auto, symmetric without extremes", "clipped; --range symmetric shows all)"
    assert line(clipped=share).endswith(f"{kind} -2..2 ({percent} {end}")
    assert line(clipped=share, ranges=UNEQUAL).endswith(
        f"{kind}, each map its own ({percent} {end}"
    )


@pytest.mark.parametrize("name", ["a\nb.png", "\x1b[31m.png", "bad\udcff.png", "\u202egnp.png"])
def test_names_are_shown_in_printable_letters_on_one_line(name: str) -> None:
    outcome = Outcome(Source(Path(name)), (written(output=name),), notes=("said",))
    assert all(found.isprintable() for found in lines(outcome))
    (skipped,) = lines(Outcome(Source(Path(name)), skipped=True))
    assert skipped.isprintable()
    for found in (*json_lines(outcome), *json_lines(Outcome(Source(Path(name)), skipped=True))):
        assert found.isascii() and found.isprintable() and json.loads(found)["input"] == name


def test_notes_name_their_image() -> None:
    found = lines(Outcome(PHOTO, (written(),), notes=("one", "two")))
    assert found[1:] == ["note: 'in/photo.png': one", "note: 'in/photo.png': two"]


def test_a_failure_says_nothing_here_but_all_in_json() -> None:
    outcome = Outcome(PHOTO, error=FileProblem("'in/photo.png': broken", hint="mend it"))
    assert lines(outcome) == []
    expected = {"input": "in/photo.png", "error": "'in/photo.png': broken", "hint": "mend it"}
    assert entry(outcome) == expected


def test_json_holds_every_field() -> None:
    found = entry(Outcome(PHOTO, (written(),), notes=("one",)))
    expected = {
        "input": "in/photo.png",
        "output": "y.png",
        "shape": [6, 8, 1],
        "maps": ["edge"],
        "min": -2.0,
        "max": 1.5,
        "mapping": "symmetric",
        "range": [-2.0, 2.0],
        "clipped": 0.0,
        "non_finite": 0,
        "notes": ["one"],
    }
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_json_is_json_whatever_the_values(value: float) -> None:
    (found,) = json_lines(Outcome(PHOTO, (written(low=value, ranges=((value, 1.0),)),)))
    refuse = pytest.fail
    assert json.loads(found, parse_constant=refuse)["min"] is None


def test_standard_input_and_output_are_a_dash() -> None:
    found = entry(Outcome(Source(None), (written(output="-"),)))
    assert (found["input"], found["output"]) == ("-", "-")


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([None], 0),
        ([None, None], 0),
        ([FileProblem("x")], 1),
        ([OptionError("x")], 2),
        ([OptionError("x"), None], 1),
        ([None, FileProblem("x")], 1),
    ],
)
def test_the_exit_code_follows_from_the_outcomes(errors: list[Any], code: int) -> None:
    report = Report(len(errors))
    for error in errors:
        report.add(Outcome(PHOTO, error=error))
    assert report.exit_code == code and report.left == 0
    assert report.done == errors.count(None)


INPUTS = pytest.mark.usefixtures("inputs")


@INPUTS
def test_one_line_an_output() -> None:
    result = run_cli("conv", "x.png", "-f", "1", "-o", "y.png")
    low, high = RGB.min() / 255, RGB.max() / 255
    (line,) = result.stderr.splitlines()
    assert result.stdout == ""
    for words in ("y.png", "6x8", "RGB", f"{low:.4g} to {high:.4g}", "clip 0..1"):
        assert words in line
    assert "clipped" not in line


@INPUTS
@pytest.mark.parametrize(("bias", "better"), [("-0.5", "symmetric"), ("0.7", "minmax")])
def test_much_clipping_brings_a_hint(bias: str, better: str) -> None:
    (line,) = run_cli("conv", "x.png", "-f", "1", f"--bias={bias}").stderr.splitlines()
    shifted = RGB / 255 + float(bias)
    share = ((shifted < 0) | (shifted > 1)).mean()
    assert f"{share:.0%}".replace("%", " % clipped") in line and f"--range {better}" in line


@INPUTS
def test_quiet() -> None:
    result = run_cli("pool", "x.png", "-q")
    assert result.output == "" and Path("x-pool.png").exists()
    assert "exists" in refused("pool", "x.png", "--quiet")


@INPUTS
def test_json() -> None:
    result = run_cli(*KEEP, "maps.npy", "x.png", "-o", "{stem}-{map}.tif", "--json", "-j1")
    assert result.stderr.startswith("2 images in ") and result.stderr.endswith(": 2 done\n")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    # Images come as they are done, the files of each in order.
    rows.sort(key=lambda row: row["input"])
    assert [row["output"] for row in rows] == [f"maps-{k}.tif" for k in range(5)] + ["x-0.tif"]
    for index in range(5):
        assert np.isclose(rows[index]["min"], MAPS[:, :, index].min())
        assert np.isclose(rows[index]["max"], MAPS[:, :, index].max())
        assert rows[index]["input"] == "maps.npy" and rows[index]["mapping"] == "symmetric"


@INPUTS
def test_json_of_the_skipped() -> None:
    run_cli("pool", "x.png")
    result = run_cli("pool", "x.png", "--skip-existing", "--json")
    assert json.loads(result.stdout) == {"input": "x.png", "skipped": True}


@INPUTS
@pytest.mark.parametrize(
    ("option", "words"), sweep(["--json", "--show"], [("x.png", "-o", "-"), ("-",)], keep=1)
)
def test_nothing_else_is_mixed_into_a_result_on_standard_output(
    words: tuple[str, ...], option: str
) -> None:
    done = run_process("pool", *words, option, input=Path("x.png").read_bytes())
    size = 128 + 3 * 4 * 3 * 4
    # Either the two are refused together, or the report goes elsewhere.
    assert (done.returncode, len(done.stdout)) in ((0, size), (2, 0)), done.stdout[size:]


@INPUTS
@pytest.mark.parametrize("name", ["standard output", "./-"])
def test_a_file_named_as_standard_output_is_a_file(name: str) -> None:
    result = run_cli("pool", "x.png", "--format", "png", "-o", name, "--json")
    assert json.loads(result.stdout)["output"] == name and Path(name).stat().st_size > 8
    again = json.loads(run_cli("pool", name, "-o", "again.png", "--json").stdout)
    assert (again["input"], again["output"]) == (name, "again.png")


@INPUTS
def test_the_result_on_standard_output_is_all_there_is() -> None:
    result = run_cli("pool", "x.png", "-o", "-")
    assert len(result.stdout_bytes) == 128 + 3 * 4 * 3 * 4
    assert result.stderr.startswith("standard output, 3x4x3 float32")


@INPUTS
def test_show_draws_in_half_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    save("wide.png", np.tile(RGB, (1, 5, 1)))
    done = run_process(*KEEP, "wide.png", "--show", "-q")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 3 and all("▀" in line and line.endswith("\x1b[0m") for line in lines)
    found = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m", lines[0])
    assert list(map(int, found[0])) == [*RGB[0, 0], *RGB[1, 0]]
    assert Path("wide-pad.png").exists()


@INPUTS
def test_show_does_not_spoil_standard_output() -> None:
    done = run_process(*KEEP, "x.png", "--show", "-o", "-")
    assert len(done.stdout) == 128 + 6 * 8 * 3 * 4 and "▀" in done.stderr.decode()
