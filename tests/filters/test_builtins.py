"""The built-in filters: files, formulas and what their answers mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.errors import OptionError, nearest
from cnncli.filters import kernels
from cnncli.filters.builtin_names import builtin_file, builtin_names
from cnncli.filters.builtins import BUILTINS
from cnncli.filters.generators import GENERATORS
from tools.make_filters import main

SIDE = 33
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] - SIDE // 2


def picture(condition: np.ndarray) -> np.ndarray:
    return np.where(condition, 0.9, 0.1)


SPOT = picture((ROWS == 0) & (COLUMNS == 0))
PROBES = {
    "down": picture(ROWS > 0),
    "right": picture(COLUMNS > 0),
    "lower right": picture(ROWS + COLUMNS > 0),
    "upper left": picture(ROWS + COLUMNS < 1),
    "upper right": picture(COLUMNS - ROWS > 0),
    "bright spot": SPOT,
    "dark spot": 1 - SPOT,
    "line -": picture(ROWS == 0),
    "line |": picture(COLUMNS == 0),
    "line /": picture(ROWS == -COLUMNS),
    "line \\": picture(ROWS == COLUMNS),
}
ANSWERS = {
    "sobel_h": "down", "prewitt_h": "down", "scharr_h": "down", "central_difference_h": "down",
    "sobel_v": "right", "prewitt_v": "right", "scharr_v": "right",
    "central_difference_v": "right", "roberts": "upper left", "roberts_a": "upper left",
    "roberts_b": "upper right",
    "emboss": "lower right", "edge": "bright spot", "high_pass": "bright spot",
    "dog": "bright spot", "laplacian": "dark spot", "laplacian_8": "dark spot",
    "log": "dark spot", "line_h": "line -", "line_v": "line |", "line_45": "line /",
    "line_135": "line \\",
}  # fmt: skip
MEANS = [
    *("identity", "sharpen", "unsharp", "box", "box_5", "binomial_3", "binomial_5"),
    *("gaussian", "gaussian_3", "gaussian_5", "gaussian_7", "gaussian_15"),
    *("motion_blur", "motion_blur_h"),
]
BANKS = [
    *("kirsch", "robinson", "gabor_bank", "dct_8"),
    *("gabor_color", "color_opponent", "luminance"),
]


def answer(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel)


def centre_answers(image: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Return every map's answer to the window in the middle of an (H, W, C) image."""
    top, left = ((a - b) // 2 for a, b in zip(image.shape[:2], bank.shape[:2], strict=True))
    window = image[top : top + bank.shape[0], left : left + bank.shape[1]]
    return np.einsum("ijc,ijcm->m", window, bank)


def test_every_filter_is_judged_here():
    assert sorted([*ANSWERS, *MEANS, *BANKS]) == sorted(BUILTINS) == list(builtin_names())


def defaults(kind):
    return {parameter.name: parameter.default for parameter in kind.parameters}


@pytest.mark.parametrize("name", BUILTINS)
def test_file_equals_formula(name):
    stored = np.load(builtin_file(name), allow_pickle=False)
    made = BUILTINS[name].make()
    assert stored.dtype == made.dtype == np.float64
    np.testing.assert_allclose(stored, made, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "probe"), ANSWERS.items())
def test_sign_is_the_documented_one(name, probe):
    kernel = BUILTINS[name].make()
    response = answer(PROBES[probe], kernel)
    mirrored = answer(1 - PROBES[probe], kernel)
    flat = kernel.sum() * 0.5
    assert response.max() - flat > mirrored.max() - flat > -1e-12
    assert response.max() > flat + 0.05


@pytest.mark.parametrize("name", ANSWERS)
def test_detectors_are_silent_on_flat_areas(name):
    expected = 1 if name == "emboss" else 0
    assert BUILTINS[name].make().sum() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", MEANS)
def test_means_keep_the_mean(name):
    assert BUILTINS[name].make().sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("line", ["line_h", "line_v", "line_45", "line_135"])
def test_lines_prefer_their_own_direction(line):
    kernel = BUILTINS[line].make()
    peaks = {key: answer(PROBES[key], kernel).max() for key in PROBES if key.startswith("line")}
    assert max(peaks, key=peaks.get) == ANSWERS[line]


def test_gradients_h_and_v_are_transposes():
    for family in ("sobel", "prewitt", "scharr", "central_difference"):
        horizontal, vertical = (BUILTINS[f"{family}_{axis}"].make() for axis in "hv")
        np.testing.assert_array_equal(horizontal, vertical.T)


@pytest.mark.parametrize("name", ["kirsch", "robinson"])
def test_compass_maps_point_where_it_gets_brighter(name):
    for index in range(8):
        angle = np.radians(45 * index)
        uphill = np.cos(angle) * -ROWS + np.sin(angle) * COLUMNS
        image = picture(uphill > 0.1)[:, :, None]
        assert centre_answers(image, BUILTINS[name].make()).argmax() == index


def test_kirsch_is_the_published_one():
    expected = [[5, 5, 5], [-3, 0, -3], [-3, -3, -3]]
    assert BUILTINS["kirsch"].make()[:, :, 0, 0].tolist() == expected


