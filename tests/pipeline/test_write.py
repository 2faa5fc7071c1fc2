"""Results on their way into files: how many modules a row passes, and whose fault an error is."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import cnncli
from cnncli.pipeline.feature_maps import FeatureMaps
from tests.support.shell import refused_untouched, run_cli, save

pytestmark = pytest.mark.usefixtures("empty_folder")

PACKAGE = Path(cnncli.__file__).parent
MOST_FILES = 12
STRIP = "FeatureMaps.map_strips.<locals>.work"
GREY = np.arange(64 * 96, dtype=np.uint8).reshape(64, 96)


def test_a_row_of_pixels_passes_at_most_twelve_files() -> None:
    photo, passed, depth = save("photo.png", GREY), set[str](), 0

    def watch(frame: FrameType, event: str, _: object) -> None:
        nonlocal depth
        code = frame.f_code
        if code.co_qualname == STRIP:
            depth += {"call": 1, "return": -1}.get(event, 0)
        if depth and event == "call" and Path(code.co_filename).is_relative_to(PACKAGE):
            passed.add(code.co_filename)

    words = ("conv", photo, "--filter", "edge", "--jobs", "1")
    # What is made at the first use is not on the way of a row.
    run_cli(*words, "-o", "first.png")
    sys.setprofile(watch)
    try:
        run_cli(*words, "-o", "out.png")
    finally:
        sys.setprofile(None)
    assert str(PACKAGE / "io/png_writer.py") in passed
    assert str(PACKAGE / "core/engine.py") in passed
    assert len(passed) <= MOST_FILES, [Path(name).name for name in sorted(passed)]


@pytest.mark.parametrize("output", ["out.png", "out.npy", "out.jpg"])
def test_what_fails_in_the_computation_is_no_fault_of_the_output(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    photo = save("photo.png", GREY)
    monkeypatch.setattr(FeatureMaps, "_strip_values", fails)
    error = refused_untouched("conv", photo, "--filter", "edge", "-o", output)
    assert error == "cnncli: error: 'photo.png': cannot be computed: Input/output error\n"


def test_pictures_of_one_value_are_noted() -> None:
    save("flat.png", np.full((9, 9), 200, np.uint8))
    save("dot.png", np.zeros((1, 1), np.uint8))
    save("x.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    note = "note: 'flat.png': 'a.png' holds one value, 0, everywhere\n"
    assert note in run_cli("conv", "flat.png", "-f", "edge", "-o", "a.png").stderr
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n[[layers]]\ntype = "pool"\nsize = 4\n')
    said = run_cli("run", "net.toml", "flat.png", "-o", "layers/").stderr
    # A single cell has no other, and numbers are no picture.
    assert said.count("one value") == 1
    assert "'layers/flat-pool1.png' holds one value, 0.7843, everywhere" in said
    for words in (
        ("x.png", "-o", "b.png"),
        ("dot.png", "-o", "c.png"),
        ("flat.png", "-o", "d.npy"),
    ):
        assert "one value" not in run_cli("conv", *words, "-f", "edge").stderr
    assert (
        "the picture holds one value, 0,"
        in run_cli("conv", "flat.png", "-f", "edge", "-o", "-", "--format", "png").stderr
    )


@pytest.mark.parametrize(
    ("dead", "names"),
    [(2, "'m-1.png', 'm-2.png'"), (5, "'m-1.png', 'm-2.png', 'm-3.png' and 2 more")],
)
def test_one_note_names_all_maps_of_one_value(dead: int, names: str) -> None:
    save("x.png", np.arange(81, dtype=np.uint8).reshape(9, 9))
    filters = [word for text in ("edge", *["0 0 0"] * dead) for word in ("-f", text)]
    said = run_cli("conv", "x.png", *filters, "-o", "m-{map}.png").stderr
    assert f"note: 'x.png': {names} hold one value, 0, everywhere\n" in said
    assert said.count("one value") == 1
