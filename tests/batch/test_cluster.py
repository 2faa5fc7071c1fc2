"""Batches on a real Dask cluster: real schedulers and workers, really killed."""

from __future__ import annotations

import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli._version import __version__
from cnncli.batch.run import InlineRunner, Runner
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.process import plan_batch
from cnncli.pipeline.source import Source
from cnncli.render.options import RenderOptions
from tests.support import faultlayer
from tests.support.daskcluster import DaskCluster, dask_cluster, marked, worker_of
from tests.support.faultlayer import SLOW, SOUND, FaultLayer
from tests.support.patience import patient, until
from tests.support.shell import error_lines, refused, run_cli, run_process, save, snapshot

pytest.importorskip("distributed")

from distributed import Client

from cnncli.batch.cluster import dask_client, runner
from cnncli.batch.cluster.dask_client import ClusterProblem, connected
from cnncli.batch.cluster.runner import ClusterRunner

pytestmark = pytest.mark.oracle

RANDOM = np.random.default_rng(24)
CERTIFICATES = ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
NOWHERE = "raise ImportError('not here')\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two workers of a scheduler that has no cnncli, for it needs none."""
    blocked = tmp_path_factory.mktemp("blocked")
    (blocked / "cnncli.py").write_text(NOWHERE)
    folder = tmp_path_factory.mktemp("cluster")
    with dask_cluster(folder, 2, python_path=str(blocked)) as started:
        yield started


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def photos(**heights: int) -> list[Source]:
    """Write an image of each name and height."""
    return [
        Source(save(f"{name}.png", RANDOM.integers(0, 256, (height, 24, 3), np.uint8)))
        for name, height in heights.items()
    ]


def job_of(**options: Any) -> Job:
    given = OutputOptions(**{"output": "out/{stem}.png", **options})
    network = Network.chain(FaultLayer(folder=os.getcwd()))
    return Job(network, ReadOptions(), RenderOptions(), given, "cnncli pool")


def outcomes(job: Job, sources: list[Source], runner: Runner) -> Iterator[Outcome]:
    """Yield what becomes of each image."""
    plan = plan_batch(job, sources)
    tasks = (Task(index, target) for index, target in enumerate(plan.targets))
    for task, outcome in runner.run(job, tasks, LocalFiles(job.output, plan.inputs)):
        assert outcome.source == task.source
        yield outcome


def errors_of(found: list[Outcome]) -> dict[str, str]:
    """Return the errors by names of images, each of which must be told once."""
    names = [outcome.source.stem for outcome in found]
    assert len(names) == len(set(names))
    return {outcome.source.stem: str(outcome.error) for outcome in found if outcome.error}


def test_bytes_are_those_of_one_job_here(cluster: DaskCluster, samples: Path) -> None:
    folders = [Path(name).absolute() for name in ("here", "there")]
    net = samples.parent / "examples/edges.toml"
    commands = (
        (
            "conv",
            samples,
            "--gray",
            "-f",
            "gabor_bank",
            "--algorithm",
            "matmul",
            "-o",
            "{stem}.png",
        ),
        ("run", net, samples, "-o", "{stem}.npz"),
        ("pool", samples, "-o", "maps/"),
    )
    for folder, where in zip(folders, (("--jobs", 1), ("--cluster", cluster.address)), strict=True):
        folder.mkdir()
        for command in commands:
            # Processes as a user starts them: only those choose numpy's kernels.
            done = run_process(*command, *where, cwd=folder)
            assert done.returncode == 0, done.stderr
    here, there = (snapshot(folder) for folder in folders)
    assert len(here) > 12
    assert list(here.values()) == list(there.values())


def test_faults_of_an_image_are_named_and_cost_no_other(cluster: DaskCluster) -> None:
    fates = {name: getattr(faultlayer, name.upper()) for name in ("hang", "stopped", "bug")}
    sources = photos(a=SOUND, **fates, b=SOUND, c=SOUND)
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    sources.append(Source(Path("broken.png")))
    found = errors_of(list(outcomes(job_of(), sources, ClusterRunner(cluster.address, seconds=5))))
    assert found.keys() == {"hang", "stopped", "bug", "broken"}
    for name in ("hang", "stopped"):
        assert "took longer than --timeout 5 s" in found[name]
    assert "internal error: ValueError: a bug" in found["bug"]
    assert found["broken"].startswith("'broken.png': ")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "c.png"]


