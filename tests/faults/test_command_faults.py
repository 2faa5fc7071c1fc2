"""Bad input and faults, each injected for real: broken files, full disks, closed pipes, Ctrl-C."""

from __future__ import annotations

import array
import fcntl
import io
import os
import pickle
import pty
import signal
import subprocess
import sys
import termios
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.crafted import npy, npy_raw, png_chunk
from tests.support.disks import full_disk
from tests.support.patience import patient, until
from tests.support.picturefiles import encoded
from tests.support.shell import (
    OBEY_PERMISSIONS,
    error_lines,
    npy_bytes,
    pixels,
    refused,
    refused_untouched,
    run_after,
    run_cli,
    run_process,
    run_shell,
    save,
    save_array,
    snapshot,
)
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("inputs")

RANDOM = np.random.default_rng(23)
RGB = RANDOM.integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture
def inputs(empty_folder: Path) -> None:
    save("x.png", RGB)
    save_array("x.npy", RGB)


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("canary",))


def named(error: str, name: str) -> None:
    assert error.startswith(f"cnncli: error: '{name}': "), error


@pytest.mark.parametrize("name", ["gone.png", "no/folder.png", "x.png/y.png", "n" * 300 + ".png"])
def test_missing_images(name: str) -> None:
    named(refused_untouched("pool", name, "-o", "y.png"), name)


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/null", "/dev/full", "socket"])
@pytest.mark.parametrize("what", ["image", "filter", "bias"])
def test_pipes_and_devices_do_not_hang(kind: str, what: str) -> None:
    os.mkfifo("pipe")
    if kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    words = {
        "image": ("pool", kind),
        "filter": ("conv", "x.png", "-f", kind),
        "bias": ("conv", "x.png", "-f", "edge", "--bias", kind),
    }
    named(refused_untouched(*words[what], "-o", "y.png"), kind)


@pytest.mark.parametrize("what", sweep(["x.png", "folder", "filter.npy"], keep=1))
def test_what_may_not_be_read(what: str) -> None:
    Path("folder").mkdir()
    save_array("filter.npy", np.ones((3, 3)))
    Path(what).chmod(0)
    image = "x.npy" if what == "filter.npy" else what
    done = run_after(OBEY_PERMISSIONS, "conv", image, "-f", "filter.npy", "-o", "y.png")
    Path(what).chmod(0o700)
    error = error_lines(done, 1)
    named(error, what)
    assert "ermission denied" in error and done.stdout == b"" and not Path("y.png").exists()


CONTENTS = {
    "nothing": b"",
    "one byte": b"\x89",
    "text": b"this is no picture\n",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "PDF": b"%PDF-1.7\n1 0 obj\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "pickle": pickle.dumps(Canary()),
    "object array": npy("'|O'", "(1, 1)", pickle.dumps([[Canary()]])),
    "a mere header": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("suffix", ["png", "eps", "npy", "tif"])
@pytest.mark.parametrize("content", CONTENTS)
def test_contents_that_are_no_image(content: str, suffix: str) -> None:
    Path(f"bad.{suffix}").write_bytes(CONTENTS[content])
    error = refused_untouched("pool", f"bad.{suffix}", "-o", "y.png")
    named(error, f"bad.{suffix}")
    assert "pickle" not in error.lower() and "allow_" not in error
    named(refused_untouched("pool", "-o", "y.png", stdin=CONTENTS[content]), "standard input")


def test_what_libraries_print_is_not_shown() -> None:
    data = bytearray(encoded(RGB, "TIFF"))
    Path("bad.tif").write_bytes(data[:-40])
    Path("worse.jpg").write_bytes(encoded(RGB, "JPEG")[:-300])
    done = run_process("pool", "bad.tif", "worse.jpg")
    assert done.returncode == 1
    *lines, last = done.stderr.decode().splitlines()
    assert last.endswith(": 0 done, 2 failed")
    for line, name in zip(sorted(lines), ("bad.tif", "worse.jpg"), strict=True):
        named(line, name)


def test_a_picture_that_claims_to_be_huge() -> None:
    header = png_chunk(b"IHDR", (65_535).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"x\x9c"))
    error = refused_untouched("pool", "bomb.png")
    named(error, "bomb.png")
    assert "4294836225" in error and "89478485" in error and "--max-pixels" in error


@pytest.mark.slow
@pytest.mark.parametrize("source", sweep(["< <(cat x.png /dev/zero)", "</dev/zero"], keep=1))
def test_endless_standard_input(source: str) -> None:
    done = run_shell(f"cnncli pool --max-input-bytes 3000000 -o y.png {source}")
    named(error_lines(done, 1), "standard input")
    assert not Path("y.png").exists()