@pytest.mark.parametrize("index", range(8))
def test_gabor_bank_answers_bars_of_its_angle(index):
    bank = BUILTINS["gabor_bank"].make()
    angle = np.radians(22.5 * index)
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (COLUMNS * np.cos(angle) + ROWS * np.sin(angle)) / 6)
    answers = centre_answers(wave[:, :, None], bank)
    assert answers.argmax() == index
    assert 0.3 < answers[index] <= 1


def test_gabor_banks_are_balanced_and_bounded():
    for name in ("gabor_bank", "gabor_color"):
        bank = BUILTINS[name].make()
        np.testing.assert_allclose(bank.sum(axis=(0, 1)), 0, atol=1e-14)
        np.testing.assert_allclose(np.maximum(bank, 0).sum(axis=(0, 1, 2)), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("map_name", "image"),
    [
        ("bw_edge_0", picture(COLUMNS > 0)[..., None] * [1, 1, 1]),
        ("bw_edge_90", picture(ROWS > 0)[..., None] * [1, 1, 1]),
        ("bw_bar_0", picture(abs(COLUMNS) < 2)[..., None] * [1, 1, 1]),
        ("rg_bar_90", np.stack([abs(ROWS) < 3, abs(ROWS) >= 3, 0 * ROWS], axis=-1)),
        ("by_edge_0", np.stack([COLUMNS < 0, COLUMNS < 0, COLUMNS > 0], axis=-1)),
    ],
)
def test_gabor_color_answers_its_colours(map_name, image):
    entry = BUILTINS["gabor_color"]
    index = entry.map_names.index(map_name)
    assert centre_answers(image.astype(float), entry.make())[index] > 0.3


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((1, 0, 0), (1, -0.5, 1 / 3)),
        ((0, 1, 0), (-1, -0.5, 1 / 3)),
        ((0, 0, 1), (0, 1, 1 / 3)),
        ((1, 1, 0), (0, -1, 2 / 3)),
        ((1, 1, 1), (0, 0, 1)),
    ],
)
def test_color_opponent_signs(colour, expected):
    flat = np.broadcast_to(np.array(colour, dtype=float), (9, 9, 3))
    answers = centre_answers(flat, BUILTINS["color_opponent"].make())
    np.testing.assert_allclose(answers, expected, atol=1e-14)


def test_luminance():
    pixel = np.array([[[1.0, 0.5, 0.0]]])
    assert centre_answers(pixel, BUILTINS["luminance"].make()) == pytest.approx([0.5925])


def test_dct_basis_is_orthonormal():
    basis = BUILTINS["dct_8"].make().reshape(64, 64)
    np.testing.assert_allclose(basis.T @ basis, np.eye(64), atol=1e-12)
    assert BUILTINS["dct_8"].make()[:, 0, 0, 1] == pytest.approx(np.full(8, basis[0, 1]))


@pytest.mark.parametrize("name", BUILTINS)
def test_map_names_fit_the_bank(name):
    entry = BUILTINS[name]
    shape = entry.make().shape
    maps = 1 if len(shape) == 2 else shape[3]
    assert len(entry.map_names) == (maps if maps > 1 else 0)
    assert len(set(entry.map_names)) == len(entry.map_names)
    assert entry.summary and entry.sign


def test_make_returns_a_fresh_array_each_time():
    for entry in BUILTINS.values():
        entry.make()[...] = 7
    assert main(["--check"]) == 0


def test_rewriting_changes_no_byte(tmp_path):
    readme = Path(str(builtin_file("edge"))).parent / "README.md"
    pages = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "README.md").write_bytes(readme.read_bytes())
        assert main(["--folder", str(folder)]) == 0
        pages.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert pages[0] == pages[1]
    assert pages[0]["README.md"] == readme.read_bytes()
    assert len(pages[0]) == len(BUILTINS) + 1


