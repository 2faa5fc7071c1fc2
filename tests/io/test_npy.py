from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.io.npy import is_npy, is_zip, read_npy, read_npy_header
from cnncli.io.npz import read_npz
from cnncli.io.regular_files import open_regular
from tests.support.crafted import npy, npy_raw
from tests.support.memory import traced_peak


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as box:
        warnings.simplefilter("ignore")
        for name, data in members.items():
            box.writestr(name, data)
    return file.getvalue()


def refusal(data: bytes, reader: Any = read_npy) -> str:
    with pytest.raises(FileProblem) as caught:
        reader(data, name="x.npy")
    message = str(caught.value)
    assert message.startswith("'x.npy") and message.isprintable()
    assert "allow_pickle" not in message and "unpickl" not in message
    return message


DTYPES = ["?", "i1", "u1", "<i2", ">i2", ">u2", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4", ">f8"]


@pytest.mark.parametrize("descr", [*DTYPES, np.dtype(np.longdouble).str])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("as_path", [True, False])
def test_values_of_every_plain_type(descr: str, order: Any, as_path: bool, tmp_path: Path) -> None:
    numbers = [[0, 1, 2], [3, 100, 7]]
    data = saved(np.array(numbers, descr, order=order))
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    got = read_npy(path if as_path else data, name="a.npy")
    expected = [[bool(n) for n in row] for row in numbers] if descr == "?" else numbers
    assert got.tolist() == expected
    assert got.dtype.isnative and got.flags.c_contiguous
    assert got.dtype == np.dtype(descr).newbyteorder("=")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_format_versions(version: tuple[int, int]) -> None:
    assert read_npy(saved(np.arange(5), version), name="a.npy").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0, 4), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("as_path", [True, False])
def test_unusual_shapes(shape: tuple[int, ...], as_path: bool, tmp_path: Path) -> None:
    data = saved(np.zeros(shape, np.float32))
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    assert read_npy(path if as_path else data, name="a.npy").shape == shape


def test_header_says_where_the_data_is() -> None:
    data = saved(np.asfortranarray(np.zeros((2, 3), ">f4")))
    header = read_npy_header(data, name="a.npy")
    assert (header.shape, header.fortran_order, header.nbytes) == ((2, 3), True, 24)
    assert header.offset == len(data) - 24 and header.dtype == np.dtype(">f4")