FILTERS: dict[str, bytes] = {
    **{name: CONTENTS[name] for name in ("nothing", "one byte", "text", "pickle", "object array")},
    "a picture": encoded(RGB, "PNG"),
    "truncated": npy_bytes(np.ones((3, 3)))[:-1],
    "trailing": npy_bytes(np.ones((3, 3))) + b"\0",
    "10^12 elements": npy("'<f8'", "(1000000, 1000000)", b"\0" * 99),
    "2**64 elements": npy("'<f8'", "(4294967296, 4294967296)"),
    "V0": npy("'|V0'", "(3, 3)"),
    "S0": npy("'|S0'", "(3, 3)"),
    "a negative side": npy("'<f8'", "(-3, 3)"),
    "a bool side": npy("'<f8'", "(True, 3)", b"\0" * 24),
    "a long header": npy_raw(b"{}", (2, 0), 2**32 - 1),
    "a header that runs": npy("'<f8'", "__import__('os').mkdir('canary')"),
    "complex": npy_bytes(np.ones((3, 3), complex)),
    "dates": npy_bytes(np.ones((3, 3), "M8[s]")),
    "texts": npy_bytes(np.full((3, 3), "1")),
    "records": npy_bytes(np.ones((3, 3), [("a", "f4")])),
    "NaN": npy_bytes(np.array([[1, np.nan]])),
    "infinity": npy_bytes(np.array([[1, -np.inf]])),
}


