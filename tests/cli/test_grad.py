"""``cnncli grad`` as a user meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.filters.files import load_filter
from cnncli.gradients.pictures import mark_winners
from cnncli.network.layers import ScaleLayer
from cnncli.render import colormaps
from cnncli.render.grey_levels import LevelMapping
from tests.support.grad import linear, report, tiles_of
from tests.support.shell import (
    pixels,
    refused_untouched,
    run_after,
    run_cli,
    run_process,
    save,
    save_array,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

PHOTO = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)

TWO_STAGES = """
[input]
mean = 0.5
std = 0.25

[[layers]]
name = "conv1"
type = "conv"
filter = "w.npz:W1"
bias = "w.npz:b1"
activation = "relu"

[[layers]]
type = "pool"

[[layers]]
name = "conv2"
type = "conv"
filter = "w.npz:W2"
padding = "valid"

[[layers]]
type = "pool"
size = 2
stride = 1

[[layers]]
name = "out"
type = "activation"
activation = "softmax"
"""


@pytest.fixture
def net() -> str:
    """A network file of two convolutions and two pools, and a photo."""
    rng = np.random.default_rng(4)
    W1, W2 = rng.standard_normal((3, 3, 3, 4)) / 5, rng.standard_normal((2, 2, 4, 3)) / 5
    np.savez("w.npz", W1=W1, b1=rng.standard_normal(4), W2=W2)
    Path("net.toml").write_text(TWO_STAGES)
    save("photo.png", PHOTO)
    return "net.toml"


def test_the_gradient_of_one_value_is_its_filter() -> None:
    save("grey.png", PHOTO[..., 0])
    found = values_of("grad", linear("1 2; -3 4"), "grey.png", "--unit", "sum:0,3,5")
    expected = np.zeros((9, 12, 1))
    expected[3:5, 5:7, 0] = [[1, 2], [-3, 4]]
    np.testing.assert_allclose(found, expected)


def test_the_picture_is_signed_and_white_where_nothing_matters() -> None:
    save("grey.png", PHOTO[..., 0])
    result = run_cli("grad", linear("1 2; -3 4"), "grey.png", "--unit", "sum:0,3,5")
    shown, table = pixels("grey-grad.png"), colormaps.table("diverging")
    assert (shown[0, 0] == table[128]).all()
    for at, value in {(3, 5): 1, (3, 6): 2, (4, 5): -3, (4, 6): 4}.items():
        assert (shown[at] == table[round(127.5 + 127.5 * value / 4)]).all()
    assert "range symmetric -4..4" in result.stderr
    assert "sum:0,3,5 is " in result.stderr


def test_a_gradient_without_negatives_still_has_zero_in_the_middle() -> None:
    save("grey.png", PHOTO[..., 0])
    run_cli("grad", linear("1 2"), "grey.png", "--unit", "sum:0,3,5", "-o", "g.png")
    assert (pixels("g.png")[0, 0] == colormaps.table("diverging")[128]).all()


def test_a_picture_shows_the_strongest_channel_and_an_array_all(net: str) -> None:
    values = values_of("grad", net, "photo.png", "--unit", "conv2:1")
    assert values.shape == (9, 12, 3) and values.dtype == np.float32
    run_cli("grad", net, "photo.png", "--unit", "conv2:1", "-o", "g.png")
    back = values_of("pad", "g.png", "--as-values", "--padding", "0")
    picked = np.take_along_axis(values, np.abs(values).argmax(2, keepdims=True), 2)
    assert np.abs(back - picked).max() <= np.abs(picked).max() / 255 * 1.01


def test_gradients_are_by_pixel_values_before_normalisation(net: str) -> None:
    values = values_of("grad", net, "photo.png", "--unit", "conv1:2,4,4")
    weights = np.load("w.npz")["W1"][:, :, :, 2] / 0.25
    patch = values[3:6, 3:6]
    assert not patch.any() or np.allclose(patch, weights, rtol=1e-5)
    plain = values_of("run", net, "photo.png", "--layer", "conv1")[4, 4, 2]
    assert patch.any() == (plain > 0)


def test_maps_by_index_and_by_name() -> None:
    save("photo.png", PHOTO)
    Path("named.toml").write_text(
        '[input]\ngray = true\n[[layers]]\ntype = "conv"\nfilter = "kirsch"\n'
    )
    by_index = values_of("grad", "named.toml", "photo.png", "--unit", "conv1:2")
    name = load_filter("kirsch").map_names[2]
    np.testing.assert_array_equal(
        by_index, values_of("grad", "named.toml", "photo.png", "--unit", f"conv1:{name}")
    )


def test_an_upstream_gradient_of_ones_is_a_layer(net: str) -> None:
    shape = values_of("run", net, "photo.png", "--layer", "conv2").shape
    save_array("g.npy", np.ones(shape))
    given = values_of("grad", net, "photo.png", "--unit", "conv2", "--upstream", "g.npy")
    np.testing.assert_array_equal(given, values_of("grad", net, "photo.png", "--unit", "conv2"))


def test_an_upstream_gradient_alone_is_of_the_last_layer(net: str) -> None:
    shape = values_of("run", net, "photo.png").shape
    dY = np.zeros(shape)
    dY[1, 2, 0] = 3
    save_array("g.npy", dY)
    given = values_of("grad", net, "photo.png", "--upstream", "g.npy")
    unit = values_of("grad", net, "photo.png", "--unit", "out:0,1,2")
    np.testing.assert_allclose(given, 3 * unit, rtol=1e-5, atol=1e-9)


def test_the_report_of_winners_has_the_values_that_they_are_of(net: str) -> None:
    before = values_of("run", net, "photo.png", "--until", "conv1")
    words = ["photo.png", "--unit", "pool1", "--winners"]
    (told,) = report(net, *words, "-o", "all.png")
    assert (told["min"], told["max"]) == pytest.approx((before.min(), before.max()), rel=1e-5)
    assert told["shape"] == list(before.shape)
    assert told["drawn"] == "input of pool1, the cells that won in orange"
    assert told["range"] == pytest.approx([0, before.max()], rel=1e-5)
    # A file for each map tells its own values.
    for told in report(net, *words, "-o", "{layer}-{map}.png"):
        one = before[:, :, int(told["output"][len("pool1-") : -len(".png")])]
        assert (told["min"], told["max"]) == pytest.approx((one.min(), one.max()), rel=1e-5)
        assert told["shape"] == [*one.shape, 1]


def test_winners_of_the_named_pool_by_pixel(net: str) -> None:
    result = run_cli(
        "grad", net, "photo.png", "--unit", "pool1", "--winners", "--no-labels", "--columns", "4"
    )
    assert "photo-pool1-winners.png, pool1, " in result.stderr
    assert sorted(map(str, Path().glob("*.png"))) == ["photo-pool1-winners.png", "photo.png"]
    before = values_of("run", net, "photo.png", "--layer", "conv1")
    wins = np.zeros((9, 12, 4))
    for i, j, c in np.ndindex(4, 6, 4):
        window = before[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        row, col = np.unravel_index(window.argmax(), (2, 2))
        wins[2 * i + row, 2 * j + col, c] = 1
    mapping = LevelMapping("minmax", before.min(), before.max())
    for c, tile in enumerate(tiles_of("photo-pool1-winners.png")):
        expected = np.rint(mark_winners(before[..., c], wins[..., c], mapping) * 255)
        assert np.abs(tile - expected).max() <= 1
    np.testing.assert_array_equal(
        values_of("grad", net, "photo.png", "--unit", "pool1", "--winners"), wins
    )


def test_winners_of_all_pools_before_a_unit(net: str) -> None:
    lines = report(net, "photo.png", "--unit", "out:1", "--winners")
    assert [line["output"] for line in lines] == [
        "photo-pool1-winners.png",
        "photo-pool2-winners.png",
    ]
    run_cli("grad", net, "photo.png", "--unit", "out:1", "--winners", "-o", "wins.npz")
    with np.load("wins.npz") as archive:
        assert {name: archive[name].shape for name in archive} == {
            "pool1": (9, 12, 4),
            "pool2": (3, 5, 3),
        }
        assert archive["pool1"].sum() == 4 * 6 * 4
        assert archive["pool2"].sum() == 2 * 4 * 3


def test_parameters_of_every_layer(net: str) -> None:
    result = run_cli("grad", net, "photo.png", "--unit", "conv2:0,1,1", "--params", "d/e")
    names = sorted(path.name for path in Path("d/e").iterdir())
    assert names == [
        *("conv1-W.npy", "conv1-b.npy", "conv2-W.npy", "conv2-b.npy"),
        *("normalize-factor.npy", "normalize-offset.npy"),
    ]
    pooled = values_of("run", net, "photo.png", "--layer", "pool1")
    dW = np.load("d/e/conv2-W.npy")
    np.testing.assert_allclose(dW[..., 0], pooled[1:3, 1:3], rtol=1e-5)
    assert not dW[..., 1:].any()
    np.testing.assert_array_equal(np.load("d/e/conv2-b.npy"), [1, 0, 0])
    assert "no gradients of" not in result.stderr
    assert "d/e/conv1-W.npy, 3x3x3x4 float32 array, values " in result.stderr
    result = run_cli("grad", net, "photo.png", "--unit", "conv1:0", "--params", "e/", "-o", "y.png")
    assert "no gradients of conv2: conv1:0 does not depend on them" in result.stderr


def test_checks_say_how_close_the_gradients_are(net: str) -> None:
    lines = report(net, "photo.png", "--unit", "out:1,1,1", "--check")
    check = lines[-1]["check"]
    assert check["passed"] and check["relative"] < 1e-6
    assert check["compared"] > 60
    assert lines[0]["notes"][-1].startswith(f"gradients checked at {check['compared']} cells: ")
    result = run_cli("grad", net, "photo.png", "--unit", "conv2:0", "--check", "2", "--overwrite")
    assert "gradients checked at 12 cells" in result.stderr


def test_a_check_of_a_network_that_rounds_its_input_leaves_the_rounding_out() -> None:
    save("photo.png", PHOTO)
    save_array("w.npy", np.random.default_rng(8).normal(size=(2, 2, 3, 2)))
    Path("net.toml").write_text(
        "[input]\nscale = 255\nwhole = true\n[[layers]]\ntype = 'conv'\nfilter = 'w.npy'\n"
    )
    words = ["net.toml", "photo.png", "--unit", "conv1:0,2,2", "--check", "5", "-o", "g.png"]
    assert "gradients checked at" in run_cli("grad", *words).stderr


def test_an_empty_unit_is_no_layer(net: str) -> None:
    assert "no layer ''" in refused_untouched("grad", net, "photo.png", "--unit", "", code=2)


def test_a_check_that_fails_writes_nothing(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ScaleLayer.backward

    def wrong(self: ScaleLayer, dY: np.ndarray, cache: np.ndarray) -> Any:
        dX, gradients = right(self, dY, cache)
        return 1.001 * dX, gradients

    monkeypatch.setattr(ScaleLayer, "backward", wrong)
    error = refused_untouched("grad", net, "photo.png", "--unit", "conv2:0", "--check")
    assert "'photo.png': gradients differ from finite differences by up to " in error
    assert re.search(r"relative 0\.00\d+ \(input\), more than 1e-06$", error.strip()), error


def test_a_check_that_can_compare_nothing_fails() -> None:
    save("black.png", np.zeros((4, 4), np.uint8))
    Path("relu.toml").write_text('[[layers]]\ntype = "activation"\nactivation = "relu"\n')
    error = refused_untouched("grad", "relu.toml", "black.png", "--unit", "activation1", "--check")
    assert "none of 16 cells can be compared" in error


def test_float64_stays(net: str) -> None:
    save_array("x.npy", PHOTO / 255)
    values = values_of("grad", net, "x.npy", "--unit", "conv2:1")
    assert values.dtype == np.float64
    single = values_of("grad", net, "photo.png", "--unit", "conv2:1")
    np.testing.assert_allclose(values, single, rtol=1e-3, atol=1e-4)


def test_the_image_may_come_from_standard_input(net: str) -> None:
    given = values_of("grad", net, "--unit", "conv2:1", stdin=Path("photo.png").read_bytes())
    np.testing.assert_array_equal(given, values_of("grad", net, "photo.png", "--unit", "conv2:1"))


def test_a_silent_unit_is_told(net: str) -> None:
    save("black.png", np.zeros((4, 4, 3), np.uint8))
    Path("relu.toml").write_text('[[layers]]\ntype = "activation"\nactivation = "relu"\n')
    result = run_cli("grad", "relu.toml", "black.png", "--unit", "activation1:0,1,1")
    assert "no pixel changes activation1:0,1,1: its gradient is 0 everywhere" in result.stderr
    assert (pixels("black-grad.png") == colormaps.table("diverging")[128]).all()


NORMALISED = """
[[layers]]
name = "conv"
type = "conv"
filter = "w.npz:W1"

