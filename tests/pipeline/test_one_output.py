"""The only file of a command: its name, what is refused, and that it is written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import FileProblem, OptionError
from cnncli.pipeline.one_output import one_output_file
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.source import Source


@pytest.fixture
def image(tmp_path: Path) -> Source:
    path = tmp_path / "cat.png"
    path.write_bytes(b"pixels")
    return Source(path)


def test_the_file_is_named_and_written(image: Source, tmp_path: Path) -> None:
    output = one_output_file(image, OutputOptions(f"{tmp_path}/new/"), op="field")
    assert str(output) == str(tmp_path / "new" / "cat-field.png")
    assert not (tmp_path / "new").exists()
    output.write(b"picture")
    assert Path(str(output)).read_bytes() == b"picture"


def test_what_exists_is_replaced_only_if_asked_for(image: Source, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"old")
    name = str(tmp_path / "out.png")
    with pytest.raises(FileProblem, match="exists already"):
        one_output_file(image, OutputOptions(name), op="field")
    one_output_file(image, OutputOptions(name, overwrite=True), op="field").write(b"new")
    assert (tmp_path / "out.png").read_bytes() == b"new"


def test_inputs_are_spared(image: Source, tmp_path: Path) -> None:
    model = tmp_path / "net.png"
    model.write_bytes(b"layers")
    for path in (image.path, model):
        options = OutputOptions(str(path), overwrite=True)
        with pytest.raises(OptionError, match="one of the inputs"):
            one_output_file(image, options, op="field", read_too=[model])


def test_standard_output_gets_png(image: Source) -> None:
    output = one_output_file(image, OutputOptions("-"), op="field")
    assert (output.to_stdout, str(output)) == (True, "standard output")
    assert output.file.format.name == "png"
