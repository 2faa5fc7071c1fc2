"""Batches: a thousand photographs of half a megapixel, against what people would write instead.

Every contender sharpens as in `benchmarks.commands`, with as many processes or threads as the case
says. Times are those of the whole command, by image.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import commands, peers
from benchmarks.commands import Usage
from benchmarks.measure import rest
from benchmarks.pictures import Workshop
from benchmarks.table import OURS, Row

UNIT: Final = "ms/image"

JOBLIB_SCRIPT: Final = """\
import sys
from pathlib import Path
import cv2, numpy as np
from joblib import Parallel, delayed

KERNEL = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)

def sharpen(source, target):
    cv2.setNumThreads(1)
    image = cv2.imread(source)
    result = cv2.filter2D(image, -1, KERNEL, borderType=cv2.BORDER_REPLICATE)
    cv2.imwrite(target, result, [cv2.IMWRITE_JPEG_QUALITY, 95] if target.endswith("jpg") else [])

jobs, folder, out = sys.argv[1:]
sources = sorted(Path(folder).iterdir())
Parallel(n_jobs=int(jobs))(delayed(sharpen)(str(path), f"{out}/{path.name}") for path in sources)
"""

PLAIN: Final = "cnncli without fast"
PLAIN_COMMAND: Final = (
    sys.executable,
    "-c",
    "import sys; sys.modules.update(simplejpeg=None, zlib_ng=None); "
    "from cnncli.__main__ import main; main()",
)
"""The command as it is where the extra ``fast`` is not installed."""

JOBLIB: Final = "joblib + OpenCV"
LIMITS: Final = {"mogrify": 0.333, "convert": 0.333, JOBLIB: 1.0}
PLAIN_LIMITS: Final = {**LIMITS, JOBLIB: 1.2}
SPEEDUP: Final = 1.8
"""How much faster two jobs should be than one."""

GROWTH: Final = 1.1
"""How much more memory the largest batch may take than the smallest."""

SAMPLE_SECONDS: Final = 0.02
ROUNDS: Final = 3
LONG: Final = 20.0
"""Seconds from which a command runs once."""


@dataclass(frozen=True)
class Batch:
    """Some pictures in a folder, and how many processes are to work on them.

    Parameters
    ----------
    source : Path
    count : int
    suffix : str
    jobs : int
    """

    source: Path
    count: int
    suffix: str
    jobs: int

    @property
    def name(self) -> str:
        """What the tables call it."""
        kind = {".jpg": "JPEG", ".png": "PNG"}[self.suffix]
        return f"{self.count:,} {kind} photos, {self.jobs} job{'s' if self.jobs > 1 else ''}"


def measure(shop: Workshop, repeats: int) -> Iterator[Row]:
    """Yield the rows of speed and of memory.

    Parameters
    ----------
    shop : Workshop
    repeats : int
        Runs of each command, at most `ROUNDS`.
    """
    for suffix, count in ((".jpg", 1000), (".png", 200)):
        found = [compare(batch, shop, repeats) for batch in batches(shop, suffix, count)]
        for rows in found:
            yield from rows
        one, two = (rows[0] for rows in found)
        if one.ours is not None and two.ours is not None:
            yield _speedup(one, two)
    if peers.module("distributed") is not None:
        yield cluster(shop)
    yield from _memory(shop)


def batches(shop: Workshop, suffix: str, count: int) -> Iterator[Batch]:
    """Yield the batch of that many photographs for one job and for two."""
    count = count // 50 if shop.quick else count
    folder = shop.photos(suffix, count)
    yield from (Batch(folder, count, suffix, jobs) for jobs in (1, 2))


def compare(batch: Batch, shop: Workshop, repeats: int) -> list[Row]:
    """Run every command once, compare pictures with ours, then run all of them in turn.

    Returns
    -------
    list of Row
        The time of the command, and the processor time that it and its processes took; the same
        without the extra ``fast`` where that is installed.
    """
    row = Row("batches", batch.name, unit=UNIT)
    words = contenders(batch, shop)
    first = {name: commands.run(each, shop) for name, each in words.items()}
    row.note = "; ".join(f"{name} failed" for name, usage in first.items() if usage.code)
    done = {name: usage for name, usage in first.items() if not usage.code}
    problems = [*_wrong(batch, shop, done)]
    if OURS not in done or problems:
        row.problem = "; ".join(problems) or "ours failed"
        return [row]
    used = _alternate(words, done, shop, min(repeats, ROUNDS))
    ms = _by_image(batch, {name: [each.seconds for each in runs] for name, runs in used.items()})
    rates = ", ".join(f"{name} {1000 / each:.0f}" for name, each in ms.items())
    row.note = "; ".join(filter(None, [f"images a second: {rates}", row.note]))
    work = _by_image(batch, {name: [each.work for each in runs] for name, runs in used.items()})
    has_fast = PLAIN in words
    row.limits = dict(LIMITS if has_fast else PLAIN_LIMITS)
    rows = [row, Row("batches", f"{batch.name}: processor", unit=UNIT)]
    _fill(rows, OURS, ms, work)
    if PLAIN in done:
        name = f"{batch.name}, without fast"
        plain = Row("batches", name, limits=dict(PLAIN_LIMITS), unit=UNIT)
        rows += [plain, Row("batches", f"{name}: processor", unit=UNIT)]
        _fill(rows[2:], PLAIN, ms, work)
    return rows


def _fill(rows: Iterable[Row], which: str, *times: Mapping[str, float]) -> None:
    """Put the times of one of ours and of its peers into rows."""
    for row, own in zip(rows, times, strict=True):
        row.ours = own[which]
        row.peers = {name: ms for name, ms in own.items() if name not in (OURS, PLAIN)}


def _alternate(
    words: Mapping[str, list[str]], first: Mapping[str, Usage], shop: Workshop, rounds: int
) -> dict[str, list[Usage]]:
    """Run the commands in turn; those that take long have run already."""
    found = {name: [usage] if usage.seconds >= LONG else [] for name, usage in first.items()}
    for _ in range(rounds):
        for name, usage in first.items():
            if usage.seconds < LONG:
                rest(0.05)
                found[name].append(commands.run(words[name], shop))
    return found


def _by_image(batch: Batch, seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Milliseconds of an image, by command."""
    return {name: 1000 * statistics.median(runs) / batch.count for name, runs in seconds.items()}


