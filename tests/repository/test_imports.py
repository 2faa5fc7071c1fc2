"""The shape of the code, read from its syntax trees: who may import what, and who may print."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cnncli
from cnncli.cli import COMMANDS
from tests.support.patience import patient
from tests.support.sources import PACKAGE, syntax_trees
from tests.support.sweep import sweep

BELOW_PIPELINE = "errors system core io render filters network"

MAY_IMPORT = {
    name: set(allowed.split())
    for name, allowed in {
        "errors": "",
        "_version": "",
        "_dataclass": "",
        "system": "errors",
        "core": "errors system",
        "io": "errors system _version",
        "render": "errors",
        "filters": "errors system core io",
        "network": "errors system core io render filters",
        "pipeline": f"{BELOW_PIPELINE} _version",
        "plan": f"{BELOW_PIPELINE} pipeline _version",
        "gradients": f"{BELOW_PIPELINE} pipeline _version",
        "compare": f"{BELOW_PIPELINE} pipeline _version",
        "explain": f"{BELOW_PIPELINE} pipeline library _version",
        "batch": f"{BELOW_PIPELINE} pipeline _version",
        "library": f"{BELOW_PIPELINE} pipeline plan gradients explain _version",
        "cli": f"{BELOW_PIPELINE} pipeline plan gradients compare explain batch _version",
        "__main__": "system cli",
    }.items()
}
"""What each package may import besides itself; CONTRIBUTING.md draws the same table."""

FOR_ALL = {"_dataclass"}

COMMAND_LINE = re.compile(r"cli[.:]|cli$")

NAMES = sorted(COMMANDS)


def module_name(path: Path) -> str:
    """Return the module's name below the package, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of every module."""
    return {module_name(PACKAGE / file): tree for file, tree in syntax_trees().items()}


def modules() -> list[str]:
    return [name for name in trees() if name]


def is_guard(node: ast.AST, name: str) -> bool:
    """Return whether the node is an ``if`` on a name such as TYPE_CHECKING or __name__."""
    if not isinstance(node, ast.If):
        return False
    names = {inner.id for inner in ast.walk(node.test) if isinstance(inner, ast.Name)}
    return name in names


@cache
def nodes(tree: ast.AST, *, types_only: bool = True) -> list[ast.AST]:
    """Return all of a tree; with `types_only` false without what only type checkers read."""
    found, left = [], [tree]
    while left:
        children = [
            child
            for child in ast.iter_child_nodes(left.pop())
            if types_only or not is_guard(child, "TYPE_CHECKING")
        ]
        found += children
        left += children
    return found


@cache
def imported(module: str, *, types_only: bool = True) -> set[str]:
    """Return the full names of all modules that a module imports, wherever it does so."""
    found: set[str] = set()
    for node in nodes(trees()[module], types_only=types_only):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written out in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and called(node) == "import_module":
            found |= {a.value for a in node.args if isinstance(a, ast.Constant)}
    return found


