"""Loading filters from paths, names and text; the operations on them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.errors import CnnCliError, FileProblem, OptionError, ShapeError
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.channels import likelier_layout
from cnncli.filters.files import load_bias, load_filter, load_numbers
from cnncli.filters.filter import flip, from_array, normalize, stack
from cnncli.filters.readers import MAX_TEXT_BYTES
from cnncli.io.safe_names import plain_name


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(name, array):
    with open(name, "wb") as file:
        np.save(file, array)
    return name


def failure(kind, function, *arguments, **options):
    """Return the error, after checking that it fits on one printable line."""
    with pytest.raises(kind) as caught:
        function(*arguments, **options)
    assert type(caught.value) is kind
    for line in (str(caught.value), caught.value.hint or "-"):
        assert line.isprintable()
        assert 0 < len(line) < 400
    return caught.value


@given(st.text(alphabet="0123456789eE+-./;, \n", max_size=30))
def test_any_inline_filter_loads_or_fails_in_one_line(text):
    try:
        assert load_filter(text).weights.ndim == 3
    except CnnCliError as error:
        assert str(error).isprintable()


@given(st.text(st.characters(), max_size=200))
def test_safe_names_are_safe(text):
    name = plain_name(text)
    assert 0 < len(name) <= 80
    assert not set(name) & set("/\\\0 :{}<>'\"")
    assert ".." not in name and name[0] not in ".-" and name.isprintable()


# What a text stands for


@pytest.mark.parametrize("name", builtin_names())
def test_every_builtin_loads_with_and_without_suffix(name):
    plain, dotted = load_filter(name), load_filter(f"{name}.npy")
    assert plain.name == dotted.name == name
    np.testing.assert_array_equal(plain.weights, dotted.weights)
    assert len(plain.map_names) == plain.maps
    assert plain.named


def test_existing_file_wins_over_builtin_and_matrix():
    save("edge", np.full((2, 2), 7.0))
    save("3", np.full((2, 2), 8.0))
    assert load_filter("edge").weights[0, 0, 0] == 7
    assert load_filter("3").weights[0, 0, 0] == 8
    assert load_filter("edge.npy").window == (3, 3)


def test_folder_of_a_builtin_name_does_not_hide_it():
    os.mkdir("edge")
    assert load_filter("edge").window == (3, 3)


def test_inline_filter_is_not_named():
    loaded = load_filter("0 1; 2 3")
    assert not loaded.named and loaded.name == "your-filter" and loaded.per_channel
    assert loaded.weights[:, :, 0].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sobel", "'sobel': no such file and no such filter; nearest built-in: sobel_v, sobel_h"),
        ("no/edge.npy", "'no/edge.npy': no such file; nearest built-in: edge"),
        ("blur", "'blur': no such file and no such filter; nearest built-in: gaussian, box"),
        ("w.npz:W", "'w.npz': no such file"),
        ("", "a filter must be a file, a name or a matrix, got an empty text"),
        (".", "'.': a filter must be a file, got a folder"),
        ("1 2; x 3", "the filter '1 2; x 3': row 2: a number such as"),
        ("a;b.npy", "'a;b.npy': no such file"),
        ("\x1b[2J", r"'\x1b[2J': no such file and no such filter"),
        ("nul\0byte", r"'nul\x00byte': no such file"),
        ("\udcff.npy", r"'\udcff.npy': no such file"),
        ("x" * 5000, "'xxxx"),
    ],
)
def test_text_that_stands_for_nothing(text, message):
    with pytest.raises(OptionError) as caught:
        load_filter(text)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


def test_a_missing_file_is_not_taken_for_a_builtin_filter_of_another_name():
    assert str(failure(OptionError, load_filter, "mine.npy")) == "'mine.npy': no such file"


def test_names_of_builtins_are_taken_in_capitals_and_the_minus_of_print_in_numbers():
    assert load_filter("Sobel_V").name == "sobel_v"
    assert load_filter("\N{MINUS SIGN}1 0 1").weights.ravel().tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("shape", "layout", "other"),
    [
        ((8, 1, 3, 3), "hwio", "oihw"),
        ((64, 64, 3, 3), "hwio", "oihw"),
        ((64, 3, 1, 1), "hwio", "oihw"),
        ((3, 3, 1, 8), "oihw", "hwio"),
        ((3, 3, 1, 8), "hwio", None),
        ((7, 7, 3, 3), "hwio", None),
        ((1, 5, 8, 8), "hwio", None),
        ((1, 5, 1, 1), "hwio", None),
        ((3, 5), "hwio", None),
    ],
)
def test_the_layout_that_makes_better_sense_of_a_shape(shape, layout, other):
    assert likelier_layout(from_array(np.ones(shape), layout=layout)) == other


@pytest.mark.parametrize("name", builtin_names())
def test_no_builtin_filter_seems_to_be_in_another_layout(name):
    assert likelier_layout(load_filter(name)) is None


def test_unknown_names_point_to_the_list():
    assert "cnncli filters list" in failure(OptionError, load_filter, "sobl").hint


# Files


@pytest.mark.parametrize("suffix", ["txt", "csv", "TXT"])
def test_text_files(suffix):
    path = f"kernel.{suffix}"
    with open(path, "wb") as file:
        file.write(b"\xef\xbb\xbf# a comment\n1/2, 1\n0, -1\n")
    loaded = load_filter(path)
    assert loaded.weights[:, :, 0].tolist() == [[0.5, 1], [0, -1]]
    assert loaded.name == "kernel" and loaded.named


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at least one number"),
        (b"1 2\n3", "same length"),
        (b"\xff\xfe1", "not a matrix in UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n", "not a matrix in UTF-8 text"),
        (b"1 " * (MAX_TEXT_BYTES // 2 + 1), "got more"),
    ],
)
def test_bad_text_files(content, message):
    with open("k.txt", "wb") as file:
        file.write(content)
    error = failure(FileProblem, load_filter, "k.txt")
    assert str(error).startswith("'k.txt': ") and message in str(error)


class Canary:
    def __reduce__(self):
        return os.mkdir, ("canary",)


@pytest.mark.parametrize("name", ["f.npy", "f.npz", "f", "f.dat", "f.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x89PNG\r\n\x1a\n" * 9, pickle.dumps(Canary()), b"PK\x03\x04junk"]
)
def test_files_that_are_no_filters(name, content):
    with open(name, "wb") as file:
        file.write(content)
    error = failure(FileProblem, load_filter, name)
    assert str(error).startswith(f"'{name}': ")
    assert "pickle" not in f"{error} {error.hint}" or "allow" not in f"{error} {error.hint}"
    assert not os.path.exists("canary")


def test_pipes_are_refused_at_once():
    os.mkfifo("pipe.npy")
    assert str(failure(FileProblem, load_filter, "pipe.npy")).startswith("'pipe.npy': ")


def test_files_without_suffix_are_told_by_content():
    save("weights", np.ones((2, 3)))
    np.savez("bundle", W=np.ones((3, 2)))
    os.rename("bundle.npz", "bundle")
    assert load_filter("weights").window == (2, 3)
    assert load_filter("bundle").window == (3, 2)


def test_npz_with_one_array_or_weights_and_bias_needs_no_key():
    np.savez("one.npz", anything=np.ones((2, 2)))
    np.savez("both.npz", W=np.ones((3, 3, 1, 2)), b=np.array([1, 2]).reshape(1, 1, 1, 2))
    np.savez("words.npz", bias=np.float32(3), weight=np.ones((3, 3)))
    assert load_filter("one.npz").bias is None
    assert load_filter("both.npz").bias.tolist() == [1, 2]
    assert load_filter("words.npz").bias.tolist() == [3]
    assert load_filter("both.npz").map_names == ("both-0", "both-1")


def test_npz_key_chooses():
    np.savez("net.npz", **{"conv1.W": np.ones((3, 3)), "conv2:0": np.ones((5, 5))})
    assert load_filter("net.npz:conv1.W").window == (3, 3)
    assert load_filter("net.npz:conv2:0").name == "net-conv2_0"
    error = failure(OptionError, load_filter, "net.npz")
    assert str(error) == "'net.npz': one of its 2 arrays must be named: 'conv1.W', 'conv2:0'"
    assert error.hint == "write 'net.npz:KEY'"
    error = failure(OptionError, load_filter, "net.npz:conv1.w")
    assert "no array 'conv1.w' among its 2: 'conv1.W'" in str(error)
    assert error.hint == "write 'net.npz:conv1.W'"
    np.savez("net.npz", **{f"c1.{key}": np.ones((3, 3)) for key in ("bias", "weight")}, c2=1)
    error = failure(OptionError, load_filter, "net.npz:c1")
    assert str(error) == "'net.npz': no array 'c1' among its 3: 'c1.weight', 'c1.bias'"
    assert error.hint == "write 'net.npz:c1.weight'"


def test_hostile_keys_are_shown_and_used_safely():
    keys = ["../../x", "\x1b[31mred", "a\nb", "<script>", *(f"k{i}" for i in range(20))]
    np.savez("evil.npz", **{key: np.ones((2, 2)) for key in keys})
    for key, name in zip(keys, ["evil-x", "evil-_31mred", "evil-a_b", "evil-_script_"]):  # noqa: B905
        assert load_filter(f"evil.npz:{key}").name == name
    assert "and 16 more" in str(failure(OptionError, load_filter, "evil.npz"))


# Shapes, layouts, types


@pytest.mark.parametrize(
    ("shape", "layout", "weights", "per_channel"),
    [
        ((2, 3), "hwio", (2, 3, 1), True),
        ((2, 3), "oihw", (2, 3, 1), True),
        ((2, 3, 4), "hwio", (2, 3, 4, 1), False),
        ((4, 2, 3), "oihw", (2, 3, 4, 1), False),
        ((2, 3, 4, 5), "hwio", (2, 3, 4, 5), False),
        ((5, 4, 2, 3), "oihw", (2, 3, 4, 5), False),
    ],
)
def test_shapes_and_layouts(shape, layout, weights, per_channel):
    array = np.arange(np.prod(shape), dtype=float).reshape(shape)
    before = array.copy()
    loaded = load_filter(save("f.npy", array), layout=layout)
    assert loaded.weights.shape == weights and loaded.per_channel is per_channel
    assert loaded.weights.flags.c_contiguous
    assert loaded.source_shape == shape and loaded.window == (2, 3)
    direct = from_array(array, layout=layout)
    np.testing.assert_array_equal(direct.weights, loaded.weights)
    direct.weights[...] = -1
    np.testing.assert_array_equal(array, before)


def test_oihw_puts_every_axis_in_its_place():
    array = np.random.default_rng(1).normal(size=(5, 4, 2, 3))
    weights = from_array(array, layout="oihw").weights
    for o, i, h, w in np.ndindex(array.shape):
        assert weights[h, w, i, o] == array[o, i, h, w]
    np.testing.assert_array_equal(
        from_array(array[0], layout="oihw").weights[..., 0], array[0].transpose(1, 2, 0)
    )


def test_builtin_banks_stay_hwio_in_any_layout():
    assert load_filter("kirsch", layout="oihw").weights.shape == (3, 3, 1, 8)


@pytest.mark.parametrize("shape", [(), (3,), (1, 1, 1, 1, 1), (0, 3), (3, 0), (3, 3, 0, 2)])
def test_shapes_that_are_no_filter(shape):
    error = failure(ShapeError, load_filter, save("f.npy", np.zeros(shape)))
    assert "must have the shape (kh,kw), (kh,kw,C_in) or" in str(error)
    assert "got (" + ",".join(map(str, shape)) in str(error)


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        *(("f8", "f8"), ("f4", "f4"), ("f2", "f4"), (">f4", "f4"), (">f8", "f8")),
        *(("i1", "f8"), ("u8", "f8"), ("?", "f8"), (">i2", "f8")),
    ],
)
def test_types(given_type, kept):
    array = np.array([[0, 1], [1, 0]]).astype(given_type)
    loaded = load_filter(save("f.npy", np.asfortranarray(array)))
    assert loaded.weights.dtype == np.dtype(kept)
    assert loaded.weights[:, :, 0].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("array", [np.ones((2, 2), complex), np.array([["a"]])])
def test_types_that_are_no_numbers(array):
    failure(OptionError, from_array, array)
    failure(FileProblem, load_filter, save("f.npy", array))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    array = np.ones((2, 3))
    array[1, 2] = array[1, 1] = bad
    error = failure(FileProblem, load_filter, save("f.npy", array))
    assert str(error) == (
        "'f.npy': every number must be finite, got 2 NaN or infinite, the first at index (1,1)"
    )
    failure(OptionError, from_array, array)


def test_unknown_layout():
    failure(OptionError, load_filter, "edge", layout="chwn")


# Operations


def test_stack_of_kernels_keeps_order_and_names():
    both = stack([load_filter("sobel_h"), load_filter("1 2 1; 0 0 0; 1 2 1"), load_filter("edge")])
    assert both.weights.shape == (3, 3, 3) and both.per_channel and not both.named
    assert both.map_names == ("sobel_h", "your-filter", "edge")
    np.testing.assert_array_equal(both.weights[:, :, 2], load_filter("edge").weights[:, :, 0])


def test_stack_of_banks_and_single_maps():
    one = from_array(np.ones((3, 3, 2)), name="one")
    bank = from_array(np.zeros((3, 3, 2, 4)), name="bank")
    both = stack([one, bank, one, one])
    assert both.weights.shape == (3, 3, 2, 7)
    assert both.map_names[:2] + both.map_names[-2:] == ("one", "bank-0", "one-2", "one-3")
    assert stack([bank]) is bank


@pytest.mark.parametrize("other", [(3, 3, 1), (5, 5, 2, 1)])
def test_stack_refuses_unequal_channels(other):
    given_filters = [load_filter("edge"), from_array(np.ones(other), name="other")]
    error = failure(ShapeError, stack, given_filters)
    assert "got (3,3) for edge and (" + ",".join(map(str, other)) + ") for other" in str(error)


def test_stack_wants_all_biases_or_none():
    np.savez("b.npz", W=np.ones((3, 3)), b=np.array([2.0]))
    with_bias = load_filter("b.npz")
    assert stack([with_bias, with_bias]).bias.tolist() == [2, 2]
    assert "edge has none" in str(failure(OptionError, stack, [with_bias, load_filter("edge")]))
    failure(OptionError, stack, [])


def test_flip_turns_space_only():
    array = np.arange(24.0).reshape(2, 3, 2, 2)
    given_filter = from_array(array)
    flipped = flip(given_filter)
    np.testing.assert_array_equal(flipped.weights, array[::-1, ::-1])
    np.testing.assert_array_equal(given_filter.weights, array)
    assert flipped.notes == ("filter: flipped",)
    np.testing.assert_array_equal(flip(flipped).weights, array)


@pytest.mark.parametrize(
    ("text", "divisor", "note"),
    [
        ("1 2 1", 4, "your-filter: divided by 4, the sum of the weights"),
        ("-1 -2", -3, "your-filter: divided by -3, the sum of the weights"),
        ("sobel_h", 4, "sobel_h: divided by 4, the sum of the positive weights"),
        (".1 .2 -.3", 0.3, "your-filter: divided by 0.3, the sum of the positive weights"),
    ],
)
def test_normalize(text, divisor, note):
    given_filter = load_filter(text)
    before = given_filter.weights.copy()
    result = normalize(given_filter)
    np.testing.assert_allclose(result.weights * divisor, before, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(given_filter.weights, before)
    assert result.notes == (note,)


def test_normalize_works_map_by_map():
    bank = np.stack([np.full((2, 2, 3), 2.0), np.full((2, 2, 3), 0.5)], axis=-1)
    bank[0, 0, 0, 1] -= 6
    result = normalize(from_array(bank.astype(np.float32)))
    assert result.weights.dtype == np.float32
    sums = result.weights.sum(axis=(0, 1, 2))
    np.testing.assert_allclose(sums, [1, 0], atol=1e-6)
    assert (
        "5.5 to 24, the sum of the weights (of the positive ones where that is 0)"
        in (result.notes[0])
    )


def test_normalize_refuses_a_map_of_zeros():
    assert "your-filter has none" in str(failure(OptionError, normalize, load_filter("0 0")))


# Bias


def test_bias_from_number_list_and_files():
    save("b.npy", np.array([[[[1, 2]]]], dtype=np.float32))
    np.savez("net.npz", W=np.ones((2, 2)), b=np.array([3, 4]))
    with open("b.txt", "w") as file:
        file.write("5\n6\n")
    assert load_bias("0.5", 3).array.tolist() == [0.5, 0.5, 0.5]
    assert load_bias("-1/4", 1).array.tolist() == [-0.25]
    assert load_bias("1, 2", 2).array.tolist() == [1, 2]
    assert load_bias("b.npy", 2).array.dtype == np.float32
    assert load_bias("net.npz:b", 2).array.tolist() == [3, 4]
    assert load_bias("b.txt", 2).array.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("1 2 3", ShapeError, "a bias must have 1 value or 2, one per feature map, got 3"),
        ("edge", OptionError, "'edge': no such file, and no number"),
        ("x.npy", OptionError, "'x.npy': no such file"),
        ("nan", OptionError, "no number"),
        ("1e400", OptionError, "must be finite"),
        ("bad.npy", FileProblem, "1 NaN or infinite"),
        ("empty.npy", ShapeError, "got 0"),
    ],
)
def test_bad_biases(text, kind, message):
    save("bad.npy", np.array([np.nan]))
    save("empty.npy", np.array([]))
    assert message in str(failure(kind, load_bias, text, 2))


def test_bias_in_the_file_must_fit_the_maps():
    np.savez("f.npz", W=np.ones((3, 3, 1, 2)), b=np.ones(3))
    assert "feature map, got 3" in str(failure(ShapeError, load_filter, "f.npz"))


def test_no_numbers_are_an_error_of_their_file():
    error = failure(FileProblem, load_numbers, save("none.npy", np.zeros(0)), "gamma")
    assert str(error) == "'none.npy': at least one number is needed, got none"


def test_what_was_read_is_told(tmp_path):
    save("one.npy", np.ones((3, 3)))
    np.savez("two.npz", W=np.ones((3, 3)), b=np.ones(1))
    assert load_filter("one.npy", folder=str(tmp_path)).files == (tmp_path / "one.npy",)
    assert load_filter("edge").files == load_filter("1 0 -1").files == ()
    assert stack([load_filter("one.npy"), load_filter("two.npz:W")]).files == (
        Path("one.npy"),
        Path("two.npz"),
    )
    assert load_bias("two.npz", 1).files == (Path("two.npz"),)
