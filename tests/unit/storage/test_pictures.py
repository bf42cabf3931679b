"""The cache of pictures is bounded, private, and cleared with its study."""

import os
from pathlib import Path

from glam_node.node.storage.pictures import DrawnPictures


def names(root: Path) -> list[str]:
    """Return the names of the cached pictures."""
    return sorted(str(path.relative_to(root / "pictures")) for path in root.rglob("*") if path.is_file())


def test_a_cached_picture_is_found_and_readable_by_its_user_only(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path)
    assert pictures.find("1.2", "a.png") is None
    pictures.keep("1.2", "a.png", b"drawn")
    assert pictures.find("1.2", "a.png") == b"drawn"
    assert pictures.find("1.3", "a.png") is None
    assert (tmp_path / "pictures" / "1.2" / "a.png").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pictures" / "1.2").stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == ["1.2/a.png"]


def test_the_picture_shown_least_recently_makes_room(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path, maximum_bytes=250)
    for number, name in enumerate(("a.png", "b.png")):
        pictures.keep("1.2", name, b"x" * 100)
        os.utime(tmp_path / "pictures" / "1.2" / name, (number, number))
    pictures.find("1.2", "a.png")
    pictures.keep("1.3", "c.png", b"x" * 100)
    assert names(tmp_path) == ["1.2/a.png", "1.3/c.png"]
    pictures.keep("1.4", "large.png", b"x" * 300)
    assert names(tmp_path) == []


def test_pictures_go_with_their_study_and_an_empty_file_counts_as_missing(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path)
    pictures.keep("1.2", "a.png", b"drawn")
    pictures.keep("1.3", "b.png", b"")
    pictures.remove_study("1.2")
    pictures.remove_study("1.2")
    assert names(tmp_path) == ["1.3/b.png"]
    assert pictures.find("1.3", "b.png") is None


def test_a_picture_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(b"in the way")
    pictures = DrawnPictures(tmp_path)
    pictures.keep("1.2", "a.png", b"drawn")
    assert pictures.find("1.2", "a.png") is None
