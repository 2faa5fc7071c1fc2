"""Where results go, and what is refused before any work."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from cnncli.errors import CnnCliError, FileProblem, OptionError
from cnncli.io.formats import FORMATS
from cnncli.pipeline.layer_result import LayerResult
from cnncli.pipeline.output_checks import (
    OutputOptions,
    OutputPlan,
    check_target,
    make_folders,
    plan_targets,
    select_files,
)
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.source import Source
from cnncli.render.options import MapGroup


def layer(*maps: str, name: str | None = None) -> LayerResult:
    """A layer that gives maps of these names."""
    groups = tuple(MapGroup(text, (channel,)) for channel, text in enumerate(maps))
    return LayerResult(name or "conv1", (1, 8, 8, len(maps)), groups, name)


ONE = (layer("edge"),)
THREE = (layer("edge", "blur", "emboss"),)
CAT = Source(Path("cat.jpg"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(
    output: str | None, *sources: str, one_picture: bool = True, **settings: Any
) -> OutputPlan:
    keys = ("op", "filter_name", "layers")
    names = {key: settings.pop(key) for key in keys if key in settings}
    options = OutputOptions(output, **settings)
    inputs = [Source(Path(source)) for source in sources or ["cat.jpg"]]
    return plan_targets(inputs, options, **{"op": "conv"} | names, one_picture=one_picture)


def paths(made: OutputPlan, results: tuple[LayerResult, ...] = ONE) -> list[str]:
    return [str(file.path) for target in made.targets for file in target.files(results)]


def first(made: OutputPlan) -> Target:
    return next(iter(made.targets))


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """A real terminal to write to."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        yield stream
    os.close(ours)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "cat-conv.png"),
        ({"op": "pool"}, "cat-pool.png"),
        ({"filter_name": "edge"}, "cat-edge.png"),
        ({"filter_name": "../up"}, "cat-.._up.png"),
        ({"format": "jpeg"}, "cat-conv.jpeg"),
        ({"format": "npy"}, "cat-conv.npy"),
    ],
)
def test_default_names(settings: dict[str, Any], expected: str) -> None:
    assert paths(plan(None, "in/cat.jpg", **settings), THREE) == [expected]


@pytest.mark.parametrize(
    ("output", "results", "expected"),
    [
        ("out.png", THREE, ["out.png"]),
        ("out/", ONE, ["out/cat-conv.png"]),
        ("out/", THREE, ["out/cat-edge.png", "out/cat-blur.png", "out/cat-emboss.png"]),
        ("out/", (layer("0", "1"),), ["out/cat-000.png", "out/cat-001.png"]),
        ("out/", (layer("", ""),), ["out/cat-000.png", "out/cat-001.png"]),
        ("out/", (layer("a/b", "a_b"),), ["out/cat-a_b.png", "out/cat-a_b-2.png"]),
        (
            "out/",
            (layer("0", "1", name="conv1"), layer("x", name="pool")),
            ["out/cat-conv1.png", "out/cat-pool.png"],
        ),
        ("t/{stem}-{map:02d}.tif", THREE, [f"t/cat-0{k}.tif" for k in range(3)]),
        ("{filter}.png", THREE, ["edge.png", "blur.png", "emboss.png"]),
        ("{stem}.npy", THREE, ["cat.npy"]),
        ("{name}.{ext}", ONE, ["cat.jpg.jpg"]),
        ("{op}-{layer}.png", ONE, ["conv-conv.png"]),
        (
            "{layer}.png",
            (layer("a", name="c1"), layer("a", "b", name="../p")),
            ["c1.png", ".._p.png"],
        ),
        ("a{{b}}.png", ONE, ["a{b}.png"]),
    ],
)
def test_names(output: str, results: tuple[LayerResult, ...], expected: list[str]) -> None:
    layers = [each.layer for each in results if each.layer is not None]
    assert paths(plan(output, one_picture=False, layers=layers), results) == expected