[[layers]]
name = "norm"
type = "layer-norm"
gamma = 1.3
beta = 0.0
"""


@pytest.mark.parametrize("options", [[], ["--overlay"]])
def test_gradients_that_are_rounding_alone_are_drawn_as_zero(net: str, options: list[str]) -> None:
    # Normalised values add up to 0 whatever the pixels are: the gradient is rounding.
    Path("norm.toml").write_text(NORMALISED)
    unit = ["norm.toml", "photo.png", "--unit", "norm"]
    noise = values_of("grad", *unit)
    assert 0 < np.abs(noise).max() < 1e-4
    (found,) = report(*unit, *options, "-o", "g.png")
    assert any("zero but for rounding (at most" in note for note in found["notes"])
    assert not any("full red" in note for note in found["notes"])
    assert options or found["range"] == [0, 0]
    (shown,) = tiles_of("g.png") if options else (pixels("g.png"),)
    if options:
        assert np.ptp(shown, axis=2).max() == 0, "no colour lies over the grey picture"
    else:
        assert (shown == shown[0, 0]).all()
        (asked,) = report(*unit, "--range", "symmetric", "-o", "asked.png")
        assert asked["range"][1] == np.abs(noise).max()
        drawn = run_cli("grad", *unit, "--show", "-q", "-o", "h.png").output
        assert len(set(re.findall(r"48;2;[0-9;]+?m", drawn))) == 1


def test_a_whole_softmax_and_rounding_as_numbers_are_said(net: str) -> None:
    (found,) = report(net, "photo.png", "--unit", "out", "-o", "g.png")
    assert found["range"] == [0, 0]
    assert "no pixel changes out: its gradient is 0 everywhere" in found["notes"]
    Path("norm.toml").write_text(NORMALISED)
    (found,) = report("norm.toml", "photo.png", "--unit", "norm", "-o", "g.npy")
    assert any(note.startswith("the gradient of norm is zero but") for note in found["notes"])


def test_quiet_and_shown(net: str) -> None:
    assert run_cli("grad", net, "photo.png", "--unit", "conv2:1", "-q").output == ""
    result = run_cli("grad", net, "photo.png", "--unit", "conv2:1", "--overwrite", "--show")
    assert "\N{UPPER HALF BLOCK}" in result.stdout


def test_outputs_that_exist_are_kept_or_skipped(net: str) -> None:
    options = ["grad", net, "photo.png", "--unit", "conv2:1"]
    run_cli(*options)
    assert "exists already" in refused_untouched(*options)
    assert "skipped" in run_cli(*options, "--skip-existing").stderr
    run_cli(*options, "--params", "d", "--overwrite")
    assert "'d/normalize-factor.npy': exists" in refused_untouched(
        *options, "--params", "d", "-o", "other.png"
    )


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        ([], 2, "--unit or --upstream must be given"),
        (["--unit", "conv3:1"], 2, "no layer 'conv3' in the network; nearest: conv2, conv1"),
        (["--unit", "conv2:3"], 2, "maps of layer conv2 are 0 to 2, got 3"),
        (["--unit", "conv2:" + "9" * 5000], 2, "maps of layer conv2 are 0 to 2, got 99"),
        (["--unit", "conv2:conv1-1"], 2, "has no map 'conv1-1'; they are 0 to 2"),
        (["--unit", "conv2:1,3,0"], 2, "rows of layer conv2 are 0 to 2, got 3"),
        (["--unit", "conv2:1,0,5"], 2, "columns of layer conv2 are 0 to 4, got 5"),
        (["--unit", "conv2:1", "--overlay", "--winners"], 2, "exclude each other"),
        (["--unit", "conv1:1", "--winners"], 2, "--winners needs a max or min pool"),
        (["--unit", "conv2", "--overlay", "-o", "g.npy"], 2, "--overlay is a picture"),
        (["--unit", "conv2:1", "--upstream", "x.npy"], 2, "--upstream is for a whole layer"),
        (["--unit", "conv2", "--upstream", "x.npy"], 2, "output, (1, 3, 5, 3), got (2, 2)"),
        (["--unit", "conv2", "--upstream", "none.npy"], 1, "'none.npy': cannot be read"),
        (["--unit", "conv2", "--upstream", "x.npy", "-o", "x.npy"], 2, "one of the inputs"),
        (["--unit", "conv2:1", "-o", "photo.png", "--overwrite"], 2, "one of the inputs"),
        (["--unit", "conv2:1", "--params", "x.npy"], 2, "--params names a folder"),
        (["--unit", "conv2:1", "--depth", "16"], 2, "--depth 16 needs --colormap gray"),
        (["--unit", "conv2:1", "--check", "0"], 2, "whole numbers of 1 to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_work_is_refused(net: str, options: list[str], code: int, error: str) -> None:
    save_array("x.npy", np.ones((2, 2)))
    assert error in refused_untouched("grad", net, "photo.png", *options, code=code)


def test_layers_behind_the_unit_need_not_fit_the_image() -> None:
    layers = 'type = "conv"\nfilter = "edge"\n[[layers]]\ntype = "pool"\nsize = 3\nstride = 5'
    Path("net.toml").write_text(f"[[layers]]\n{layers}\n[[layers]]\ntype = 'pool'\nsize = 99\n")
    save("photo.png", PHOTO)
    told = run_cli("grad", "net.toml", "photo.png", "--unit", "conv1:0,1,1", "-o", "g.png").stderr
    assert Path("g.png").exists() and "never read" not in told
    refused_untouched("grad", "net.toml", "photo.png", "--unit", "pool2:0", code=2)


def test_one_image_or_one_array(net: str) -> None:
    save("photo2.png", PHOTO)
    error = refused_untouched("grad", net, ".", "--unit", "conv2:1", code=2)
    assert "grad takes one IMAGE, got " in error
    save_array("one.npy", np.ones((1, 9, 12, 3)))
    assert values_of("grad", net, "one.npy", "--unit", "conv2:1").shape == (1, 9, 12, 3)


def test_a_batch_is_what_its_images_are(net: str) -> None:
    batch = np.random.default_rng(8).random((3, 9, 12, 3))
    save_array("batch.npy", batch)
    for index, image in enumerate(batch):
        save_array(f"{index}.npy", image)
    options = ["--unit", "conv2:1,1,1"]
    single = [values_of("grad", net, f"{index}.npy", *options) for index in range(3)]
    together = values_of("grad", net, "batch.npy", *options, "--params", "sums")
    np.testing.assert_allclose(together, single, rtol=1e-12)
    parts = []
    for index in range(3):
        run_cli(
            "grad", net, f"{index}.npy", *options, "--params", f"p{index}", "-o", f"g{index}.npy"
        )
        parts.append(np.load(f"p{index}/conv2-W.npy"))
    np.testing.assert_allclose(np.load("sums/conv2-W.npy"), sum(parts), rtol=1e-12)
    wins = values_of("grad", net, "batch.npy", "--unit", "pool1", "--winners")
    for index in range(3):
        one = values_of("grad", net, f"{index}.npy", "--unit", "pool1", "--winners")
        np.testing.assert_array_equal(wins[index], one)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["photo.png"], "exactly one of --filter, --pool and NETWORK (.toml or .onnx)"),
        (["net.toml", "photo.png", "--filter", "edge"], "exactly one of"),
        (
            ["net.toml", "photo.png", "--stride", "2", "--unit", "conv1"],
            "--stride does not go with",
        ),
        (["photo.png", "--pool", "max", "--bias", "1"], "--bias does not go with --pool"),
        (
            ["photo.png", "--filter", "edge", "--until", "conv1"],
            "--until does not go with --filter",
        ),
        (
            ["photo.png", "a.png", "--filter", "edge"],
            "grad takes one NETWORK at most, and one IMAGE",
        ),
    ],
)
def test_layers_and_networks_exclude_each_other(net: str, options: list[str], error: str) -> None:
    assert error in refused_untouched("grad", *options, code=2)


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_refused_before_any_work(net: str) -> None:
    # 192 MB of zeros that no disk holds.
    size = np.lib.format.open_memmap("big.npy", "w+", np.float32, (4000, 4000, 3)).nbytes
    assert size > 10**8
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2)\n"
    done = run_after(limit, "grad", net, "big.npy", "--unit", "conv1:1")
    error = done.stderr.decode()
    assert done.returncode == 1, error
    assert "'big.npy': the backward pass needs about " in error and " is available" in error


@pytest.mark.slow
def test_the_command_as_a_process(net: str) -> None:
    done = run_process("grad", net, "photo.png", "--unit", "conv2:1", "--colormap", "gray")
    assert not done.returncode, done.stderr
    with Image.open("photo-grad.png") as image:
        record = json.loads(image.text["cnncli"])  # type: ignore[attr-defined]
        found = image.mode, record["maps"][0]["mapping"], record["command"].split()[1]
    assert found == ("L", "symmetric", "grad")
