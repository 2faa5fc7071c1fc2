"""Writes the reference of layers into docs/network-files.md, from the table that reads them.

``python tools/network_reference.py``; tests/repository/test_docs.py tells when the page is older.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnncli.core.activations import ACTIVATIONS
from cnncli.io.limits import MAX_CELLS
from cnncli.network.onnx.control import CONTROL
from cnncli.network.onnx.fused import WRITERS as FUSED
from cnncli.network.onnx.operators import FAMILIES, OPERATORS
from cnncli.network.onnx.quantized import WRITERS
from cnncli.network.onnx.reference import ALLOWED
from cnncli.network.toml_schema import Field
from cnncli.network.toml_types import LAYER_TYPES, LayerType

PAGE = Path(__file__).resolve().parents[1] / "docs" / "network-files.md"


def layer_sections() -> Iterator[str]:
    """Yield what each type of layer computes, and a table of its fields."""
    for name, kind in LAYER_TYPES.items():
        yield f"### {name}"
        yield ""
        yield kind.about
        yield ""
        if set(kind.fields) == {"inputs"}:
            continue
        yield "| field | holds | default |"
        yield "|---|---|---|"
        for key, field in kind.fields.items():
            yield f"| `{key}` | {_cell(_need(field))} | {_default(kind, key)} |"
        yield ""


def activation_rows() -> Iterator[str]:
    """Yield the table of activations."""
    yield "| `activation` | gives | settings and their defaults |"
    yield "|---|---|---|"
    for name, made in ACTIVATIONS.items():
        if name != "none":
            yield f"| `{name}` | `{_cell(made.formula)}` |{_settings(made.settings)}|"


def operator_rows() -> Iterator[str]:
    """Yield the operators of ONNX that become layers, and those that are run node by node."""
    yield "| operators of ONNX | layers |"
    yield "|---|---|"
    for family in FAMILIES:
        names = ", ".join(sorted(family.OPERATORS))
        yield f"| {names} | {' '.join(f'`{name}`' for name in family.LAYERS)} |"
    yield ""
    yield f"Written as nodes of floats first: {', '.join(sorted(WRITERS))}."
    yield ""
    fused = ", ".join(sorted(FUSED))
    yield f"Of ONNX Runtime's own domain, written as standard nodes first: {fused}."
    yield ""
    rest = {*ALLOWED, *CONTROL} - {*OPERATORS, *WRITERS}
    yield f"Run node by node: {', '.join(sorted(rest))}."


def _settings(settings: Mapping[str, Any]) -> str:
    given = [key if value is None else f"{key} = {value}" for key, value in settings.items()]
    return f" `{'` `'.join(given)}` " if given else " "


def _need(field: Field) -> str:
    """Return what a field holds, without the limits that the page tells once."""
    return re.sub(rf" with whole numbers of \d+ to {MAX_CELLS}", "", field.need)


def _default(kind: LayerType, key: str) -> str:
    if kind.fields[key].required:
        return "must be given"
    value = kind.defaults.get(key)
    if kind.make is not None and value is None:
        parameter = inspect.signature(kind.make).parameters.get(key)
        value = (
            None if parameter is None or parameter.default is parameter.empty else parameter.default
        )
    return kind.fields[key].default if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


MADE = {"layers": layer_sections, "activations": activation_rows, "operators": operator_rows}
"""What stands between two marks of its name on the page."""


def with_reference(page: str) -> str:
    """Return the page with all that is made in its places."""
    for name, lines in MADE.items():
        text = "\n".join(lines()).strip()
        made = f"<!-- {name}: made by tools/network_reference.py -->\n\n{text}\n\n<!-- end -->"
        found = re.findall(rf"<!-- {name}: made by .*? -->.*?<!-- end -->", page, re.S)
        if len(found) != 1:
            raise ValueError(f"{PAGE.name} must have one place for {name}, got {len(found)}")
        page = page.replace(found[0], made)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_reference(PAGE.read_text("utf-8")), "utf-8")