def test_files_know_their_maps() -> None:
    together = first(plan("all.npy")).files(THREE)
    assert [(file.maps, file.format.name) for file in together] == [((0, 1, 2), "npy")]
    apart = first(plan("out/", format="tif")).files(THREE)
    assert [(file.maps, str(file.path)) for file in apart][1] == ((1,), "out/cat-blur.tif")


def test_one_named_filter_fills_filter_and_keeps_maps_together() -> None:
    made = plan("{filter}.png", filter_name="bank")
    assert paths(made, THREE) == ["bank.png"]
    assert not made.targets.pattern.per_map


def test_a_folder_that_exists_needs_no_slash_and_wins_over_braces() -> None:
    for name in ("out", "{odd}"):
        Path(name).mkdir()
        assert paths(plan(name)) == [f"{name}/cat-conv.png"]


def test_folders_are_made_after_the_checks() -> None:
    Path("link").symlink_to("real")
    for output in ("a/b/", "c/{stem}-{map}.png", "link/"):
        (target,) = plan(output).targets
        assert not Path(output).parent.exists() or output == "link/"
        make_folders(target, target.files(THREE))
    assert all(Path(made).is_dir() for made in ("a/b", "c", "real"))
    with pytest.raises(OptionError):
        plan("d/", "p/cat.jpg", "q/cat.jpg")
    assert not Path("d").exists()


@pytest.mark.parametrize(
    ("output", "sources", "words"),
    [
        ("out.png", ["a.png", "b.png"], "one file for each image, got 'out.png' for 2"),
        ("out.xyz", ["a.png"], "'out.xyz': --output extension must be one of png jpg"),
        ("out", ["a.png"], "got no extension"),
        ("out/{stem}", ["a.png"], "got no extension"),
        ("", ["a.png"], "--output must name a file"),
        ("{stem.__class__}.png", ["a.png"], "--output template must use"),
        ("{stem}/", ["a.png"], "must end in a file name"),
        ("-", ["a.png", "b.png"], "takes the result of one image, got 2"),
        (None, ["x/a.png", "y/a.jpg"], "would hold both 'x/a.png' and 'y/a.jpg'"),
        ("o/", ["x/a.png", "y/a.jpg"], "would hold both 'x/a.png' and 'y/a.jpg'"),
        ("{op}.png", ["a.png", "b.png"], "would hold both 'a.png' and 'b.png'"),
        ("{op}-{map}.png", ["a.png", "b.png"], "would hold both"),
    ],
)
@pytest.mark.parametrize("one_picture", [True, False])
def test_refused_names(
    output: str | None, sources: list[str], words: str, one_picture: bool
) -> None:
    with pytest.raises(OptionError) as caught:
        plan(output, *sources, one_picture=one_picture)
    assert words in str(caught.value) and caught.value.hint
    assert os.listdir() == []


def test_a_template_gives_each_layer_its_own_name() -> None:
    layers = (layer("a", "b", name="one"), layer("a", "b", name="two"))
    with pytest.raises(OptionError, match=r"got '0\.png' twice"):
        first(plan("{map}.png", layers=("one", "two"))).files(layers)


