"""What was measured on: the machine, its settings, and two cores for everybody."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path
from typing import Any, Final

from benchmarks import peers

THREADS: Final = 2
"""Threads of ours and of every peer that has any."""

VARIABLES: Final = (
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def hold_to_threads() -> None:
    """Keep this process and its children on `THREADS` cores, where the system can.

    Peers are told their number of threads too; this holds those that cannot be told.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:THREADS]))
    if (torch := peers.module("torch")) is not None:
        torch.set_num_threads(THREADS)
    if (cv2 := peers.module("OpenCV")) is not None:
        cv2.setNumThreads(THREADS)


def describe() -> dict[str, Any]:
    """Return the machine, its settings and the peers' versions.

    Call it after `hold_to_threads`, and before anything that makes load of its own.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "cpu": cpu_model(),
        "vectors": widest_vectors(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "load before": round(load, 2),
        "disturbed": {},
        "blas": blas_kernels(),
        "settings": {name: os.environ.get(name, "not set") for name in VARIABLES},
        "versions": peers.versions(),
        "missing": peers.missing(),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU's name with its family and model, as Linux tells them.

    Virtual machines shorten the name; family and model tell the generation.
    """
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    text = cpuinfo.read_text()
    facts = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.M))
    name: str = facts.get("model name", platform.machine())
    if "cpu family" not in facts:
        return name
    return f"{name} (family {facts['cpu family']}, model {facts.get('model', '?')})"


def widest_vectors(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the widest vector instructions of an x86 CPU, "" where that is not known."""
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    widths: tuple[str, ...] = ("avx512f", "avx2", "avx", "sse2")
    return next((name for name in widths if name in flags), "")


def blas_kernels() -> str:
    """Return which kernels numpy's BLAS chose, if threadpoolctl is there to ask."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            return f"{library['internal_api']} {library['version']} {library.get('architecture')}"
    return "unknown"
