"""Shell completion: names of layers, by click's own classes and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import BashComplete

from cnncli.cli import cli

NETWORK = """
[input]
mean = 0.5

[[layers]]
name = "stem"
type = "conv"
filter = "edge"

[[layers]]
name = "squeeze"
type = "pool"

[[layers]]
name = "end"
type = "activation"
activation = "relu"
"""


@pytest.fixture(autouse=True)
def folder(empty_folder: Path) -> None:
    Path("net.toml").write_text(NETWORK)
    Path("net.txt").write_text(NETWORK)
    Path("bad.toml").write_text("[[layers]")
    Path("bad.onnx").write_bytes(b"no model")


def offered(line: str) -> list[str]:
    """Return what is offered for the last word of a line; it may be empty."""
    *words, last = line.split(" ")
    found = BashComplete(cli, {}, "cnncli", "_CNNCLI_COMPLETE").get_completions(words, last)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run net.toml --layer ", ["stem", "squeeze", "end"]),
        ("run net.toml photo.png --layer s", ["stem", "squeeze"]),
        ("run net.toml photo.png --layer stem --layer e", ["end"]),
        ("run net.toml photo.png -q --until=sq", ["squeeze"]),
        ("plan net.toml --until st", ["stem"]),
        ("pool a.png --size 2 2 --mod", ["--mode"]),
        ("conv a.png -f 0 -1 0 --str", ["--stride"]),
        ("conv a.png -filter edge --str", ["--stride"]),
        ("plan net.toml --input 8x8x3 --trace e", ["end"]),
        ("convert net.toml -o own.toml --until e", ["end"]),
        ("grad net.toml photo.png --unit s", ["stem", "squeeze"]),
        ("grad net.toml photo.png --until e", ["end"]),
        ("explain net.toml photo.png --layer st", ["stem"]),
        ("explain photo.png net.toml --layer st", ["stem"]),
        ("run net.toml --layer x", []),
        ("run --layer ", []),
        ("run nowhere.toml --layer ", []),
        ("run net.txt --layer ", []),
        ("run bad.toml --layer ", []),
        ("run bad.onnx --layer ", []),
    ],
)
def test_layers_of_the_network_before(
    line: str, expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered(line) == expected
    assert capfd.readouterr() == ("", "")


def test_a_path_from_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.getcwd())
    monkeypatch.setenv("USERPROFILE", os.getcwd())
    assert offered("run ~/net.toml --layer e") == ["end"]


@pytest.mark.slow
def test_weights_are_not_read() -> None:
    with open("w.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": (3, 3, 3, 10**6)}
        )
        stream.truncate(stream.tell() + 4 * 27 * 10**6)
    text = '[[layers]]\nname = "big"\ntype = "conv"\nfilter = "w.npy"\n'
    Path("big.toml").write_text(text)
    assert offered("run big.toml --layer ") == ["big"]


@pytest.mark.oracle
def test_nodes_and_values_of_onnx_models() -> None:
    pytest.importorskip("onnx")
    from tests.cli.test_convert import onnx_file

    onnx_file()
    assert offered("run model.onnx --layer ") == ["conv", "norm", "relu"]
    assert offered("run model.onnx --layer /") == ["/conv", "/drop", "/norm", "/relu"]


@pytest.mark.parametrize("line", ["conv --pad", "conv -f so", "run net.toml --pre", "run --fit cr"])
def test_other_words_load_no_numpy(line: str) -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import BashComplete\n"
        "from cnncli.cli import cli\n"
        f"*words, last = {line.split(' ')}\n"
        "complete = BashComplete(cli, {}, 'cnncli', '_CNNCLI_COMPLETE')\n"
        "assert complete.get_completions(words, last)\n"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_real_bash() -> None:
    complete = "COMP_WORDS=(cnncli run net.toml --layer s); COMP_CWORD=4; _cnncli_completion cnncli"
    Path("cnncli").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cnncli "$@"\n')
    Path("cnncli").chmod(0o755)
    script = (
        'export PATH="$PWD:$PATH"; eval "$(_CNNCLI_COMPLETE=bash_source cnncli)"; '
        f'{complete}; echo "${{COMPREPLY[*]}}"'
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.stdout, done.stderr) == ("stem squeeze\n", "")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("bash_source", 0), ("zsh_source", 0), ("fish_source", 0), ("ksh_source", 1)],
)
def test_exit_codes(asked: str, code: int) -> None:
    """A script that stores a shell's completion asks for them."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "_CNNCLI_COMPLETE": asked}
    command = [sys.executable, "-m", "cnncli"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (code, b"")
    assert bool(done.stdout) == (code == 0)
