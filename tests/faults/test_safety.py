"""Nothing is lost and nothing is guessed in silence: whole batches, inputs, look-alike layouts."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.shell import pixels, refused, run_cli, run_process, run_shell, save, save_array

NOISE = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)


def test_two_images_never_share_a_file_of_maps(empty_folder: Path) -> None:
    for name in ("a.png", "a1.png"):
        save(name, NOISE)
    save_array("bank.npy", np.ones((1, 1, 3, 12)))
    result = run_cli("conv", "a.png", "a1.png", "-f", "bank.npy", "-o", "o/{stem}{map}.png", code=1)
    # Whichever of the two is last to begin finds the other's file.
    assert re.search("would hold both 'a1?.png' and 'a1?.png'", result.stderr)
    assert len(list(Path("o").iterdir())) == 12


def test_a_file_on_standard_input_is_an_input(empty_folder: Path) -> None:
    save("in.png", NOISE)
    before = Path("in.png").read_bytes()
    done = run_shell("cnncli pool -o in.png --overwrite < in.png")
    assert done.returncode == 2
    assert b"never overwritten" in done.stderr
    assert Path("in.png").read_bytes() == before


@pytest.mark.parametrize("given", [["-f", "f.npy"], ["-f", "box", "--bias", "f.npy"]])
def test_filters_and_biases_are_never_overwritten(empty_folder: Path, given: list[str]) -> None:
    save("in.png", NOISE)
    save_array("f.npy", np.ones((1, 1)))
    before = Path("f.npy").read_bytes()
    refused("conv", "in.png", *given, "-o", "f.npy", "--overwrite", code=2)
    assert Path("f.npy").read_bytes() == before


def test_an_image_that_does_not_fit_stops_no_other(empty_folder: Path) -> None:
    save_array("two.npy", np.ones((4, 4, 2)))
    save("rgb.png", NOISE)
    result = run_cli("conv", "two.npy", "rgb.png", "-f", "gabor_color", "-o", "o/", code=1)
    assert "'two.npy': the filter gabor_color has 3 channels in" in result.stderr
    assert len(list(Path("o").iterdir())) == 16


@pytest.mark.slow
def test_an_image_too_large_for_memory_stops_no_other(empty_folder: Path) -> None:
    with Image.new("L", (7000, 7000)) as large:
        large.save("large.png")
    save("small.png", NOISE)

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))

    words = ("conv", "large.png", "small.png", "-f", "box", "--depth", "float", "-o", "{stem}.tif")
    done = run_process(*words, preexec_fn=little_memory)
    assert done.returncode == 1, done.stderr
    assert b"cnncli: error: 'large.png': " in done.stderr
    assert b"memory" in done.stderr
    assert Path("small.tif").exists()


def test_float_tiff_reports_what_it_holds(empty_folder: Path) -> None:
    save_array("wide.npy", np.array([[1.0, 4e300]]))
    result = run_cli("pad", "wide.npy", "--padding", 0, "-o", "w.tif", "--depth", "float")
    assert "1 of 2 values are NaN or infinite" in result.stderr
    assert pixels("w.tif").tolist() == [[1.0, np.inf]]


def test_a_filter_in_the_other_layout_is_said(empty_folder: Path) -> None:
    save("in.png", NOISE)
    save_array("vgg.npy", np.ones((8, 3, 3, 3)))
    result = run_cli("conv", "in.png", "-f", "vgg.npy", "-o", "a.npy")
    assert "--filter-layout oihw is likelier, window 3x3, 8 maps" in result.stderr
    save_array("gray.npy", np.ones((8, 1, 3, 3)))
    result = run_cli("conv", "in.png", "-f", "gray.npy", "-o", "g.npy")
    assert "--filter-layout oihw is likelier, window 3x3, 8 maps" in result.stderr
    result = run_cli("conv", "in.png", "-f", "vgg.npy", "-o", "b.npy", "--filter-layout", "oihw")
    assert "layout" not in result.stderr


def test_channels_first_is_said(empty_folder: Path) -> None:
    save_array("chw.npy", np.ones((3, 20, 20)))
    result = run_cli("pool", "chw.npy", "--size", 1, "-o", "out.npy")
    assert "3x20x20 is read as height, width, channels" in result.stderr


def test_windows_of_pads_only_are_said(empty_folder: Path) -> None:
    save("in.png", NOISE)
    result = run_cli("pool", "in.png", "--padding", 5, "-o", "out.npy")
    assert "windows lie in the padding only" in result.stderr
    assert "grew too large" not in result.stderr


def test_json_of_a_sheet_has_the_range_of_each_map(empty_folder: Path) -> None:
    save("in.png", NOISE)
    result = run_cli("conv", "in.png", "-f", "gabor_color", "--json")
    record = json.loads(result.stdout)
    assert record["range"] is None
    assert len(record["ranges"]) == len(record["maps"]) == 16


def test_help_is_in_sections_that_hold_every_option() -> None:
    for command in ("pad", "conv", "pool"):
        text = run_cli(command, "--help-all").stdout
        sections = [text.index(title) for title in ("Layer:", "Images in:", "Results out:")]
        assert sections == sorted(sections)
        assert text.index("--padding") < sections[1] < text.index("--gray") < sections[2]
        assert sections[2] < text.index("--output") < text.index("--help")
