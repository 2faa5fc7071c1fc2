"""``cnncli filters``: list, show, make and export."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shell import refused_untouched, run_cli, run_process, save, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")

FILTERS = Path(__file__).resolve().parents[2] / "filters"
NAMES = sorted(path.stem for path in FILTERS.glob("*.npy"))
KERNEL = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])


def made(*args: object) -> np.ndarray:
    """Run ``filters make`` and load what it wrote."""
    run_cli("filters", "make", *args, "-o", "made.npy", "--overwrite")
    return np.asarray(np.load("made.npy"))


def facts(*args: object) -> dict[str, Any]:
    """Return what ``filters show --json`` prints."""
    return dict(json.loads(run_cli("filters", "show", *args, "--json").stdout))


def test_list_names_every_filter_with_its_shape() -> None:
    lines = run_cli("filters", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == NAMES
    for line in lines[1:]:
        name, shape = line.split()[:2]
        assert shape == "x".join(map(str, np.load(FILTERS / f"{name}.npy").shape))


def test_show_says_when_the_other_layout_is_likelier() -> None:
    save_array("w.npy", np.arange(72.0).reshape(8, 1, 3, 3))
    wanted = "note: w read as hwio, window 8x1, 3 maps; --filter-layout oihw is likelier"
    assert run_cli("filters", "show", "w.npy").stderr.startswith(wanted)
    right = run_cli("filters", "show", "w.npy", "--filter-layout", "oihw")
    assert not right.stderr and "window 3x3, channels in 1, maps 8" in right.stdout
    # A network knows the order of its axes.
    Path("net.toml").write_text('[[layers]]\nname = "c"\ntype = "conv"\nfilter = "w.npy"\n')
    assert not run_cli("filters", "show", "net.toml:c").stderr


def test_list_as_json() -> None:
    rows = [json.loads(line) for line in run_cli("filters", "list", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == NAMES
    assert all(set(row) == {"name", "shape", "summary", "positive"} for row in rows)
    assert all(row["summary"] for row in rows)


@pytest.mark.parametrize("name", ["edge", "sobel_h", "kirsch", "gabor_color", "luminance", "log"])
def test_show_knows_the_sums_and_the_output_range(name: str) -> None:
    weights = np.load(FILTERS / f"{name}.npy")
    columns = weights.reshape(-1, 1 if weights.ndim < 4 else weights.shape[3])
    shown = facts(name)
    assert (shown["name"], shown["shape"]) == (name, list(weights.shape))
    assert shown["weights"] == weights.size
    for column, entry in zip(columns.T, shown["maps"], strict=True):
        assert math.isclose(entry["sum"], column.sum(), abs_tol=1e-12)
        assert entry["zero_sum"] == (abs(column.sum()) < 1e-9 * np.abs(column).sum())
        expected = [np.minimum(column, 0).sum(), np.maximum(column, 0).sum()]
        np.testing.assert_allclose(entry["output_range"], expected, atol=1e-12)


def test_show_finds_the_separable_pair() -> None:
    (entry,) = facts("1 2 1; 2 4 2; 1 2 1")["maps"]
    (pair,) = entry["separable"]
    assert np.array_equal(np.outer(pair["column"], pair["row"]), KERNEL)
    assert entry["ranks"] == [1] and "left-right" in entry["symmetric"]
    (entry,) = facts("edge")["maps"]
    assert entry["ranks"] == [2] and entry["separable"] == [None]


def test_show_of_any_file_in_any_layout() -> None:
    save_array("w.npy", np.arange(2 * 3 * 5 * 4.0).reshape(2, 3, 5, 4))
    assert (facts("w.npy")["window"], facts("w.npy")["channels_in"]) == ([2, 3], 5)
    oihw = facts("w.npy", "--filter-layout", "oihw")
    assert (oihw["window"], oihw["channels_in"], len(oihw["maps"])) == ([5, 4], 3, 2)
    assert math.isclose(oihw["maps"][1]["sum"], np.arange(60.0, 120).sum())


def test_show_counts_the_bias_of_the_file() -> None:
    np.savez("layer.npz", W=np.ones((2, 2)), b=np.array([0.5]))
    (entry,) = facts("layer.npz")["maps"]
    assert (entry["bias"], entry["output_range"]) == (0.5, [0.5, 4.5])


def test_show_prints_the_numbers_for_people() -> None:
    shown = run_cli("filters", "show", "edge").stdout
    rows = [" ".join(f"{value:g}" for value in row) for row in np.load(FILTERS / "edge.npy")]
    assert "\n".join(rows) in "\n".join(" ".join(line.split()) for line in shown.splitlines())
    for words in ("-8 to 8", "not separable", "(3,3)"):
        assert words in shown


@pytest.mark.parametrize("word", ["sobel_q", "nowhere.npy", "1 2; 3", ""])
def test_show_of_nothing(word: str) -> None:
    error = refused_untouched("filters", "show", word, code=2)
    assert "sobel_v" in error or word != "sobel_q"


def gaussian(size: int, sigma: float) -> np.ndarray:
    x = np.arange(size) - (size - 1) / 2
    line = np.exp(-(x**2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


CROSS = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
DELTA = np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
KINDS: list[tuple[tuple[Any, ...], np.ndarray]] = [
    (("identity",), DELTA),
    (("box", "--size", "2,4"), np.full((2, 4), 1 / 8)),
    (("binomial",), KERNEL / 16),
    (("binomial", "--size", "1,5"), np.array([[1, 4, 6, 4, 1]]) / 16),
    (("gaussian",), gaussian(5, 1.1)),
    (("gaussian", "--size", 7, "--sigma", 2), gaussian(7, 2)),
    (("sobel",), SOBEL.T),
    (("sobel", "--axis", "v"), SOBEL),
    (("laplacian",), CROSS),
    (("laplacian", "--neighbours", 8), np.ones((3, 3)) - 9 * DELTA),
    (("sharpen",), DELTA - CROSS),
    (("sharpen", "--amount", 0.5), DELTA - CROSS / 2),
    (("unsharp", "--size", 3, "--sigma", 1, "--amount", 2), 3 * DELTA - 2 * gaussian(3, 1)),
    (("motion", "--size", 5, "--angle", 0), np.pad(np.full((1, 5), 0.2), ((2, 2), (0, 0)))),
    (("motion", "--size", 3, "--angle", 90), np.pad(np.full((3, 1), 1 / 3), ((0, 0), (1, 1)))),
]


@pytest.mark.parametrize(("args", "expected"), KINDS, ids=lambda value: str(value)[:40])
def test_kinds_by_their_formula(args: tuple[Any, ...], expected: np.ndarray) -> None:
    got = made(*args)
    assert got.dtype == np.float64 and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(
    "args",
    [("log",), ("log", "--size", 7, "--sigma", 1), ("dog",), ("dog", "--sigma", 1, "--ratio", 2)],
)
def test_blobs_are_zero_sum_and_symmetric(args: tuple[Any, ...]) -> None:
    got = made(*args)
    assert abs(got.sum()) < 1e-12
    np.testing.assert_allclose(got, got[::-1, ::-1], atol=1e-15)
    np.testing.assert_allclose(got, got.T, atol=1e-15)
    # The Laplacian is negative in a bright blob, the narrow minus the wide Gaussian positive.
    assert np.sign(got[got.shape[0] // 2, got.shape[1] // 2]) == (-1 if args[0] == "log" else 1)


def test_gabor() -> None:
    wave = ("--size", 11, "--wavelength", 5, "--sigma", 2, "--gamma", 1)
    upright = made("gabor", *wave)
    np.testing.assert_allclose(made("gabor", *wave, "--theta", 90), upright.T, atol=1e-12)
    np.testing.assert_allclose(upright, upright[:, ::-1], atol=1e-12)
    odd = made("gabor", *wave, "--phase", -90)
    np.testing.assert_allclose(odd, -odd[:, ::-1], atol=1e-12)
    bank = made("gabor", *wave, "--orientations", 4)
    assert bank.shape == (11, 11, 1, 4)
    for index in range(4):
        alone = made("gabor", *wave, "--theta", 45 * index)
        np.testing.assert_allclose(bank[:, :, 0, index], alone, atol=1e-12)


def test_random_is_he_normal_and_repeats() -> None:
    args = ("random", "--size", 5, "--channels-in", 8, "--channels-out", 32)
    first = made(*args, "--seed", 3)
    assert first.shape == (5, 5, 8, 32)
    assert np.array_equal(made(*args, "--seed", 3), first)
    assert not np.array_equal(made(*args, "--seed", 4), first)
    assert abs(first.std() / math.sqrt(2 / (5 * 5 * 8)) - 1) < 0.05 and abs(first.mean()) < 0.01


def test_what_was_made_is_a_filter() -> None:
    made("box", "--size", 3)
    save_array("x.npy", np.arange(25.0).reshape(5, 5))
    got = values_of("conv", "x.npy", "-f", "made.npy", "--padding", "valid")
    np.testing.assert_allclose(got[:, :, 0], np.arange(25.0).reshape(5, 5)[1:4, 1:4])


def test_make_says_what_it_wrote() -> None:
    result = run_cli("filters", "make", "box", "-o", "b.npy")
    assert result.stdout == "" and result.stderr == "b.npy: 3x3, sum 1\n"


@pytest.mark.parametrize(
    "args",
    [
        ("box", "--size", 0),
        ("box", "--size", "3,x"),
        ("box", "--size", 5000),
        ("box", "--sigma", 1),
        ("gaussian", "--sigma", 0),
        ("gaussian", "--sigma", "nan"),
        ("sobel", "--size", 4),
        ("sobel", "--axis", "x"),
        ("laplacian", "--neighbours", 6),
        ("gabor", "--wavelength", 1),
        ("gabor", "--gamma", 0),
        ("gabor", "--orientations", 0),
        ("dog", "--ratio", 1),
        ("random", "--channels-out", 0),
        ("random", "--channels-in", 10**9),
        ("random", "--seed", -1),
        ("nokind",),
    ],
    ids=lambda args: " ".join(map(str, args)),
)
def test_make_of_what_cannot_be(args: tuple[Any, ...]) -> None:
    error = refused_untouched("filters", "make", *args, "-o", "m.npy", code=2)
    assert str(args[-2] if len(args) > 1 else args[0]).strip("-").split("-")[0] in error


def test_make_needs_an_output() -> None:
    assert "--output" in refused_untouched("filters", "make", "box", code=2)


@pytest.mark.parametrize("name", NAMES)
def test_export_is_the_file_of_the_repository(name: str) -> None:
    result = run_cli("filters", "export", name)
    assert Path(f"{name}.npy").read_bytes() == (FILTERS / f"{name}.npy").read_bytes()
    assert (result.stdout, result.stderr) == ("", f"{name}.npy\n")


@pytest.mark.parametrize(
    ("output", "path"), [("own.npy", "own.npy"), ("folder", "folder/edge.npy"), ("new/", None)]
)
def test_export_to_a_place(output: str, path: str | None) -> None:
    Path("folder").mkdir()
    path = path or "new/edge.npy"
    run_cli("filters", "export", "edge.npy", "-o", output)
    assert Path(path).read_bytes() == (FILTERS / "edge.npy").read_bytes()


@pytest.mark.parametrize("command", [("export", "edge"), ("make", "box")])
def test_nothing_is_overwritten_unasked(command: tuple[str, ...]) -> None:
    Path("old.npy").write_bytes(b"precious")
    error = refused_untouched("filters", *command, "-o", "old.npy")
    assert "'old.npy'" in error and "--overwrite" in error
    run_cli("filters", *command, "-o", "old.npy", "--overwrite")
    assert np.load("old.npy").shape == (3, 3)


@pytest.mark.parametrize("command", [("export", "edge"), ("make", "box")])
@pytest.mark.parametrize("output", ["missing/x.npy", "/dev/full", "x.png/y.npy"])
def test_outputs_that_cannot_be(command: tuple[str, ...], output: str) -> None:
    save("x.png", np.zeros((2, 2), np.uint8))
    error = refused_untouched("filters", *command, "-o", output)
    assert error.startswith(f"cnncli: error: '{output}': ")


def test_hints_of_the_overwrite_guard_are_options_of_the_command() -> None:
    Path("edge.npy").write_bytes(b"precious")
    error = refused_untouched("filters", "export", "edge")
    assert "--skip-existing" not in error


@pytest.mark.parametrize("name", ["edgy", "../filters/edge", "", "edge.npy.npy"])
def test_export_of_an_unknown_name(name: str) -> None:
    assert "filters list" in refused_untouched("filters", "export", name, code=2)


def test_export_to_standard_output() -> None:
    done = run_process("filters", "export", "edge", "-o", "-")
    assert done.stdout == (FILTERS / "edge.npy").read_bytes() and not Path("-").exists()


def test_make_to_standard_output() -> None:
    done = run_process("filters", "make", "box", "-o", "-")
    assert done.stdout[:6] == b"\x93NUMPY" and not Path("-").exists()


@pytest.mark.parametrize("name", ["two\nlines.npy", "\x1b[31m.npy", "a b.npy"])
def test_reports_escape_names(name: str) -> None:
    for command in (("export", "edge"), ("make", "box")):
        told = run_cli("filters", *command, "-o", name, "--overwrite").stderr
        assert told.endswith("\n") and told[:-1].isprintable()
        assert Path(name).exists()


LAYERS = """
[[layers]]
name = "conv1"
type = "conv"
filter = "w.npy"
bias = [1, 2, 3, 4]
stride = 2
padding = [0, 1]
activation = "relu"

