"""`glam-node echo` tells what is wrong with a destination."""

from pathlib import Path

from glam_node.node.scu.echo import echo
from glam_node.settings.schema import DestinationSettings
from tests.integration.archive import Archive


def destination(archive: Archive, ae_title: str = "ARCHIVE") -> DestinationSettings:
    """[destinations.archive]"""
    return DestinationSettings(ae_title=ae_title, host="127.0.0.1", port=archive.port)


def test_an_archive_that_is_there_answers(archive: Archive) -> None:
    report = echo("archive", destination(archive), "GLAMNODE")
    assert report.ok
    assert report.message == f"ARCHIVE at 127.0.0.1:{archive.port} answers to GLAMNODE."
    assert 0 < report.milliseconds < 5000


def test_a_wrong_ae_title_is_reported_with_what_to_do(archive: Archive) -> None:
    report = echo("archive", destination(archive, "WRONG"), "GLAMNODE")
    assert not report.ok
    assert report.message.endswith("called AE title not recognized. Check destinations.archive.ae_title.")


def test_a_folder_answers(tmp_path: Path) -> None:
    assert echo("trial", DestinationSettings(kind="folder", path=tmp_path), "GLAMNODE").ok