def test_an_image_whose_worker_is_lost_is_done_on_another(cluster: DaskCluster) -> None:
    heights = {f"p{index}": SOUND for index in range(12)}
    sources = photos(**heights, late=faultlayer.KILLED_ONCE)
    found = list(outcomes(job_of(), sources[::-1], ClusterRunner(cluster.address)))
    assert errors_of(found) == {}
    assert Path("befallen").exists()
    assert len(list(Path("out").iterdir())) == len(found) == 13


def test_an_error_after_a_lost_worker_is_told(cluster: DaskCluster) -> None:
    sources = photos(a=SOUND, both=faultlayer.KILLED_THEN_BUG, b=SOUND)
    where = ClusterRunner(cluster.address, seconds=patient(60))
    found = errors_of(list(outcomes(job_of(), sources, where)))
    assert found.keys() == {"both"}
    assert "internal error: ValueError: a bug" in found["both"]


def test_a_sound_worker_that_restarts_is_waited_for_beside_another(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = [f"p{index}" for index in range(9)]
    sources = photos(**dict.fromkeys(names, SLOW), lost=faultlayer.KILLED_ONCE)
    found = []
    with dask_cluster(tmp_path_factory.mktemp("pair"), 1) as pair:
        for outcome in outcomes(job_of(), sources, ClusterRunner(pair.address)):
            found.append(outcome)
            if len(found) == 1:
                pair.worker(path=other_version(tmp_path_factory.mktemp("old")))
                with Client(pair.address, set_as_default=False) as client:
                    client.wait_for_workers(2, timeout=patient(30))
    assert errors_of(found) == {}
    assert len(os.listdir("out")) == 10


def test_an_image_that_kills_its_workers_is_named(
    cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOSSES", 3)
    heights = {f"p{index}": SOUND for index in range(6)}
    sources = photos(poison=faultlayer.KILLED, **heights)
    found = errors_of(list(outcomes(job_of(), sources, ClusterRunner(cluster.address))))
    assert found.keys() == {"poison"}
    assert re.search(r" [34] workers were lost while it alone was at work", found["poison"])
    assert len(list(Path("out").iterdir())) == 6


def test_workers_killed_midway_with_and_without_nanny_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, cluster: DaskCluster
) -> None:
    sources = photos(**{f"p{index}": SLOW for index in range(24)})
    more = cluster.worker()
    nannies = cluster.processes[1:3]
    until(lambda: all(worker_of(nanny) for nanny in nannies))
    worker = worker_of(nannies[0])
    assert worker is not None
    found = []
    for outcome in outcomes(job_of(), sources, ClusterRunner(cluster.address)):
        found.append(outcome)
        if len(found) == 3:
            os.kill(worker, signal.SIGKILL)
        if len(found) == 8:
            os.killpg(nannies[1].pid, signal.SIGKILL)
    assert more.poll() is None
    assert errors_of(found) == {}
    assert len(found) == len(list(Path("out").iterdir())) == 24


def test_a_scheduler_killed_midway_leaves_whole_files_and_names_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sources = photos(**{f"p{index}": SLOW for index in range(20)})
    found = []
    with dask_cluster(tmp_path_factory.mktemp("mortal"), 1) as mortal:
        for outcome in outcomes(job_of(), sources, ClusterRunner(mortal.address)):
            found.append(outcome)
            if len(found) == 3:
                mortal.scheduler.kill()
    lost = errors_of(found)
    assert len(found) == 20
    assert 0 < len(lost) < 20
    assert all(f"not done: the scheduler {mortal.address} is gone" in e for e in lost.values())
    written = {path.stem: path.read_bytes() for path in Path("out").iterdir()}
    assert written.keys() == {source.stem for source in sources} - lost.keys()
    again = job_of(output="again/{stem}.png")
    assert errors_of(list(outcomes(again, sources, InlineRunner()))) == {}
    assert written == {name: Path(f"again/{name}.png").read_bytes() for name in written}


def test_a_port_where_nobody_answers(samples: Path) -> None:
    with socket.socket() as quiet:
        quiet.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{quiet.getsockname()[1]}"
        where = ("--cluster", address, "--cluster-timeout", 1)
        error = error_lines(run_process("pool", samples, "-o", "out/", *where), 1)
        assert f"no scheduler answers at {address} within 1 seconds" in error
        quiet.listen()  # takes connections, and says nothing
        assert "no scheduler answers" in refused("pool", samples, "-o", "out/", *where)
    assert not Path("out").exists()


def test_what_cannot_be_sent_is_told(cluster: DaskCluster) -> None:
    with connected(cluster.address, timeout=30, patience=30) as session:
        session._task = None  # Dask's client takes functions alone
        key, _ = session.submit(b"", b"", workers=())
        while (event := session.events.get(timeout=patient(5)))[0] == "workers":
            pass
    kind, _, told, error = event
    assert (kind, told, type(error)) == ("failed", key, TypeError)


def other_version(folder: Path, version: str = "1.2.3") -> str:
    """Install a cnncli whose batch cannot be imported in a folder and return the path to it."""
    (folder / "cnncli").mkdir()
    (folder / "cnncli" / "batch.py").write_text(NOWHERE)
    (folder / "cnncli" / "__init__.py").write_text(f"__version__ = {version!r}\n")
    return str(folder)


def test_no_workers_then_rejected_ones(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dask_cluster(tmp_path_factory.mktemp("idle"), 0) as idle:
        photos(a=SOUND)
        words = ("--cluster", idle.address, "--cluster-patience", 1.5)
        error = refused("pool", "a.png", "-o", "out/", *words)
        assert "no workers for 1.5 seconds\nhint: start some: dask worker " in error
        where = ClusterRunner(idle.address, patience=40)
        old = idle.worker(path=other_version(tmp_path_factory.mktemp("old")))
        with pytest.raises(ClusterProblem, match=r"the worker tcp:.* has cnncli 1\.2\.3, here "):
            list(outcomes(job_of(), photos(a=SOUND), where))
        os.killpg(old.pid, signal.SIGKILL)
        part = idle.worker(path=other_version(tmp_path_factory.mktemp("part"), __version__))
        with pytest.raises(ClusterProblem, match=r"the worker tcp:.* has cnncli without what it "):
            list(outcomes(job_of(), photos(a=SOUND), where))
        os.killpg(part.pid, signal.SIGKILL)
        without = tmp_path_factory.mktemp("without")
        (without / "cnncli.py").write_text(NOWHERE)
        idle.worker(path=str(without))
        with pytest.raises(ClusterProblem, match=r"the worker tcp://127.*:\d+ has no cnncli"):
            list(outcomes(job_of(), photos(a=SOUND), where))
    assert not Path("out").exists()


def test_a_worker_that_joins_is_used_if_it_is_accepted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sources = photos(**{f"p{index}": SLOW for index in range(30)})
    found = []
    with dask_cluster(tmp_path_factory.mktemp("growing"), 1) as growing:
        old = other_version(tmp_path_factory.mktemp("old"))
        for outcome in outcomes(job_of(), sources, ClusterRunner(growing.address)):
            found.append(outcome)
            if len(found) == 2:
                growing.worker(path=old)
                growing.worker()
    assert errors_of(found) == {}
    assert len(found) == 30


def second_worker(cluster: DaskCluster) -> int:
    """Return the process of the second of two workers once both are there."""
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=patient(30))
    worker = worker_of(cluster.processes[2])
    assert worker is not None
    return worker


def test_workers_of_another_kind_are_left_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dask_cluster(tmp_path_factory.mktemp("mixed"), 1) as mixed:
        mixed.worker(path=other_version(tmp_path_factory.mktemp("old")))
        mixed.worker(OPENBLAS_CORETYPE="Prescott")
        with Client(mixed.address, set_as_default=False) as client:
            client.wait_for_workers(3, timeout=patient(30))
        sources = photos(**{f"p{index}": SLOW for index in range(20)})
        assert errors_of(list(outcomes(job_of(), sources, ClusterRunner(mixed.address)))) == {}
        if platform.machine() == "x86_64":
            for nanny in mixed.processes[1:3]:
                os.killpg(nanny.pid, signal.SIGKILL)
            again = job_of(output="again/{stem}.png")
            with pytest.raises(ClusterProblem, match=r"has BLAS .*rounding \w+\), here "):
                list(outcomes(again, sources, ClusterRunner(mixed.address, patience=5)))
    assert len(os.listdir("out")) == 20


def test_a_stopped_worker_costs_nothing_beside_a_sound_one_and_is_waited_for_alone(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "SILENT_SECONDS", 3.0)
    # The sound worker is killed once: what starts in its place must not wait for the stopped one.
    sources = photos(lost=faultlayer.KILLED_ONCE, **{f"p{n}": SOUND for n in range(6)})
    with (
        dask_cluster(tmp_path_factory.mktemp("stopped"), 2) as two,
        Client(two.address, set_as_default=False) as other,
    ):
        stopped = second_worker(two)
        # Another program has results there, whose names are not like ours.
        kept = [
            other.submit(abs, -1, key=f"other {name}", workers=[name])
            for name in other.scheduler_info()["workers"]
        ]
        assert other.gather(kept) == [1, 1]
        os.kill(stopped, signal.SIGSTOP)
        assert errors_of(list(outcomes(job_of(), sources, ClusterRunner(two.address)))) == {}
        assert len(list(Path("out").iterdir())) == 7

        os.killpg(two.processes[1].pid, signal.SIGKILL)
        threading.Timer(4, os.kill, (stopped, signal.SIGCONT)).start()
        again = job_of(output="again/{stem}.png")
        # Longer than --cluster-patience, but it is there.
        assert (
            errors_of(list(outcomes(again, sources, ClusterRunner(two.address, patience=2)))) == {}
        )
    assert snapshot("again").keys() == {f"again/{source.stem}.png" for source in sources}


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_worker_stopped_midway_costs_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    monkeypatch.setattr(dask_client, "SILENT_SECONDS", 3.0)
    sources = photos(**{f"p{n}": SLOW for n in range(20)})
    found = []
    with dask_cluster(tmp_path_factory.mktemp("midway"), 2) as two:
        stopped = second_worker(two)
        wake = threading.Timer(4, os.kill, (stopped, signal.SIGCONT))
        for outcome in outcomes(job_of(), sources, ClusterRunner(two.address)):
            found.append(outcome)
            if len(found) == 2:
                os.kill(stopped, signal.SIGSTOP)
                if goes_on:
                    wake.start()
        if goes_on:
            wake.join()
    assert errors_of(found) == {}
    assert len(found) == len(list(Path("out").iterdir())) == 20


def test_a_large_job_is_sent_once_to_each_worker(
    cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "JOB_BYTES", 0)
    sources = photos(late=faultlayer.KILLED_ONCE, **{f"p{n}": SOUND for n in range(12)})
    assert errors_of(list(outcomes(job_of(), sources, ClusterRunner(cluster.address)))) == {}
    assert len(os.listdir("out")) == 13


@pytest.mark.parametrize("output", ["out/{stem}.png", "out/{stem}-{map}.png"])
def test_workers_with_shared_files_write_themselves(cluster: DaskCluster, output: str) -> None:
    sources = photos(a=SOUND, b=SOUND, c=SOUND, **{"lost": faultlayer.KILLED_ONCE})
    Path("out").mkdir()
    taken = output.replace("{stem}", "b").replace("{map}", "0")
    Path(taken).write_bytes(b"mine")
    where = ClusterRunner(cluster.address, shared=True)
    job = job_of(output=output, skip_existing=True)
    found = list(outcomes(job, sources, where))
    assert errors_of(found) == {}
    # What the lost worker had done but not told is there, and is done no second time.
    skipped = {outcome.source.stem for outcome in found if outcome.skipped}
    assert "b" in skipped
    assert skipped == {"b"} or "{map}" in output
    assert Path(taken).read_bytes() == b"mine"
    inline = list(outcomes(job_of(output=f"here/{output}"), sources, InlineRunner()))
    assert errors_of(inline) == {}
    for path in Path("out").iterdir():
        if path != Path(taken):
            assert path.read_bytes() == Path("here", path).read_bytes()


def test_what_a_lost_worker_wrote_is_not_in_the_way(cluster: DaskCluster) -> None:
    sources = photos(a=SOUND, b=SOUND, lost=faultlayer.KILLED_ONCE, c=SOUND)
    found = outcomes(job_of(), sources, ClusterRunner(cluster.address, shared=True))
    assert [outcome for outcome in found if outcome.error or outcome.skipped] == []
    assert len(list(Path("out").iterdir())) == 4


def test_a_file_in_place_is_no_failure_though_its_worker_is_lost(cluster: DaskCluster) -> None:
    sources = photos(a=SOUND, placed=faultlayer.PLACED, b=SOUND)
    found = list(outcomes(job_of(), sources, ClusterRunner(cluster.address, shared=True)))
    assert errors_of(found) == {}
    (placed,) = (outcome for outcome in found if outcome.source.stem == "placed")
    assert placed.in_place == ("out/placed.png",)
    again = job_of(output="again/{stem}.png")
    assert errors_of(list(outcomes(again, sources[::2], InlineRunner()))) == {}
    assert (
        snapshot("again").items()
        == {f"again/{name}.png": Path(f"out/{name}.png").read_bytes() for name in "ab"}.items()
    )
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "placed.png"]


