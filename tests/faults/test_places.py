"""Full disks, files that are no files, names and networks that mean harm: injected for real."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.disks import small_disk
from tests.support.mutants import picture_corpus
from tests.support.picturefiles import encoded
from tests.support.shell import (
    error_lines,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    run_process,
    save,
    save_array,
    snapshot,
)
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(4)
RGB = RANDOM.integers(0, 256, (400, 500, 3), np.uint8)


@pytest.fixture(scope="module")
def noise() -> bytes:
    """The noise as PNG, which takes a while to compress."""
    return encoded(RGB, "PNG")


@pytest.fixture(autouse=True)
def inputs(empty_folder: Path, noise: bytes) -> None:
    Path("x.png").write_bytes(noise)
    save_array("x.npy", RGB)
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n')


@pytest.fixture(name="small_disk")
def disk() -> Iterator[Path]:
    """A disk of 300 KiB."""
    with small_disk(Path("disk").absolute(), 300) as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp", "npy", "npz"])
@pytest.mark.parametrize("old", [None, b"precious"])
def test_a_full_small_disk(small_disk: Path, suffix: str, old: bytes | None) -> None:
    output = small_disk / f"y.{suffix}"
    if old is not None:
        output.write_bytes(old)
    words = ("pad", "x.npy", "--padding", "150", "--pad-mode", "wrap", "-o", output)
    error = refused(*words, "--overwrite")
    assert error.startswith(f"cnncli: error: '{output}': ")
    # What does not compress is known not to fit before any work.
    known = re.search(r"needs about [27] MB of disk, \d+ kB is free", error)
    assert known if suffix in ("tif", "bmp", "npy") else "no space left" in error
    assert list(snapshot(small_disk).values()) == ([] if old is None else [old])
    # What fits is written on the same disk, for nothing of the other was left.
    run_cli("pool", "x.png", "--size", 50, "-o", output, "--overwrite")
    assert output.stat().st_size > 8


def test_a_picture_that_may_not_fit_is_made_when_asked_for(small_disk: Path) -> None:
    save("dark.png", np.zeros((9, 9), np.uint8))
    output = small_disk / "y.png"
    words = ("pad", "dark.png", "--padding", 1000, "-o", output, "--max-pixels")
    before = snapshot(small_disk)
    error = refused(*words, 1_000_000, code=2)
    assert "a result may have 1000000 pixels, got 2009x2009 = 4036081\n" in error
    assert error.endswith("hint: less padding, or --max-pixels 4036081\n")
    sheet = ("conv", "dark.png", "-f", "kirsch", "--padding", 1000, "-o", output)
    error = refused(*sheet, "--max-pixels", 4036081)
    assert re.search(
        r"needs about 41 MB of disk, 307 kB is free\nhint: --max-pixels 41\d+ if", error
    )
    assert snapshot(small_disk) == before
    run_cli(*words, 4036081)
    assert pixels(output).shape == (2009, 2009)


@pytest.mark.slow
def test_a_full_small_disk_in_a_batch_and_for_maps(small_disk: Path) -> None:
    Path("in").mkdir()
    for number in range(4):
        save(f"in/{number}.png", RGB[number:200, :300])
    done = run_process("pad", "in", "--padding", 0, "-o", f"{small_disk}/", "--jobs", 2)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith(b"cnncli: error: ")]
    written = sorted(small_disk.iterdir())
    assert len(errors) + len(written) == 4 and errors and written
    assert all(pixels(path).shape[1:] == (300, 3) for path in written)


@pytest.mark.parametrize("length", [308_000, 600_000])
def test_a_full_disk_for_a_list_of_names(small_disk: Path, length: int) -> None:
    names = (b"x.png\n" * length)[:length]
    env = {**os.environ, "TMPDIR": str(small_disk)}
    done = run_process("pool", "--files-from", "-", "-o", "out/", input=names, env=env)
    assert "a temporary file cannot be written: no space left on device" in error_lines(done, 1)


@pytest.mark.parametrize(
    ("kind", "command", "suffix"),
    sweep(
        ["pipe", "/dev/zero", "/dev/null", "folder", "gone"],
        ["run", "plan", "grad", "convert"],
        [".toml", ".onnx"],
        rounds=2,
    ),
)
def test_networks_that_are_no_files(kind: str, command: str, suffix: str) -> None:
    name = kind if kind.startswith("/") else kind + suffix
    if kind == "pipe":
        os.mkfifo(name)
    if kind == "folder":
        Path(name).mkdir()
    words = {
        "run": ("run", name, "x.png", "-o", "y.png"),
        "plan": ("plan", name, "--input", "9x9x3"),
        "grad": ("grad", name, "x.png", "--unit", "pool1:0"),
        "convert": ("convert", name, "-o", "out.toml"),
    }
    if command == "grad" and kind.startswith("/"):
        # A network is told from an image by its name.
        assert "one NETWORK at most" in refused_untouched(*words[command], code=2)
        return
    error = refused_untouched(*words[command])
    assert error.startswith(f"cnncli: error: '{name}': ")


NETWORKS = {
    "a million layers": "[[layers]]\ntype='pad'\npadding=0\n" * 10**6,
    "2,000 layers": "[[layers]]\ntype='pad'\npadding=0\n" * 2_000,
    "deep lists": "[[layers]]\ntype = 'pad'\npadding = " + "[" * 10**5,
    "a name of many parts": ".".join(["a"] * 10**5) + " = 1",
    "quoted parts": "a = {" + ".".join(['"1,"'] * 10**5) + " = 1}",
    "a table of many parts": "[" + ".".join(["1.1"] * 10**5) + "]",
    "a huge number": "[[layers]]\ntype = 'pad'\npadding = 0x" + "f" * 10_000,
    "a huge number in a list": "[input]\nmean = [0b" + "1" * 20_000 + "]\n",
    "many digits": "[input]\nscale = " + "9" * 10_000,
    "another type": "[[layers]]\ntype = 'pad'\npadding = {}\n",
    "another key": "[[layers]]\ntype = 'pad'\npadding = 1\npaddle = 2\n",
    "missing weights": "[[layers]]\ntype = 'conv'\nfilter = 'gone.npz:W'\n",
    "a control character": "[[layers]]\ntype = 'po\x1b[31mol'\n",
    "no list": "layers = 3\n",
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_that_are_none(kind: str) -> None:
    Path("bad.toml").write_text(NETWORKS[kind])
    for words in (("run", "bad.toml", "x.png"), ("plan", "bad.toml", "--input", "9x9x3")):
        error = refused_untouched(*words)
        assert error.startswith("cnncli: error: 'bad.toml': ") and len(error) < 500, error


def test_shapes_that_do_not_chain_name_the_layer() -> None:
    text = "[[layers]]\ntype = 'conv'\nfilter = 'gabor_color'\n[[layers]]\nname = 'second'\n"
    Path("bad.toml").write_text(text + "type = 'conv'\nfilter = 'gabor_color'\n")
    error = refused_untouched("run", "bad.toml", "x.png", code=1)
    assert "'bad.toml': layer second: " in error and "3 channels in" in error


def test_a_folder_without_images() -> None:
    Path("empty/deep").mkdir(parents=True)
    Path("empty/notes.txt").write_text("hello")
    error = refused_untouched("pool", "empty", "-o", "out/")
    assert "'empty': a folder without images" in error and "--recursive" in error
    assert "without images" in refused_untouched("pool", "empty", "--recursive", "-o", "out/")


NUMBERS = [
    "--max-pixels",
    "--max-memory",
    "--max-input-bytes",
    "--frame",
    "--columns",
    "--jobs",
    "--size",
    "--stride",
    "--padding",
    "--dilation",
    "--p",
    "--range",
    "--timeout",
]


@pytest.mark.parametrize(("option", "digits"), sweep(NUMBERS, [20, 400, 5_000]))
def test_numbers_of_many_digits(option: str, digits: int) -> None:
    before = snapshot()
    code = run_cli_any("pool", "x.png", "-o", "y.png", option, "9" * digits)
    if code:
        assert code in (1, 2) and snapshot() == before
    else:
        assert pixels("y.png").shape == (200, 250, 3)


SMALL = {suffix: data for suffix, data in reversed(picture_corpus()) if suffix != "pnm"}


@pytest.mark.parametrize("every", [61, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", SMALL)
def test_pictures_that_are_cut_short(suffix: str, every: int) -> None:
    whole, first = SMALL[suffix], Path("cut")
    for length in range(0, len(whole), every):
        first.write_bytes(whole[:length])
        result = run_cli_any("pool", "cut", "-o", "y.npy", "--jobs", "1", "-q")
        assert result in (0, 1), length
        assert Path("y.npy").exists() == (result == 0)
        Path("y.npy").unlink(missing_ok=True)


def run_cli_any(*words: str) -> int:
    """Run a command that may fail, but only as it should."""
    from click.testing import CliRunner

    from cnncli.cli import cli

    result = CliRunner().invoke(cli, list(words))
    assert isinstance(result.exception, SystemExit | None), result.exception
    errors = [line for line in result.stderr.splitlines() if line.startswith("cnncli: error: ")]
    assert len(errors) == (result.exit_code != 0), result.stderr
    return result.exit_code


def test_a_padding_beyond_the_limit_of_pixels_is_refused_before_any_work() -> None:
    words = ("conv", "x.npy", "-f", "edge", "--padding", 60000, "-o", "y.png")
    error = refused_untouched(*words, code=2)
    assert "a result may have 89478485 pixels, got 120398x120498 = 14507718204" in error
    assert error.endswith("hint: less padding, or --max-pixels 14507718204\n")
