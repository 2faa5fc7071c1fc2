"""The only file of a command that writes one: where it goes, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError
from cnncli.io.atomic import is_stdout, make_folder
from cnncli.pipeline.files import open_output
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.output_checks import OutputOptions, check_target, plan_targets, select_files
from cnncli.pipeline.source import Source


@dataclass(frozen=True)
class OneOutput:
    """A file that may be written.

    Parameters
    ----------
    file : OutFile
    overwrite : bool
        Whether a file of that name may be replaced.
    """

    file: OutFile
    overwrite: bool

    @property
    def to_stdout(self) -> bool:
        """Whether it is standard output."""
        return self.file.path is None

    def __str__(self) -> str:
        return str(self.file.path or "standard output")

    def write(self, data: bytes) -> None:
        """Write it whole or not at all; a folder that is missing is made.

        Raises
        ------
        FileProblem
            If it cannot be written.
        """
        path = self.file.path
        if isinstance(path, Path):
            make_folder(path.parent)
        with open_output(path, overwrite=self.overwrite) as stream:
            stream.write(data)


def one_output_file(
    source: Source, options: OutputOptions, *, op: str, read_too: Sequence[Path] = ()
) -> OneOutput:
    """Decide where a command's only file goes, before any work.

    Parameters
    ----------
    source : Source
        The image; without ``-o`` its name is the beginning of the file's.
    options : OutputOptions
        What ``-o`` and ``--overwrite`` say. On standard output a picture is PNG.
    op : str
        What the default name ends with.
    read_too : sequence of Path
        Further files that must not be overwritten.

    Raises
    ------
    CnnCliError
        If it cannot be written there, exists, or is an input.

    Examples
    --------
    >>> output = one_output_file(Source(Path("cat.jpg")), OutputOptions(), op="field")
    >>> str(output), output.to_stdout
    ('cat-field.png', False)
    """
    if options.output is not None and is_stdout(options.output):
        options = replace(options, format="png")
    plan = plan_targets([source], options, op=op, one_picture=True, read_too=read_too)
    (target,) = plan.targets
    (file,) = select_files(target.unknown_files(), options, plan.inputs)
    return OneOutput(file, options.overwrite)


def one_picture_file(
    source: Source, options: OutputOptions, *, op: str, what: str, read_too: Sequence[Path] = ()
) -> OneOutput:
    """Decide as `one_output_file` where a command's only picture goes; it may be in colour.

    Parameters
    ----------
    source, options, op, read_too
        As in `one_output_file`.
    what : str
        What is said of a file of numbers, before its kind.

    Raises
    ------
    CnnCliError
        As `one_output_file`, or if the file holds no pictures in colour.
    """
    output = one_output_file(source, options, op=op, read_too=read_too)
    format = output.file.format
    if format.pillow is None:
        raise OptionError(f"{what}, got .{format.name}", hint=f"-o {op}.png")
    check_target(output.file, 1, 1, colour=True)
    return output
