"""What lies about its size is refused for no more memory than its header takes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.crafted import npy, npy_raw, png_chunk
from tests.support.patience import patient
from tests.support.shell import npy_bytes, refused_untouched, run_cli, run_process, save, save_array

MOST = 10 * 2**20
SIZES = ["(1000000, 1000000)", "(4294967296, 4294967296)", "(-3, 3)", "(True, 3)", "(3.0, 3)"]
SIZES += ["(0, 99999999999999999999)", "(1000000000000,)", "(3, 3" + ", 1" * 70 + ")"]
DTYPES = ["'|V0'", "'|S0'", "'|O'", "'<c16'", "'<M8[s]'", "'<U9'", "[('a', '<f4')]", "'<f999'"]


def bomb(size: int, told: int | None = None) -> bytes:
    """An archive that unfolds to a thousand times its size, and may say otherwise."""
    path = Path("bomb.npz")
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("W.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy("'<f8'", f"({size // 8},)") if told is None else bytes(128))
        for _ in range(0, size, 2**20):
            member.write(bytes(2**20))
    data = bytearray(path.read_bytes())
    path.unlink()
    if told is not None:
        place = data.index(b"PK\x01\x02") + 24
        data[place : place + 4] = told.to_bytes(4, "little")
    return bytes(data)


def crafted() -> dict[str, bytes]:
    files = {f"shape {n}.npy": npy("'<f8'", size, bytes(72)) for n, size in enumerate(SIZES)}
    files |= {f"dtype {n}.npy": npy(descr, "(3, 3)", bytes(72)) for n, descr in enumerate(DTYPES)}
    files |= {
        "long header.npy": npy_raw(b"{}", (2, 0), 2**32 - 1),
        "large header.npy": npy_raw(b"(" * 60_000, (2, 0)),
        "cut.npy": npy_bytes(np.ones((3, 3)))[:-1],
        "trailing.npy": npy_bytes(np.ones((3, 3))) + bytes(2**25),
        "empty.npy": b"",
        "one byte.npy": b"\x93",
        "unfolds.npz": bomb(100 * 2**20),
        "says it is short.npz": bomb(32 * 2**20, told=200),
        "no zip.npz": b"PK\x03\x04" + bytes(2**25),
        "digits.txt": b"9" * 4_000_000,
        "too long.csv": b"1," * 3_000_000,
    }
    return files


MEASURE = """
import json, os, sys
from cnncli.cli import cli

def memory(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) * 1024

def run(name):
    return cli.main(["conv", "x.png", "-f", name, "-o", "y.npy", "-q", "-j", "1"],
                    standalone_mode=False)

for name in ("good.npy", "good.npz", "good.txt", "poor.npz", "poor.txt"):
    run(name)
    if os.path.exists("y.npy"):
        os.unlink("y.npy")
sys.stderr.flush()
os.lseek(2, 0, os.SEEK_SET)
os.ftruncate(2, 0)
found = {}
for name in json.load(sys.stdin):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = memory("VmRSS")
    found[name] = run(name), memory("VmHWM") - before
print(json.dumps(found))
"""


@pytest.mark.slow
def test_files_that_lie_take_no_memory(empty_folder: Path) -> None:
    save("x.png", np.zeros((9, 9), np.uint8))
    kernel = np.ones((3, 3))
    save_array("good.npy", kernel)
    np.savez("good.npz", W=kernel)
    Path("poor.npz").write_bytes(Path("good.npz").read_bytes()[:-9])
    Path("good.txt").write_text("1 2; 3 4")
    Path("poor.txt").write_text("1 2; 3 x")
    files = crafted()
    for name, data in files.items():
        Path(name).write_bytes(data)
    before = sorted(Path().iterdir())
    with Path("said").open("w+b") as said:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE],
            input=json.dumps(list(files)).encode(),
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=patient(120),
            check=True,
        )
        said.seek(0)
        lines = [line for line in said.read().decode().split("\n") if line.startswith("cnncli")]
    Path("said").unlink()
    assert sorted(Path().iterdir()) == before
    found = json.loads(done.stdout)
    assert [name for name, (code, _) in found.items() if code != 1] == []
    assert len(lines) == len(files)
    # Text is no array with a header: all of it is read, 4 MiB at the most, as bytes and as text.
    allowed = {name: 5 * MOST if name.endswith((".txt", ".csv")) else MOST for name in files}
    assert {name: taken for name, (_, taken) in found.items() if taken > allowed[name]} == {}


def test_a_picture_that_claims_to_be_huge_takes_no_memory(empty_folder: Path) -> None:
    header = png_chunk(b"IHDR", (65_535).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    whole = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"x\x9c")
    Path("bomb.png").write_bytes(whole)
    assert len(whole) < 133
    assert "4294836225" in refused_untouched("pool", "bomb.png")

    def little_memory() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))

    done = run_process("pool", "bomb.png", "--jobs", "1", preexec_fn=little_memory)
    assert done.returncode == 1 and b"4294836225 pixels" in done.stderr
    # Nor where the user lets it through: the memory for it is asked for first.
    words = ("pool", "bomb.png", "--jobs", "1", "--max-pixels", 10**10)
    done = run_process(*words, preexec_fn=little_memory)
    assert done.returncode == 1 and b"needs about 30.1 GB of memory" in done.stderr


def test_a_chunk_that_claims_to_be_huge_takes_no_memory(empty_folder: Path) -> None:
    # Pillow reads on to the end of the last chunk of data, and would allocate all of it first.
    save("x.png", np.zeros((50, 50, 3), np.uint8))
    data = bytearray(Path("x.png").read_bytes())
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = (2**31 - 1).to_bytes(4, "big")
    Path("long.png").write_bytes(bytes(data))

    def little_memory() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))

    words = ("pool", "long.png", "--as-values", "--jobs", "1")
    done = run_process(*words, preexec_fn=little_memory)
    assert b"memory" not in done.stderr and done.returncode == 1, done.stderr


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1), (0, 3), (3, 3, 0, 2)])
def test_filters_of_other_shapes(empty_folder: Path, shape: tuple[int, ...]) -> None:
    save("x.png", np.zeros((9, 9), np.uint8))
    save_array("f.npy", np.ones(shape))
    error = refused_untouched("conv", "x.png", "-f", "f.npy", "-o", "y.png", code=2)
    assert "'f.npy'" in error and str(shape).replace(" ", "") in error.replace(" ", "")


def test_keys_that_look_like_paths_stay_in_the_folder(empty_folder: Path) -> None:
    save("x.png", np.zeros((9, 9), np.uint8))
    with zipfile.ZipFile("w.npz", "w") as file:
        for key in ("../../x", "/etc/y", "a\nb", "<script>"):
            file.writestr(f"{key}.npy", npy_bytes(np.ones((2, 2))))
    given = [word for key in ("../../x", "/etc/y", "<script>") for word in ("-f", f"w.npz:{key}")]
    run_cli("conv", "x.png", *given, "-o", "deep/out/")
    made = sorted(path.name for path in Path("deep/out").iterdir())
    assert made == ["x-w-etc_y.png", "x-w-x.png", "x-w-_script_.png"] or len(made) == 3
    assert sorted(path.name for path in Path().iterdir()) == ["deep", "w.npz", "x.png"]
    assert all(name.replace("-", "").replace("_", "").replace(".", "").isalnum() for name in made)
