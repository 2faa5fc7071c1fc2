"""Groups of options: each has options of its own, and none of them may be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cnncli.cli.command import OptionGroup, flag
from cnncli.cli.layer_options import PadOptions

SHARED = flag("--shared", help="Of two groups.")


@dataclass(frozen=True)
class Titled(OptionGroup):
    section = "Results out"

    shared: bool = SHARED


@dataclass(frozen=True)
class Plain(OptionGroup):
    other_name: bool = SHARED


def test_an_option_of_two_groups_is_one_of_each() -> None:
    titled: Any = Titled.shared
    plain: Any = Plain.other_name
    assert (titled.name, titled.section) == ("shared", "Results out")
    assert (plain.name, plain.section) == ("other_name", None)
    assert SHARED.section is None


def test_a_group_needs_all_of_its_options() -> None:
    with pytest.raises(TypeError, match="PadOptions needs a value for pad_mode"):
        PadOptions(padding=1)
