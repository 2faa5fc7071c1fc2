"""Wrong arguments from Python: one error of cnncli's own, which names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError
from tests.support.pages import REPOSITORY
from tests.support.shell import save

EDGES = REPOSITORY / "examples" / "edges.toml"
IMAGE = np.eye(12)

pytestmark = pytest.mark.usefixtures("empty_folder")

CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "memory as text": (
        lambda: cnncli.conv(IMAGE, "edge", max_memory="500MB"),  # type: ignore[arg-type]
        "max_memory must be a whole number of at least 1, got '500MB'",
    ),
    "frame as text": (
        lambda: cnncli.pool(IMAGE, frame="x"),  # type: ignore[arg-type]
        "frame must be a whole number of at least 0, got 'x'",
    ),
    "lists of unlike lengths as a filter": (
        lambda: cnncli.conv(IMAGE, [[1, 2], [3]]),  # type: ignore[list-item]
        r"filter must be an array of numbers, got '\[\[1, 2\], \[3\]\]'",
    ),
    "lists of unlike lengths as upstream": (
        lambda: cnncli.load(EDGES).grad(IMAGE, "edges", upstream=[1, [2]]),  # type: ignore[list-item]
        "upstream must be an array of numbers",
    ),
    "complex upstream": (
        lambda: cnncli.load(EDGES).grad(IMAGE, "edges", upstream=np.ones((12, 12, 8), complex)),
        "arrays must hold real numbers, got dtype complex128",
    ),
    "upstream beyond single precision": (
        lambda: cnncli.load(EDGES).grad(
            np.ones((12, 12, 3), np.float32), "edges", upstream=np.full((12, 12, 8), 1e300)
        ),
        "--upstream must hold finite numbers",
    ),
    "a scale that is a word": (
        lambda: cnncli.load(EDGES, scale="x"),  # type: ignore[arg-type]
        "--scale must be a number, got 'x'",
    ),
    "an empty unit": (lambda: cnncli.load(EDGES).grad(IMAGE, ""), "no layer ''"),
    "a tuple for a unit": (
        lambda: cnncli.load(EDGES).grad(IMAGE, ("edges", 0)),  # type: ignore[arg-type]
        "no layer ",
    ),
    "a text for a place": (
        lambda: cnncli.explain(IMAGE, "edge", at="3,4"),  # type: ignore[arg-type]
        "at must be a row and a column, got '3,4'",
    ),
    "a count that is none": (
        lambda: cnncli.load(EDGES).grad(IMAGE, "edges:0,2,2").check("zz"),
        "count must be auto or a whole number above 0, got 'zz'",
    ),
    "a count below 1": (
        lambda: cnncli.load(EDGES).grad(IMAGE, "edges:0,2,2").check(-1),
        "count must be auto or a whole number above 0, got -1",
    ),
    "one number for a place": (
        lambda: cnncli.explain(IMAGE, "edge", at=(1,)),  # type: ignore[arg-type]
        r"at must be a row and a column, got \(1,\)",
    ),
    "three numbers for a size": (
        lambda: cnncli.load(EDGES, size=(32, 32, 3)),  # type: ignore[arg-type]
        "size must be one or two whole numbers of at least 1",
    ),
    "size 0": (lambda: cnncli.load(EDGES, size=0), "size must be one or two whole numbers"),
    "a mean that is a word": (
        lambda: cnncli.load(EDGES, mean="x"),  # type: ignore[arg-type]
        "--mean must be a number or several, got 'x'",
    ),
    "two means beside the std of a preparation": (
        lambda: cnncli.load(EDGES, prep="imagenet", mean=(1.0, 2.0)),
        "--mean and the std of --prep imagenet must have the same length, got 2 and 3",
    ),
    "a masked picture": (
        lambda: cnncli.pool(np.ma.masked_array(np.eye(2), mask=np.eye(2))),
        "an image must not be masked",
    ),
    "a masked filter": (
        lambda: cnncli.conv(IMAGE, np.ma.masked_array(np.eye(2), mask=np.eye(2))),
        "filter must not be masked",
    ),
    "a place with a truth for a side": (
        lambda: cnncli.load(EDGES).plan((True, 7, 3)),
        r"input must be \(H, W, C\) or \(H, W\)",
    ),
    "a power that is a text": (
        lambda: cnncli.pool(IMAGE, "lp", p="2"),  # type: ignore[arg-type]
        "p must be a number above 0, got '2'",
    ),
}

FIELDS: dict[str, tuple[Any, ...]] = {
    "pad_value must be a number": ("3", 1 + 1j, [1, 2], np.array([1.0, 2.0])),
    **dict.fromkeys(
        [f"{name} must be a whole number of at least 1" for name in ("jobs", "groups")],
        (0, -3, 1.5, "2", True),
    ),
    **dict.fromkeys(
        [f"{name} must be a whole number of at least 1" for name in ("max_pixels", "max_memory")],
        (-1, 2.0, True),
    ),
    "frame must be a whole number of at least 0": (-1, True),
    **dict.fromkeys(
        [f"{name} must be True or False" for name in ("flip", "normalize", "gray", "as_values")],
        ("no", 2, np.array([True, False])),
    ),
}


@pytest.mark.parametrize(
    ("said", "value"), [(said, value) for said, values in FIELDS.items() for value in values]
)
def test_a_value_of_another_kind_is_refused(said: str, value: Any) -> None:
    name = said.split()[0]
    with pytest.raises(OptionError, match=f"^{said}, got "):
        cnncli.conv(IMAGE, "edge", **{name: value})


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda **one: cnncli.explain(IMAGE, "edge", **one), "backward trail gray"),
        (lambda **one: cnncli.load(EDGES).explain(IMAGE, **one), "backward trail"),
        (lambda **one: cnncli.explain(IMAGE, "edge").save("a.html", **one), "overwrite"),
        (lambda **one: cnncli.conv(IMAGE, "edge").save("a.png", **one), "overwrite"),
        (lambda **one: cnncli.conv(IMAGE, "edge").shown(**one), "shared_range labels legend"),
        (lambda **one: cnncli.pool(IMAGE, **one), "ceil count_include_pad"),
        (lambda **one: cnncli.load(EDGES, **one), "bgr"),
    ],
)
def test_a_word_is_no_flag(call: Callable[..., Any], names: str) -> None:
    for name in names.split():
        with pytest.raises(OptionError, match=f"^{name} must be True or False, got 'no'"):
            call(**{name: "no"})


def test_counts_of_sheets_and_frames_are_whole_numbers() -> None:
    for value in (0, 1.5, True):
        with pytest.raises(OptionError, match="^columns must be a whole number of at least 1, got"):
            cnncli.conv(IMAGE, "edge").shown(columns=value)  # type: ignore[arg-type]
        for name in ("cells", "frames"):
            with pytest.raises(OptionError, match=f"^{name} must be a whole number of at least 1"):
                cnncli.explain(IMAGE, "edge").save("a.gif", **{name: value})  # type: ignore[arg-type]


def test_arrays_of_numpy_are_taken_for_numbers_and_pairs() -> None:
    bank = np.ones((3, 3))
    for name, size in (("stride", [2, 1]), ("dilation", [2, 1]), ("padding", [1, 0])):
        expected = cnncli.conv(IMAGE, bank, **{name: tuple(size)})
        assert (cnncli.conv(IMAGE, bank, **{name: np.array(size)}) == expected).all()
    assert (cnncli.pool(IMAGE, size=np.array([2, 1])) == cnncli.pool(IMAGE, size=(2, 1))).all()
    one = cnncli.conv(IMAGE, bank, dilation=np.array(2), flip=np.True_)
    assert (one == cnncli.conv(IMAGE, bank, dilation=2, flip=True)).all()


@pytest.mark.parametrize(("call", "said"), CALLS.values(), ids=CALLS)
def test_a_wrong_argument_is_named(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        call()


def test_numbers_of_numpy_and_lists_are_taken() -> None:
    colour = np.random.default_rng(4).uniform(size=(12, 12, 3))
    Path("net.toml").write_text("[[layers]]\ntype = 'pool'\n")
    one, other = (
        cnncli.load("net.toml", size=size, mean=mean, std=std).run(colour).last
        for size, mean, std in (
            (8, (0.1, 0.2, 0.3), 2.0),
            (np.int64(8), np.array([0.1, 0.2, 0.3]), np.float64(2)),
        )
    )
    np.testing.assert_array_equal(one, other)
    assert cnncli.load("net.toml", mean=[0.5, 0.5, 0.5]).run(colour).last.shape == (6, 6, 3)


def test_a_layer_may_be_one_name_or_a_number() -> None:
    net = cnncli.load(EDGES)
    assert [*net.run(IMAGE, layers="edges")] == [*net.run(IMAGE, layers=["2"])] == ["edges"]


def test_a_result_is_a_mapping_of_layers() -> None:
    result = cnncli.load(EDGES).run(IMAGE, layers=["edges"])
    assert "edges" in result and "2" in result and "nothing" not in result and 1 not in result
    assert result.get("nothing") is None and result.get("smooth", "none") == "none"
    np.testing.assert_array_equal(result.get("edges"), result["edges"])


def test_notes_tell_of_an_array_that_may_have_its_channels_first() -> None:
    assert (
        "transpose it if channels come first" in cnncli.conv(np.ones((3, 20, 20)), "edge").notes[0]
    )
    assert cnncli.conv(IMAGE, "edge").notes == ()


def test_names_of_classes_may_be_given() -> None:
    names = [*"abcdefghij"]
    digits = REPOSITORY / "examples" / "digits.toml"
    net = cnncli.load(digits, labels=names)
    assert net.run(np.ones((8, 8))).last.names == tuple(names)
    with pytest.raises(OptionError, match="2 names"):
        cnncli.load(digits, labels=["a", "b"])


def test_a_gradient_is_saved_under_the_name_that_grad_gives() -> None:
    save("photo.png", np.arange(144, dtype=np.uint8).reshape(12, 12))
    found = cnncli.load(EDGES).grad("photo.png", "edges:0,2,2")
    found.input.save("gradient/")
    found.overlay().save("overlay/")
    made = sorted(map(str, Path().glob("*/*")))
    assert made == ["gradient/photo-grad.png", "overlay/photo-grad.png"]
