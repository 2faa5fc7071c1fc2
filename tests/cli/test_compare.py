"""The command compare, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.shell import refused, run_cli, save, save_array
from tests.support.sweep import sweep

PIXELS = np.random.default_rng(8).integers(0, 256, (12, 17, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save("photo.png", PIXELS)


def test_equal_results_are_equal() -> None:
    save_array("a.npy", PIXELS / 255)
    done = run_cli("compare", "photo.png", "a.npy")
    assert "12x17x3: equal, largest difference " in done.stdout


def test_scores_are_compared_with_those_of_an_array_of_one_row() -> None:
    scores = np.random.default_rng(2).normal(size=(1, 1, 5))
    save_array("ours.npy", scores)
    save_array("theirs.npy", scores[0])
    done = run_cli("compare", "ours.npy", "theirs.npy")
    assert ": equal, " in done.stdout and "note: 5 scores each, compared in their " in done.stdout
    save_array("theirs.npy", scores[0, :, ::-1])
    assert "1x5x1: different\n" in run_cli("compare", "ours.npy", "theirs.npy", code=1).stdout
    # Rows and columns of pictures are no scores.
    save_array("row.npy", scores[0])
    save_array("column.npy", scores[0].T)
    assert "of different sizes" in run_cli("compare", "row.npy", "column.npy", code=1).stdout


def test_a_difference_in_transparency_alone_is_a_difference() -> None:
    """Two pictures that are equal on the same background are not equal on another."""
    alpha = np.full((12, 17, 1), 255, np.uint8)
    clear = alpha.copy()
    clear[3, 5] = 51
    save("solid.png", np.concatenate([PIXELS * 0, alpha], axis=2))
    save("clear.png", np.concatenate([PIXELS * 0, clear], axis=2))
    lines = run_cli("compare", "solid.png", "clear.png", code=1).stdout.splitlines()
    assert lines[0].endswith("12x17x3: different in transparency alone")
    assert lines[1] == (
        "1 of 204 pixels (0.49 %) differ in transparency, most at row 3, column 5: 1 and 0.2, "
        "where 1 is opaque"
    )
    assert lines[2].startswith("note: clear.png: transparency")
    done = run_cli("compare", "solid.png", "clear.png", "--json", code=1)
    found = json.loads(done.stdout)
    assert not found["equal"] and found["transparency"]["count"] == 1
    assert "equal, " in run_cli("compare", "clear.png", "clear.png").stdout


@pytest.mark.slow
def test_where_no_cause_is_found_that_is_said_in_one_line() -> None:
    save("other.png", np.random.default_rng(9).integers(0, 256, (12, 17, 3), dtype=np.uint8))
    words = "compare", "photo.png", "other.png"
    assert run_cli(*words, code=1).stdout.splitlines()[3:] == [
        "no known convention explains the difference"
    ]
    layer = "--image", "photo.png", "-f", "box"
    assert "no known convention" in run_cli(*words, *layer, code=1).stdout
    save("reversed.png", PIXELS[..., ::-1])
    assert "no known" not in run_cli("compare", "photo.png", "reversed.png", code=1).stdout


TOO_FEW = "note: too few different values to tell a convention from chance"
UNRELATED = {
    "black": PIXELS * 0,
    "almost black": PIXELS // 128,
    "one white pixel": np.where(np.arange(PIXELS.size).reshape(PIXELS.shape) == 300, 255, 0),
    "white": PIXELS * 0 + 255,
    "grey": PIXELS * 0 + 128,
}


@pytest.mark.parametrize("name", UNRELATED)
def test_pictures_of_little_are_explained_by_nothing(name: str) -> None:
    save("little.png", UNRELATED[name].astype(np.uint8))
    for pair in (("little.png", "photo.png"), ("photo.png", "little.png")):
        said = run_cli("compare", *pair, code=1).stdout.splitlines()
        notes = [] if name == "almost black" else [TOO_FEW]
        assert said[3:] == ["no known convention explains the difference", *notes]
        found = json.loads(run_cli("compare", *pair, "--json", code=1).stdout)
        assert found["explanations"] == notes
    save("other.png", UNRELATED["white" if name != "white" else "black"].astype(np.uint8))
    assert "no known" in run_cli("compare", "little.png", "other.png", code=1).stdout
    save("smaller.png", UNRELATED[name][2:, 3:].astype(np.uint8))
    if name != "almost black":
        refused("compare", "little.png", "smaller.png", code=2)
    refused("compare", "photo.png", "smaller.png", code=2)


@pytest.mark.parametrize("name", sweep(UNRELATED, keep=1))
def test_no_layer_explains_pictures_of_little(name: str) -> None:
    save("little.png", UNRELATED[name].astype(np.uint8))
    given = "--image", "photo.png", "-f", "edge"
    said = run_cli("compare", "little.png", "photo.png", *given, code=1).stdout
    assert said.splitlines()[3] == "no known convention explains the difference"


def test_masks_are_no_overflow_of_each_other() -> None:
    """0 and 255 are neighbours only where a value is beyond both."""
    masks = np.random.default_rng(6).integers(0, 2, (2, 9, 8), dtype=np.uint8) * 255
    save("mask.png", masks[0])
    save("other.png", masks[1])
    given = "--image", "other.png", "--pool", "average", "--size", 1
    said = run_cli("compare", "mask.png", "other.png", *given, code=1).stdout
    assert "no known convention explains 'mask.png'" in said and "overflow" not in said


def test_a_layer_and_another_of_a_dark_picture_are_explained_by_nothing() -> None:
    dark = np.zeros((60, 50), np.uint8)
    dark[20:40, 15:35] = PIXELS.reshape(-1)[:400].reshape(20, 20)
    save("dark.png", dark)
    run_cli("conv", "dark.png", "-f", "edge", "-o", "conv.png")
    run_cli("pool", "dark.png", "--size", 3, "-o", "pool.png")
    refused("compare", "conv.png", "pool.png", code=2)


def test_grey_beside_colour_names_what_helps() -> None:
    save("grey.png", np.random.default_rng(9).integers(0, 256, (12, 17), dtype=np.uint8))
    assert "--gray compares both as grey" in refused("compare", "photo.png", "grey.png", code=2)
    assert (
        "12x17x1: different" in run_cli("compare", "photo.png", "grey.png", "--gray", code=1).stdout
    )
    save("green.png", PIXELS[..., 1])
    done = run_cli("compare", "photo.png", "green.png", code=1)
    assert "equal if of the first the green channel is taken" in done.stdout
    save("thrice.png", np.repeat(PIXELS[..., 1:2], 3, axis=2))
    done = run_cli("compare", "green.png", "thrice.png", code=1)
    assert "equal if the grey first is repeated as red, green and blue" in done.stdout


def test_different_results_end_with_1_and_say_where() -> None:
    other = PIXELS.copy()
    other[5, 9, 1] ^= 128
    save("other.png", other)
    lines = run_cli("compare", "photo.png", "other.png", code=1).stdout.splitlines()
    assert lines[0] == "'photo.png' and 'other.png', 12x17x3: different"
    assert lines[1].startswith("largest difference 0.502 at row 5, column 9, channel 1: ")
    assert lines[2].startswith("1 of 612 values (0.163 %) further apart than 0.00204")


def test_results_kept_as_jpeg_are_noted() -> None:
    for name in ("edge.jpg", "edge.png"):
        run_cli("conv", "photo.png", "-f", "edge", "-o", name)
    layer = "--image", "photo.png", "-f", "edge"
    lines = run_cli("compare", "edge.jpg", "photo.png", *layer, code=1).stdout.splitlines()
    assert lines[-1] == "note: 'edge.jpg': JPEG changes values; PNG and .npy keep those of a result"
    assert lines[-2] == "no known convention explains the difference"
    assert "JPEG" not in run_cli("compare", "edge.png", "photo.png", *layer, code=1).stdout


def test_a_flipped_filter_is_named() -> None:
    # Of one cell, the border by edge is that by symmetric, and SciPy's would fit as well.
    layer = ("-f", "1 2 4; 0 0 8", "--pad-mode", "zeros")
    run_cli("conv", "photo.png", *layer, "-o", "a.npy")
    run_cli("conv", "photo.png", *layer, "--flip", "-o", "b.npy")
    done = run_cli("compare", "a.npy", "b.npy", "--image", "photo.png", *layer, code=1)
    assert done.stdout.splitlines()[-2:] == [
        "'a.npy' is equal to the operation as given",
        "'b.npy' is equal to the operation if the filter is flipped",
    ]


def test_two_causes_at_once_and_a_stride_are_named() -> None:
    layer = ["-f", "1 2 4; 0 0 8; 5 1 1", "--normalize"]
    run_cli("conv", "photo.png", *layer, "--pad-mode", "zeros", "-o", "a.npy")
    save("bgr.png", PIXELS[..., ::-1])
    changed = ["--flip", "--stride", "2", "--pad-mode", "wrap"]
    run_cli("conv", "bgr.png", *layer, *changed, "-o", "b.npy")
    given = ["--image", "photo.png", *layer, "--pad-mode", "zeros"]
    lines = run_cli("compare", "a.npy", "b.npy", *given, code=1).stdout.splitlines()
    assert lines == [
        "'a.npy' and 'b.npy', 12x17x3 and 6x9x3: of different sizes",
        "'a.npy' is equal to the operation as given",
        "'b.npy' is equal to the operation if the filter is flipped and the border is wrap and "
        "the stride is 2 and the image's channels are reversed (BGR and RGB)",
    ]


def test_a_picture_of_other_values_is_told() -> None:
    run_cli("conv", "photo.png", "-f", "sobel_v", "-o", "a.npy")
    run_cli("conv", "photo.png", "-f", "sobel_v", "--range", "symmetric", "-o", "a.png")
    lines = run_cli("compare", "a.npy", "a.png", code=1).stdout.splitlines()
    values = np.load("a.npy")
    most = np.abs(values).max()
    assert lines[-1].startswith("'a.png' shows values from ") and lines[-1].endswith("reads those")
    run_cli("compare", "a.npy", "a.png", "--as-values", "--tolerance", most / 254)


@pytest.mark.parametrize("depth", [8, 16])
def test_values_of_a_picture_are_equal_to_within_half_a_level_of_its_range(depth: int) -> None:
    run_cli("conv", "photo.png", "-f", "sobel_v", "-o", "a.npy")
    values = np.load("a.npy")
    for name, low in (("a.png", -5), ("b.png", -3)):
        made = ("--range", f"{low},4", "--depth", depth, "-o", name)
        run_cli("conv", "photo.png", "-f", "sobel_v", *made)
        run_cli("compare", "a.npy", name, "--as-values")
    run_cli("compare", "a.png", "b.png", "--as-values")
    step = 9 / (2**depth - 1)
    at = np.unravel_index(np.abs(values).argmin(), values.shape)
    values[at] += 1.1 * step
    np.save("far.npy", values)
    said = run_cli("compare", "far.npy", "a.png", "--as-values", code=1).stdout
    assert "different" in said


def test_values_beyond_the_range_of_a_picture_are_told() -> None:
    bank = save_array("bank.npy", np.random.default_rng(2).normal(size=(3, 3, 3, 4)))
    run_cli("conv", "photo.png", "-f", bank, "-o", "maps.npy")
    run_cli("conv", "photo.png", "-f", bank, "--range", "-2,2", "-o", "maps.png")
    said = run_cli("compare", "maps.png", "maps.npy", "--as-values", code=1).stdout
    assert "equal but for values that the range of a picture cuts off" in said
    np.save("other.npy", -np.load("maps.npy"))
    run_cli("conv", "photo.png", "-f", bank, "--range", "90,91", "-o", "one.png")
    for pair in (("maps.png", "other.npy"), ("one.png", "maps.npy")):
        assert "cuts off" not in run_cli("compare", *pair, "--as-values", code=1).stdout


def test_a_value_within_the_range_of_a_picture_is_not_said_to_be_cut_off() -> None:
    run_cli("conv", "photo.png", "-f", "sobel_v", "-o", "a.npy")
    run_cli("conv", "photo.png", "-f", "sobel_v", "--range", "-5,5", "-o", "a.png")
    values = np.load("a.npy")
    assert np.abs(values).max() < 4
    values.flat[values.argmax()] = 4.5
    np.save("w.npy", values)
    assert "cuts off" not in run_cli("compare", "w.npy", "a.png", "--as-values", code=1).stdout


def test_each_map_of_a_sheet_is_compared_by_the_steps_of_its_own_range() -> None:
    small = np.random.default_rng(1).normal(size=(9, 8, 1))
    both = np.concatenate([small, small * 1000], 2)
    save_array("both.npy", both)
    run_cli("pad", "both.npy", "--padding", 0, "--range", "symmetric", "-o", "sheet.png")
    run_cli("compare", "sheet.png", "both.npy", "--as-values")
    both[..., 0] = np.random.default_rng(2).normal(size=(9, 8))
    save_array("other.npy", both)
    run_cli("compare", "sheet.png", "other.npy", "--as-values", code=1)


def test_the_image_of_two_results_may_carry_json_of_another_program() -> None:
    text = PngInfo()
    text.add_text("comment", '{"by": "scanner"}')
    with Image.open("photo.png") as photo:
        photo.save("scan.png", pnginfo=text)
    for name, more in (("a.png", ("--range", "-5,5")), ("b.npy", ("--flip",))):
        run_cli("conv", "photo.png", "-f", "sobel_v", *more, "-o", name)
    given = ("--image", "scan.png", "-f", "sobel_v", "--as-values")
    said = run_cli("compare", "a.png", "b.npy", *given, code=1).stdout
    assert "'b.npy' is equal to the operation if the filter is flipped" in said


def test_the_image_of_two_results_that_are_read_as_values_may_be_a_photo() -> None:
    for name, more in (("a.png", ("--range", "-5,5")), ("b.npy", ("--flip",))):
        run_cli("conv", "photo.png", "-f", "sobel_v", *more, "-o", name)
    given = ("--image", "photo.png", "-f", "sobel_v", "--as-values")
    said = run_cli("compare", "a.png", "b.npy", *given, code=1).stdout
    assert "'b.npy' is equal to the operation if the filter is flipped" in said
    # A result of ours is read as values here too.
    run_cli("conv", "a.png", "-f", "sobel_v", "--as-values", "--range", "-50,50", "-o", "c.png")
    run_cli("conv", "a.png", "-f", "sobel_v", "--as-values", "--flip", "-o", "d.npy")
    given = ("--image", "a.png", *given[2:])
    said = run_cli("compare", "c.png", "d.npy", *given, code=1).stdout
    assert "'d.npy' is equal to the operation if the filter is flipped" in said


def test_a_picture_of_other_values_does_not_explain_another_size() -> None:
    save("small.png", PIXELS[:7, :8])
    run_cli("conv", "photo.png", "-f", "sobel_v", "--range", "symmetric", "-o", "a.png")
    refused("compare", "a.png", "small.png", code=2)
    # Cut back into its maps, a sheet has the size of the array.
    bank = save_array("bank.npy", np.random.default_rng(2).normal(size=(3, 3, 3, 4)))
    for name in ("maps.npy", "maps.png"):
        run_cli("conv", "photo.png", "-f", bank, "-o", name)
    assert "--as-values" in run_cli("compare", "maps.npy", "maps.png", code=1).stdout


def test_quiet_tells_by_the_exit_code_alone() -> None:
    save("other.png", PIXELS[::-1])
    assert run_cli("compare", "photo.png", "other.png", "-q", code=1).output == ""
    assert run_cli("compare", "photo.png", "photo.png", "-q").output == ""


def test_a_convention_and_flip_flip_once() -> None:
    tilted = ["-f", "1 2; 3 4", "--convention", "scipy"]
    run_cli("conv", "photo.png", *tilted, "-o", "a.npy")
    run_cli("conv", "photo.png", *tilted, "--flip", "-o", "b.npy")
    run_cli("compare", "a.npy", "b.npy")


def test_paddings_of_two_sizes_are_laid_over_each_other() -> None:
    run_cli("conv", "photo.png", "-f", "edge", "-o", "a.npy")
    run_cli("conv", "photo.png", "-f", "edge", "--padding", "valid", "-o", "b.npy")
    lines = run_cli("compare", "a.npy", "b.npy", code=1).stdout.splitlines()
    assert lines[0].endswith("12x17x3 and 10x15x3: of different sizes")
    assert "second is padded by 1,1,1,1" in lines[1]
    save_array("c.npy", np.ones((2, 3)))
    assert "must have the same shape" in refused("compare", "a.npy", "c.npy", code=2)


def test_rows_and_columns_that_are_swapped_are_named() -> None:
    save("turned.png", np.rot90(PIXELS))
    error = refused("compare", "photo.png", "turned.png", code=2)
    assert "12x17x3 and 17x12x3" in error and "one is turned or transposed" in error


def test_conventions_are_two_lines_each() -> None:
    lines = run_cli("compare", "photo.png", "-f", "1 2; 3 4").stdout.splitlines()
    assert [line.split()[0] for line in lines[::2]] == [
        *("torch", "tf", "onnx", "opencv", "scipy", "imagemagick")
    ]
    assert [" equal, " in line for line in lines[::2]] == [False] * 6
    assert "flips the filter" in lines[9]
    assert "clips, rounds half up" in lines[11]
    assert max(map(len, lines)) <= 96


def test_only_pictures_of_levels_are_said_to_be_clipped_and_rounded() -> None:
    save_array("x.npy", PIXELS[..., 0] / np.float32(100))
    layer = ("-f", "1 2; 3 4", "--normalize", "--convention", "opencv")
    assert "clips" in run_cli("compare", "photo.png", *layer).stdout
    assert "clips" not in run_cli("compare", "x.npy", *layer).stdout
    for image, end in (("x.npy", "npy"), ("photo.png", "png")):
        run_cli("conv", image, *layer, "-o", f"a.{end}")
        run_cli("conv", image, *layer[:3], "-o", f"b.{end}")
        given = ("--image", image, *layer[:3])
        found = run_cli("compare", f"a.{end}", f"b.{end}", *given, code=1).stdout
        assert "by the convention opencv (does not flip; odd padding at the start; border" in found
        assert "clips" not in found


def test_grey_of_two_pictures_is_equal_to_half_a_level() -> None:
    """Rounding each colour changes a luminance by half a level at the most."""
    red = PIXELS.copy()
    red[..., 0] ^= 1
    save("red.png", red)
    assert "equal, largest" in run_cli("compare", "photo.png", "red.png", "--gray").stdout
    save("all.png", PIXELS ^ 1)
    lines = run_cli("compare", "photo.png", "all.png", "--gray", code=1).stdout.splitlines()
    assert "further apart than 0.00204" in lines[2]
    assert lines[3] == "equal to within one level of 255, clipped to 0..1: rounding"
    save_array("x.npy", PIXELS / np.float32(255) + np.float32(0.4 / 255))
    assert "equal, largest" in run_cli("compare", "photo.png", "x.npy", "--gray").stdout
    save_array("y.npy", PIXELS / np.float32(255))
    assert (
        "further apart than 1e-05" in run_cli("compare", "x.npy", "y.npy", "--gray", code=1).stdout
    )


def test_a_tool_without_pooling_says_so() -> None:
    lines = run_cli("compare", "photo.png", "--pool", "average").stdout.splitlines()
    assert lines[-1].split() == ["imagemagick", "no", "pooling"]


def test_json_names_files_as_they_are_called() -> None:
    save_array("'a.npy", np.zeros((2, 3)))
    save("b.png'", np.zeros((2, 3), np.uint8), format="PNG")
    found = json.loads(run_cli("compare", "'a.npy", "b.png'", "--json").stdout)
    assert found["names"] == ["'a.npy", "b.png'"]


def test_json_holds_the_numbers() -> None:
    save_array("a.npy", np.zeros((2, 3)))
    save_array("b.npy", np.eye(2, 3) / 4)
    found = json.loads(run_cli("compare", "a.npy", "b.npy", "--json", code=1).stdout)
    assert found["difference"]["largest"] == 0.25
    assert found["difference"]["at"] == [0, 0, 0, 0]
    assert (found["equal"], found["names"]) == (False, ["a.npy", "b.npy"])
    rows = run_cli("compare", "photo.png", "--pool", "average", "--json").stdout.splitlines()
    assert [json.loads(row)["error"] is None for row in rows] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "got 0"),
        (["photo.png"], "needs --filter or --pool"),
        (["photo.png"] * 3, "got 3"),
        (["photo.png"] * 2 + ["-f", "edge"], "belong together"),
        (["photo.png"] * 2 + ["--image", "photo.png"], "belong together"),
        (["photo.png"] * 2 + ["--against", "torch"], "--against is for one IMAGE"),
        (["photo.png"] * 2 + ["--convention", "tf"], "--convention is for one IMAGE"),
        (["photo.png", "-f", "edge", "--pool", "max"], "exclude each other"),
        (["photo.png", "-f", "edge", "--image", "photo.png"], "--image is for two RESULTs"),
        (["photo.png", "-f", "edge", "--convention", "keras"], "'keras' is not one of"),
        (["photo.png", "-f", "edge", "--tolerance", "0"], "--tolerance"),
    ],
)
def test_what_does_not_go_together_is_refused(given: list[str], said: str) -> None:
    assert said in refused("compare", *given, code=2)


def test_files_that_are_no_results_are_refused() -> None:
    Path("text.npy").write_text("no numbers")
    assert "'text.npy'" in refused("compare", "photo.png", "text.npy")
    assert "'nowhere.png'" in refused("compare", "nowhere.png", "photo.png")


def test_a_convention_that_was_named_and_has_no_such_layer_is_an_error() -> None:
    given = ("compare", "photo.png", "--pool", "lp")
    said = refused(*given, "--convention", "onnx", "--convention", "torch", "--ceil", code=2)
    assert "torch's lp pooling has other values with ceil" in said
    assert "tf has no lp pooling" in refused(*given, "--convention", "tf", code=2)
    assert "scipy has no pooling" in refused(*given, "--convention", "scipy", "--json", code=2)
    # Of all of them it is an answer.
    said = run_cli(*given).stdout
    assert "tf           no lp pooling" in said and "onnx         equal" in said


def test_the_tolerance_of_arrays_is_what_the_docs_say() -> None:
    small, large = np.full((1, 2), 0.5), np.array([[-100.0, 3.0]])
    for values, most in ((small, 1e-5), (large, 1e-3)):
        np.save("a.npy", values)
        np.save("near.npy", values + 0.9 * most)
        np.save("far.npy", values + 1.1 * most)
        run_cli("compare", "a.npy", "near.npy")
        run_cli("compare", "a.npy", "far.npy", code=1)
    page = Path(__file__).parents[2] / "docs/how-to/compare.md"
    assert "1e-5 for values up to 1, 1e-3 for values up to 100" in page.read_text()


@pytest.mark.oracle
def test_a_layer_a_peer_has_not_is_refused() -> None:
    pytest.importorskip("torch")
    given = ("compare", "photo.png", "--pool", "lp")
    said = refused(*given, "--p", 3, "--against", "torch", code=2)
    assert "torch has no lp pooling of magnitudes with ceil, or with a p" in said
    said = refused("pool", "photo.png", "--mode", "lp", "--convention", "tf", code=2)
    assert "tf has no lp pooling" in said
    assert run_cli(*given, "--against", "torch").stdout.startswith("torch  equal")


def test_conv_by_a_convention_is_what_compare_says() -> None:
    run_cli("conv", "photo.png", "-f", "1 2; 3 4", "--convention", "scipy", "-o", "a.npy")
    run_cli("conv", "photo.png", "-f", "4 3; 2 1", "--pad-mode", "symmetric", "-o", "b.npy")
    run_cli("compare", "a.npy", "b.npy")
    assert "is not one of" in refused("pool", "photo.png", "--convention", "scipy", code=2)


@pytest.mark.parametrize(
    ("words", "pads"),
    [
        (["-f", "box:3", "--stride", "2"], "1"),
        (["-f", "box:3", "--stride", "1,2", "--dilation", "1,2"], "1,2"),
        (["-f", "box:3", "--stride", "2", "--padding", "1"], None),
        (["-f", "box:3"], None),
        (["-f", "2", "--stride", "2"], None),
        (["--pool", "max", "--size", "3", "--padding", "same"], "1"),
        (["--pool", "max", "--size", "global", "--padding", "same"], None),
        (["--pool", "max", "--size", "3", "--padding", "same", "--stride", "1"], None),
    ],
)
def test_padding_same_at_a_stride_is_told_to_be_none_of_pytorch(
    words: list[str], pads: str | None
) -> None:
    text = "PyTorch has no padding same at a stride above 1"
    lines = run_cli("compare", "photo.png", *words).stdout.splitlines()
    told = [lines[at - 1].split()[0] for at, line in enumerate(lines) if text in line]
    assert told == ([] if pads is None else ["torch"])
    layer = ["conv", *words] if words[0] == "-f" else ["pool", *words[2:]]
    for command in ([*layer, "-o", "-"], ["explain", *words]):
        said = run_cli(*command, "photo.png", "--convention", "torch").stderr
        assert (f"{text}, but --padding {pads}" in said) is (pads is not None)
        assert text not in run_cli(*command, "photo.png", "--convention", "tf").stderr


def test_pads_that_are_not_alike_are_told_in_the_report() -> None:
    Path("net.toml").write_text(
        '[[layers]]\nname = "first"\ntype = "conv"\nfilter = "edge"\nstride = 2\n'
        'convention = "torch"\n'
    )
    pads = "pads 0 top, 1 bottom, 1 left, 1 right"
    layer = ("--stride", "2", "--padding", "same")
    for words in (("conv", "-f", "edge"), ("pool", "--size", "3")):
        assert pads in run_cli(words[0], "photo.png", *words[1:], *layer, "-o", "-").stderr
        alike = run_cli(words[0], "photo.png", *words[1:], "--padding", "1", "-o", "-").stderr
        assert "pads" not in alike
    said = run_cli("run", "net.toml", "photo.png", "-o", "a.npy").stderr
    assert pads in said and "note: 'photo.png': first: PyTorch has no padding same" in said


def test_addresses_are_refused_whole() -> None:
    said = refused("compare", "s3://bucket/a.png", "photo.png", code=2)
    assert "a file on this machine, got 's3://bucket/a.png'" in said
