"""``cnncli run``: the layers of a network file, judged by loops over each of them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.pipeline import feature_maps
from tests.support.judges import loop_conv_forward, loop_pool_forward
from tests.support.shell import (
    npy_bytes,
    peak_memory,
    pixels,
    refused,
    refused_untouched,
    run_cli,
    save,
    save_array,
    snapshot,
    values_of,
)

RNG = np.random.default_rng(11)

NET = """
[[layers]]
type = "conv"
filter = "w.npz:c1"
bias = "w.npz:b1"
activation = "relu"

[[layers]]
type = "pool"

[[layers]]
type = "conv"
filter = "w.npz:c2"
filter_layout = "oihw"
padding = 0
"""
LAYERS = ["conv1", "pool1", "conv2"]

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def network(empty_folder: Path) -> dict[str, np.ndarray]:
    """A network of three layers in net.toml, an image in x.npy, and what each layer gives."""
    c1, b1 = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4)
    c2, X = RNG.normal(size=(12, 4, 3, 3)), RNG.random((8, 10, 3))
    np.savez("w.npz", c1=c1, b1=b1, c2=c2)
    save_array("x.npy", X)
    Path("net.toml").write_text(NET)
    Z1 = loop_conv_forward(X[None], c1, b1.reshape(1, 1, 1, -1), {"stride": 1, "pad": "same"})
    A1 = np.maximum(Z1, 0)
    P1 = loop_pool_forward(A1, {"f": 2})
    Z2 = loop_conv_forward(P1, c2.transpose(2, 3, 1, 0), np.zeros((1, 1, 1, 12)), {"stride": 1})
    return {"conv1": A1[0], "pool1": P1[0], "conv2": Z2[0]}


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def chain(*layers: str, prepared: str = "") -> None:
    """Write net.toml anew."""
    Path("net.toml").write_text(prepared + "".join(f"\n[[layers]]\n{each}\n" for each in layers))


def test_the_last_layer_goes_out(network: dict[str, np.ndarray]) -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "y.npy")
    np.testing.assert_allclose(np.load("y.npy"), network["conv2"], atol=1e-12)


@pytest.mark.parametrize("options", [("--layer", "pool1"), ("--until", "pool1")])
def test_one_layer_goes_out(network: dict[str, np.ndarray], options: tuple[str, ...]) -> None:
    got = values_of("run", "net.toml", "x.npy", *options)
    np.testing.assert_allclose(got, network["pool1"], atol=1e-12)


@pytest.mark.parametrize("output", ["all.npz", "{stem}.npz", "out/", "-"])
def test_an_archive_gets_all_layers(network: dict[str, np.ndarray], output: str) -> None:
    forced = ["--format", "npz"] if output in ("out/", "-") else []
    result = run_cli("run", "net.toml", "x.npy", "-o", output, *forced)
    if output == "-":
        Path("all.npz").write_bytes(result.stdout_bytes)
    place = {"{stem}.npz": "x.npz", "out/": "out/x.npz"}.get(output, "all.npz")
    with np.load(place) as found:
        assert list(found) == LAYERS
        for name, expected in network.items():
            np.testing.assert_allclose(found[name], expected, atol=1e-12)
    assert [line.split(", ")[1] for line in result.stderr.splitlines()] == LAYERS


def test_a_single_layers_archive_holds_it_by_its_command() -> None:
    run_cli("pool", "x.npy", "-o", "y.npz")
    with np.load("y.npz") as found:
        assert list(found) == ["pool1"] and found["pool1"].shape == (4, 5, 3)


def test_archives_are_the_same_bytes_every_time() -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "a.npz", "--jobs", 1)
    run_cli("run", "net.toml", "x.npy", "-o", "b.npz", "--jobs", 2)
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()


def test_a_folder_gets_a_sheet_for_every_layer() -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "out/")
    assert names("out") == ["x-conv1.png", "x-conv2.png", "x-pool1.png"]
    with Image.open("out/x-conv2.png") as sheet:
        record = json.loads(sheet.text["cnncli"])  # type: ignore[attr-defined]
    assert [each["name"] for each in record["maps"]] == [str(k) for k in range(12)]


def test_templates_get_sheets_maps_and_values(network: dict[str, np.ndarray]) -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "s/{layer}.png")
    assert names("s") == ["conv1.png", "conv2.png", "pool1.png"]
    run_cli("run", "net.toml", "x.npy", "-o", "m/{layer}-{map:02d}.png")
    assert len(names("m")) == 4 + 4 + 12 and "conv2-11.png" in names("m")
    assert pixels("m/pool1-03.png").shape == (4, 5)
    run_cli("run", "net.toml", "x.npy", "-o", "v/{stem}-{layer}.npy")
    for name, expected in network.items():
        np.testing.assert_allclose(np.load(f"v/x-{name}.npy"), expected, atol=1e-12)


def test_layers_may_be_picked_for_a_folder() -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "o/", "--layer", "conv2", "--layer", "conv1")
    assert names("o") == ["x-conv1.png", "x-conv2.png"]
    hint = refused_untouched(
        *("run", "net.toml", "x.npy", "-o", "o.png", "--layer", "conv1", "--layer", "pool1"), code=2
    )
    assert "for one layer; got 2" in hint and "{layer}" in hint


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_name_is_the_layers(layer: str) -> None:
    result = run_cli("run", "net.toml", "x.npy", "--layer", layer)
    assert Path(f"x-{layer}.png").exists()
    assert result.stderr.startswith(f"x-{layer}.png, {layer}, ")


@pytest.mark.parametrize("option", ["--layer", "--until"])
def test_layer_names_are_checked(option: str) -> None:
    error = refused_untouched("run", "net.toml", "x.npy", option, "convv1", code=2)
    assert "no layer 'convv1'" in error and "nearest: conv1" in error
    if option == "--layer":
        refused_untouched("run", "net.toml", "x.npy", "--until", "pool1", option, "conv2", code=2)


@pytest.mark.parametrize("output", ["{layer}.npz", "{map}.npz"])
def test_archives_take_no_layer_in_their_name(output: str) -> None:
    error = refused_untouched("run", "net.toml", "x.npy", "-o", output, code=2)
    assert "all layers in one file" in error


def test_standard_input_and_batches_of_arrays(network: dict[str, np.ndarray]) -> None:
    X = np.load("x.npy")
    got = values_of("run", "net.toml", stdin=npy_bytes(np.stack([X, X])))
    assert got.shape[0] == 2
    np.testing.assert_allclose(got[1], network["conv2"], atol=1e-12)


def test_one_bad_image_never_stops_the_rest() -> None:
    save_array("bad.npy", RNG.random((8, 10, 5)))
    save_array("y.npy", RNG.random((8, 10, 3)))
    result = run_cli("run", "net.toml", "x.npy", "bad.npy", "y.npy", "-o", "out/", code=1)
    assert len(names("out")) == 6
    assert "'bad.npy': layer conv1: " in result.stderr and "the input has 5" in result.stderr


def test_skip_existing_computes_what_is_missing() -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "out/")
    Path("out/x-pool1.png").unlink()
    before = snapshot("out")
    result = run_cli("run", "net.toml", "x.npy", "-o", "out/", "--skip-existing", "--json")
    assert [json.loads(line)["layer"] for line in result.stdout.splitlines()] == ["pool1"]
    assert before.items() < snapshot("out").items()
    result = run_cli("run", "net.toml", "x.npy", "-o", "out/", "--skip-existing")
    assert "skipped" in result.stderr


def test_nothing_that_exists_or_is_read_is_overwritten() -> None:
    save_array("all.npz", np.zeros(1))
    assert "exists already" in refused_untouched("run", "net.toml", "x.npy", "-o", "all.npz")
    for given in ("w.npz", "net.toml", "x.npy"):
        form = "npz" if given == "w.npz" else "npy"
        error = refused_untouched(
            *("run", "net.toml", "x.npy", "-o", given, "--format", form, "--overwrite"), code=2
        )
        assert "never overwritten" in error


def test_a_pipe_gets_a_whole_picture_or_nothing(
    monkeypatch: pytest.MonkeyPatch, samples: Path
) -> None:
    def fails(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("cnncli.pipeline.write.PngFile", fails)
    picture = samples / "camera.png"
    refused("conv", picture, "-f", "edge", "-o", "-", "--format", "png")


def test_a_failing_archive_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr("cnncli.pipeline.write.measure", fails)
    assert "not enough memory" in refused_untouched("run", "net.toml", "x.npy", "-o", "a.npz")


def test_reports_name_the_layer_and_how_it_was_computed() -> None:
    result = run_cli("run", "net.toml", "x.npy", "-o", "out/", "-v")
    told = [line for line in result.stderr.splitlines() if " computed by " in line]
    assert [line.split(": ")[2].split()[0] for line in told] == ["conv1", "conv2"]
    result = run_cli("run", "net.toml", "x.npy", "-o", "y.npy", "--json")
    assert json.loads(result.stdout)["layer"] == "conv2"


def test_show_draws_the_last_layer_once() -> None:
    alone = run_cli("run", "net.toml", "x.npy", "-o", "a.png", "--show", "-q")
    every = run_cli("run", "net.toml", "x.npy", "-o", "out/", "--show", "-q")
    archive = run_cli("run", "net.toml", "x.npy", "-o", "a.npz", "--show", "-q")
    assert alone.stdout == every.stdout == archive.stdout != ""


@pytest.mark.parametrize("jobs", [1, 3])
def test_strips_give_what_layers_one_after_the_other_give(
    monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "whole.npz")
    run_cli("run", "net.toml", "x.npy", "-o", "whole/")
    monkeypatch.setattr(feature_maps, "WHOLE_BYTES", 0)
    run_cli("run", "net.toml", "x.npy", "-o", "strips.npz", "--jobs", jobs)
    run_cli("run", "net.toml", "x.npy", "-o", "strips/", "--jobs", jobs)
    assert Path("whole.npz").read_bytes() == Path("strips.npz").read_bytes()
    for name in names("whole"):
        np.testing.assert_array_equal(pixels(f"whole/{name}"), pixels(f"strips/{name}"))


def test_input_section_prepares_pictures() -> None:
    samples = RNG.integers(0, 256, (20, 30, 3), np.uint8)
    save("photo.png", samples)
    prepared = "[input]\nscale = 255\nmean = [100, 110, 120]\nstd = [50, 60, 70]\n"
    chain('type = "pool"\nsize = 1', prepared=prepared)
    expected = (samples - np.array([100, 110, 120.0])) / [50, 60, 70]
    np.testing.assert_allclose(values_of("run", "net.toml", "photo.png"), expected, atol=1e-5)
    normalized = values_of("run", "net.toml", "photo.png", "--layer", "normalize")
    np.testing.assert_allclose(normalized, expected, atol=1e-5)
    run_cli("run", "net.toml", "photo.png", "-o", "out/")
    assert names("out") == ["photo-pool1.png"]
    chain('type = "pool"\nsize = 1', prepared="[input]\ngray = true\nsize = [10, 15]\n")
    gray = values_of("run", "net.toml", "photo.png")
    with Image.open("photo.png") as image:
        small = np.asarray(image.resize((15, 10), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(gray[..., 0], small @ [0.299, 0.587, 0.114], atol=1e-5)


@pytest.mark.parametrize(
    ("last", "mapping"),
    [
        ('type = "activation"\nactivation = "softmax"', "minmax"),
        ('type = "conv"\nfilter = "1"\nactivation = "sigmoid"', "minmax"),
        ('type = "activation"\nactivation = "tanh"', "symmetric"),
        ('type = "activation"\nactivation = "relu"', "minmax"),
    ],
)
def test_layers_behind_filters_have_the_range_of_their_values(last: str, mapping: str) -> None:
    chain('type = "conv"\nfilter = "w.npz:c1"', last)
    told = json.loads(run_cli("run", "net.toml", "x.npy", "-o", "y.png", "--json").stdout)
    assert told["mapping"] == mapping
    chain('type = "conv"\nfilter = "w.npz:c1"', last, 'type = "pool"\nmode = "min"')
    told = json.loads(run_cli("run", "net.toml", "x.npy", "-o", "z.png", "--json").stdout)
    assert told["mapping"] == mapping


def test_pictures_stay_pictures_until_they_are_scaled() -> None:
    save("photo.png", RNG.integers(0, 256, (6, 6, 3), np.uint8))
    for layers, mapping in (
        (['type = "conv"\nfilter = "edge"', 'type = "pool"'], "clip"),
        (['type = "scale"\nfactor = -2', 'type = "pool"'], "symmetric"),
    ):
        chain(*layers)
        done = run_cli("run", "net.toml", "photo.png", "-o", "y.png", "--json", "--overwrite")
        told = json.loads(done.stdout)
        assert told["mapping"] == mapping
        assert pixels("y.png").shape == (3, 3, 3)


def test_joins_and_batchnorm_by_hand() -> None:
    chain(
        'name = "a"\ntype = "conv"\nfilter = "w.npz:c1"',
        'name = "n"\ntype = "batchnorm"\nmean = [1, 2, 3, 4]\nvar = 4\ngamma = 3\nbeta = 0.5',
        'name = "sum"\ntype = "add"\ninputs = ["a", "n"]',
        'name = "both"\ntype = "concat"\ninputs = ["input", "sum"]',
    )
    run_cli("run", "net.toml", "x.npy", "-o", "y.npz")
    with np.load("y.npz") as found, np.load("w.npz") as given:
        X = np.load("x.npy")
        zeros = np.zeros((1, 1, 1, 4))
        a = loop_conv_forward(X[None], given["c1"], zeros, {"pad": "same"})[0]
        n = 3 * (a - [1, 2, 3, 4]) / np.sqrt(4 + 1e-5) + 0.5
        for name, expected in {"a": a, "n": n, "sum": a + n}.items():
            np.testing.assert_allclose(found[name], expected, atol=1e-10)
        np.testing.assert_allclose(found["both"], np.concatenate([X, a + n], 2), atol=1e-10)


HOSTILE = ["a/b", "..", "../../up", "<script>", "a\\b", "-rf", "x" * 150, "日本"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_layers_stay_inside_the_folder(name: str) -> None:
    chain(f"name = {json.dumps(name)}\ntype = 'pool'")
    before = snapshot()
    run_cli("run", "net.toml", "x.npy", "-o", "out/")
    run_cli("run", "net.toml", "x.npy", "-o", "out/{layer}.npy")
    run_cli("run", "net.toml", "x.npy", "-o", "out/all.npz")
    assert len(names("out")) == 3
    assert {path for path in snapshot() if not path.startswith("out")} == set(before)
    with zipfile.ZipFile("out/all.npz") as archive:
        (member,) = archive.namelist()
        archive.extractall("unpacked")
    assert ".." not in Path(member).parts
    assert np.load("out/all.npz")[member[:-4]].shape == (4, 5, 3)


def test_names_alike_once_made_safe_stay_apart() -> None:
    chain("name = 'a/b'\ntype = 'pool'", "name = 'a_b'\ntype = 'pool'")
    run_cli("run", "net.toml", "x.npy", "-o", "out/")
    assert names("out") == ["x-a_b-2.png", "x-a_b.png"]


def test_faults_of_the_network_file_are_met_before_any_image() -> None:
    Path("net.toml").write_text(NET + "strid = 2\n")
    error = refused_untouched("run", "net.toml", "missing.png", "-o", "out/")
    assert error.startswith("cnncli: error: 'net.toml': layer conv2: no field 'strid'; nearest: st")
    assert "'nope.toml'" in refused("run", "nope.toml", "x.npy")
    assert ".toml" in refused("run", "x.npy", "x.npy")
    refused("run", code=2)


def test_shapes_that_do_not_fit_the_image_name_image_and_layer() -> None:
    save_array("small.npy", RNG.random((3, 3, 3)))
    error = refused_untouched("run", "net.toml", "small.npy", "-o", "out/", code=2)
    assert "'small.npy': layer conv2: " in error and "//1+1" in error


def test_what_does_not_fit_into_memory_is_refused_with_both_figures() -> None:
    chain('type = "add"\ninputs = ["input", "input"]')
    save_array("big.npy", np.zeros((500, 1000, 1)))
    words = ("run", "net.toml", "big.npy", "-o", "y.npy")
    error = refused_untouched(*words, "--max-memory", "5MB")
    # Two arrays of 4 MB, and what their strips keep busy.
    assert "'big.npy': the network needs about 20 MB of memory, the limit is 5 MB" in error
    run_cli(*words, "--max-memory", "21MB")


@pytest.mark.slow
def test_a_network_of_many_layers_lets_go_of_what_it_needs_no_more() -> None:
    # Twelve layers of 16 MB each, within what three of them take beside the interpreter.
    layers = ['type = "conv"\nfilter = "box"\npad_mode = "edge"'] * 12
    chain(*layers)
    save_array("big.npy", RNG.random((2, 1000, 700, 3)).astype(np.float32))
    few = peak_memory(("run", "net.toml", "big.npy", "--until", "conv1", "-o", "few.npz"))
    all_of_them = peak_memory(("run", "net.toml", "big.npy", "-o", "all.npz"))
    assert all_of_them - few < 3 * 17e6


@pytest.mark.slow
def test_twelve_megapixels_through_three_layers_within_one_gigabyte() -> None:
    W1 = RNG.normal(size=(3, 3, 3, 16)).astype(np.float32)
    W2 = RNG.normal(size=(3, 3, 16, 8)).astype(np.float32)
    np.savez("w.npz", a=W1, b=W2)
    chain(
        'type = "conv"\nfilter = "w.npz:a"\nactivation = "relu"',
        'type = "pool"',
        'type = "conv"\nfilter = "w.npz:b"',
    )
    rows, columns = np.mgrid[:3000, :4000].astype(np.float32)
    waves = [np.sin(rows / (30 + k)) + np.cos(columns / (40 + k)) for k in range(3)]
    photo = np.rint(np.stack(waves, axis=2) * 60 + 128).astype(np.uint8)
    Image.fromarray(photo).save("photo.jpg")
    assert peak_memory(("run", "net.toml", "photo.jpg", "-o", "maps.png", "--jobs", "2")) < 10**9
    with Image.open("maps.png") as sheet:
        assert sheet.size[0] > 2000 * 3


@pytest.mark.parametrize("layers", [1, 2])
def test_a_window_that_does_not_fit_has_a_hint_of_fields(layers: int) -> None:
    pools = '[[layers]]\ntype = "pool"\nsize = 1\n' * (layers - 1)
    Path("wide.toml").write_text(pools + '[[layers]]\ntype = "pool"\nsize = 20\n')
    for words in (["run", "wide.toml", "x.npy"], ["plan", "wide.toml", "--input", "8x8x1"]):
        _, hint = refused_untouched(*words, code=2).splitlines()
        assert hint.startswith("hint: padding same, ") and "--" not in hint
    assert "hint: --padding same, " in refused("pool", "x.npy", "--size", 20, code=2)
