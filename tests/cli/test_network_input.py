"""How networks get their pictures: size, fit, scale, mean, std, order and number of channels."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.pipeline.largest_values import find_largest_values, largest_values_note
from tests.support.packed_pages import data_of
from tests.support.shell import (
    pixels,
    refused,
    refused_untouched,
    run_cli,
    save,
    save_array,
    values_of,
)

RNG = np.random.default_rng(9)
PHOTO = RNG.integers(0, 256, (12, 20, 3), np.uint8)
SUMS = """
[[layers]]
name = "taken"
type = "scale"

[[layers]]
name = "sum"
type = "conv"
filter = {filter}
padding = "valid"
"""
COLOUR = SUMS.format(filter="[[[[1.0], [2.0], [4.0]]]]")
GREY = SUMS.format(filter="[[[[1.0]]]]")
GIVEN = ["--scale", 255, "--mean", "10,20,30", "--std", "2,4,8"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with networks for colour and for grey, and pictures of both."""
    monkeypatch.chdir(tmp_path)
    Path("net.toml").write_text(COLOUR)
    Path("grey.toml").write_text(GREY)
    save("photo.png", PHOTO)
    save("grey.png", PHOTO[..., 0])


def taken(*args: Any, network: str = "net.toml", image: str = "photo.png") -> Any:
    """Return what the first layer of a network is given."""
    return values_of("run", network, image, "--layer", "taken", *args)


def test_numbers_are_those_of_the_formula() -> None:
    expected = (PHOTO - np.array([10.0, 20, 30])) / np.array([2.0, 4, 8])
    np.testing.assert_allclose(taken(*GIVEN), expected, rtol=1e-5, atol=1e-4)
    turned = (PHOTO[..., ::-1] - np.array([10.0, 20, 30])) / np.array([2.0, 4, 8])
    np.testing.assert_allclose(taken(*GIVEN, "--bgr"), turned, rtol=1e-5, atol=1e-4)


def test_options_take_the_place_of_single_fields_of_the_file() -> None:
    Path("net.toml").write_text("[input]\nscale = 255.0\nmean = 100.0\nbgr = true\n" + COLOUR)
    np.testing.assert_allclose(taken(), PHOTO[..., ::-1] - 100.0, atol=1e-3)
    np.testing.assert_allclose(taken("--mean", 0), PHOTO[..., ::-1], atol=1e-3)
    np.testing.assert_allclose(taken("--scale", 1), PHOTO[..., ::-1] / 255 - 100, atol=1e-3)


def resized(size: tuple[int, int], box: Any = None) -> Any:
    """What Pillow makes of the photo."""
    picture = Image.fromarray(PHOTO).resize(size[::-1], Image.Resampling.BILINEAR, box)
    return np.asarray(picture) / 255


@pytest.mark.parametrize("where", ["option", "file"])
def test_fit(where: str) -> None:
    def fitted(size: str, fit: str) -> Any:
        if where == "option":
            return taken("--size", size, "--fit", fit)
        Path("own.toml").write_text(f'[input]\nsize = [{size}]\nfit = "{fit}"\n{COLOUR}')
        return taken(network="own.toml")

    np.testing.assert_allclose(fitted("6,6", "stretch"), resized((6, 6)), atol=1e-6)
    middle = resized((6, 6), (4, 0, 16, 12))
    np.testing.assert_allclose(fitted("6,6", "crop"), middle, atol=1e-6)
    padded = fitted("10,10", "pad")
    np.testing.assert_allclose(padded[2:8], resized((6, 10)), atol=1e-6)
    assert not padded[:2].any() and not padded[8:].any()


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (["--size", "6,10"], "resized from 12x20 to 6x10\n"),
        (["--size", "6"], "resized from 12x20 to 6x6, stretched (see --fit)\n"),
        (["--size", 6, "--fit", "crop"], "cropped to its middle and resized from 12x20 to 6x6\n"),
        (["--size", 10, "--fit", "pad"], "to 10x10, 6x10 of that in black\n"),
    ],
)
def test_resizing_is_said_once_with_both_sizes(options: list[Any], note: str) -> None:
    error = run_cli("run", "net.toml", "photo.png", *options).stderr
    assert error.count("resized") == 1 and note in error
    error = run_cli("run", "net.toml", "photo.png", "--size", "12,20", "--overwrite").stderr
    assert "resized" not in error


