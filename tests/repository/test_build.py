"""What an installation packs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.oracle
def test_a_build_packs_nothing_that_was_deleted_since_the_last(tmp_path: Path) -> None:
    pytest.importorskip("setuptools.command.build", reason="needs setuptools")
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = some\n[options]\npackages = some\n")
    package = tmp_path / "some"
    package.mkdir()
    for name in ("__init__.py", "kept.py", "gone.py"):
        (package / name).write_text("")

    def built() -> set[str]:
        command = [sys.executable, "setup.py", "-q", "build"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return {path.name for path in (tmp_path / "build" / "lib" / "some").iterdir()}

    assert built() == {"__init__.py", "kept.py", "gone.py"}
    (package / "gone.py").unlink()
    assert built() == {"__init__.py", "kept.py"}
