"""Memory: told before the work, held against what the work takes, and refused with both figures."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.system import memory
from tests.support.crafted import png_chunk
from tests.support.shell import (
    error_lines,
    npy_bytes,
    peak_memory,
    refused,
    refused_untouched,
    run_cli,
    run_process,
    save,
)
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(12)
SIDE = 3000
MB = 10**6

NETWORK = """
[[layers]]
type = "conv"
filter = "box"

[[layers]]
type = "pool"

[[layers]]
type = "add"
inputs = ["pool1", "pool1"]
"""


@pytest.fixture(autouse=True)
def inputs(empty_folder: Path) -> None:
    save("x.png", RANDOM.integers(0, 256, (20, 24, 3), np.uint8))
    Path("net.toml").write_text(NETWORK)


def big(name: str, mode: str, side: int) -> None:
    """Noise, the worst for every encoder, in one of Pillow's modes."""
    noise = Image.frombytes("RGBA", (side, side), RANDOM.bytes(4 * side**2))
    # As it is: noise gets no smaller, and trying takes longer than most commands.
    noise.convert(mode).save(name, compress_level=0)


@pytest.mark.parametrize(
    "words",
    [
        ("pad", "x.png", "--padding", "65535", "--jobs", "2"),
        ("pad", "x.png", "--padding", "65535", "-o", "y.tif"),
        ("conv", "x.png", "-f", "edge", "--padding", "65535", "-o", "y.ppm"),
        ("conv", "x.png", "-f", "gabor_color", "--padding", "9999"),
        ("pool", "x.png", "--padding", "0,0,0,60000", "--size", "1", "-o", "y.tif")
        + ("--depth", "float", "--dilation", "1"),
        ("pad", "x.png", "--padding", "20000", "-o", "-", "--format", "png"),
    ],
)
@pytest.mark.parametrize("how", ["option", "variable"])
def test_what_needs_too_much_is_refused(
    words: tuple[str, ...], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("CNNCLI_MAX_MEMORY", "10 MB")
    else:
        words += ("--max-memory", "10000000")
    error = refused_untouched(*words, "--max-pixels", 10**12)
    assert error.startswith("cnncli: error: 'x.png': ")
    assert re.search(r" needs about [\d.]+ [GM]B of memory, the limit is 10 MB", error), error
    assert "--max-memory" in error


def test_what_is_available_is_the_limit_without_one() -> None:
    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))

    words = ("pad", "x.png", "--padding", "65535", "--jobs", "2", "-o", "y.png")
    words += ("--max-pixels", str(10**12))
    done = run_process(*words, preexec_fn=little_memory)
    error = error_lines(done, 1)
    assert re.search(r"'x.png': pad needs about 2\d\.\d GB of memory, [\d.]+ [GM]B is", error)
    assert not Path("y.png").exists()


def test_the_limit_may_be_raised_beyond_what_is_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    words = ("pad", "x.png", "--padding", "1000", "-o", "y.tif")
    assert "1 kB is available" in refused(*words)
    run_cli(*words, "--max-memory", "1GB")


@pytest.mark.parametrize(
    "mode", sweep(["RGB", "I;16", "CMYK", "L", "LA", "RGBA", "P", "1"], keep=3)
)
def test_a_picture_too_large_is_refused_before_it_is_decoded(mode: str) -> None:
    name = "big.jpg" if mode == "CMYK" else "big.png"
    image = Image.new(mode.replace("I;16", "I"), (SIDE, SIDE))
    (image if mode != "I;16" else image.convert("I;16")).save(name)
    error = refused_untouched("pool", name, "--max-memory", "5MB")
    assert re.search(
        rf"'{name}': the picture needs about \d+ MB of memory, the limit is 5 MB", error
    )


def test_of_a_picture_too_large_only_the_header_is_read() -> None:
    # There are no pixels behind this header: whoever decodes finds a broken file.
    header = png_chunk(b"IHDR", (9000).to_bytes(4, "big") * 2 + bytes([8, 6, 0, 0, 0]))
    Path("big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"x\x9c"))
    assert "needs about 1.6 GB of memory" in refused_untouched(
        "pool", "big.png", "--max-memory", "1GB"
    )


def test_arrays_and_standard_input_count_too() -> None:
    data = npy_bytes(np.zeros((2000, 1500), np.int8))
    Path("x.npy").write_bytes(data)
    error = refused_untouched("pool", "x.npy", "-o", "y.npy", "--max-memory", "11MB")
    assert "'x.npy': the picture needs about 12 MB" in error
    error = refused_untouched("pool", "-o", "y.npy", "--max-memory", "2MB", stdin=data)
    assert "'standard input': the picture needs about" in error


@pytest.mark.parametrize(
    "words",
    [
        ("grad", "net.toml", "x.png", "--unit", "add1:0", "-o", "y.png"),
        ("run", "net.toml", "x.png", "-o", "y.png"),
        ("plan", "net.toml", "--image", "x.png", "--trace", "add1:0,0", "-o", "y.png"),
    ],
)
def test_all_commands_on_pictures_have_the_limit(words: tuple[str, ...]) -> None:
    assert "of memory, the limit is 3 kB" in refused_untouched(*words, "--max-memory", "3kB")
    run_cli(*words)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("500MB", 5 * 10**8), ("2 GiB", 2**31), ("1.5k", 1500), ("7b", 7), ("1TB", 10**12)],
)
def test_numbers_of_bytes(text: str, count: int) -> None:
    from cnncli.cli.types import ByteCount

    assert ByteCount().convert(text, None, None) == count


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "MB", "1e9", "nan", "5QB", "9" * 30, "8388608 TiB"]
)
@pytest.mark.parametrize("option", ["--max-memory", "--max-input-bytes"])
def test_texts_that_are_no_number_of_bytes(text: str, option: str) -> None:
    error = refused_untouched("pool", "x.png", option, text, code=2)
    assert option in error and "500MB" in error