def test_path_is_memory_mapped_and_read_only(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    got = read_npy(path, name="a.npy")
    assert isinstance(got, np.memmap) and not got.flags.writeable
    assert pickle.loads(pickle.dumps(got)).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_stored_booleans_other_than_0_and_1() -> None:
    got = read_npy(npy("'|b1'", "(3,)", b"\x00\x02\xff"), name="x.npy")
    assert got.astype(np.float32).tolist() == [0.0, 1.0, 1.0]


LIES = {
    "terabytes": npy("'<f8'", f"({10**12},)"),
    "overflow": npy("'<f8'", f"({2**32}, {2**32})"),
    "hidden by a zero": npy("'<f8'", f"(0, {2**62}, 8)"),
    "V0": npy("'|V0'", "(1000000000000,)"),
    "S0": npy("'|S0'", "(1000000000000,)"),
    "negative": npy("'<f8'", "(-1,)"),
    "bool size": npy("'<f8'", "(True,)", b"\0" * 8),
    "float size": npy("'<f8'", "(1.0,)", b"\0" * 8),
    "list shape": npy("'<f8'", "[1]", b"\0" * 8),
    "bare shape": npy("'<f8'", "1", b"\0" * 8),
    "text order": npy("'<f8'", "(1,)", b"\0" * 8, fortran="'x'"),
    "order 1": npy("'<f8'", "(1,)", b"\0" * 8, fortran="1"),
    "header of 4 GiB": npy_raw(b"", (2, 0), 2**32 - 1),
    "header of 64 KiB, absent": npy_raw(b"{", (1, 0), 65_535),
    "no length": b"\x93NUMPY\x01\x00\x01",
    "data cut off": npy("'<f8'", "(3,)", b"\0" * 23),
    "trailing byte": npy("'<f8'", "(3,)", b"\0" * 25),
    "version 4": npy_raw(b"{}", (4, 0)),
    "version 1.1": npy_raw(b"{}", (1, 1)),
    "not UTF-8": npy_raw(b"\xff\xfe", (3, 0)),
    "no literal": npy_raw(b"__import__('os').system('true')"),
    "a call": npy("'<f8'", "tuple([1])", b"\0" * 8),
    "a sum": npy("'<f8'", "(1+1,)", b"\0" * 16),
    "a word": npy("'<f8'", "(1or 2,)", b"\0" * 8),
    "an escape": npy(r"'\x3cf8'", "(1,)", b"\0" * 8),
    "missing key": npy_raw(b"{'descr': '<f8', 'shape': (1,)}") + b"\0" * 8,
    "further key": npy_raw(b"{'descr': '<f8', 'fortran_order': False, 'shape': (), 'x': 1}"),
    "a list": npy_raw(b"[1, 2]"),
    "unhashable key": npy_raw(b"{[]: 1}"),
    "65 axes": npy("'<f8'", "(" + "1," * 65 + ")", b"\0" * 8),
    "many numbers": npy("'<f8'", "(" + "1," * 30_000 + ")", b"\0" * 8),
    "deep brackets": npy_raw(b"(" * 65_000),
    "deep lists": npy_raw(b"[" * 150 + b"]" * 150),
    "deep minus": npy_raw(b"-" * 65_000 + b"1"),
    "short minus": npy_raw(b"-" * 4_000 + b"1"),
    "long number": npy("'<f8'", "(" + "9" * 3_900 + ",)", b"\0" * 8),
    "longer number": npy("'<f8'", "(" + "9" * 5_000 + ",)", b"\0" * 8),
    "NUL": npy_raw(b"{'descr': '<f8\0'}"),
    "object": npy("'|O'", "(1,)", b"\0" * 8),
    "complex": npy("'<c8'", "(1,)", b"\0" * 8),
    "dates": npy("'<M8[s]'", "(1,)", b"\0" * 8),
    "times": npy("'<m8[s]'", "(1,)", b"\0" * 8),
    "bytes": npy("'|S8'", "(1,)", b"\0" * 8),
    "text": npy("'<U2'", "(1,)", b"\0" * 8),
    "records": npy("[('a', '<f8')]", "(1,)", b"\0" * 8),
    "short records": npy("'f4,f4'", "(1,)", b"\0" * 8),
    "subarray": npy("'(1000000,)f8'", "(1,)", b"\0" * 8),
    "huge element": npy("'V4294967296'", "(1,)"),
    "unknown size": npy("'<f3'", "(1,)", b"\0" * 3),
    "number as type": npy("8", "(1,)", b"\0" * 8),
}


@pytest.mark.parametrize("case", LIES)
@pytest.mark.parametrize("as_path", [True, False])
def test_lying_headers_are_refused_at_once(case: str, as_path: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(LIES[case])
    refusal(LIES[case])
    source = path if as_path else LIES[case]

    def read() -> None:
        with pytest.raises(FileProblem):
            read_npy(source, name="x.npy")

    assert traced_peak(read) < 10 * 2**20


def test_refusals_say_what_is_wrong() -> None:
    assert "records" in refusal(LIES["records"])
    assert "Python objects" in refusal(LIES["object"])
    assert "complex numbers" in refusal(LIES["complex"])
    assert "text" in refusal(LIES["text"])
    assert "dates" in refusal(LIES["dates"])
    assert "needs 24 bytes of data, got 23" in refusal(LIES["data cut off"])
    assert "foreign bytes" in refusal(LIES["trailing byte"])
    assert "(-1,)" in refusal(LIES["negative"])


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickles_and_object_arrays_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    objects = io.BytesIO()
    np.save(objects, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    boxed = archive({"a.npy": objects.getvalue()})
    assert "pickle" in refusal(pickle.dumps(Canary(canary)))
    assert "objects" in refusal(objects.getvalue())
    assert "objects" in refusal(boxed, read_npz)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x93", "not a NumPy array file"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "PNG"),
        (b"PK\x03\x04" + b"\0" * 50, "zip"),
        (b"0 -1 0", "not a NumPy array file"),
    ],
)
def test_other_files_are_named(data: bytes, word: str) -> None:
    assert word in refusal(data)


@pytest.mark.parametrize("shape", [(3, 2), ()])
def test_every_truncation_is_refused(shape: tuple[int, ...]) -> None:
    whole = saved(np.ones(shape, np.float32))
    for length in range(len(whole)):
        refusal(whole[:length])


def test_limit_is_checked_before_reading() -> None:
    data = saved(np.zeros(100, np.float64))
    assert read_npy(data, name="x.npy", max_bytes=800).size == 100
    with pytest.raises(FileProblem, match="at most 799"):
        read_npy(data, name="x.npy", max_bytes=799)


def test_random_damage_gives_an_array_or_a_refusal() -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    random = np.random.default_rng(seed)
    arrays = {"W": np.ones((3, 3), np.float32), "b": np.zeros(2)}
    stored, packed = io.BytesIO(), io.BytesIO()
    np.savez(stored, **arrays)
    np.savez_compressed(packed, **arrays)
    cases = [(saved(arrays["W"]), read_npy)]
    cases += [(box.getvalue(), read_npz) for box in (stored, packed)]
    outcomes = {True: 0, False: 0}
    for whole, reader in cases:
        for _ in range(400):
            damaged = bytearray(whole)
            for _ in range(random.integers(1, 4)):
                damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
            try:
                result: Any = reader(bytes(damaged), name="x.npy")  # type: ignore[operator]
            except FileProblem as problem:
                assert str(problem).isprintable()
                outcomes[False] += 1
            else:
                assert isinstance(result, (np.ndarray, dict))
                outcomes[True] += 1
    assert outcomes[False] > 100, f"seed {seed}"


def test_missing_folder_pipe_device_socket(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        place = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(place)
        cases = {
            tmp_path / "none": "No such file",
            tmp_path: "a folder",
            tmp_path / "pipe": "a pipe",
            Path("/dev/zero"): "a device",
            tmp_path / "socket": "a socket",
            Path("nul\0name"): "null",
        }
        for path, word in cases.items():
            for reader in (read_npy, read_npz, read_npy_header):
                with pytest.raises(FileProblem, match=word) as caught:
                    reader(path, name=str(path))
                assert (caught.value.hint is not None) == (
                    word in ("a pipe", "a device", "a socket")
                )


def test_unreadable_file_names_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "secret.npy"
    path.write_bytes(saved(np.zeros(3)))
    path.chmod(0)
    tmp_path.chmod(0o755)
    # Root may read everything, so the child becomes nobody once all is imported.
    code = (
        "import os; from pathlib import Path; from cnncli.io.npy import read_npy\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: read_npy(Path('secret.npy'), name='secret.npy')\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "'secret.npy': cannot be read: Permission denied\n", done.stderr


def test_a_name_on_screen_is_escaped() -> None:
    with pytest.raises(FileProblem) as caught:
        read_npy(b"", name="a\x1b[31m\n.npy")
    assert str(caught.value).startswith(r"'a\x1b[31m\n.npy'")


def test_open_regular_gives_the_bytes_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    with open_regular(path, name="x") as stream:
        assert stream.read() == b"abc"
    assert stream.closed


def test_first_bytes() -> None:
    assert is_npy(saved(np.zeros(1))) and not is_npy(b"") and not is_npy(b"\x93NUM")
    assert is_zip(archive({"a.npy": b""})) and is_zip(archive({})) and not is_zip(b"PKX")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("as_path", [True, False])
def test_npz_values(save: Any, as_path: bool, tmp_path: Path) -> None:
    path = tmp_path / "layer.npz"
    fortran = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    save(path, W=fortran, b=np.array([True, False]), empty=np.zeros((0, 2)), scalar=np.int8(7))
    got = read_npz(path if as_path else path.read_bytes(), name="layer.npz")
    assert list(got) == ["W", "b", "empty", "scalar"]
    assert got["W"].tolist() == [[0, 1, 2], [3, 4, 5]] and got["W"].dtype.isnative
    assert got["b"].tolist() == [True, False] and got["b"].dtype == bool
    assert got["empty"].shape == (0, 2) and got["scalar"].item() == 7


def test_large_compressed_member_keeps_its_values() -> None:
    numbers = np.random.default_rng(5).integers(0, 9, (1500, 1000))
    got = read_npz(archive({"a.npy": saved(numbers)}, zipfile.ZIP_DEFLATED), name="x.npz")
    assert np.array_equal(got["a"], numbers)


def twice() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as box:
        warnings.simplefilter("ignore")
        box.writestr("a.npy", saved(np.zeros(1)))
        box.writestr("a.npy", saved(np.ones(1)))
    return file.getvalue()


def patched(data: bytes, field: int, value: bytes, *, local: int | None = None) -> bytes:
    """An archive with bytes of its first central entry (and local header) overwritten."""
    start = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    changed[start + field : start + field + len(value)] = value
    if local is not None:
        changed[local : local + len(value)] = value
    return bytes(changed)


ONE = archive({"a.npy": saved(np.arange(4.0))})
PACKED = archive({"a.npy": saved(np.zeros(4000))}, zipfile.ZIP_DEFLATED)
BAD_ARCHIVES = {
    "no archive": (saved(np.zeros(1)), "not an .npz"),
    "empty file": (b"", "empty"),
    "empty": (archive({}), "empty archive"),
    "duplicate": (twice(), "appears twice"),
    "encrypted": (patched(ONE, 8, b"\x01\x00", local=6), "encrypted"),
    "foreign": (archive({"a.npy": saved(np.zeros(1)), "run.sh": b"#!"}), "run.sh"),
    "folder": (archive({"a/": b""}), "not an array"),
    "NUL in the name": (ONE.replace(b"a.npy", b"a\0npy"), "not an array"),
    "pickled": (archive({"a.npy": pickle.dumps([1])}), "pickle"),
    "picture": (archive({"a.npy": b"\x89PNG\r\n\x1a\n"}), "PNG"),
    "bzip2": (archive({"a.npy": saved(np.zeros(9))}, zipfile.ZIP_BZIP2), "unusual"),
    "lzma": (archive({"a.npy": saved(np.zeros(9))}, zipfile.ZIP_LZMA), "unusual"),
    "declares more": (patched(PACKED, 24, struct.pack("<I", 2**31)), "more bytes than"),
    "declares less": (patched(PACKED, 24, struct.pack("<I", 999)), "CRC"),
    "stored lie": (patched(ONE, 24, struct.pack("<I", 2**30)), "more bytes than"),
    "beyond the end": (patched(ONE, 42, struct.pack("<I", 2**30)), "corrupt"),
    "zip64 without": (patched(ONE, 24, b"\xff\xff\xff\xff"), "corrupt"),
    "trailing": (archive({"a.npy": saved(np.zeros(2)) + b"x"}), "foreign bytes"),
    "cut off": (archive({"a.npy": saved(np.zeros(2))[:-1]}), "cut off"),
    "checksum": (ONE[:160] + b"\x55" + ONE[161:], "CRC"),
    "no directory": (ONE[: ONE.index(b"PK\x01\x02")], "corrupt"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archives_are_refused(case: str) -> None:
    data, word = BAD_ARCHIVES[case]
    assert word in refusal(data, read_npz)


def test_broken_deflate_stream() -> None:
    start = PACKED.index(b"a.npy") + 5
    damaged = PACKED[:start] + b"\xff\xff\xff" + PACKED[start + 3 :]
    assert "corrupt" in refusal(damaged, read_npz)


def bomb(megabytes: int) -> bytes:
    """A consistent archive of zeros, made without holding them."""
    head = npy("'<f8'", f"({megabytes * 2**17},)")
    zeros = b"\0" * 2**20
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as box, box.open("a.npy", "w") as member:
        member.write(head)
        for _ in range(megabytes):
            member.write(zeros)
    return file.getvalue()


def test_bomb_is_refused_without_unfolding_it() -> None:
    data = bomb(64)
    assert len(data) < 400_000
    assert "unpack" in refusal(data, read_npz)
    assert traced_peak(lambda: refusal(data, read_npz)) < 10 * 2**20


def test_modest_zeros_are_no_bomb() -> None:
    assert read_npz(bomb(8), name="zeros.npz")["a"].size == 2**20


def test_total_limit_counts_all_members() -> None:
    data = archive({f"{i}.npy": saved(np.zeros(100)) for i in range(5)})
    assert len(read_npz(data, name="x.npz", max_bytes=5 * 928)) == 5
    with pytest.raises(FileProblem, match="unpack to 4640"):
        read_npz(data, name="x.npz", max_bytes=5 * 928 - 1)


def test_every_truncation_of_an_archive_is_refused() -> None:
    for length in range(len(ONE)):
        refusal(ONE[:length], read_npz)