def test_grey_runs_through_a_network_for_colour() -> None:
    grey = PHOTO[..., :1] / 255
    np.testing.assert_allclose(taken(image="grey.png"), np.repeat(grey, 3, 2), atol=1e-6)
    error = run_cli("run", "net.toml", "grey.png").stderr
    assert "grey, repeated to 3 channels" in error


def test_colour_runs_through_a_network_for_grey() -> None:
    luminance = PHOTO @ np.array([0.299, 0.587, 0.114]) / 255
    found = taken(network="grey.toml")
    np.testing.assert_allclose(found[..., 0], luminance, atol=1e-6)
    assert "reduced to luminance" in run_cli("run", "grey.toml", "photo.png").stderr
    alpha = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    save("alpha.png", alpha)
    np.testing.assert_allclose(taken(network="grey.toml", image="alpha.png"), found, atol=1e-6)
    save("soft.png", np.dstack([PHOTO[..., 0], np.full(PHOTO.shape[:2], 51, np.uint8)]))
    faint = taken(image="soft.png")
    np.testing.assert_allclose(faint[..., 2], PHOTO[..., 0] / 255 * 0.2, atol=1e-5)


def test_networks_that_take_either_get_what_there_is() -> None:
    Path("any.toml").write_text('[[layers]]\nname = "taken"\ntype = "pool"\n')
    assert taken(network="any.toml").shape == (6, 10, 3)
    assert taken(network="any.toml", image="grey.png").shape == (6, 10, 1)


def test_a_dry_run_and_a_plan_know_of_the_channels() -> None:
    run_cli("run", "net.toml", "grey.png", "--dry-run")
    shown = run_cli("plan", "net.toml", "--image", "grey.png").stdout
    assert "12x20x3 to 12x20x1" in shown


def test_a_mean_of_other_pixels_is_pointed_out() -> None:
    run = ["run", "net.toml", "photo.png", "-o", "y.npy", "--overwrite", "--mean", "120"]
    assert "--mean is 120, but pixels are 0..1" in run_cli(*run).stderr
    assert "but pixels are" not in run_cli(*run, "--scale", "255").stderr
    grad = ["grad", "net.toml", "photo.png", "--unit", "sum", "-o", "g.npy", "--mean", "120"]
    assert "--mean is 120, but pixels are 0..1" in run_cli(*grad).stderr
    convert = ["convert", "net.toml", "-o", "copy.toml", "--mean", "120"]
    assert "--mean is 120, but pixels are 0..1" in run_cli(*convert).stderr
    for command in (["plan", "copy.toml"], ["run", "copy.toml", "photo.png", "-o", "y2.npy"]):
        said = run_cli(*command, *["--input", "12x20x3"] * (command[0] == "plan")).stderr
        assert "note: " in said and "mean is 120, but pixels are 0..1" in said
        assert "add scale = 255" in said
    text = Path("copy.toml").read_text().replace("[input]", "[input]\nscale = 255")
    Path("copy.toml").write_text(text)
    assert "but pixels are" not in run_cli("plan", "copy.toml", "--input", "12x20x3").stderr


def test_numbers_for_other_channels_are_told_by_their_options() -> None:
    Path("net.toml").write_text("[input]\ngray = true\n" + GREY)
    error = refused_untouched("run", "net.toml", "photo.png", "--mean", "0.1,0.2", code=2)
    assert error == "cnncli: error: --mean must hold 1 value, got 2\n"
    Path("net.toml").write_text("[input]\ngray = true\nstd = [1, 2]\n" + GREY)
    error = refused_untouched("run", "net.toml", "photo.png")
    assert "'net.toml': scale, mean and std of the input: std must hold 1 value, got 2" in error


def test_arguments_in_any_order() -> None:
    for name, *words in (("a.npy", "net.toml", "photo.png"), ("b.npy", "photo.png", "net.toml")):
        run_cli("run", *words, "-o", name)
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes()


