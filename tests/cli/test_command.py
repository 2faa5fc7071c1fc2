"""Groups of options: each has options of its own, and none of them may be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cnncli.cli.command import OptionGroup, flag
from cnncli.cli.layer_options import PADDING, PadOptions
from tests.support.shell import refused_untouched

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


@pytest.mark.parametrize(
    "args",
    [
        *(["pool", "--size", text] for text in ("1_0", "+2", "\u0662", "2,1_0")),
        *(["explain", "--channels", text] for text in ("0_0", "+0")),
        *(["pool", "--jobs", text] for text in ("1_0", "\u0662")),
        *(["plan", "--input", text] for text in ("1_0x8x3", "+8x8x3")),
        ["explain", "--at", "1_0,1"],
        ["pool", "--cluster", "local:1_0"],
    ],
)
def test_whole_numbers_are_digits_alone(args: list[str], empty_folder: Path) -> None:
    command, option, text = args
    assert f"got {text!r}" in refused_untouched(command, "x.png", option, text, code=2)


def test_blanks_around_numbers_are_no_matter() -> None:
    assert PADDING.convert("2, 3 ", None, None) == (2, 3)
