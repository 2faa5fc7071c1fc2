"""Filters that are piped in, files that are no filters, and what the errors advise."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import FileProblem, OptionError
from cnncli.filters.files import load_filter
from cnncli.filters.readers import NOT_READ, read_stream
from tests.support.shell import (
    npy_bytes,
    refused_untouched,
    run_cli,
    run_shell,
    save_array,
    values_of,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

KERNEL = np.array([[1.0, -2], [0.5, 3]])
X = np.arange(20.0).reshape(4, 5)


@pytest.mark.parametrize(
    "data",
    [npy_bytes(KERNEL), b"1 -2; 1/2 3", b"# mine\n1,-2\n.5,3\n", b"[[1, -2], [0.5, 3]]\n"],
    ids=["npy", "inline", "lines", "lists"],
)
def test_standard_input_is_a_filter(data: bytes) -> None:
    save_array("x.npy", X)
    save_array("k.npy", KERNEL)
    expected = values_of("conv", "x.npy", "-f", "k.npy")
    assert np.array_equal(values_of("conv", "x.npy", "-f", "-", stdin=data), expected)
    run_cli("explain", "x.npy", "-f", "-", stdin=data)
    assert "shape       (2,2)" in run_cli("filters", "show", "-", stdin=data).stdout
    run_cli("conv", "x.npy", "-f", "-", stdin=data)
    assert Path("x-conv.png").exists()


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", npy_bytes(KERNEL)[:-3], b"1 x"])
def test_bad_standard_input(data: bytes) -> None:
    save_array("x.npy", X)
    error = refused_untouched("conv", "x.npy", "-f", "-", stdin=data)
    assert error.startswith("cnncli: error: 'standard input': ")


@pytest.mark.parametrize("words", [("-f", "-"), ("-", "-f", "-"), ("x.npy", "-f", "-", "-f", "-")])
def test_standard_input_is_one_thing(words: tuple[str, ...]) -> None:
    save_array("x.npy", X)
    assert "standard input" in refused_untouched("conv", *words, code=2, stdin=b"1 2")


def test_process_substitution_is_read() -> None:
    save_array("x.npy", X)
    save_array("k.npy", KERNEL)
    done = run_shell(
        "cnncli conv x.npy -f <(cat k.npy) -f <(echo '1 -2; 0.5 3') --padding valid -o y.npy"
    )
    assert done.returncode == 0, done.stderr
    both = np.load("y.npy")
    assert np.array_equal(both[..., 0], both[..., 1])
    assert both[0, 0, 0] == (X[:2, :2] * KERNEL).sum()


def test_a_stream_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnncli.io.npy.DEFAULT_MAX_BYTES", 100)
    with pytest.raises(FileProblem, match="may take 100 bytes, got more"):
        read_stream(io.BytesIO(bytes(101)), "standard input")


@pytest.mark.parametrize("key", ["", ":conv1.weight"])
@pytest.mark.parametrize("suffix", NOT_READ)
def test_files_of_other_frameworks_get_the_line_that_saves_them(suffix: str, key: str) -> None:
    Path(f"w{suffix}").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(FileProblem) as caught:
        load_filter(f"w{suffix}{key}")
    hint = caught.value.hint or ""
    assert hint.startswith('save it as safetensors: python -c "')
    python, flag, line = shlex.split(hint.partition(": ")[2])
    assert (python, flag) == ("python", "-c")
    compile(line, "hint", "exec")
    assert "save_file" in line and len(str(caught.value)) + len(hint) < 500


@pytest.mark.oracle
def test_the_line_for_torch_works() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(3, 4, 3)
    torch.save(layer.state_dict(), "w.pt")
    with pytest.raises(FileProblem) as caught:
        load_filter("w.pt:weight")
    assert "torch.load(..., weights_only=False).state_dict()" in str(caught.value)
    line = shlex.split((caught.value.hint or "").partition(": ")[2])[2]
    exec(line)
    found = load_filter("w.safetensors:weight", layout="oihw").weights
    np.testing.assert_array_equal(found, layer.weight.detach().numpy().transpose(2, 3, 1, 0))


def test_a_model_is_no_filter() -> None:
    Path("net.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(FileProblem) as caught:
        load_filter("net.onnx")
    assert "cnncli run" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("model.safetensors", "there is 'model-v2.safetensors'"),
        ("modelv2.safetensors:conv1.weight", "there is 'model-v2.safetensors'"),
        ("sub/kernel.npy", "there is 'kernels.npy'"),
        ("resnet50.safetensors", "there is 'model-v2.safetensors'"),
        ("sub/resnet50.safetensors", "no file *.safetensors is in 'sub'"),
        ("resnet50.pt", "no file *.pt is in '.'"),
        ("zzz.npy", "'cnncli filters list' shows the built-in filters"),
    ],
)
def test_a_missing_file_names_those_beside_it(missing: str, hint: str) -> None:
    Path("sub").mkdir()
    for name in ("model-v2.safetensors", "sub/kernels.npy", "model.txt"):
        Path(name).touch()
    with pytest.raises(OptionError, match="no such file") as caught:
        load_filter(missing)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("edgee", "edge"), ("sobelv", "sobel_v"), ("gausian", "gaussian"), ("embos", "emboss")],
)
def test_a_mistyped_name_is_answered_with_the_one_meant(typed: str, meant: str) -> None:
    with pytest.raises(OptionError, match=f"nearest built-in: {meant}") as caught:
        load_filter(typed)
    assert "dog" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.tsv", "1\t-2\n.5\t3\n"), ("a.csv", "\ufeffsep=,\r\n1,-2\r\n.5,3\r\n")],
)
def test_texts_of_spreadsheets_are_read(name: str, text: str) -> None:
    Path(name).write_text(text, newline="")
    assert np.array_equal(load_filter(name).weights[..., 0], KERNEL)


def test_a_spreadsheet_with_semicolons_is_told_what_parts_numbers() -> None:
    Path("a.csv").write_text("sep=;\n0,5;0,25\n0,25;0\n")
    with pytest.raises(FileProblem, match="rows must end with line breaks") as caught:
        load_filter("a.csv")
    assert caught.value.hint is not None and caught.value.hint.endswith("have a point: 0.5")


@pytest.mark.parametrize(
    ("text", "noted"),
    [("0,5; 0,25", True), ("0,5\n", True), ("0,1; -1,0", False), ("0.5,5", False)],
)
def test_decimals_with_commas_are_noted(text: str, noted: bool) -> None:
    Path("a.csv").write_text(text.replace("; ", "\n"))
    for given, name in ((text.strip(), "your-filter"), ("a.csv", "a")):
        rows = len(text.split(";"))
        note = f"{name}: {rows}x2; decimals have a point: 0.5"
        assert load_filter(given).notes == (note,) * noted


def test_numbers_with_spaces_between_are_no_decimals_with_commas() -> None:
    Path("a.txt").write_text("0 2\n0 5\n")
    for given in ("0 2", "0 2; 0 5", "0, 2", "[[0, 2]]", "a.txt"):
        assert load_filter(given).notes == ()