def test_guards_stand_before_anything_is_sent(cluster: DaskCluster) -> None:
    photos(a=SOUND, b=SOUND)
    Path("a-pool.png").write_bytes(b"mine")
    address = ("--cluster", cluster.address)
    assert "'a-pool.png': exists" in refused("pool", "a.png", "b.png", *address)
    assert "is one of the inputs" in refused(
        *("pool", "a.png", "b.png", "-o", "{name}", "--overwrite", *address), code=2
    )
    assert "limit of 9 bytes" in refused(*("pool", "b.png", "--max-input-bytes", 9, *address))
    Path("out").mkdir()
    shared = ("--shared-files", "--overwrite", "-o", "out/")
    assert "only without --overwrite" in refused("pool", "b.png", *shared, *address, code=2)
    assert "--shared-files is for --cluster" in refused("pool", "b.png", *shared, code=2)


def test_standard_input_and_output_take_the_same_way(cluster: DaskCluster) -> None:
    (source,) = photos(a=SOUND)
    assert source.path is not None
    data = source.path.read_bytes()
    here = run_cli("pool", "-o", "-", stdin=data)
    there = run_cli("pool", "-o", "-", "--cluster", cluster.address, stdin=data)
    assert there.stdout_bytes == here.stdout_bytes


def test_certificates_are_missing_or_broken(samples: Path) -> None:
    where = ("pool", samples, "--cluster", "tls://127.0.0.1:9")
    assert "certificates: none are configured" in error_lines(run_process(*where), 1)
    names = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": "a.pem" for name in CERTIFICATES}
    for content in (None, b"no certificate"):
        if content is not None:
            Path("a.pem").write_bytes(content)
        done = run_process(*where, env={**os.environ, **names})
        assert "tls://127.0.0.1:9 needs certificates: " in error_lines(done, 1)