[[layers]]
type = "pool"

[[layers]]
name = "last"
type = "conv"
filter = "v.npy"
"""


def test_layers_of_networks_are_filters_in_every_command() -> None:
    rng = np.random.default_rng(8)
    save_array("w.npy", rng.standard_normal((3, 3, 2, 4)))
    save_array("v.npy", rng.standard_normal((1, 1, 4, 5)))
    save_array("x.npy", rng.standard_normal((6, 7, 2)))
    Path("net.toml").write_text(LAYERS)
    result = run_cli("conv", "x.npy", "-f", "net.toml:conv1", "-o", "plain.npy")
    assert "conv1: the filter and bias alone; its layer has" in result.stderr
    save_array("b.npy", np.arange(1.0, 5.0))
    expected = values_of("conv", "x.npy", "-f", "w.npy", "--bias", "b.npy")
    np.testing.assert_array_equal(np.load("plain.npy"), expected)
    said = result.stderr.partition("its layer has ")[2].split()
    assert said == ["--padding", "0,1", "--stride", "2", "--activation", "relu"]
    np.testing.assert_array_equal(
        values_of("conv", "x.npy", "-f", "net.toml:conv1", *said),
        values_of("run", "net.toml", "x.npy", "--layer", "conv1"),
    )
    shown = run_cli("explain", "x.npy", "-f", "net.toml:conv1", "--map", "1").stdout
    assert "bias       + 2 =" in shown
    assert "bias        4" in run_cli("filters", "show", "net.toml:conv1").stdout


def test_settings_that_conv_has_no_option_for_and_names_with_colons() -> None:
    save_array("w.npy", np.ones((3, 3, 2, 4)))
    save_array("x.npy", np.ones((6, 7, 2)))
    layer = '[[layers]]\nname = "{}"\ntype = "{}"\nfilter = "w.npy"\n{}\n'
    text = layer.format("my:conv", "conv", 'activation = "leaky-relu"\nalpha = 0.3')
    Path("net.toml").write_text(text)
    said = run_cli("conv", "x.npy", "-f", "net.toml:my:conv", "-o", "y.npy").stderr
    assert "an alpha, which conv has no option for" in said
    save_array("w.npy", np.ones((2, 2, 3, 2)))
    Path("up.toml").write_text(layer.format("up", "conv-transpose", "stride = 2"))
    error = run_cli("conv", "x.npy", "-f", "up.toml:up", code=2).stderr
    assert "a layer with a filter must be named: none" in error


def test_a_layer_that_is_no_filter_is_answered_with_those_that_are() -> None:
    save_array("w.npy", np.ones((3, 3, 2, 4)))
    save_array("v.npy", np.ones((1, 1, 4, 5)))
    save_array("x.npy", np.ones((6, 7, 2)))
    Path("net.toml").write_text(LAYERS)
    for command in (("conv", "x.npy", "-f"), ("filters", "show")):
        for name in (":pool1", ""):
            error = run_cli(*command, f"net.toml{name}", code=2).stderr
            assert "a layer with a filter must be named: conv1, last" in error
            assert "hint: write 'net.toml:conv1'" in error
        error = run_cli(*command, "net.toml:lasst", code=2).stderr
        assert "no layer 'lasst' with a filter; nearest: last" in error
        error = run_cli(*command, "nett.toml:last", code=2).stderr
        assert "'nett.toml': no such file" in error and "there is 'net.toml'" in error
    # Files of networks name files and built-ins alone.
    Path("other.toml").write_text('[[layers]]\ntype = "conv"\nfilter = "net.toml:last"\n')
    error = run_cli("plan", "other.toml", code=1).stderr
    assert "a layer of a network, where a filter is needed" in error
    assert "'cnncli convert net.toml' writes its weights as a file" in error


LIKE = " --convention imagemagick\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("gaussian:0x2.5", "hint: gaussian:2.5\n"),
        ("Gaussian:0x2", "hint: gaussian:2\n"),
        ("Gaussian:2x1", "hint: gaussian:1,size=5\n"),
        ("Gaussian:2", "hint: gaussian:2\n"),
        ("gaussian:3x1.5", "hint: gaussian:1.5,size=7\n"),
        ("3x3: 0,1,0 1,-4,1 0,1,0", f'hint: write "0 1 0; 1 -4 1; 0 1 0"{LIKE}'),
        ("3: 0,1,0, 1,-4,1, 0,1,0", f'hint: write "0 1 0; 1 -4 1; 0 1 0"{LIKE}'),
        ("2x1+0+0:-1,1", f'hint: write "-1 1"{LIKE}'),
        ("3x3: 1,2", "no such file and no such filter"),
        ("Blur:0x2", "nearest built-in: gaussian, box"),
        ("Sobel:90", "nearest built-in: sobel_v, sobel_h"),
    ],
)
def test_kernels_of_imagemagick_are_answered_with_ours(
    text: str, answer: str, empty_folder: Path
) -> None:
    save("photo.png", np.full((5, 5), 9, np.uint8))
    assert answer in run_cli("conv", "photo.png", "-f", text, code=2).stderr


def test_numbers_of_a_square_in_one_row_are_noted(empty_folder: Path) -> None:
    save("photo.png", np.full((5, 5), 9, np.uint8))
    said = run_cli("conv", "photo.png", "-f", "0 -1 0 -1 5 -1 0 -1 0").stderr
    assert "your-filter: one row of 9 numbers; for 3x3 end each row with ';'" in said
    for text in ("1 2 3", "1 2 3 4", "1 2 3; 4 5 6; 7 8 9"):
        assert "one row" not in run_cli("conv", "photo.png", "-f", text, "--overwrite").stderr
