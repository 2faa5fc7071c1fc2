"""Images from object stores and results to them, judged by the services' own clients."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import FileProblem
from cnncli.io import remote
from cnncli.io.urls import parse_url
from tests.support.picturefiles import encoded
from tests.support.shell import (
    npy_bytes,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    run_process,
    snapshot,
)
from tests.support.stores import BUCKET, S3, Google, Store, google_server, s3_server

# Their servers' and clients' own affairs.
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

COLOURS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PNG = encoded(COLOURS, "PNG")
POOL = ("pool", "--size", "2")


IMAGES = {
    "a.png": PNG,
    "in/b.png": PNG,
    "in/c.npy": npy_bytes(COLOURS),
    "in/.hidden.png": PNG,
    "in/notes.txt": b"no image",
    "in/deep/er/d.PNG": PNG,
    "in/deep/e f.png": PNG,
}


@pytest.fixture(scope="module", params=["s3", "gs"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[type[S3] | type[Google], str]]:
    kind, serve = {"s3": (S3, s3_server), "gs": (Google, google_server)}[request.param]
    with serve() as url:
        yield kind, url


@pytest.fixture
def store(
    server: tuple[type[S3] | type[Google], str],
    empty_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Store]:
    kind, url = server
    found = kind(url)
    for name, value in found.variables.items():
        monkeypatch.setenv(name, value)
    for key, data in IMAGES.items():
        found.put(key, data)
    yield found
    remote.end_session()


def address(store: Store, key: str = "") -> str:
    return f"{store.scheme}://{BUCKET}/{key}"


def results(store: Store) -> dict[str, bytes]:
    return {key: data for key, data in store.content().items() if key not in IMAGES}


def test_from_an_object_to_a_file_and_to_an_object(store: Store) -> None:
    run_cli(*POOL, address(store, "in/b.png"), "-o", "here.png")
    run_cli(*POOL, address(store, "in/b.png"), "-o", address(store, "out/there.png"))
    there = results(store)
    assert list(there) == ["out/there.png"]
    with Image.open(io.BytesIO(there["out/there.png"])) as image:
        assert (np.asarray(image) == pixels("here.png")).all()
        assert address(store, "out/there.png") in json.loads(image.info["cnncli"])["command"]


@pytest.mark.parametrize(
    ("word", "options", "found"),
    [
        ("in/", [], "b c"),
        ("", [], "a"),
        ("in/", ["-r"], "b c deep/er/d deep/e_f"),
        ("in/*.png", [], "b"),
        ("in/[bc].*", [], "b c"),
        ("in/**/?.PNG", [], "deep/er/d"),
        ("*/deep/*.png", [], "in/deep/e_f"),
    ],
)
def test_folders_and_patterns(store: Store, word: str, options: list[str], found: str) -> None:
    run_cli(*POOL, address(store, word), *options, "-o", "out/")
    names = {re.sub("-pool.*", "", name).replace(" ", "_") for name in snapshot("out")}
    files = {name for name in names if not Path(name.replace("_", " ")).is_dir()}
    assert files == {f"out/{name}" for name in found.split()}


@pytest.mark.parametrize("place", ["out/", "out/{stem}-pool.png"])
def test_folders_and_templates_take_results(store: Store, place: str) -> None:
    Path("x.png").write_bytes(PNG)
    run_cli(*POOL, address(store, "a.png"), "x.png", "-o", address(store, place))
    assert set(results(store)) == {"out/a-pool.png", "out/x-pool.png"}


def test_a_bucket_takes_results_and_the_tree_is_mirrored(store: Store) -> None:
    run_cli(*POOL, "-r", address(store, "in/deep/"), "-o", f"{store.scheme}://{BUCKET}")
    assert set(results(store)) == {"e f-pool.png", "er/d-pool.png"}


def test_numbers_and_grids_are_objects_too(store: Store) -> None:
    for name in ("v.npy", "v.npz", "v.tif"):
        depth = ("--depth", "float") if name == "v.tif" else ()
        run_cli(*POOL, address(store, "a.png"), "-o", address(store, name), *depth)
    made = results(store)
    assert (np.load(io.BytesIO(made["v.npy"])) * 255).astype(int).max() == COLOURS.max()
    assert set(made) == {"v.npy", "v.npz", "v.tif"}


def test_nothing_that_exists_is_replaced_unless_asked(store: Store) -> None:
    out = address(store, "out.png")
    store.put("out.png", b"mine")
    error = refused_untouched(*POOL, address(store, "a.png"), "-o", out)
    assert "exists already\nhint: --overwrite replaces it, --skip-existing leaves it" in error
    done = run_cli(*POOL, address(store, "a.png"), "-o", out, "--skip-existing")
    assert "skipped, its output exists" in done.stderr
    assert results(store) == {"out.png": b"mine"}
    run_cli(*POOL, address(store, "a.png"), "-o", out, "--overwrite")
    assert results(store)["out.png"].startswith(b"\x89PNG")


def test_what_came_meanwhile_is_not_replaced_either(store: Store) -> None:
    if store.scheme == "gs":
        pytest.skip("the emulator does not know ifGenerationMatch")
    store.put("late.png", b"mine")
    url = parse_url(address(store, "late.png"))
    with (
        pytest.raises(FileProblem, match="exists already"),
        remote.open_url(url, overwrite=False) as stream,
    ):
        stream.write(b"ours")
    assert results(store) == {"late.png": b"mine"}


def test_an_input_is_never_overwritten(store: Store) -> None:
    for images, out in (
        ([address(store, "a.png")], address(store, "a.png")),
        ([address(store, "in/")], address(store, "in/{name}")),
        ([address(store, "in/b.png")], address(store, "in/{stem}.png").replace("s3:", "S3:")),
    ):
        error = refused(*POOL, *images, "-o", out, "--overwrite", "--format", "png", code=2)
        assert "is one of the inputs, which are never overwritten" in error
    assert store.content() == IMAGES


def test_two_images_for_one_object_are_refused(store: Store) -> None:
    words = address(store, "a.png"), address(store, "in/b.png")
    error = refused(*POOL, *words, "-o", address(store, "out/{op}.png"), code=2)
    assert f"'{address(store, 'out/pool.png')}': would hold both '{words[0]}' and" in error
    assert not results(store)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("none.png", "cannot be read: not found"),
        ("in", "is a folder"),
        ("none/", "cannot be listed: not found"),
        ("in/*.bmp", "no file matches"),
        ("in/notes.txt", "not a picture"),
    ],
)
def test_what_is_not_there(store: Store, word: str, reason: str) -> None:
    assert reason in refused_untouched(*POOL, address(store, word), "-o", "out.png")


def test_long_objects_are_refused_unread(store: Store) -> None:
    error = refused_untouched(*POOL, address(store, "a.png"), "--max-input-bytes", "50")
    assert "more than the limit of 50 bytes" in error


def test_no_such_bucket(store: Store) -> None:
    error = refused_untouched(*POOL, f"{store.scheme}://nobody/a.png")
    assert "cannot be read: not found" in error
    error = refused(*POOL, address(store, "a.png"), "-o", f"{store.scheme}://nobody/a.png")
    assert f"'{store.scheme}://nobody/a.png': cannot be written: not found" in error


def test_as_a_process_it_says_one_line(store: Store) -> None:
    done = run_process(*POOL, address(store, "a.png"), "-o", address(store, "out.png"))
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1), done.stderr.decode()


def test_worker_processes_open_it_themselves(store: Store) -> None:
    done = run_process(
        *POOL, "-r", address(store, "in/"), "-o", address(store, "out/"), "--jobs", 2, "-q"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    names = {"b", "c", "deep/er/d", "deep/e f"}
    assert set(results(store)) == {f"out/{name}-pool.png" for name in names}