@pytest.mark.parametrize(
    ("output", "settings", "words"),
    [
        ("a.jpg", {"depth": "16"}, "'a.jpg': --depth 16 needs png"),
        ("a.png", {"depth": "float"}, "'a.png': --depth float needs tif tiff npy"),
        ("o/{stem}.webp", {"depth": "16"}, "got webp"),
        ("a.bin", {"depth": "float", "format": "png"}, "'a.bin': --depth float needs"),
    ],
)
def test_depths_a_format_lacks(output: str, settings: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        plan(output, **settings)


@pytest.mark.parametrize(
    ("form", "output", "extension"),
    [
        ("jpg", "y.png", "png"),
        ("png", "y.JPG", "jpg"),
        ("npy", "{stem}-y.tif", "tif"),
        ("npz", "y.npy", "npy"),
        ("jpg", "out/y{name}", "png"),
        ("ppm", "y.pgm", "pgm"),
        ("png", "y.pnm", "pnm"),
    ],
)
def test_a_name_of_another_format_is_refused(form: str, output: str, extension: str) -> None:
    words = rf"--format {form} needs a name that ends in \.{form}, got \.{extension}"
    with pytest.raises(OptionError, match=words):
        paths(plan(output, "x.png", format=form))


@pytest.mark.parametrize(("name", "width"), [("a.jpg", 70_000), ("a.webp", 20_000)])
def test_check_target_names_the_file(name: str, width: int) -> None:
    (file,) = first(plan(name)).files(ONE)
    with pytest.raises(OptionError, match=f"^'{name}': .* got 5x{width}"):
        check_target(file, width, 5)
    check_target(file, 100, 5, colour=True)


@pytest.mark.parametrize("output", ["cat.png", "./cat.png", "link.png", "hard.png", "{stem}.png"])
@pytest.mark.parametrize("settings", [{}, {"overwrite": True}, {"skip_existing": True}])
def test_an_input_is_never_the_output(output: str, settings: dict[str, bool]) -> None:
    Path("cat.png").write_bytes(b"cat")
    Path("link.png").symlink_to("cat.png")
    Path("hard.png").hardlink_to("cat.png")
    with pytest.raises(OptionError, match="is one of the inputs"):
        plan(output, "cat.png", **settings)
    with pytest.raises(OptionError, match="is one of the inputs"):
        plan("o{op}.png".replace("o{op}", "cat"), "link.png", **settings)


def test_another_input_is_no_output_either() -> None:
    for name in ("a-conv.png", "a.png"):
        Path(name).write_bytes(b"x")
    with pytest.raises(OptionError, match="'a-conv.png': is one of the inputs"):
        plan(None, "a.png", "a-conv.png", overwrite=True)


@pytest.mark.parametrize("output", ["out.png", "{op}.png", "o/"])
def test_what_exists_is_kept(output: str) -> None:
    made = Path(paths(plan(output))[0])
    made.parent.mkdir(exist_ok=True)
    made.write_bytes(b"old")
    with pytest.raises(FileProblem, match="exists already") as caught:
        plan(output)
    assert "--overwrite" in str(caught.value.hint)
    files = first(plan(output, overwrite=True)).files(ONE)
    assert select_files(files, OutputOptions(overwrite=True)) == files
    assert select_files(files, OutputOptions(skip_existing=True)) == ()
    with pytest.raises(FileProblem, match="exists already"):
        select_files(files, OutputOptions())


def test_resuming_writes_the_missing_maps() -> None:
    files = first(plan("o/", one_picture=False)).files(THREE)
    Path("o").mkdir()
    Path("o/cat-blur.png").touch()
    left = select_files(files, OutputOptions("o/", skip_existing=True))
    assert [file.maps for file in left] == [(0,), (2,)]


def test_maps_that_turn_out_to_be_an_input_are_refused() -> None:
    Path("o").mkdir()
    Path("o/cat-blur.png").touch()
    made = plan("o/", "cat.jpg", "o/cat-blur.png", one_picture=False, overwrite=True)
    with pytest.raises(OptionError, match="is one of the inputs"):
        select_files(first(made).files(THREE), OutputOptions(overwrite=True), made.inputs)


@pytest.mark.parametrize("settings", [{}, {"overwrite": True}])
@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/out.png", "does not exist"),
        ("file.png/out.png", "is not a folder"),
        ("file.png/", "is not a folder"),
        ("file.png/{stem}.png", "is not a folder"),
        ("dangling/out.png", "does not exist"),
        ("n" * 300 + ".png", "cannot be written"),
        ("sub/{op}.png", "is a folder"),
    ],
)
def test_places_that_cannot_be_written(output: str, words: str, settings: dict[str, bool]) -> None:
    Path("file.png").write_bytes(b"x")
    Path("dangling").symlink_to("nowhere")
    Path("sub/conv.png").mkdir(parents=True)
    before = sorted(Path().rglob("*"))
    with pytest.raises(FileProblem, match=words) as caught:
        plan(output, **settings)
    assert str(caught.value).startswith("'")
    assert sorted(Path().rglob("*")) == before


