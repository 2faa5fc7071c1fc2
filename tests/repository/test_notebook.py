"""The notebook in examples/: its cells run, and what they end with shows itself."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "step_by_step.ipynb"


def code_cells() -> list[str]:
    """Return the text of each cell of code."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def shown_by(code: str, names: dict[str, Any]) -> str:
    """Run a cell; return how a notebook shows the value of its last line."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
    if not isinstance(last, ast.Expr):
        return ""
    value = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)
    for show in ("_repr_html_", "_repr_png_"):
        if getattr(value, show, lambda: None)():
            return show
    return "text" if repr(value) and value is not None else ""


def test_every_cell_runs_and_shows_what_it_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOK.parent)
    names: dict[str, Any] = {}
    shown = [shown_by(code, names) for code in code_cells()]
    assert shown.count("_repr_png_") == 7 and shown.count("_repr_html_") == 3


def test_it_is_kept_without_results() -> None:
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert [
        cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")
    ] == []


@pytest.mark.oracle
def test_jupyter_runs_and_shows_it() -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    kinds = [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]
    assert kinds.count("image/png") == 7 and kinds.count("text/html") == 3
