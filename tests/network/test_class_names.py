"""Names of classes: files of names, and which maps of a network bear them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import FileProblem
from cnncli.network.class_names import read_class_names
from tests.support.shell import refused, run_cli, save

PHOTO = np.random.default_rng(9).integers(0, 256, (12, 20, 3), np.uint8)


@pytest.fixture(autouse=True)
def photo(empty_folder: Path) -> None:
    save("photo.png", PHOTO)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\n\n big dog \n", ("cat", "big dog")),
        ("0,cat\n1,dog, big\n2,owl\n", ("cat", "dog, big", "owl")),
        ("1: cat\n2: dog\n", ("cat", "dog")),
        ("0\tcat\r\n\r\n1\tdog\r\n", ("cat", "dog")),
        ("0,cat\n2,dog\n", ("0,cat", "2,dog")),
        ("7,up\ncat\n", ("7,up", "cat")),
        ("cat,dog\nhorse:racing\n", ("cat,dog", "horse:racing")),
        ("0 cat\n1 dog\n", ("0 cat", "1 dog")),
    ],
)
def test_numbers_of_lines_are_no_part_of_names(text: str, names: tuple[str, ...]) -> None:
    Path("names.txt").write_text(text, newline="")
    assert read_class_names(Path("names.txt")) == names


@pytest.mark.parametrize(
    ("name", "text"), [("l.json", '["cat",\n"dog"]'), ("l.txt", "{0: 'cat',\n 1: 'dog'}")]
)
def test_json_is_no_list_of_lines(name: str, text: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(FileProblem, match="must have one name a line, got JSON"):
        read_class_names(Path(name))


def test_names_themselves_are_answered_with_the_form_of_the_file() -> None:
    Path("net.toml").write_text('[[layers]]\ntype = "pool"\n')
    said = refused("run", "net.toml", "photo.png", "--labels", "cat,dog,bird")
    assert said.endswith("hint: a text file with one name a line is needed\n")


ENDS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "dense": [],
    "softmax": [("Softmax", "d", {"axis": 1})],
    "another shape": [("Reshape", "d rows", {})],
    "another shape and softmax": [("Reshape", "d rows", {}), ("Softmax", "", {"axis": 1})],
    "a transpose": [("Reshape", "d rows", {}), ("Transpose", "", {"perm": [0, 2, 1]})],
    "a node run by onnx": [("Hardmax", "d", {"axis": 1})],
    "a shift and a node run by onnx": [("Add", "d one", {}), ("Celu", "", {})],
}


@pytest.mark.oracle
@pytest.mark.parametrize("end", ENDS)
def test_labels_fit_whatever_layers_end_a_network(end: str) -> None:
    from tests.support.onnxmodels import model, node

    nodes = [node("GlobalMaxPool", "x", "p"), node("Flatten", "p", "f"), node("Gemm", "f W", "d")]
    for op, inputs, attributes in ENDS[end]:
        before = nodes[-1].output[0]
        nodes.append(node(op, inputs or before, f"{before}{op}", **attributes))
    W = np.array([[1, 2, 0], [0, 1, 3], [0, 0, 1]], np.float32)
    constants = {"W": W, "rows": np.array([1, 3, 1]), "one": np.ones(3, np.float32)}
    Path("ends.onnx").write_bytes(model(nodes, constants, (1, 3, 12, 20)).SerializeToString())
    Path("names.txt").write_text("cat\nbig dog\nowl\n")
    said = run_cli("run", "ends.onnx", "photo.png", "--labels", "names.txt").stderr
    scores = PHOTO.reshape(-1, 3).max(0) / 255 @ W
    best = ["cat", "big dog", "owl"][int(scores.argmax())]
    assert f", largest first: {best} " in said
    assert all(name in said for name in ("cat", "big dog", "owl"))
    Path("names.txt").write_text("cat\nowl\n")
    refusal = run_cli("run", "ends.onnx", "photo.png", "--labels", "names.txt", code=2).stderr
    assert "2 names of classes do not fit the 3 maps of the last layer" in refusal