@pytest.mark.parametrize("content", FILTERS)
def test_filters_that_are_none(content: str) -> None:
    Path("bad.npy").write_bytes(FILTERS[content])
    error = refused_untouched("conv", "x.png", "-f", "bad.npy", "-o", "y.png")
    named(error, "bad.npy")
    assert "allow_pickle" not in error and "Aborted" not in error and not Path("canary").exists()
    named(refused_untouched("conv", "x.png", "-f", "edge", "--bias", "bad.npy"), "bad.npy")
    refused_untouched("filters", "show", "bad.npy")
    if content not in ("NaN", "infinity", "a picture"):
        named(refused_untouched("pool", "bad.npy", "-o", "y.png"), "bad.npy")


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def lying_archive() -> bytes:
    """A member that says it is short and unfolds to 16 MiB."""
    data = bytearray(archive(**{"W.npy": npy("'<f8'", "(1448, 1448)", b"\0" * 2**24)}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (200).to_bytes(4, "little")
    return bytes(data)


def encrypted_archive() -> bytes:
    data = bytearray(archive(**{"W.npy": npy_bytes(np.ones((3, 3)))}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def repeated_archive() -> bytes:
    data = archive(**{"W.npy": npy_bytes(np.ones((3, 3))), "V.npy": npy_bytes(np.ones((3, 3)))})
    return data.replace(b"V.npy", b"W.npy")


def corrupt_archive() -> bytes:
    whole = archive(**{"W.npy": npy_bytes(RANDOM.random((9, 9)))})
    return whole[:200] + bytes([whole[200] ^ 255]) + whole[201:]


ARCHIVES = {
    "empty": archive,
    "foreign": lambda: archive(**{"readme.txt": b"hello"}),
    "object": lambda: archive(**{"W.npy": CONTENTS["object array"]}),
    "pickle": lambda: archive(**{"W.npy": CONTENTS["pickle"]}),
    "lying": lying_archive,
    "encrypted": encrypted_archive,
    "duplicate": repeated_archive,
    "cut": lambda: archive(**{"W.npy": npy_bytes(np.ones((3, 3)))})[:-30],
    "corrupt": corrupt_archive,
    "bomb": lambda: archive(**{"W.npy": npy("'<f8'", "(16384, 16384)", b"\0" * 2**22)}),
}
"""What makes each: some are large, and not wanted while tests are collected."""


@pytest.mark.parametrize("content", ARCHIVES)
def test_archives_that_are_none(content: str) -> None:
    Path("bad.npz").write_bytes(ARCHIVES[content]())
    for key in ("", ":W"):
        error = refused_untouched("conv", "x.png", "-f", f"bad.npz{key}", "-o", "y.png")
        assert "'bad.npz" in error and "allow_" not in error and "unpickl" not in error
    assert not Path("canary").exists()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_that_grow_too_large_are_counted(dtype: str) -> None:
    most = np.finfo(dtype).max
    values = np.ones((3, 4), dtype)
    values[1, 1:3] = most
    save_array("big.npy", values)
    told = run_cli("conv", "big.npy", "-f", "4", "-o", "y.npy").stderr
    assert np.isinf(np.load("y.npy")).sum() == 2
    assert "2 of 12 values are NaN or infinite" in told and "RuntimeWarning" not in told
    told = run_cli("conv", "big.npy", "-f", "4", "-o", "y.png").stderr
    assert pixels("y.png")[1, 1] == 255 and "2 of 12" in told


@pytest.mark.parametrize("output", ["missing/y.png", "x.png/y.png", "n" * 300 + ".png"])
def test_output_folders_that_are_none(output: str) -> None:
    error = refused_untouched("pool", "x.png", "-o", output)
    named(error, output)


def test_a_read_only_folder() -> None:
    Path("locked").mkdir(mode=0o555)
    done = run_after(OBEY_PERMISSIONS, "pool", "x.png", "-o", "locked/")
    assert "'locked" in error_lines(done, 1) and list(Path("locked").iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "gif", "bmp", "ppm", "npy"])
@pytest.mark.parametrize("old", [None, b"precious"])
def test_a_full_disk(suffix: str, old: bytes | None) -> None:
    if old is not None:
        Path(f"y.{suffix}").write_bytes(old)
    words = ("pad", "x.npy", "--padding", 50, "--pad-mode", "wrap")
    with full_disk():
        error = refused_untouched(*words, "-o", f"y.{suffix}", "--overwrite")
    named(error, f"y.{suffix}")
    assert "too large" in error


def test_a_full_disk_for_filters() -> None:
    words = ("filters", "make", "box", "--size", 99, "-o", "b.npy")
    with full_disk():
        error = refused_untouched(*words)
    named(error, "b.npy")


@pytest.mark.slow
@pytest.mark.parametrize(("form", "unbuffered"), sweep(["png", "npy"], ["", "1"]))
def test_a_full_disk_behind_standard_output(form: str, unbuffered: str) -> None:
    words = f"pad x.npy --padding 50 --pad-mode wrap -o - --format {form}"
    # PYTHONUNBUFFERED=1, as in many containers: a bare system call may write a part only.
    line = f"ulimit -f 1; cnncli {words} > out"
    settings = {"PYTHONUNBUFFERED": unbuffered, "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_shell(line, env=settings)
    assert "standard output" in error_lines(done, 1)


@pytest.mark.slow
def test_a_full_device() -> None:
    named(refused_untouched("pool", "x.png", "-o", "/dev/full"), "/dev/full")
    done = run_shell("cnncli pool x.png -o - > /dev/full")
    assert "no space left" in error_lines(done, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", sweep(["pool x.png --json -o y.png", "filters list", "--help"], keep=1)
)
def test_text_for_a_full_device(words: str) -> None:
    done = run_shell(f"cnncli {words} > /dev/full")
    assert "no space left" in error_lines(done, 1).lower()


@pytest.mark.slow
def test_reports_for_a_full_device_do_not_undo_the_work() -> None:
    done = run_shell("cnncli pool x.png x.npy -o '{name}.tif' 2> /dev/full")
    assert done.stdout == b"" and done.returncode in (0, 1)
    assert pixels("x.png.tif").shape == (10, 12, 3) and pixels("x.npy.tif").shape == (10, 12, 3)


@pytest.mark.parametrize(
    "words", sweep(["pool x.png -o -", "pool x.png --json", "filters list"], keep=1)
)
def test_closed_standard_output(words: str) -> None:
    assert "standard output" in error_lines(run_shell(f"cnncli {words} >&-"), 1)


def test_closed_standard_input_and_error() -> None:
    assert "closed" in error_lines(run_shell("cnncli pool -o y.png <&-"), 1)
    assert run_shell("cnncli pool x.png -o y.png 2>&-").returncode == 0
    assert pixels("y.png").shape == (10, 12, 3)


def test_devices_and_pipes_as_outputs_stay_what_they_are() -> None:
    run_cli("pool", "x.png", "-o", "/dev/null", "--overwrite")
    assert Path("/dev/null").is_char_device()
    os.mkfifo("pipe.npy")
    with subprocess.Popen(["cat", "pipe.npy"], stdout=subprocess.PIPE) as reader:
        run_cli("pool", "x.png", "-o", "pipe.npy")
        data, _ = reader.communicate(timeout=patient(5))
    assert np.load(io.BytesIO(data)).shape == (10, 12, 3) and Path("pipe.npy").is_fifo()


def at_a_terminal(*words: str, stdin: bool = False, stdout: bool = False) -> Any:
    """Run with a terminal as standard input or output; return the process and what it showed."""
    master, slave = pty.openpty()
    streams: dict[str, Any] = {"stdin": slave if stdin else subprocess.DEVNULL}
    streams["stdout"] = slave if stdout else subprocess.PIPE
    command = [sys.executable, "-m", "cnncli", *words]
    done = subprocess.run(
        command, stderr=subprocess.PIPE, timeout=patient(10), check=False, **streams
    )
    os.close(slave)
    try:
        shown = os.read(master, 10_000) if stdout else b""
    except OSError:
        shown = b""  # nothing was written
    os.close(master)
    return done, shown


@pytest.mark.parametrize("words", sweep([("pool",), ("conv", "-f", "edge", "x.png", "-")], keep=1))
def test_an_image_from_a_terminal(words: tuple[str, ...]) -> None:
    before = snapshot()
    done, _ = at_a_terminal(*words, stdin=True)
    assert "IMAGE" in error_lines(done, 2) and done.stdout == b"" and snapshot() == before


def test_no_picture_is_written_to_a_terminal() -> None:
    done, shown = at_a_terminal("pool", "x.png", "-o", "-", stdout=True)
    assert "terminal" in error_lines(done, 2) and shown == b""


@pytest.mark.slow
@pytest.mark.parametrize(("form", "unbuffered"), sweep(["npy", "png"], ["", "1"], keep=1))
def test_a_reader_that_has_enough(form: str, unbuffered: str) -> None:
    save_array("big.npy", RANDOM.random((400, 400)))
    line = f"cnncli pad big.npy --padding 0 -o - --format {form} | head -c 10"
    done = run_shell(line, env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr, len(done.stdout)) == (141, b"", 10)


@pytest.mark.parametrize(
    "words", sweep([("pool", "x.png", "-o", "-"), ("filters", "list"), ("--help",)], keep=1)
)
def test_a_reader_that_has_gone(words: tuple[str, ...]) -> None:
    with start(*words) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=patient(5))) == (b"", 141)


def interrupt(process: subprocess.Popen[bytes], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, error = process.communicate(timeout=patient(2))
    return process.returncode, error.decode()


def start(*words: object, **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cnncli", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, **{"stdout": pipe, "stderr": pipe, **streams})


def wait_for_reader(process: subprocess.Popen[bytes]) -> None:
    """Send the beginning of a picture and return once it was taken out of the pipe."""
    assert process.stdin is not None
    process.stdin.write(encoded(RGB, "PNG")[:50])
    process.stdin.flush()
    left = array.array("i", [50])
    until(lambda: not fcntl.ioctl(process.stdin, termios.FIONREAD, left) and not left[0])


def test_ctrl_c_while_waiting_for_input() -> None:
    before = snapshot()
    with start("pool", "-o", "y.png", stdin=subprocess.PIPE) as process:
        wait_for_reader(process)
        code, error = interrupt(process, signal.SIGINT)
    assert (code, error.strip()) == (130, "cnncli: error: interrupted")
    assert snapshot() == before


@pytest.mark.parametrize("name", ["two\nlines.png", "\x1b[31m.png", "\u202egnp.png", "-x.png"])
def test_errors_show_names_in_printable_letters(name: str) -> None:
    for words in (("pool", "-o", "y.png", "--", name), ("pool", "x.png", "-o", f"no/{name}")):
        before = snapshot()
        error = refused(*words)
        assert all(line.isprintable() for line in error.splitlines()) and snapshot() == before
    error = refused("conv", "x.png", f"-f=./{name}", code=2)
    assert all(line.isprintable() for line in error.splitlines())


def test_a_name_that_is_no_text_in_an_error() -> None:
    named(refused_untouched("pool", os.fsdecode(b"bad\xff.png")), "bad\\udcff.png")


def test_everything_that_can_be_checked_is_checked_before_any_work() -> None:
    save("y.png", RGB)
    Path("y-pool.png").write_bytes(b"old")
    refused_untouched("pool", "x.png", "y.png")
    refused_untouched("pool", "x.png", "y.png", "-o", "{stem}.xyz", code=2)
    refused_untouched("conv", "x.png", "y.png", "-f", "edge", "-f", "gone.npy", code=2)
    refused_untouched("pool", "x.png", "y.png", "-o", "gone/{nope}", code=2)
