"""Errors in network files: where they are, and what kind they stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import CnnCliError, FileProblem, OptionError, ShapeError
from cnncli.network.error_context import as_fields, error_context, in_file
from cnncli.network.model import SizeNeeded


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ShapeError("3 rows"), FileProblem),
        (OptionError("3 rows"), FileProblem),
        (FileProblem("3 rows"), FileProblem),
        (SizeNeeded("3 rows"), SizeNeeded),
    ],
)
def test_places_stand_before_an_error_that_stays_one_of_files(
    error: CnnCliError, kind: type[FileProblem]
) -> None:
    path = Path("net.toml")
    with pytest.raises(CnnCliError) as caught, in_file(path), error_context("layer fc"):
        raise error
    assert type(caught.value) is kind
    assert str(caught.value) == "'net.toml': layer fc: 3 rows"


def test_hints_name_fields() -> None:
    with pytest.raises(FileProblem) as caught, error_context("layer conv1"):
        raise OptionError("--padding must be same", hint="--filter-layout oihw, or --jobs 2")
    assert str(caught.value) == "layer conv1: padding must be same"
    assert caught.value.hint == 'filter_layout = "oihw", or --jobs 2'
    assert as_fields("(--size H,W)") == "(--size H,W)"