def test_grad_and_explain_take_them_too() -> None:
    unit = ["grad", "net.toml", "photo.png", "--unit", "sum:0,0,0", *GIVEN, "--bgr"]
    run_cli(*unit, "-o", "g.npy")
    gradient = np.load("g.npy")
    # By each pixel of 0..1, in the order that the network takes them: weight * scale / std.
    np.testing.assert_allclose(gradient[0, 0], 255 * np.array([1 / 2, 2 / 4, 4 / 8]), rtol=1e-5)
    assert not gradient[1:].any()
    at = ["explain", "net.toml", "photo.png", "--layer", "taken", "--at", "2,3", "--json"]
    steps = json.loads(run_cli(*at, *GIVEN).stdout)["steps"]
    expected = (PHOTO[2, 3] - np.array([10.0, 20, 30])) / np.array([2.0, 4, 8])
    np.testing.assert_allclose([step["value"] for step in steps], expected, rtol=1e-5)
    assert "resized from 12x20 to 6x10" in run_cli(*at, "--size", "6,10").stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["explain", "photo.png", "--filter", "edge", "--mean", "1"], "--mean does not go with"),
        (["grad", "photo.png", "--filter", "edge", "--bgr"], "--bgr does not go with"),
        (["explain", "net.toml", "photo.png", "--size", "global"], "--size of NETWORK's pictures"),
        (["run", "net.toml", "photo.png", "--std", "0"], "--std must not contain 0"),
        (["run", "net.toml", "photo.png", "--mean", "1,2", "--std", "1,2,3"], "the same length"),
        (["run", "net.toml", "photo.png", "--fit", "fill"], "--fit"),
    ],
)
def test_refused(command: list[str], message: str) -> None:
    assert message in refused_untouched(*command, code=2)


def test_convert_writes_them() -> None:
    options = [*GIVEN, "--bgr", "--fit", "crop", "--size", "6"]
    run_cli("convert", "net.toml", "-o", "own.toml", *options)
    assert tomllib.loads(Path("own.toml").read_text())["input"] == {
        **{"size": [6, 6], "fit": "crop", "bgr": True, "scale": 255.0},
        **{"mean": [10.0, 20.0, 30.0], "std": [2.0, 4.0, 8.0]},
    }
    np.testing.assert_array_equal(taken(network="own.toml"), taken(*options))


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("kind", "image", "most"),
    [("UINT8", "photo.png", 255), ("INT32", "photo.png", 255), ("UINT16", "deep.png", 65_535)],
)
def test_networks_of_whole_numbers_get_whole_numbers(kind: str, image: str, most: int) -> None:
    from tests.support.onnxmodels import model, node, onnx

    deep = RNG.integers(0, 65_536, (12, 20), np.uint16)
    Image.fromarray(deep).save("deep.png")
    channels = 1 if image == "deep.png" else 3
    weights = np.eye(channels, dtype=np.float32)[:, :, None, None]
    nodes = [node("Cast", "x", "f", to=1), node("Conv", "f W", "y")]
    made = model(nodes, {"W": weights}, (1, channels, 12, 20), kind=getattr(onnx.TensorProto, kind))
    Path("whole.onnx").write_bytes(made.SerializeToString())
    expected = deep[..., None] if channels == 1 else PHOTO
    np.testing.assert_array_equal(values_of("run", "whole.onnx", image), expected)
    run_cli("convert", "whole.onnx", "-o", "whole.toml")
    np.testing.assert_array_equal(values_of("run", "whole.toml", image), expected)
    save_array("whole.npy", expected.astype(np.int32))
    if most == 255:
        np.testing.assert_array_equal(values_of("run", "whole.onnx", "whole.npy"), expected)
    # Pixels that are resized or of floats are rounded.
    save_array("floats.npy", (expected / most).astype(np.float32))
    found = values_of("run", "whole.onnx", "floats.npy")
    assert np.abs(found - expected).max() <= (0 if most == 255 else 1)
    np.testing.assert_array_equal(found, np.rint(found))


