"""Inputs and outputs of a batch, known by hashes of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import OptionError
from cnncli.io.formats import NPY
from cnncli.io.urls import parse_url
from cnncli.pipeline.files_of_batch import InputFiles, OutputClaims, hash64
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.source import Source


def test_inputs_are_known_among_many(tmp_path: Path) -> None:
    urls = [parse_url(f"s3://bucket/{number}.png") for number in range(1000)]
    local = tmp_path / "a.png"
    local.touch()
    status = local.stat()
    inputs = InputFiles([*map(Source, urls[::2]), Source(tmp_path / "missing.png")], [local])
    assert all((url.identity in inputs) == (number % 2 == 0) for number, url in enumerate(urls))
    assert (status.st_dev, status.st_ino) in inputs
    assert (status.st_ino, status.st_dev) not in inputs and (1, 2) not in InputFiles([])


def test_hashes_of_names_fill_64_bits() -> None:
    hashes = [hash64(f"{number}.png") for number in range(1000)]
    assert len(set(hashes)) == 1000 and 2**63 < max(hashes) < 2**64


def test_images_that_differ_in_what_is_never_shown_are_two_images() -> None:
    first, second = (Source(parse_url(f"https://h.org/get.png?id={number}")) for number in (1, 2))
    assert str(first) == str(second)
    claims, file = OutputClaims(), OutFile(Path("get-000.npy"), NPY, 0, (0,))
    claims.claim(first, [file])
    claims.claim(first, [file])
    with pytest.raises(OptionError, match="would hold both"):
        claims.claim(second, [file])