def called(node: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def own(names: set[str]) -> set[str]:
    """Return those names that are modules of cnncli, without the package's name."""
    below = {name.partition(".")[2] for name in names if name.split(".")[0] == "cnncli"}
    known = {name if name in trees() else name.rpartition(".")[0] for name in below}
    return known - {""}


@cache
def graph() -> dict[str, set[str]]:
    """Return for every module the modules of cnncli it imports when it runs."""
    return {name: own(imported(name, types_only=False)) - {name} for name in modules()}


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def outside(module: str) -> set[str]:
    """Return the top names of what a module imports from elsewhere than the standard library."""
    tops = {name.partition(".")[0] for name in imported(module)}
    return {top for top in tops if top not in sys.stdlib_module_names} - {"cnncli"}


def test_modules_and_their_imports_are_found() -> None:
    assert {"errors", "core.geometry", "core.conv", "core.pool"} <= set(modules())
    assert "core.geometry" in own(imported("core.conv"))


def test_no_module_imports_itself_by_a_detour() -> None:
    # A package's __init__ and its parts may name each other; between files there are no circles.
    edges = {
        name: {other for other in others if not is_within(name, other)}
        for name, others in graph().items()
    }
    assert list(TopologicalSorter(edges).static_order())


def test_a_module_imports_only_what_its_package_may() -> None:
    found = {}
    for module in modules():
        package = module.partition(".")[0]
        packages = {name.partition(".")[0] for name in own(imported(module))} - {package}
        found[module] = packages - MAY_IMPORT[package] - FOR_ALL
    assert {module: packages for module, packages in found.items() if packages} == {}


def test_the_core_needs_numpy_only() -> None:
    core = [name for name in modules() if is_within(name, "core")]
    assert core and [name for name in core if not outside(name) <= {"numpy"}] == []


def test_dataclasses_are_those_that_cost_no_start() -> None:
    slow = [name for name in modules() if "dataclasses.dataclass" in imported(name)]
    assert slow == ["_dataclass"]


def test_errors_know_nothing() -> None:
    assert outside("errors") == set()
    assert own(imported("errors")) == set()


def test_the_package_itself_imports_nothing_when_it_loads() -> None:
    assert own(imported("", types_only=False)) == {"_version"}
    assert outside("") == set()


def test_only_the_command_line_knows_click() -> None:
    knowing = [name for name in modules() if "click" in outside(name)]
    assert knowing and [name for name in knowing if not COMMAND_LINE.match(name)] == []


def main_parts(tree: ast.Module) -> set[ast.AST]:
    """Return what runs only under ``python -m``: the guarded block and the ``main`` it calls."""
    guards = [node for node in tree.body if is_guard(node, "__name__")]
    if not guards:
        return set()
    mains = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    return {inner for part in (*guards, *mains) for inner in ast.walk(part)}


PRINTING = {"print", "echo", "secho", "pprint", "echo_via_pager"}


def test_only_the_commands_print() -> None:
    lines = []
    for name in modules():
        tree = trees()[name]
        calls = [n for n in nodes(tree) if isinstance(n, ast.Call) and called(n) in PRINTING]
        lines += [f"{name}:{call.lineno}" for call in calls if call not in main_parts(tree)]
    assert lines and [line for line in lines if not COMMAND_LINE.match(line)] == []


WATCH = """
import sys
sys.argv[0] = "cnncli"
from cnncli.__main__ import main
for words in [line.split() for line in sys.stdin.read().splitlines()]:
    sys.argv[1:] = words
    print("#", *words)
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    assert not code, (words, code)
    heavy = {"numpy", "PIL", "dask", "safetensors", "onnx"}
    assert heavy.isdisjoint(sys.modules), (words, sorted(heavy & set(sys.modules)))
"""


def run_python(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command,
        cwd=PACKAGE.parent,
        input=given,
        capture_output=True,
        text=True,
        timeout=patient(20),
        check=False,
    )


def test_help_loads_neither_numpy_nor_pillow() -> None:
    lines = ["--version", "--help", *(f"{command} -h" for command in NAMES)]
    done = run_python("-c", WATCH, given="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(part.split("\n", 1) for part in done.stdout.removeprefix("# ").split("\n# "))
    assert list(shown) == lines and all(map(str.strip, shown.values()))


UNNEEDED = """
import sys
from cnncli.cli import cli
cli(sys.argv[1:], standalone_mode=False)
unneeded = {"cnncli.core.conv_gradients", "concurrent.futures", "numpy.ma", "zipfile"}
unneeded |= {"PIL.GifImagePlugin", "PIL.JpegImagePlugin", "hashlib", "shutil"}
unneeded.add("subprocess")
assert "cnncli.core.engine" in sys.modules
assert unneeded.isdisjoint(sys.modules), sorted(unneeded & set(sys.modules))
"""


def test_a_conv_of_a_picture_loads_only_what_it_needs(tmp_path: Path) -> None:
    photo = str(PACKAGE.parent / "sample_images" / "camera.png")
    given = ["conv", photo, "--filter", "sharpen", "-o", str(tmp_path / "sharp.png")]
    done = run_python("-c", UNNEEDED, *given)
    assert done.returncode == 0, done.stderr


def test_import_cnncli_loads_no_numpy() -> None:
    source = "import sys, cnncli; assert 'numpy' not in sys.modules and 'click' not in sys.modules"
    done = run_python("-c", source)
    assert done.returncode == 0, done.stderr


def test_python_m_cnncli_is_the_command() -> None:
    done = run_python("-m", "cnncli", "--help")
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in NAMES)


@pytest.mark.parametrize("name", sweep(cnncli.__all__, keep=1))
def test_each_name_loads_on_first_use(name: str) -> None:
    done = run_python("-c", f"import sys; from cnncli import {name}; print({name}.__module__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        ("cnncli.core.", "cnncli.library.", "cnncli.errors", "cnncli.explain")
    )
