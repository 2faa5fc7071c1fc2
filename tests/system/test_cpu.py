"""Which kernels numpy's BLAS uses: set in the command's own process, nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import patient

WIDE = "avx512f avx512dq avx512cd avx512bw avx512vl"
CPUS = {
    "wide AMD": f"vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 {WIDE} gfni\n",
    "narrow AMD": "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n",
    "AMD without one": f"vendor_id\t: AuthenticAMD\nflags\t\t: {WIDE.replace('avx512dq', '')}\n",
    "wide Intel": f"vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 {WIDE}\n",
}
CHOOSE = """
import os, sys
from cnncli.system.cpu import choose_blas_kernels
choose_blas_kernels(cpuinfo=sys.argv[1])
assert "numpy" not in sys.modules
print(os.environ.get("OPENBLAS_CORETYPE"))
"""
linux = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="set on Linux, x86-64 only"
)


def printed(code: str, *words: object, **variables: str) -> str:
    """Run Python with no variable of OpenBLAS but these; return what it prints."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env={**environ, **variables}, capture_output=True, text=True, check=True,
        timeout=patient(20),
    )  # fmt: skip
    return done.stdout.strip()


@linux
@pytest.mark.parametrize("cpu", CPUS)
def test_only_an_amd_cpu_with_wide_vectors_needs_a_word(cpu: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUS[cpu])
    assert printed(CHOOSE, cpuinfo) == ("SkylakeX" if cpu == "wide AMD" else "None")


@linux
@pytest.mark.parametrize("name", ["OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OPENBLAS_VERBOSE"])
def test_what_the_user_has_set_stands(name: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(CPUS["wide AMD"])
    value = "Haswell" if name == "OPENBLAS_CORETYPE" else "1"
    kept = value if name == "OPENBLAS_CORETYPE" else "None"
    assert printed(CHOOSE, cpuinfo, **{name: value}) == kept


def test_a_system_that_tells_nothing_changes_nothing(tmp_path: Path) -> None:
    assert printed(CHOOSE, tmp_path / "missing") == "None"


def test_importers_keep_their_environment() -> None:
    code = """
import os
before = dict(os.environ)
import cnncli, cnncli.__main__, cnncli.core.engine
from cnncli.system.cpu import choose_blas_kernels
choose_blas_kernels()
print(dict(os.environ) == before)
"""
    assert printed(code) == "True"


@pytest.mark.oracle
@linux
def test_the_command_loads_numpy_with_those_kernels() -> None:
    pytest.importorskip("threadpoolctl")
    words = set(Path("/proc/cpuinfo").read_text().split())
    if "AuthenticAMD" not in words or not words >= set(WIDE.split()):
        pytest.skip("this CPU needs no word")
    code = """
import atexit, sys
from cnncli import __main__ as command
def tell():
    import threadpoolctl, numpy
    print([library["architecture"] for library in threadpoolctl.threadpool_info()
           if library["internal_api"] == "openblas"])
atexit.register(tell)
sys.argv = ["cnncli", "--version"]
command.main()
"""
    assert printed(code).splitlines()[-1] == "['SkylakeX']"


@pytest.mark.skipif(os.name != "posix", reason="not on Windows")
@pytest.mark.parametrize(
    "name", ["", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"]
)
def test_openblas_starts_no_threads_unless_the_user_says_so(name: str) -> None:
    given = {name: "2"} if name else {}
    code = """
import os
from cnncli.system.cpu import load_blas_without_threads
load_blas_without_threads()
before = os.environ.get("OPENBLAS_NUM_THREADS")
import numpy, sys
from cnncli.system import blas
functions = blas._thread_functions()
load_blas_without_threads({})
print(before, functions and functions[0]())
"""
    said, threads = printed(code, **given).split()
    assert said == {"": "1", "OPENBLAS_NUM_THREADS": "2"}.get(name, "None")
    if not name:
        assert threads in ("1", "None")


@pytest.mark.skipif(os.name != "posix", reason="not on Windows")
@pytest.mark.parametrize(("command", "threads"), [("conv", "1"), ("run", "1"), ("grad", "None")])
def test_commands_load_numpy_with_the_threads_they_use(
    command: str, threads: str, tmp_path: Path
) -> None:
    top = Path(__file__).parents[2]
    photo, network = top / "sample_images" / "camera.png", top / "examples" / "edges.toml"
    given = {
        "conv": [photo, "-f", "edge"], "run": [network, photo], "grad": [photo, "-f", "edge"]
    }  # fmt: skip
    code = """
import os, sys
from cnncli.cli import cli
cli([*sys.argv[1:], "-q"], standalone_mode=False)
print(os.environ.get("OPENBLAS_NUM_THREADS"))
"""
    made = printed(code, command, *given[command], "-o", tmp_path / "made.png")
    assert made == threads
