"""Run cnncli as a user does: in this process through click, or as a real process."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from cnncli.cli import cli
from tests.support.patience import patient


def run_cli(
    *args: object,
    code: int = 0,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
) -> Result:
    """Run one command line, check its exit code and that no error shows a traceback."""
    result = CliRunner().invoke(cli, [str(a) for a in args], input=stdin, env=env)
    shown = f"{args}\nexit {result.exit_code}\n{result.stderr}\n{result.stdout_bytes[:500]!r}"
    assert result.exit_code == code, f"{shown}\n{result.exception!r}"
    assert "Traceback" not in result.stderr, shown
    return result


def refused(*args: object, code: int = 1, stdin: bytes | None = None) -> str:
    """Run a command line that must fail; return its error, checked to be one line and a hint."""
    result = run_cli(*args, code=code, stdin=stdin)
    lines = result.stderr.splitlines()
    assert lines and lines[0].startswith("cnncli: error: "), result.stderr
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), result.stderr
    assert result.stdout_bytes == b"", result.stdout_bytes
    return result.stderr


def run_process(*args: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run one command line as a process of its own."""
    command = [sys.executable, "-m", "cnncli", *map(str, args)]
    return subprocess.run(command, capture_output=True, timeout=patient(20), check=False, **options)


def pixels(path: str | Path) -> np.ndarray:
    """Return a picture's samples as Pillow reads them."""
    with Image.open(path) as image:
        return np.asarray(image)


def save(path: str | Path, array: np.ndarray, **options: Any) -> Path:
    """Write a picture of 8-bit samples."""
    Image.fromarray(array).save(path, **options)
    return Path(path)


def values_of(*args: object, stdin: bytes | None = None) -> np.ndarray:
    """Run a command line with ``-o -`` and return the array it writes."""
    result = run_cli(*args, "-o", "-", stdin=stdin)
    return np.asarray(np.load(io.BytesIO(result.stdout_bytes)))


def npy_bytes(array: np.ndarray) -> bytes:
    """Return an array as the bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def save_array(path: str | Path, array: np.ndarray) -> Path:
    """Write an array as a .npy file of that name."""
    Path(path).write_bytes(npy_bytes(array))
    return Path(path)


def snapshot(folder: str | Path = ".") -> dict[str, bytes | None]:
    """Return everything under a folder with its content; pipes and links without."""
    found = sorted(Path(folder).rglob("*"))
    return {
        str(path): path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None
        for path in found
    }


def refused_untouched(*args: object, code: int = 1, stdin: bytes | None = None) -> str:
    """As `refused`; also check that nothing in the current folder came, went or changed."""
    before = snapshot()
    error = refused(*args, code=code, stdin=stdin)
    assert snapshot() == before
    return error


def error_lines(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    """Check a process that must fail as `refused` does; return its error."""
    error = done.stderr.decode("utf-8", "surrogateescape")
    assert done.returncode == code, (done.returncode, error)
    lines = error.splitlines()
    assert lines and lines[0].startswith("cnncli: error: "), error
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), error
    return error


def run_after(
    preparation: str, *args: object, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run one command line in a process that runs some Python before it becomes cnncli."""
    become = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    script = f"import os, sys\n{preparation}\n{become}"
    command = [sys.executable, "-c", script, "-m", "cnncli", *map(str, args)]
    return subprocess.run(command, capture_output=True, timeout=patient(20), check=False, **options)


# Root reads and writes what permissions forbid, unless it gives up the right to for what it starts.
OBEY_PERMISSIONS = (
    "import ctypes\n"
    "if os.getuid() == 0:\n"
    "    for capability in (1, 2): assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0\n"
)


def run_shell(line: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which ``cnncli`` is the installed command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options["env"] = {**os.environ, **options.get("env", {}), "PATH": path}
    command = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, capture_output=True, timeout=patient(20), check=False, **options)


MEASURE = """
import sys
from cnncli.cli import cli
code = cli.main(sys.argv[1:], standalone_mode=False)
assert code == 0, code
# Not getrusage: its maximum counts the process that forked this one.
with open("/proc/self/status") as status:
    print(*(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def peak_memory(words: tuple[str, ...], preparation: str = "") -> int:
    """Return the most bytes that one command line, which must succeed, had in memory.

    In its process some Python runs before it.
    """
    command = [sys.executable, "-c", preparation + MEASURE, *words]
    done = subprocess.run(command, capture_output=True, check=True, timeout=patient(20))
    return int(done.stdout) * 1024