def _wrong(batch: Batch, shop: Workshop, done: Iterable[str]) -> Iterator[str]:
    """Yield whose first, middle or last picture is not ours."""
    names = sorted(path.name for path in batch.source.iterdir())
    limit = commands.JPEG_TOLERANCE if batch.suffix == ".jpg" else 0.0
    for peer in done:
        for name in {names[0], names[len(names) // 2], names[-1]}:
            ours, theirs = (commands.pixels(_out(who, shop) / name) for who in (OURS, peer))
            if (steps := commands.mean_steps(ours, theirs)) > limit:
                yield f"{peer} differs by {steps:.3g} steps of 255 on average"
                break


def contenders(batch: Batch, shop: Workshop) -> dict[str, list[str]]:
    """Return the command line of ours and of every peer that is there."""
    found = {OURS: ours(batch, shop)}
    if any(peers.module(name) is not None for name in ("simplejpeg", "zlib-ng")):
        found[PLAIN] = _plain(batch, shop)
    if peers.program("mogrify") is not None:
        found["mogrify"] = _mogrify(batch, shop)
        found["convert"] = _convert(batch, shop)
    if peers.program("GraphicsMagick") is not None:
        found["gm batch"] = _gm_batch(batch, shop)
    if peers.module("OpenCV") is not None and peers.module("joblib") is not None:
        script = str(shop.text("joblib_script.py", JOBLIB_SCRIPT))
        words = [str(batch.jobs), str(batch.source), str(_out(JOBLIB, shop))]
        found[JOBLIB] = [sys.executable, script, *words]
    return found


def ours(batch: Batch, shop: Workshop, *more: str) -> list[str]:
    """Return the command line of ours."""
    target = f"{_out(OURS, shop)}/{{stem}}{batch.suffix}"
    return [*commands.ours(str(batch.source), target), "--jobs", str(batch.jobs), "-q", *more]


def _plain(batch: Batch, shop: Workshop) -> list[str]:
    """Return the command line of ours without the extra ``fast``."""
    target = f"{_out(PLAIN, shop)}/{{stem}}{batch.suffix}"
    words = commands.ours(str(batch.source), target)[len(commands.COMMAND) :]
    return [*PLAIN_COMMAND, *words, "--jobs", str(batch.jobs), "-q"]


def _mogrify(batch: Batch, shop: Workshop) -> list[str]:
    """One process on the whole folder, with a thread for each job."""
    kernel = ["-morphology", "Convolve", f"3x3: {commands.KERNEL}", *_jpeg(batch)]
    sources = sorted(map(str, batch.source.iterdir()))
    limit = ["env", f"MAGICK_THREAD_LIMIT={batch.jobs}", str(peers.program("mogrify"))]
    return [*limit, "-path", str(_out("mogrify", shop)), *kernel, *sources]


def _convert(batch: Batch, shop: Workshop) -> list[str]:
    """A process for each image, as many at once as there are jobs."""
    program = peers.program("ImageMagick")
    kernel = f"-morphology Convolve '3x3: {commands.KERNEL}' {' '.join(_jpeg(batch))}"
    one = f"{program} '{batch.source}/{{}}' {kernel} '{_out('convert', shop)}/{{}}'"
    loop = f"ls '{batch.source}' | MAGICK_THREAD_LIMIT=1 xargs -P {batch.jobs} -I {{}} {one}"
    return ["sh", "-c", loop]


def _gm_batch(batch: Batch, shop: Workshop) -> list[str]:
    """A process with a list of commands for each job."""
    kernel = f"-convolve {commands.KERNEL.replace(' ', ',')} {' '.join(_jpeg(batch))}"
    names = sorted(path.name for path in batch.source.iterdir())
    target, lists = _out("gm batch", shop), []
    for job in range(batch.jobs):
        lines = [
            f"convert {batch.source}/{name} {kernel} {target}/{name}\n"
            for name in names[job :: batch.jobs]
        ]
        lists.append(str(shop.text(f"gm-{job}.txt", "".join(lines))))
    program = peers.program("GraphicsMagick")
    started = " ".join(f"{program} batch -stop-on-error on {path} &" for path in lists)
    return ["sh", "-c", f"export OMP_NUM_THREADS=1; {started} wait"]


def _jpeg(batch: Batch) -> list[str]:
    return ["-quality", "95", "-sampling-factor", "2x2"] if batch.suffix == ".jpg" else []


def _out(name: str, shop: Workshop) -> Path:
    folder = shop.folder / "batches" / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _speedup(one: Row, two: Row) -> Row:
    """Return a row that holds two jobs against one."""
    assert one.ours is not None
    row = Row("batches", f"{two.name} against 1", two.ours, {"1 job": one.ours}, unit=UNIT)
    row.limits = {"1 job": 1 / SPEEDUP}
    return row


def cluster(shop: Workshop, counts: tuple[int, int] = (50, 350)) -> Row:
    """Return the processor time of a further image on a cluster of this machine, and on ``--jobs``.

    Starting the cluster is left out: it takes as long for one image as for a million, many times
    the time of the images here, and not always the same.
    """
    few, many = (max(2, count // 50) if shop.quick else count for count in counts)
    row = Row("batches", "each further JPEG photo, --cluster local:2: processor", unit=UNIT)
    found, notes = {}, []
    for way, more in ((OURS, ["--cluster", "local:2"]), ("--jobs 2", [])):
        first, second = (
            commands.run(ours(Batch(folder, count, ".jpg", 2), shop, *more), shop)
            for count in (few, many)
            for folder in [shop.photos(".jpg", count)]
        )
        found[way] = 1000 * (second.work - first.work) / (many - few)
        said = f"{first.seconds:.1f} s for {few} images, {second.seconds:.1f} for {many}"
        notes.append(f"{way}: {said}")
    row.note = "; ".join(notes)
    row.ours, row.peers = found.pop(OURS), found
    return row


def _memory(shop: Workshop) -> Iterator[Row]:
    """Yield the peak memory of batches of small pictures that grow hundredfold."""
    smallest: dict[str, float] = {}
    for count in (4, 12) if shop.quick else (100, 1000, 10_000):
        batch = Batch(shop.photos(".jpg", count, small=True), count, ".jpg", 2)
        for kind, peak in peaks(ours(batch, shop), shop).items():
            name = f"{count:,} images, 2 jobs: {kind}"
            row = Row("batch memory", name, peak / 1e6, unit="MB")
            before = smallest.setdefault(kind, peak)
            if peak != before or count >= 1000:
                row.peers, row.limits = {"smallest batch": before / 1e6}, {"smallest batch": GROWTH}
            yield row


def peaks(words: list[str], shop: Workshop) -> dict[str, float]:
    """Run a command and return the peak bytes of all its processes together, and of the largest.

    Memory that processes share is counted once (PSS) in the sum, and in each for the largest (RSS).
    """
    options = {"cwd": commands.REPOSITORY, "env": shop.environment}
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, **options)
    together, largest, ended = 0, 0, threading.Event()

    def watch() -> None:
        nonlocal together, largest
        while not ended.wait(SAMPLE_SECONDS):
            sizes = [_sizes(pid) for pid in _family(process.pid)]
            together = max(together, sum(shared for shared, _ in sizes))
            largest = max([largest, *(resident for _, resident in sizes)])

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise RuntimeError(f"exit code {code}: {' '.join(words)}")
    return {"all processes": together, "largest process": largest}


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all that it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _sizes(pid: int) -> tuple[int, int]:
    """A process's own share of memory and its resident set, in bytes; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
    except OSError:
        return 0, 0
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return fields.get("Pss", 0), fields.get("Rss", 0)
