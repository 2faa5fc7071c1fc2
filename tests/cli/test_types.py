"""Options whose texts are numbers."""

from __future__ import annotations

from typing import Any

import click
import pytest

from cnncli.cli.types import FiniteFloat, Floats, RangeType
from cnncli.filters.files import load_filter


@pytest.mark.parametrize("text", ["", "best", "1", "1,2,3", "2,1", "0,nan", "a,b", "0,1/0"])
def test_bad_range_text(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be auto|needs finite"):
        RangeType().convert(text, None, None)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (RangeType(), "clip", "clip"),
        (RangeType(), "-1e3,.5", (-1000.0, 0.5)),
        (RangeType(), "0,1/2", (0.0, 0.5)),
        (FiniteFloat(), "1/255", 1 / 255),
        (FiniteFloat(within=(0.1, 50)), "1/2", 0.5),
        (FiniteFloat(allow_inf=True), "inf", float("inf")),
        (Floats(), "1/2,\N{MINUS SIGN}2", (0.5, -2.0)),
    ],
)
def test_numbers_may_be_fractions(kind: click.ParamType, text: str, value: Any) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize("text", ["nan", "inf", "1/0", "0.05", "50.1", "1_0", "two"])
def test_numbers_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be a number of 0.1 to 50, got"):
        FiniteFloat(within=(0.1, 50)).convert(text, None, None)


def test_the_parameter_of_a_kind_of_filter_may_be_a_fraction() -> None:
    made, same = load_filter("gaussian:1/2"), load_filter("gaussian:0.5")
    assert (made.weights == same.weights).all()