@pytest.mark.parametrize(
    "address", ["tcp://host", "http://127.0.0.1:80", "local:0", "local:x", "tcp://:80", "tls://h:x"]
)
def test_addresses_that_are_none(address: str, samples: Path) -> None:
    assert "--cluster" in refused("pool", samples, "--cluster", address, code=2)


def test_workers_of_this_machine(samples: Path) -> None:
    done = run_process("pool", samples, "-o", "out/", "--cluster", "local:2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"\n") - 1 == len(list(Path("out").iterdir())) > 3


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_ctrl_c_leaves_no_processes(seconds: float) -> None:
    photos(**{f"p{index}": SOUND for index in range(400)})
    mark = f"CNNCLI_TEST={os.urandom(8).hex()}"
    words = [sys.executable, "-m", "cnncli", "pool", ".", "-o", "out/", "--cluster", "local:2"]
    name, _, value = mark.partition("=")
    process = subprocess.Popen(
        words, stderr=subprocess.PIPE, env={**os.environ, name: value}, start_new_session=True
    )
    until(lambda: len(marked(mark)) > 2)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=patient(10))
    assert process.returncode == 130, said
    errors = [line for line in said.splitlines() if line.startswith(b"cnncli: error")]
    assert len(errors) == 1 and errors[0].startswith(b"cnncli: error: interrupted"), said
    assert b"Traceback" not in said
    until(lambda: marked(mark) == [], seconds=5)
    assert not list(Path().rglob(".cnncli*"))
