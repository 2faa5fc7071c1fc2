"""Output templates and safe names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.errors import OptionError
from cnncli.io.safe_names import distinct, safe_name
from cnncli.pipeline.templates import Template, refuse_printf

VALUES: dict[str, str | int] = {
    "stem": "cat",
    "name": "cat.jpg",
    "op": "conv",
    "filter": "edge",
    "layer": "conv1",
    "map": 7,
    "ext": "png",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("maps/{stem}-{map:03d}.png", "maps/cat-007.png"),
        ("{stem}.png", "cat.png"),
        ("{{{stem}}}.png", "{cat}.png"),
        ("{name}-{op}-{filter}-{layer}.{ext}", "cat.jpg-conv-edge-conv1.png"),
        ("{stem:_>6}{map:x}.png", "___cat7.png"),
        ("{stem:.2}.png", "ca.png"),
        ("{{}}.png", "{}.png"),
    ],
)
def test_fill(text: str, expected: str) -> None:
    assert Template.parse(text).fill(VALUES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/{dir}/{stem}.png", "out/cat.png"),
        ("{dir}/{stem}.png", "cat.png"),
        ("out/small-{dir}/{stem}.png", "out/small-/cat.png"),
        ("out/{dir}{dir}/{stem}.png", "out/cat.png"),
    ],
)
def test_a_folder_of_no_name(text: str, expected: str) -> None:
    assert Template.parse(text).fill({**VALUES, "dir": ""}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{stem.__class__}.png",
        "{stem[0]}.png",
        "{stem!r}.png",
        "{map:{map}}.png",
        "{}.png",
        "{0}.png",
        "{unknown}.png",
        "{stem:d}.png",
        "{map:s}.png",
        "{map:zz}.png",
        "{stem:999999999999}.png",
        "{map:0256d}.png",
        "{map:\u0669\u0669\u0669\u0669}.png",
        "{map:.999999999f}.png",
        "{stem",
        "stem}",
        "{ stem }.png",
        "{stem\n}.png",
        "{map:\x1b}.png",
    ],
)
def test_bad_templates_name_the_option_and_the_fields(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        Template.parse(text)
    message = str(caught.value)
    assert message.startswith(
        "--output template must use {stem} {name} {dir} {op} {filter} {layer}"
    )
    assert message.isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../../x", ".._.._x"),
        ("..", "__"),
        (".", "_"),
        ("", "_"),
        ("a\0b\nc\x1b", "a_b_c_"),
        ("\\\\server", "__server"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("日本 é", "日本 é"),
        ("\udcff", "\udcff"),
    ],
)
def test_safe_name(value: str, expected: str) -> None:
    assert safe_name(value) == expected


@given(
    st.text(st.characters(), max_size=8),
    st.sampled_from(["{layer}.png", "out/{layer}", "{layer:.1}", "{layer:/>9}"]),
)
def test_no_value_leaves_its_folder(value: str, text: str) -> None:
    filled = Template.parse(text).fill(VALUES | {"layer": value})
    assert filled.count("/") == text.split("{")[0].count("/")
    assert filled.rpartition("/")[2] not in ("", ".", "..")
    assert "\0" not in filled


def test_distinct() -> None:
    assert distinct(["a", "b", "A", "a", "a-2"]) == ["a", "b", "A-2", "a-3", "a-2-2"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("out/w_%03d.png", "out/w_{map:03d}.png"),
        ("%d.png", "{map:d}.png"),
        ("w%05d_%d.npy", "w{map:05d}_{map:d}.npy"),
    ],
)
def test_numbers_as_other_tools_have_them(text: str, meant: str) -> None:
    with pytest.raises(OptionError) as caught:
        refuse_printf(text)
    assert caught.value.hint == f"write {meant!r}"


@pytest.mark.parametrize(
    "text",
    ["a%20dog.png", "%d0%bf.png", "50%.png", "%%.png", "%3d.png", "50%dilated.png", "100%done.png"],
)
def test_percent_signs_of_names_are_kept(text: str) -> None:
    refuse_printf(text)
