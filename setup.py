"""Builds the package; what it holds stands in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build import build


class BuildFromNothing(build):
    """Build into an empty folder: what is left in build/ of deleted files would be packed too."""

    def run(self) -> None:
        """Remove what a build before left, then build."""
        if Path(self.build_lib).exists():
            shutil.rmtree(self.build_lib)
        super().run()


setup(cmdclass={"build": BuildFromNothing})
