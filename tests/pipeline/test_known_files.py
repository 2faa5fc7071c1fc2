"""Inputs and outputs of a batch, known by hashes of their names."""

from __future__ import annotations

from pathlib import Path

from cnncli.io.urls import parse_url
from cnncli.pipeline.known_files import InputFiles, hash64
from cnncli.pipeline.targets import Source


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