@pytest.mark.oracle
def test_a_model_that_does_not_say_how_its_pixels_were_scaled() -> None:
    from tests.support.onnxmodels import model, node

    made = model(
        [node("Conv", "x W", "y")], {"W": np.ones((2, 3, 1, 1), np.float32)}, (1, 3, 12, 20)
    )
    Path("raw.onnx").write_bytes(made.SerializeToString())
    run = ["run", "raw.onnx", "photo.png", "--overwrite"]
    assert run_cli(*run).stderr.count("pictures go in as 0..1") == 1
    for options in (["--mean", "0.5"], ["--scale", 1], ["-q"]):
        assert "pixels go in" not in run_cli(*run, *options).stderr
    run_cli("convert", "raw.onnx", "-o", "raw.toml")
    assert "pixels go in" not in run_cli("run", "raw.toml", "photo.png", "--overwrite").stderr


@pytest.mark.oracle
def test_a_picture_gives_the_size_that_a_model_leaves_open() -> None:
    from tests.support.onnxmodels import model, node

    nodes = [node("Flatten", "x", "f"), node("Gemm", "f W", "y")]
    W = RNG.normal(size=(720, 4)).astype(np.float32)
    Path("open.onnx").write_bytes(model(nodes, {"W": W}, (1, 3, "h", "w")).SerializeToString())
    expected = (PHOTO / 255).transpose(2, 0, 1).reshape(-1) @ W
    found = values_of("run", "open.onnx", "photo.png")
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-4, atol=1e-4)
    run_cli("grad", "open.onnx", "photo.png", "--unit", "y:1", "-o", "g.png")
    assert pixels("g.png").shape[:2] == (12, 20)
    run_cli("explain", "open.onnx", "photo.png")
    for command in ("run", "explain"):
        assert "--max-pixels" in refused(command, "open.onnx", "photo.png", "--max-pixels", "100")
    error = refused_untouched("convert", "open.onnx", "-o", "own.toml")
    assert "the size of the picture must be known" in error and "hint: --size H,W" in error
    run_cli("convert", "open.onnx", "-o", "own.toml", "--size", "12,20")


@pytest.mark.oracle
@pytest.mark.parametrize("needs_size", [False, True])
def test_the_side_that_a_model_leaves_open_keeps_the_shape_of_pictures(needs_size: bool) -> None:
    from tests.support.onnxmodels import model, node

    # Text is read so: every line as high as the model wants, and as long as it is.
    nodes = [node("ReduceMean", "x", "y", axes=[2], keepdims=1)]
    if needs_size:
        nodes = [node("Reshape", "x rows", "r"), node("ReduceMean", "r", "y", axes=[1])]
    rows = {"rows": np.array([3, 6, -1])}
    Path("line.onnx").write_bytes(model(nodes, rows, (1, 3, 6, "w")).SerializeToString())
    save("long.png", np.repeat(PHOTO, 2, axis=1))
    for image, columns in (("photo.png", 10), ("long.png", 20)):
        assert values_of("run", "line.onnx", image).shape[1] == columns
        error = run_cli("run", "line.onnx", image, "-o", "y.png", "--overwrite").stderr
        assert f"resized from 12x{2 * columns} to 6x{columns}\n" in error
        assert f"6x{columns}x3 to" in run_cli("plan", "line.onnx", "--image", image).stdout
    if not needs_size:
        error = run_cli("run", "line.onnx", "photo.png", "--size", "4,8", "-o", "z.png").stderr
        assert "the network's own size is 6x?, not 4x8" in error
        run_cli("run", "line.onnx", "photo.png", "long.png", "-o", "both/")
        assert {pixels(f"both/{name}-y.png").shape[1] for name in ("photo", "long")}


@pytest.mark.oracle
def test_a_size_is_the_hint_where_a_picture_of_another_may_fit() -> None:
    from tests.support.onnxmodels import model, node

    nodes = [node("Relu", "x", "r"), node("Flatten", "r", "f"), node("Gemm", "f W", "y")]
    made = model(nodes, {"W": np.ones((420, 4), np.float32)}, (1, 3, "h", "w"))
    Path("one.onnx").write_bytes(made.SerializeToString())
    error = refused("run", "one.onnx", "photo.png")
    assert "with an input of 12x20" in error and "--size H,W" in error
    run_cli("run", "one.onnx", "photo.png", "--size", "7,20")


