"""Whole commands as processes: `cnncli conv` against what people would type instead.

Every one sharpens by the same 3x3 kernel of whole numbers that sum to 1, borders copied, so PNG
outputs must be equal to the pixel. PNG is written as each program does by default, JPEG with
quality 95 and halved colour by all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import peers
from benchmarks.machine import THREADS
from benchmarks.measure import alternate
from benchmarks.pictures import Workshop
from benchmarks.table import OURS, Row

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LAUNCHER: Final = Path(__file__).with_name("child.py")

COMMAND: Final = (sys.executable, "-c", "from cnncli.__main__ import main; main()")
"""What the installed command does, with the package of the folder it is run in."""

MOST_PIXELS: Final = 200_000_000

KERNEL: Final = "0,-1,0 -1,5,-1 0,-1,0"
MASK: Final = "3 3 1 0\n0 -1 0\n-1 5 -1\n0 -1 0\n"

OPENCV_SCRIPT: Final = """\
import sys, cv2, numpy as np
kernel = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    image = cv2.imread(source)
    result = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    cv2.imwrite(target, result, [cv2.IMWRITE_JPEG_QUALITY, 95] if target.endswith("jpg") else [])
"""

JPEG_TOLERANCE: Final = 0.5
"""Mean difference in steps of 255 where a JPEG is read or written: decoders smooth colour in their
own ways, and sharpening makes five of one step."""


@dataclass(frozen=True)
class Case:
    """One input, one kind of output, and what is to be reached.

    Parameters
    ----------
    name : str
    source : Path
        A picture, or a folder of them.
    suffix : str
        Of the outputs.
    limits : mapping
        Largest ratios by peer.
    """

    name: str
    source: Path
    suffix: str
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """Mean difference that counts as equal, in steps of 255."""
        lossy = ".jpg" in (self.source.suffix, self.suffix)
        return JPEG_TOLERANCE if lossy else 0.0


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds, peak memory in bytes, how it ended, and processor seconds.

    These are its own and those of the processes that it started and waited for.
    """

    seconds: float
    peak: int
    code: int
    work: float = float("nan")


def measure(shop: Workshop, repeats: int) -> Iterator[Row]:
    """Yield a row for each case, and one for the start of the command.

    Parameters
    ----------
    shop : Workshop
        Where pictures are made; it is told the peak memory of every command.
    repeats : int
        Runs of each command.
    """
    yield start_row(shop, repeats)
    for case in cases(shop):
        yield compare(case, shop, repeats)


def cases(shop: Workshop) -> Iterator[Case]:
    """Yield the cases; a picture is made when its case comes."""
    whole = {"ImageMagick": 0.33, "OpenCV script": 1.0}
    yield Case("small image, PNG to PNG", shop.small(), ".png", {"OpenCV script": 1.2})
    yield Case("12 megapixels, PNG to PNG", shop.photo(12, ".png"), ".png", whole)
    yield Case("12 megapixels, JPEG to PNG", shop.photo(12, ".jpg"), ".png", whole)
    yield Case("12 megapixels, JPEG to JPEG", shop.photo(12, ".jpg"), ".jpg", whole)
    yield Case("folder of 200 images", shop.many(), ".png")
    yield Case("100 megapixels, PNG to PNG", shop.photo(100, ".png"), ".png")


def start_row(shop: Workshop, repeats: int) -> Row:
    """Return how long ``cnncli --version`` takes, beside an interpreter that imports click."""
    python = [sys.executable, "-c"]
    commands = {
        OURS: [*COMMAND, "--version"],
        "import click": [*python, "import click"],
        "import numpy, PIL.Image, click": [*python, "import numpy, PIL.Image, click"],
    }
    actions = {name: seconds_of(words, shop) for name, words in commands.items()}
    first = {name: action() for name, action in actions.items()}
    ms = {k: 1000 * v for k, v in alternate(actions, first, 3 * repeats).items()}
    row = Row("start", "cnncli --version", ms.pop(OURS), limits={"import click": 1.3})
    row.peers["import click"] = ms.pop("import click")
    row.shown = ms
    return row


def seconds_of(words: list[str], shop: Workshop) -> Callable[[], float]:
    """Return an action that runs a command and returns its seconds."""
    return lambda: run(words, shop).seconds


