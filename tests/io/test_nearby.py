"""Names of files that a missing one may mean."""

from __future__ import annotations

from pathlib import Path

from cnncli.io.nearby import files_like


def test_files_that_may_be_meant(tmp_path: Path) -> None:
    for name in ("photo.png", "zebra.png", "holiday.jpeg", "notes"):
        (tmp_path / name).touch()
    assert files_like(f"{tmp_path}/phote.png") == "there is 'photo.png'"
    assert files_like(f"{tmp_path}/missing.png") == "there is 'photo.png', 'zebra.png'"
    assert files_like(f"{tmp_path}/holiday.jpg") == "there is 'holiday.jpeg'"
    assert files_like(f"{tmp_path}/0000.png") == "there is 'photo.png', 'zebra.png'"
    assert files_like(f"{tmp_path}/0000.png", near_only=True) is None
    assert files_like(f"{tmp_path}/0000.tif") == f"no file *.tif is in '{tmp_path}'"
    assert files_like(f"{tmp_path}/0000") is None
    assert files_like(f"{tmp_path}/no/photo.png") is None
    assert files_like("-") == "standard input is not read here: name a file"
    assert "as in --size 2,2" in (files_like("2") or "")
    for number in ("0.456", ".5"):
        assert "as in --mean 0.485,0.456,0.406" in (files_like(number) or "")


def test_marks_of_a_shell_are_no_part_of_a_name(empty_folder: Path) -> None:
    Path("d").mkdir()
    for name in ("d/IMG 1.png", "all.npz"):
        Path(name).touch()
    for written in ('"d/IMG 1.png"', "'d/IMG 1.png'", "d/IMG\\ 1.png", "d\\IMG 1.png"):
        assert files_like(written) == "there is 'd/IMG 1.png'"
    assert files_like("d/IMG 1.png:W") == "there is 'd/IMG 1.png'"
    array = "one of its arrays: np.save('x.npy', np.load('all.npz')['a:b'])"
    assert files_like("all.npz:a:b") == array


def test_names_that_are_not_alike_are_called_so(tmp_path: Path) -> None:
    for name in ("a1.png", "b2.png", "c3.png", "d4.png"):
        (tmp_path / name).touch()
    said = f"no file has a name like it; *.png in '{tmp_path}' are 'a1.png', 'b2.png', 'c3.png' ..."
    assert files_like(f"{tmp_path}/holiday.png") == said
    assert files_like(f"{tmp_path}/a1.pgn") == "there is 'a1.png'"


def test_endings_that_are_equal_make_no_names_alike(tmp_path: Path) -> None:
    (tmp_path / "xy.jpeg").touch()
    # With their endings 10 of 14 letters are the same.
    assert files_like(f"{tmp_path}/ab.jpeg", near_only=True) is None


def test_names_that_differ_by_capitals_are_both_named(tmp_path: Path) -> None:
    for name in ("photo.PNG", "photo.png", "Photo.png"):
        (tmp_path / name).touch()
    said = "there is 'Photo.png', 'photo.PNG', 'photo.png'"
    assert files_like(f"{tmp_path}/phote.png") == said


def test_a_link_that_leads_nowhere_is_told_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "photo.png").symlink_to("gone.png")
    (tmp_path / "photo2.png").touch()
    said = "it is a link to 'gone.png', which is not there"
    assert files_like(f"{tmp_path}/photo.png") == said
