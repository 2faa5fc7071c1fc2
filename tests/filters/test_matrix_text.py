"""Matrices as text: what is read, what is refused, and that nothing slips between."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.errors import OptionError
from cnncli.filters.matrix_text import looks_inline, parse_matrix, parse_number


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0 -1 0; -1 5 -1; 0 -1 0", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("1,2,3", [[1, 2, 3]]),
        (" 1 ,2 , 3 ; .5\t5. 1e-3 ; ", [[1, 2, 3], [0.5, 5, 0.001]]),
        ("[[0,-1,0],[-1,5,-1],[0,-1,0]]", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("[[ 0. -1.]\n [1/9  5.]]\n", [[0, -1], [1 / 9, 5]]),
        (" [1, 2]", [[1, 2]]),
        ("[[1, 2], [3, 4],]", [[1, 2], [3, 4]]),
        ("[[[1, 2]], [[3, 4]]]", [[[1, 2]], [[3, 4]]]),
        ("[[[[1], [2]]]]", [[[[1], [2]]]]),
        ("1/9 -1/3 +2/.5", [[1 / 9, -1 / 3, 4]]),
        ("5", [[5]]),
        ("0 \N{MINUS SIGN}1; \N{MINUS SIGN}1/2 1", [[0, -1], [-0.5, 1]]),
        ("1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("1 2;\r\n3 4;\r\n", [[1, 2], [3, 4]]),
        ("# head\n1, 2 # tail\n\n3, 4", [[1, 2], [3, 4]]),
    ],
)
def test_matrix_grammar(text, rows):
    assert parse_matrix(text) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1;;2", "row 2 of a matrix must hold numbers, got none"),
        ("; 1 2", "row 1 of a matrix must hold numbers"),
        ("1 2;;", "row 2 of a matrix must hold numbers"),
        ("1 2; 3", "same length, got 2 in row 1 and 1 in row 2"),
        ("1 nan 3", "row 1: a number such as 2, -0.5, 1e-3 or 1/9 must stand here, got 'nan'"),
        ("1,,2", "row 1: a number such as 2, -0.5, 1e-3 or 1/9 must stand here, got ''"),
        ("1 / 9", "got '/'"),
        ("1/0", "divide by zero"),
        ("1e999", "must be finite"),
        ("1/1e-400", "divide by zero"),
        ("1;2 x", "row 2: .* got 'x'"),
        ("1 nan", "got 'nan'"),
        ("__import__('os').abort()", "got .__import__"),
        ("1_000", "got '1_000'"),
        ("١ ٢", "got '١'"),
        ("", "at least one number"),
        (" ; ;", "at least one number"),
        ("1;2\n3;4", "line breaks or with ';', not both"),
        ("\x1b[31m", r"got '\\x1b\[31m'"),
        ("9" * 5000, "must be finite"),
        ("1, 2 3", "row 1: numbers must be separated by spaces or by commas, not by both"),
        ("1 2; 0,5 1", "row 2: .* got '0,5 1'"),
        ("[[1, 2 3]]", "by spaces or by commas"),
        ("[[1, 2], [3]]", "same length and the same depth"),
        ("[[1], [[2]]]", "same length and the same depth"),
        ("[[1, 2]", r"every \[ needs its \]"),
        ("[[1]] [2]", r"every \[ needs its \]"),
        ("[[1], 2]", "lists in brackets"),
        ("[[1, 2],, [3, 4]]", "with one comma between two"),
        ("[, [1, 2]]", "with one comma between two"),
        ("[[1, 2], []]", "row 2: .* got ''"),
        ("[1]]", "lists in brackets"),
        ("[[[[[[1]]]]]]", "lists in brackets"),
        ("[[]]", "must stand here"),
    ],
)
def test_bad_matrices(text, message):
    with pytest.raises(OptionError, match=message) as caught:
        parse_matrix(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


numbers = st.floats(allow_nan=False, allow_infinity=False)


matrices = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=5)
)
ends = st.sampled_from([";", " ; ", "\n", ";\n"])
gaps = st.sampled_from([" ", ",", "  ", " , "])


@given(matrices, ends, gaps)
def test_what_is_written_is_read_back_exactly(rows, end, gap):
    text = end.join(gap.join(map(repr, row)) for row in rows)
    assert looks_inline(text)
    assert parse_matrix(text) == rows


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_fractions_are_correctly_rounded(top, bottom):
    assert parse_number(f"{top}/{bottom}") == float(Fraction(top, bottom))


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_a_matrix_or_one_line_of_error(text):
    try:
        rows = parse_matrix(text)
    except OptionError as error:
        assert str(error).isprintable()
    else:
        assert np.isfinite(np.array(rows)).all()


@pytest.mark.parametrize("text", ["9" * 10**6, "1" * 10**6 + "x", "1/" + "1" * 10**6 + "/"])
def test_long_texts_are_not_parted_in_every_way(text):
    # Reading digits in quadratic time would take hours here.
    with pytest.raises(OptionError):
        parse_matrix(text)
    assert looks_inline(text[:-1]) and not looks_inline(text + "x")


@pytest.mark.parametrize("text", ["1,,2", "1, 2,", ", 1, 2", "[[1,,2]]"])
def test_the_hint_leaves_out_a_comma_too_many(text):
    with pytest.raises(OptionError) as caught:
        parse_matrix(text)
    assert caught.value.hint == "write '1, 2'"


def test_the_hint_spells_a_mixed_row_right():
    with pytest.raises(OptionError) as caught:
        parse_matrix("1 2 3; 1, 2 3")
    assert caught.value.hint == "write '1 2 3', and decimals with a point: 0.5"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0 -1 0, -1 5 -1, 0 -1 0", "0 -1 0; -1 5 -1; 0 -1 0"),
        ("0,-1,0 -1,5,-1 0,-1,0", "0 -1 0; -1 5 -1; 0 -1 0"),
        ("1, 2 3", "1 2 3"),
    ],
)
def test_the_hint_keeps_the_rows_that_may_be_meant(text: str, meant: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_matrix(text)
    assert caught.value.hint == f"write {meant!r}, and decimals with a point: 0.5"