def run(words: list[str], shop: Workshop) -> Usage:
    """Run a command in the repository's folder and return what it took."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *words]
    done = subprocess.run(
        launcher, capture_output=True, text=True, cwd=REPOSITORY, env=shop.environment, check=False
    )
    if done.returncode:
        return Usage(float("nan"), 0, done.returncode)
    return Usage(**json.loads(done.stdout))


def compare(case: Case, shop: Workshop, repeats: int) -> Row:
    """Run every command once, compare their pictures with ours, then time them."""
    row = Row("commands", case.name, limits=dict(case.limits))
    commands = commands_of(case, shop)
    first, problems, unable = _check(case, commands, shop)
    row.problem, row.note = "; ".join(problems), "; ".join(unable)
    if OURS not in first or problems:
        row.problem = row.problem or "ours failed"
        return row
    sizes = {name: _size(_target(case, name, shop)) for name in first}
    actions = {name: seconds_of(commands[name], shop) for name in first}
    ms = {k: 1000 * v for k, v in alternate(actions, first, repeats, warm=False).items()}
    row.ours = ms.pop(OURS)
    row.peers = ms
    written = ", ".join(f"{name} {size / 1e6:.3g}" for name, size in sizes.items())
    row.note = "; ".join(filter(None, [f"MB written: {written}", row.note]))
    return row


def _check(
    case: Case, commands: dict[str, list[str]], shop: Workshop
) -> tuple[dict[str, float], list[str], list[str]]:
    """Return the seconds of a first run by command, whose picture is wrong, and who failed."""
    first: dict[str, float] = {}
    problems: list[str] = []
    unable: list[str] = []
    ours = None
    for name, words in commands.items():
        usage = run(words, shop)
        if usage.code:
            unable.append(f"{name}: exit code {usage.code}")
            continue
        first[name] = usage.seconds
        shop.peaks[case.name, name] = usage.peak
        shown = pixels(_target(case, name, shop))
        ours = shown if ours is None else ours
        if (steps := mean_steps(ours, shown)) > case.tolerance:
            problems.append(f"{name} differs by {steps:.3g} steps of 255 on average")
    return first, problems, unable


def _target(case: Case, name: str, shop: Workshop) -> Path:
    folder = shop.folder / "out" / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder if case.source.is_dir() else folder / f"out{case.suffix}"


def pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture, or of the first, a middle and the last one of a folder."""
    if path.is_dir():
        names = sorted(path.glob("[0-9]*.png"))
        return np.stack([pixels(names[i]) for i in (0, len(names) // 2, -1)])
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    finally:
        Image.MAX_IMAGE_PIXELS = before


def mean_steps(ours: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference of pixels; inf for other shapes. Row by row, to spare memory."""
    if ours.shape != other.shape:
        return float("inf")
    total = sum(
        float(np.abs(a.astype(np.int16) - b).sum()) for a, b in zip(ours, other, strict=True)
    )
    return total / ours.size


def _size(path: Path) -> int:
    files = path.glob("[0-9]*.png") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def commands_of(case: Case, shop: Workshop) -> dict[str, list[str]]:
    """Return the command line of ours and of every peer that is there."""
    make = _for_folder if case.source.is_dir() else _for_picture
    found = {OURS: make(OURS, case, shop)}
    programs = {"ImageMagick": "mogrify" if case.source.is_dir() else "ImageMagick"}
    for peer in ("ImageMagick", "GraphicsMagick", "libvips"):
        if peers.program(programs.get(peer, peer)) is not None:
            found[peer] = make(peer, case, shop)
    if peers.module("OpenCV") is not None:
        found["OpenCV script"] = make("OpenCV script", case, shop)
    return found


def _for_picture(peer: str, case: Case, shop: Workshop) -> list[str]:
    source, target = str(case.source), str(_target(case, peer, shop))
    jpeg = ["-quality", "95", "-sampling-factor", "2x2"] if case.suffix == ".jpg" else []
    if peer == OURS:
        return ours(source, target)
    if peer == "ImageMagick":
        kernel = ["-morphology", "Convolve", f"3x3: {KERNEL}"]
        return [_path(peer), source, *kernel, *jpeg, target]
    if peer == "GraphicsMagick":
        kernel = ["-convolve", KERNEL.replace(" ", ",")]
        return [_path(peer), "convert", source, *kernel, *jpeg, target]
    if peer == "libvips":
        mask = str(shop.text("mask.mat", MASK))
        options = "[Q=95,subsample-mode=on]" if case.suffix == ".jpg" else ""
        return [*_vips(), "conv", source, target + options, mask, "--precision", "integer"]
    return [*_script(shop), source, target]


def _for_folder(peer: str, case: Case, shop: Workshop) -> list[str]:
    target = _target(case, peer, shop)
    sources = sorted(map(str, case.source.iterdir()))
    if peer == OURS:
        return ours(str(case.source), f"{target}/{{stem}}.png")
    if peer == "ImageMagick":
        kernel = ["-morphology", "Convolve", f"3x3: {KERNEL}"]
        return [_path("mogrify"), "-path", str(target), *kernel, *sources]
    if peer == "GraphicsMagick":
        # It puts the whole path of a source below the output folder, so it is called beside them.
        one = f'{_path(peer)} mogrify -output-directory "$1" -convolve {KERNEL.replace(" ", ",")}'
        return ["sh", "-c", f'cd "$0" && {one} *.png', str(case.source), str(target)]
    if peer == "libvips":
        mask = shop.text("mask.mat", MASK)
        one = f'{" ".join(_vips())} conv "$source" "$0/${{source##*/}}" {mask} --precision integer'
        return ["sh", "-c", f"for source; do {one} || exit 1; done", str(target), *sources]
    targets = [str(target / Path(source).name) for source in sources]
    return [*_script(shop), *(word for both in zip(sources, targets, strict=True) for word in both)]


def ours(source: str, target: str, filter_name: str = "sharpen") -> list[str]:
    """Return the command line of ours."""
    given = [source, "--filter", filter_name, "--pad-mode", "edge", "-o", target]
    return [*COMMAND, "conv", *given, "--overwrite", "--max-pixels", str(MOST_PIXELS)]


def _vips() -> list[str]:
    return [_path("libvips"), f"--vips-concurrency={THREADS}"]


def _script(shop: Workshop) -> list[str]:
    return [sys.executable, str(shop.text("script.py", OPENCV_SCRIPT))]


def _path(peer: str) -> str:
    path = peers.program(peer)
    assert path is not None
    return path
