"""Files appear whole or not at all, on the real thing: limits, full devices, pipes and links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cnncli
from cnncli.batch import run as batch_run
from cnncli.errors import FileProblem
from cnncli.io import atomic
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import PoolLayer
from cnncli.pipeline.job import Job
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.process import plan_batch
from cnncli.pipeline.source import Source
from cnncli.render.options import RenderOptions
from tests.support.patience import patient

PACKAGE = Path(cnncli.__file__).parents[1]
HEAD = """
import os, sys
from pathlib import Path
from cnncli.io import atomic
def write(path, *parts, overwrite=False):
    with atomic.open(Path(path), overwrite=overwrite) as stream:
        for part in parts:
            stream.write(part)
def write_stdout(*parts):
    with atomic.open_stdout() as stream:
        for part in parts:
            stream.write(part)
"""


def write(path: Path, data: bytes, *, overwrite: bool = False, sync: bool = True) -> None:
    with atomic.open(path, overwrite=overwrite, sync=sync) as stream:
        stream.write(data)


def run(script: str, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a script that shows its FileProblem and ends with its exit code."""
    body = "".join(f"    {line}\n" for line in script.splitlines())
    guarded = (
        f"{HEAD}from cnncli.errors import FileProblem\ntry:\n{body}"
        "except FileProblem as problem:\n    print(problem, file=sys.stderr); sys.exit(1)\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", guarded],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(PACKAGE)},
        text=True,
        timeout=patient(10),
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,  # type: ignore[call-overload]
    )