def test_scores_bear_the_names_of_classes() -> None:
    dense = """
    classes = ["cat", "big dog", "cat"]
    [[layers]]
    type = "pool"
    size = "global"
    [[layers]]
    name = "scores"
    type = "dense"
    filter = [[1, 2, 0], [0, 1, 3], [0, 0, 1]]
    [[layers]]
    type = "activation"
    activation = "softmax"
    """
    Path("net.toml").write_text(dense)
    error = run_cli("run", "net.toml", "photo.png").stderr
    assert "largest 2 cat-2 (" in error and "big dog 0." in error
    run_cli("grad", "net.toml", "photo.png", "--unit", "scores:big dog", "-o", "g.png")
    Path("net.toml").write_text(dense.replace('"big dog", ', ""))
    for command in (["run", "net.toml", "photo.png"], ["plan", "net.toml", "--input", "12x20x3"]):
        error = run_cli(*command, code=1).stderr
        assert "'net.toml': 2 names of classes do not fit the 3 maps of the last layer" in error


def test_labels_name_the_classes_and_the_five_best_have_shares() -> None:
    Path("names.txt").write_text("cat\n\nbig dog\nowl\n")
    scores = """
    [[layers]]
    type = "pool"
    size = "global"
    mode = "max"
    [[layers]]
    name = "scores"
    type = "dense"
    filter = [[1, 2, 0], [0, 1, 3], [0, 0, 1]]
    """
    Path("scores.toml").write_text(scores)
    top = PHOTO.reshape(-1, 3).max(0) / 255 @ np.array([[1, 2, 0], [0, 1, 3], [0, 0, 1]])
    shares = 100 * np.exp(top) / np.exp(top).sum()
    said = run_cli("run", "scores.toml", "photo.png", "--labels", "names.txt").stderr
    order = np.argsort(-top)
    best = [f"{['cat', 'big dog', 'owl'][k]} {top[k]:.4g} ({shares[k]:.3g} %)" for k in order]
    assert f"scores, largest first: {', '.join(best)}; in brackets softmax of the scores" in said
    args = ("run", "scores.toml", "photo.png", "--labels", "names.txt", "--overwrite", "--json")
    answers = json.loads(run_cli(*args).stdout)["answers"]
    assert [answer["map"] for answer in answers] == order.tolist()
    np.testing.assert_allclose([answer["value"] for answer in answers], top[order], rtol=1e-6)
    np.testing.assert_allclose([answer["share"] for answer in answers], shares[order] / 100, 1e-5)
    Path("two.txt").write_text("cat\nowl\n")
    refusal = run_cli("run", "scores.toml", "photo.png", "--labels", "two.txt", code=2).stderr
    assert "'two.txt': 2 names of classes do not fit the 3 maps of the last layer" in refusal
    Path("none.txt").write_text("\n")
    assert "at least one line" in refused("run", "scores.toml", "photo.png", "--labels", "none.txt")
    Path("net.toml").write_text(
        scores + '[[layers]]\ntype = "activation"\nactivation = "softmax"\n'
    )
    said = run_cli("run", "net.toml", "photo.png", "--labels", "names.txt").stderr
    assert "largest first: " in said and "softmax of" not in said


def test_a_fit_without_a_size_is_noted() -> None:
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n')
    words = "--fit does nothing here: pictures keep their size without --size"
    line = ("run", "net.toml", "photo.png", "-o", "y.npy", "--overwrite", "--fit", "crop")
    assert words in run_cli(*line).stderr
    assert words not in run_cli(*line, "--size", "4").stderr
    Path("net.toml").write_text('[input]\nsize = 4\n[[layers]]\ntype = "pool"\n')
    assert words not in run_cli(*line).stderr


def test_shares_that_are_hardly_any_are_said_in_short() -> None:
    values = np.array([1000.0, 900, -2000])
    said = largest_values_note("fc", find_largest_values(values, ("a", "b", "c"), True))
    assert said.startswith(
        "fc, largest first: a 1000 (100 %), b 900 (below 0.001 %), c -2000 (0 %)"
    )