def test_check_names_what_is_stale(tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- table: begin -->\n<!-- table: end -->\n")
    main(["--folder", str(tmp_path)])
    np.save(tmp_path / "edge.npy", np.ones((3, 3)))
    np.save(tmp_path / "mine.npy", np.ones((3, 3)))
    assert main(["--check", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "stale: edge.npy\nstale: mine.npy\n"


def test_names_and_kinds_load_no_numpy():
    code = (
        "import sys, cnncli.filters.generators, cnncli.filters.builtin_names as n;"
        "assert 'edge' in n.builtin_names();"
        "assert not {'numpy', 'PIL'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nearest_forgives_case_and_dashes():
    assert nearest("Sobel-H", builtin_names())[0] == "sobel_h"
    assert nearest("x" * 100_000, builtin_names()) == []


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
def test_table_of_kinds_agrees_with_the_functions(kind):
    import inspect

    signature = inspect.signature(getattr(kernels, kind.name))
    assert {name: p.default for name, p in signature.parameters.items()} == defaults(kind)
    weights = kind.make()
    assert weights.dtype == np.float64
    assert np.isfinite(weights).all()
    np.testing.assert_array_equal(weights, kind.make(**defaults(kind)))


def bad_values():
    for name, values in {
        "size": [0, -1, 1002, True, 2.5, (3,), (3, 3, 3), (0, 3), (3, 2.0)],
        "sigma": [0, -1, float("nan"), float("inf"), 1e9],
        "ratio": [1, 0.5, float("nan")],
        "amount": [float("nan"), 1e9],
        "wavelength": [1, float("inf")],
        "gamma": [0, -1],
        "theta": [float("nan")],
        "angle": [float("inf")],
        "phase": [1e9],
        "orientations": [0, 1.5, 10**9],
        "axis": ["x", ""],
        "neighbours": ["6"],
        "channels_in": [0, 10**9],
        "channels_out": [-1, 2**25],
        "seed": [-1, 1.5],
    }.items():
        kinds = [kind for kind in GENERATORS.values() if name in defaults(kind)]
        for kind in kinds:
            yield from ((kind, name, value) for value in values)


@pytest.mark.parametrize(
    ("kind", "name", "value"), list(bad_values()), ids=lambda v: getattr(v, "name", str(v))
)
def test_bad_parameters_are_named(kind, name, value):
    with pytest.raises(OptionError) as caught:
        kind.make(**{name: value})
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "size"), [("sobel", 4), ("sobel", 1), ("unsharp", (3, 4))])
def test_sizes_that_must_be_odd(kind, size):
    with pytest.raises(OptionError, match=r"^size must be odd"):
        GENERATORS[kind].make(size=size)


def test_none_stands_for_the_default():
    assert GENERATORS["box"].make(size=None).shape == (3, 3)


sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@given(sizes, st.floats(0.01, 100))
def test_gaussians_are_normalised_rank_one_and_symmetric(size, sigma):
    weights = kernels.gaussian(size, sigma)
    assert weights.shape == size
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.linalg.matrix_rank(weights) == 1
    np.testing.assert_allclose(weights, weights[::-1, ::-1], rtol=1e-12, atol=1e-300)


@given(sizes, st.floats(0.1, 100))
def test_log_and_dog_are_zero_sum_of_rank_two(size, sigma):
    for weights in (kernels.log(size, sigma), kernels.dog(size, sigma)):
        assert abs(weights.sum()) <= 1e-9 * max(np.abs(weights).sum(), 1e-3)
        assert np.linalg.matrix_rank(weights, tol=1e-9) <= 2


@given(sizes, st.floats(-720, 720))
def test_motion_keeps_the_mean_at_every_angle(size, angle):
    weights = kernels.motion(size, angle)
    assert weights.shape == size
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights.min() >= 0


def test_motion_is_a_mean_along_the_line():
    np.testing.assert_array_equal(kernels.motion(9, -45), np.eye(9) / 9)
    np.testing.assert_array_equal(kernels.motion(5, 45), np.eye(5)[::-1] / 5)
    np.testing.assert_allclose(kernels.motion(5, 90), kernels.motion(5, 0).T, atol=1e-15)


def test_larger_sobels_are_the_known_ones():
    derivative, smooth = [-1, -2, 0, 2, 1], [1, 4, 6, 4, 1]
    np.testing.assert_array_equal(kernels.sobel(5, "h"), np.outer(derivative, smooth))
    np.testing.assert_array_equal(kernels.sobel(5, "v"), np.outer(smooth, derivative))


def test_random_is_reproducible_and_he_normal():
    weights = kernels.random(5, 16, 64, seed=3)
    np.testing.assert_array_equal(weights, kernels.random(5, 16, 64, seed=3))
    assert not np.array_equal(weights, kernels.random(5, 16, 64, seed=4))
    assert weights.var() == pytest.approx(2 / (25 * 16), rel=0.05)


@pytest.mark.oracle
@pytest.mark.parametrize("side", [3, 5, 7, 15])
def test_gaussian_default_agrees_with_opencv(side):
    cv2 = pytest.importorskip("cv2")
    # Beneath 9 and without a sigma OpenCV answers from a table, so it gets its own rule's sigma.
    line = cv2.getGaussianKernel(side, 0.3 * ((side - 1) * 0.5 - 1) + 0.8)
    np.testing.assert_allclose(kernels.gaussian(side), line @ line.T, rtol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("theta", [0, 30, 90, 135])
def test_gabor_agrees_with_opencv(theta):
    cv2 = pytest.importorskip("cv2")
    # OpenCV turns its kernel by 180 degrees, which changes the sign of the phase.
    theirs = cv2.getGaborKernel((15, 15), 3.0, np.radians(theta), 6.0, 0.5, np.radians(40))
    np.testing.assert_allclose(
        kernels.gabor(15, 6, theta, 3, 0.5, -40), theirs, rtol=1e-9, atol=1e-12
    )


def test_gabor_orientations_turn():
    bank = kernels.gabor((9, 11), 4, 10, orientations=4)
    assert bank.shape == (9, 11, 1, 4)
    np.testing.assert_allclose(bank[:, :, 0, 3], kernels.gabor((9, 11), 4, 145), atol=1e-12)