@pytest.fixture(params=["without a name", "under a hidden name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to a whole file: the second is that of systems without unnamed files."""
    if request.param == "under a hidden name":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("overwrite", [True, False])
def test_new_file(tmp_path: Path, overwrite: bool) -> None:
    with atomic.open(tmp_path / "a.png", overwrite=overwrite) as stream:
        stream.write(b"one ")
        stream.write(b"two")
    assert listing(tmp_path) == {"a.png": b"one two"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_umask_rules_new_files(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "a.png", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~umask


@pytest.mark.usefixtures("way")
def test_replacing_keeps_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write(path, b"new", overwrite=True)
    assert listing(tmp_path) == {"a.png": b"new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.usefixtures("way")
def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(FileProblem, match="exists already") as caught:
        write(path, b"new")
    assert "--overwrite" in str(caught.value.hint)
    assert listing(tmp_path) == {"a.png": b"old"}


@pytest.mark.usefixtures("way")
def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.png"

    with pytest.raises(FileProblem, match="exists already"), atomic.open(path) as stream:
        stream.write(b"new")
        path.write_bytes(b"somebody else's")
    assert listing(tmp_path) == {"a.png": b"somebody else's"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
@pytest.mark.parametrize("overwrite", [True, False])
def test_any_interruption_leaves_no_trace(
    tmp_path: Path, error: type[BaseException], overwrite: bool, way: str
) -> None:
    path = tmp_path / "a.png"
    if overwrite:
        path.write_bytes(b"old")
    before = listing(tmp_path)

    with pytest.raises(error), atomic.open(path, overwrite=overwrite) as stream:
        stream.write(b"half" * 100_000)
        hidden = way == "under a hidden name"
        assert len(list(tmp_path.iterdir())) == len(before) + hidden
        raise error
    assert listing(tmp_path) == before


@pytest.mark.usefixtures("way")
def test_links_keep_pointing(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "target.png"
    link = tmp_path / "link.png"
    link.symlink_to(target)
    write(link, b"new")
    write(link, b"newer", overwrite=True)
    assert link.is_symlink() and target.read_bytes() == b"newer"
    assert [path.name for path in target.parent.iterdir()] == ["target.png"]
    with pytest.raises(FileProblem):
        write(link, b"again")


@pytest.mark.usefixtures("way")
def test_names_of_full_length(tmp_path: Path) -> None:
    name = "n" * 251 + ".png"
    write(tmp_path / name, b"x")
    write(tmp_path / name, b"y", overwrite=True)
    assert listing(tmp_path) == {name: b"y"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "name", ["missing/a.png", "file/a.png", "folder", "n" * 300, "loop", "/proc/a.png"]
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_places_that_cannot_be_written(tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileProblem) as caught:
        write(tmp_path / name, b"x", overwrite=overwrite)
    assert str(caught.value).startswith("'")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("existing", [True, False])
def test_file_size_limit_leaves_the_old_file(tmp_path: Path, existing: bool) -> None:
    if existing:
        (tmp_path / "a.png").write_bytes(b"old")
    before = listing(tmp_path)
    done = run(
        "import resource, sys; sys.dont_write_bytecode = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write('a.png', b'x' * 5000, overwrite=True)",
        tmp_path,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "'a.png': cannot be written: file too large for the limit of this process or disk"
    ]
    assert listing(tmp_path) == before


def test_full_device() -> None:
    with pytest.raises(FileProblem, match="'/dev/full': cannot be written: no space left"):
        write(Path("/dev/full"), b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_null_stays_a_device() -> None:
    write(Path("/dev/null"), b"x" * 100_000, overwrite=True)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("overwrite", [True, False])
def test_pipe_is_written_straight(tmp_path: Path, overwrite: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"y" * 300_000, overwrite=overwrite)
    reader.join(timeout=patient(5))
    assert received == [b"y" * 300_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_by_its_device_name(tmp_path: Path) -> None:
    done = run("write('/dev/stdout', b'x' * 9)", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "x" * 9, "")


@pytest.mark.parametrize("overwrite", [True, False])
def test_killed_while_writing_leaves_nothing_but_the_old_file(
    tmp_path: Path, overwrite: bool
) -> None:
    if overwrite:
        (tmp_path / "a.png").write_bytes(b"old")
    before = listing(tmp_path)
    done = run(
        f"with atomic.open(Path('a.png'), overwrite={overwrite}) as stream:\n"
        "    stream.write(b'x' * 99999); os.kill(os.getpid(), 9)",
        tmp_path,
    )
    assert done.returncode == -9
    assert listing(tmp_path) == before


@pytest.mark.parametrize("old", [b"old", None])
def test_unnamed_files_that_cannot_be_named_are_copied(tmp_path: Path, old: bytes | None) -> None:
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounts are not permitted here")
    path = tmp_path / "a.png"
    if old is not None:
        path.write_bytes(old)
        path.chmod(0o640)
    script = (
        f"{HEAD}write('a.png', b'x' * 3_000_000, overwrite={old is not None})\n"
        "assert not os.path.exists('/proc/self')"
    )
    # A folder without /proc, as in some chroots: links go through it.
    line = 'mount -t tmpfs none /proc && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", line, "sh", sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert listing(tmp_path) == {"a.png": b"x" * 3_000_000}
    assert old is None or stat.S_IMODE(path.stat().st_mode) == 0o640


def test_stdout_gets_the_bytes(tmp_path: Path) -> None:
    done = run("print('first'); write_stdout(b'second', b'!')", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\nsecond!", "")


def test_stdout_closed(tmp_path: Path) -> None:
    done = run(
        "os.close(1) if sys.stdout else None\nsys.stdout = None\nwrite_stdout(b'x')", tmp_path
    )
    assert (done.returncode, done.stderr) == (1, "standard output is closed\n")


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_stdout_full(tmp_path: Path, size: int) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(f"write_stdout(b'x' * {size})", tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (1, "standard output: no space left on device\n")


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_stdout_whose_reader_has_gone(tmp_path: Path, size: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(
        f"try: write_stdout(b'x' * {size})\nexcept BrokenPipeError: sys.exit(41)",
        tmp_path,
        stdout=writing,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (41, "")


def test_stdout_none_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(FileProblem, match="is closed"), atomic.open_stdout():
        pass


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is put safely on the disk from now on: ``file`` or the name of a folder."""
    found, fsync = [], os.fsync

    def record(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        found.append(os.readlink(f"/proc/self/fd/{descriptor}") if folder else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")


@needs_proc
def test_a_file_is_synced_before_its_name(tmp_path: Path, synced: list[str]) -> None:
    write(tmp_path / "a.txt", b"x")
    assert synced == ["file", str(tmp_path)]
    write(tmp_path / "a.txt", b"y", overwrite=True, sync=False)
    assert synced == ["file", str(tmp_path), "file"]


@needs_proc
def test_a_batch_syncs_every_folder_once(tmp_path: Path, synced: list[str]) -> None:
    sources = [Source(tmp_path / f"{number}.pgm") for number in range(3)]
    for source in sources:
        assert isinstance(source.path, Path)
        source.path.write_bytes(b"P5 2 2 255 abcd")
    (tmp_path / "0").mkdir()
    (tmp_path / "1").symlink_to(tmp_path / "0", target_is_directory=True)
    output = OutputOptions(str(tmp_path / "{stem}/{stem}.png"))
    network = Network.chain(PoolLayer())
    job = Job(network, ReadOptions(), RenderOptions(), output, "cnncli pool")
    outcomes = [outcome for _, outcome in batch_run.run(job, plan_batch(job, sources))]
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert synced[:3] == ["file"] * 3
    assert sorted(synced[3:]) == [str(tmp_path / "0"), str(tmp_path / "2")]