def test_units_and_values_are_named_by_their_classes() -> None:
    Path("names.txt").write_text("cat\nbig dog\n")
    Path("net.toml").write_text(
        '[[layers]]\ntype = "pool"\nsize = "global"\nmode = "average"\n'
        '[[layers]]\nname = "scores"\ntype = "dense"\nfilter = [[1, 2], [0, 1], [3, 1]]\n'
    )
    command = ["grad", "net.toml", "photo.png", "--labels", "names.txt", "--overwrite", "--unit"]
    by_number = run_cli(*command, "scores:1", "-o", "by-number.npy").stderr
    assert "scores:1 (big dog) is " in by_number
    assert "scores:big dog is " in run_cli(*command, "scores:big dog", "-o", "by-name.npy").stderr
    np.testing.assert_array_equal(np.load("by-number.npy"), np.load("by-name.npy"))
    assert "hint: --unit 'scores:big dog'" in run_cli(*command, "big dog", code=2).stderr
    labels = ["--labels", "names.txt"]
    shown = run_cli("explain", "net.toml", "photo.png", *labels, "--map", "big dog").stdout
    assert "map 1 (big dog) of 2" in shown
    with Path("net.toml").open("a") as stream:
        stream.write('[[layers]]\ntype = "softmax"\n')
    assert "scores:big dog is " in run_cli(*command, "scores:big dog").stderr
    run_cli("explain", "net.toml", "photo.png", *labels, "-o", "page.html")
    assert "big dog" in json.dumps(data_of("page.html"), default=str)
    refusal = run_cli("grad", "photo.png", "-f", "edge", *labels, code=2).stderr
    assert "--labels does not go with --filter." in refusal
    assert "one name a line" in run_cli("run", "net.toml", "--labels", "photo.png", code=1).stderr


@pytest.mark.parametrize(
    ("name", "pixels_to"),
    [
        ("imagenet", lambda x: (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("imagenet-tf", lambda x: x * 2 - 1),
        ("0..1", lambda x: x),
        ("-1..1", lambda x: x * 2 - 1),
        ("0..255", lambda x: x * 255),
    ],
)
def test_prep_names_scale_mean_and_std(name: str, pixels_to: Any) -> None:
    np.testing.assert_allclose(taken("--prep", name), pixels_to(PHOTO / 255), rtol=1e-5, atol=1e-4)
    given = taken("--prep", name, "--mean", 0, "--std", 1, "--scale", 1)
    np.testing.assert_allclose(given, PHOTO / 255, rtol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "text", ["{0: 'cat', 1: 'dog'}", '["cat", "dog"]', "cat,dog", '{"0": "cat", "1": "dog"}']
)
def test_names_of_classes_in_metadata(text: str) -> None:
    from cnncli.network.load import load_model
    from tests.support.onnxmodels import model, node

    made = model([node("Conv", "x W", "y")], {"W": np.ones((2, 3, 1, 1), np.float32)}, (1, 3, 4, 4))
    made.metadata_props.add(key="names", value=text)
    Path("named.onnx").write_bytes(made.SerializeToString())
    assert load_model(Path("named.onnx")).classes == ("cat", "dog")
    Path("bad.onnx").write_bytes(made.SerializeToString().replace(b"names", b"other"))
    assert load_model(Path("bad.onnx")).classes == ()


def test_names_of_classes() -> None:
    from cnncli.network.load import load_model

    Path("net.toml").write_text('classes = ["cat"]\n' + COLOUR)
    assert load_model(Path("net.toml")).classes == ("cat",)
    Path("names.txt").write_text("\nowl \n")
    Path("net.toml").write_text('classes = "names.txt"\n' + COLOUR)
    assert load_model(Path("net.toml")).classes == ("owl",)
    run_cli("convert", "net.toml", "-o", "own.toml")
    assert load_model(Path("own.toml")).classes == ("owl",)
    for bad in ("classes = 3\n", 'classes = "none.txt"\n', "classes = [1]\n"):
        Path("net.toml").write_text(bad + COLOUR)
        assert "classes" in refused_untouched("run", "net.toml", "photo.png")


def test_a_picture_that_cannot_be_grey_says_who_asks_for_it() -> None:
    Path("net.toml").write_text('[input]\ngray = true\n[[layers]]\ntype = "pool"\n')
    save_array("x4.npy", np.zeros((4, 4, 4)))
    error = refused("run", "net.toml", "x4.npy", code=2)
    assert "a picture that is to be grey must have 1 or 3 channels, got 4" in error
    assert "a network that takes grey pictures" in error