READING = ["RGB", "L", "P", "RGBA", "LA", "I;16"]
WRITING: dict[str, tuple[str, ...]] = {
    "png": ("conv", "big.png", "-f", "sharpen", "-o", "y.png"),
    "png to a pipe": ("pad", "big.png", "--padding", "0", "-o", "/dev/stderr", "--format", "png"),
    "jpg": ("pad", "big.png", "--padding", "0", "-o", "y.jpg"),
    "small tif": ("pad", "big.png", "--padding", "0", "-o", "y.tif", "--compress", "small"),
    "gif": ("pool", "big.png", "-o", "y.gif"),
    "webp": ("pool", "big.png", "-o", "y.webp"),
    "float": ("pool", "big.png", "-o", "y.tif", "--depth", "float"),
    "npy": ("conv", "big.png", "-f", "sharpen", "-o", "y.npy"),
    "sheet": ("conv", "big.png", "-f", "gabor_color", "--stride", "2", "-o", "y.png"),
    "folder": ("conv", "big.png", "-f", "gabor_color", "--stride", "2", "-o", "maps/"),
    "network": ("run", "net.toml", "big.png", "-o", "y.npz"),
}

NOTE_ESTIMATES = """
from cnncli.io import decoding_memory
from cnncli.pipeline import memory_estimate
def note(needed, *_, held=0, **__):
    with open("estimates", "a") as file:
        print(needed + held, file=file)
memory_estimate.check_memory = decoding_memory.check_memory = note
"""


@pytest.mark.parametrize(
    ("mode", "decoding", "working"),
    [("RGB", 8, 20), ("L", 2, 6), ("I;16", 4, 9), ("int16", 14, 20)],
)
def test_a_dry_run_refuses_what_a_run_refuses(mode: str, decoding: int, working: int) -> None:
    name = "big.npy" if mode == "int16" else "big.png"
    if mode == "int16":
        np.save(name, np.zeros((1100, 1100, 3), np.int16))
    else:
        big(name, mode, 1100)
    words = ("pad", name, "--padding", "800", "-o", "y.png", "--depth", "8", "--jobs", "2")
    limits = (f"{decoding}MB", f"{working}MB")
    for limit, what in zip(limits, ("the picture", "pad"), strict=True):
        error = refused_untouched(*words, "--max-memory", limit)
        assert f"'{name}': {what} needs about" in error
        dry = run_cli(*words, "--max-memory", limit, "--dry-run", code=1).stderr
        assert dry.startswith(error), (dry, error)
    run_cli(*words, "--dry-run")


def test_a_dry_run_counts_the_channels_of_a_coloured_background() -> None:
    levels = RANDOM.integers(0, 256, (20, 24, 2), np.uint8)
    Image.fromarray(levels).save("grey.png")
    words = ("conv", "grey.png", "-f", "edge", "-o", "maps/", "--background", "red")
    dry = run_cli(*words, "--dry-run").stdout
    run_cli(*words)
    assert sorted(re.findall(r"maps/[\w.-]+", dry)) == sorted(map(str, Path("maps").iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("case", [*READING, *WRITING])
def test_estimates_are_about_what_it_takes(case: str) -> None:
    big("big.png", case if case in READING else "RGB", 2000)
    words = WRITING.get(case, ("pool", "big.png", "--size", "99", "-o", "y.npy"))
    words = (*words, "--jobs", "2", "--quiet")
    save("small.png", np.zeros((99, 99, 3), np.uint8))
    small = tuple("small.png" if word == "big.png" else word for word in words)
    least = peak_memory((*small, "--overwrite"), NOTE_ESTIMATES)
    Path("estimates").unlink()
    taken = peak_memory((*words, "--overwrite"), NOTE_ESTIMATES) - least
    # The most memory that any estimate of the command says it needs in all.
    estimate = max(map(int, Path("estimates").read_text().split()))
    # Not less than it takes but for some buffers; and what works with some room is not refused.
    assert 0.5 * estimate - 30 * MB < taken < 1.15 * estimate + 30 * MB, (estimate, taken)