def test_read_only_folder() -> None:
    """Root may write anywhere, so a child process gives that up first."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "Path('locked').mkdir(mode=0o555); Path().chmod(0o755)\n"
        "os.setresuid(65534, 65534, 65534) if os.getuid() == 0 else None\n"
        "from cnncli.errors import FileProblem\n"
        "from cnncli.pipeline.output_checks import OutputOptions, plan_targets\n"
        "from cnncli.pipeline.source import Source\n"
        "for output in ('locked/a.png', 'locked/', 'locked/new/', 'locked/{stem}.png'):\n"
        "    try: plan_targets([Source(Path('c.png'))], OutputOptions(output), op='conv')\n"
        "    except FileProblem as problem: print(problem)\n"
    )
    package = Path(sys.modules["cnncli"].__file__ or "").parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import cnncli.pipeline.output_checks, cnncli.pipeline.templates\n" + script,
        ],
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("cannot be written to") == 4, done.stdout + done.stderr


def test_standard_output() -> None:
    (file,) = first(plan("-")).files(THREE)
    assert (file.path, file.format.name, file.maps) == (None, "npy", (0, 1, 2))
    assert first(plan("-", format="png")).files(THREE)[0].format is FORMATS["png"]
    assert select_files([file], OutputOptions()) == (file,)


def test_standard_input_into_a_pipe_goes_to_standard_output() -> None:
    made = plan_targets([Source(None)], OutputOptions(), op="pool", one_picture=True)
    assert first(made).to_stdout


def test_standard_input_at_a_terminal_gets_a_file(
    terminal: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    made = plan_targets([Source(None)], OutputOptions(), op="pool", one_picture=True)
    assert paths(made) == ["stdin-pool.png"]


@pytest.mark.parametrize("device", [False, True])
def test_terminals_get_no_binary(
    terminal: TextIO, device: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(OptionError, match="terminal"):
        plan(os.ttyname(terminal.fileno()) if device else "-", overwrite=True)


def test_closed_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(FileProblem, match="standard output is closed"):
        plan("-")
    assert paths(plan_targets([Source(None)], OutputOptions(), op="pool")) == ["stdin-pool.png"]


def test_devices_and_pipes_need_neither_extension_nor_overwrite() -> None:
    os.mkfifo("pipe")
    os.mkfifo("pipe.png")
    for name, format in (("/dev/null", "npy"), ("pipe", "npy"), ("pipe.png", "png")):
        (file,) = first(plan(name)).files(ONE)
        assert file.format.name == format
        assert select_files([file], OutputOptions()) == (file,)


@pytest.mark.parametrize("name", ["a b.png", "a\nb.png", "\x1b[31m.png", "-x.png", "\udcff.png"])
def test_odd_names_stay_in_place_and_show_escaped(name: str) -> None:
    (made,) = paths(plan(None, f"in/{name}"))
    assert Path(made).parent == Path() and "\n" not in made and "\x1b" not in made
    Path("in").mkdir()
    Path("in", name).touch()
    with pytest.raises(CnnCliError) as caught:
        plan(f"in/{name}", f"in/{name}")
    assert str(caught.value).isprintable()


def test_targets_travel_to_workers() -> None:
    import pickle

    target = first(plan("o/{stem}-{map}.tif", one_picture=False, format="tif"))
    assert pickle.loads(pickle.dumps(target)).files(THREE) == target.files(THREE)
