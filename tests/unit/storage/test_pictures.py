"""Pictures are kept for the node's user alone, as many as fit, as long as their study."""

import os
from pathlib import Path

from glam_node.node.storage.pictures import DrawnPictures


def names(root: Path) -> list[str]:
    """What is kept."""
    return sorted(str(path.relative_to(root / "pictures")) for path in root.rglob("*") if path.is_file())


def test_what_was_kept_is_found_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path)
    assert pictures.find("1.2", "a.png") is None
    pictures.keep("1.2", "a.png", b"drawn")
    assert pictures.find("1.2", "a.png") == b"drawn"
    assert pictures.find("1.3", "a.png") is None
    assert (tmp_path / "pictures" / "1.2" / "a.png").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "pictures" / "1.2").stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == ["1.2/a.png"]


def test_what_was_not_seen_for_longest_makes_room(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path, maximum_bytes=250)
    for number, name in enumerate(("a.png", "b.png")):
        pictures.keep("1.2", name, b"x" * 100)
        os.utime(tmp_path / "pictures" / "1.2" / name, (number, number))
    pictures.find("1.2", "a.png")
    pictures.keep("1.3", "c.png", b"x" * 100)
    assert names(tmp_path) == ["1.2/a.png", "1.3/c.png"]
    pictures.keep("1.4", "large.png", b"x" * 300)
    assert names(tmp_path) == []


def test_a_study_takes_its_pictures_with_it_and_a_file_that_is_empty_is_none(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path)
    pictures.keep("1.2", "a.png", b"drawn")
    pictures.keep("1.3", "b.png", b"")
    pictures.remove_study("1.2")
    pictures.remove_study("1.2")
    assert names(tmp_path) == ["1.3/b.png"]
    assert pictures.find("1.3", "b.png") is None


def test_where_it_cannot_be_kept_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(b"in the way")
    pictures = DrawnPictures(tmp_path)
    pictures.keep("1.2", "a.png", b"drawn")
    assert pictures.find("1.2", "a.png") is None
