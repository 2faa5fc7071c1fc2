"""Results of earlier runs are no images of the next, where they stand beside their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.batch.sources import gather
from tests.support.shell import refused, run_cli, save
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")


def found(*images: str) -> list[str]:
    return [str(source.path) for source in gather(images, False, True)]


@pytest.mark.parametrize("suffix", sweep(["png", "jpg", "tif", "webp", "gif"], keep=2))
def test_results_of_a_run_are_no_images_of_the_next(suffix: str) -> None:
    for name in ("a.png", "b.jpg", "sub/c.png"):
        Path(name).parent.mkdir(exist_ok=True)
        save(name, np.arange(81, dtype=np.uint8).reshape(9, 9))
    conv = ("conv", ".", "-r", "--format", suffix, "--jobs", 1)
    made = [f"{name}-edge.{suffix}" for name in ("a", "b", "sub/c")]
    assert "note" not in run_cli(*conv, "-f", "edge").stderr
    assert all(Path(name).exists() for name in made)
    again = run_cli(*conv, "-f", "edge", "--skip-existing").stderr
    assert again.startswith("note: '.': 3 results of earlier runs left out; a pattern or their na")
    assert again.endswith("0 done, 3 skipped\n")
    error = refused(*conv, "-f", "edge")
    assert "exists already" in error and "--overwrite" in error and "--skip-existing" in error
    run_cli(*conv, "-f", "edge", "--overwrite", "-q")
    # Nor of one with another filter.
    assert run_cli(*conv, "-f", "box").stderr.endswith("3 done\n")
    assert len(list(Path().rglob("*.*"))) == 9
    # What is named is taken, and so is a folder of results alone.
    assert found(made[0], "*-edge.*") == [made[0], *sorted(made[:2])]
    for name in (*made, f"a-box.{suffix}"):
        Path("results").mkdir(exist_ok=True)
        Path(name).rename(Path("results", Path(name).name))
    assert len(found("results")) == 4


@pytest.mark.parametrize(
    "name", ["edge-{stem}.png", "x_{name}.png", "my {stem} 2.png", "{stem}.png"]
)
def test_results_of_any_template_are_no_images_of_the_next_run(name: str) -> None:
    for image in ("a.jpg", "b-2.jpg"):
        save(image, np.zeros((9, 9), np.uint8))
    conv = ("conv", ".", "--jobs", 1, "-f", "edge", "-o", name)
    run_cli(*conv)
    for option in ("--skip-existing", "--overwrite"):
        assert "note: '.': 2 results of earlier runs left out" in run_cli(*conv, option).stderr
    assert found(".") == ["a.jpg", "b-2.jpg"]


def test_results_of_one_name_in_a_folder_of_their_own_are_images() -> None:
    save("a.png", np.zeros((9, 9), np.uint8))
    Path("results").mkdir()
    for name in ("results/a.png", "results/a.jpg"):
        run_cli("conv", "a.png", "-f", "box", "-o", name)
    assert found("results") == ["results/a.jpg", "results/a.png"]


def test_the_hint_of_a_result_that_is_an_image_names_a_folder() -> None:
    save("a.png", np.zeros((9, 9), np.uint8))
    error = refused("conv", ".", "-f", "edge", "-o", "{stem}.png", code=2)
    assert "is one of the inputs" in error and "-o another name or folder, such as out/" in error
