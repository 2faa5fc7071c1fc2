"""Names of files that a missing one may mean."""

from __future__ import annotations

from pathlib import Path

from cnncli.io.nearby import files_like


def test_files_that_may_be_meant(tmp_path: Path) -> None:
    for name in ("photo.png", "zebra.png", "holiday.jpeg", "notes"):
        (tmp_path / name).touch()
    assert files_like(f"{tmp_path}/phote.png") == "there is 'photo.png'"
    # Endings that are equal make no names alike.
    assert files_like(f"{tmp_path}/missing.png") == "there is 'photo.png', 'zebra.png'"
    assert files_like(f"{tmp_path}/holiday.jpg") == "there is 'holiday.jpeg'"
    assert files_like(f"{tmp_path}/0000.png") == "there is 'photo.png', 'zebra.png'"
    assert files_like(f"{tmp_path}/0000.png", near_only=True) is None
    assert files_like(f"{tmp_path}/0000.tif") == f"no file *.tif is in '{tmp_path}'"
    assert files_like(f"{tmp_path}/0000") is None
    assert files_like(f"{tmp_path}/no/photo.png") is None
    assert "as in --size 2,2" in (files_like("2") or "")
