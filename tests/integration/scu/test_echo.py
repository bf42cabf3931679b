"""Faults of destinations that `glam-node echo` finds."""

from pathlib import Path

import pytest
from pynetdicom import build_context

from glam_node.node.scu.echo import VERIFICATION, echo
from glam_node.result_kinds import SOP_CLASSES
from glam_node.settings.destination_base import FallbackSettings
from glam_node.settings.destinations import CStoreSettings, FolderSettings
from tests.integration.archive import Archive, listening


def destination(archive: Archive, ae_title: str = "ARCHIVE") -> CStoreSettings:
    """Return the settings of [destinations.archive]."""
    return CStoreSettings(ae_title=ae_title, host="127.0.0.1", port=archive.port)


def test_an_archive_that_is_there_answers(archive: Archive) -> None:
    report = echo("archive", destination(archive), "GLAMNODE")
    assert report.ok
    assert report.message == f"ARCHIVE at 127.0.0.1:{archive.port} answers to GLAMNODE."
    assert 0 < report.milliseconds < 5000


def test_a_wrong_ae_title_is_reported_with_what_to_do(archive: Archive) -> None:
    report = echo("archive", destination(archive, "WRONG"), "GLAMNODE")
    assert not report.ok
    assert report.message.endswith("called AE title not recognized. Check destinations.archive.ae_title.")


def test_echo_names_a_chosen_result_that_the_archive_does_not_accept() -> None:
    contexts = [build_context(VERIFICATION), build_context(SOP_CLASSES["segmentation"])]
    with listening(Archive(contexts=contexts)) as archive:
        chosen = destination(archive).model_copy(update={"results": ("segmentation", "presentation_state")})
        report = echo("archive", chosen, "GLAMNODE")
    assert not report.ok
    assert "does not accept Grayscale Softcopy Presentation State Storage." in report.message
    assert report.message.endswith("or name a fallback for it in destinations.archive.fallbacks.")


def test_echo_succeeds_and_names_the_fallbacks_that_the_archive_accepts() -> None:
    contexts = [build_context(VERIFICATION), build_context(SOP_CLASSES["comprehensive_sr"])]
    with listening(Archive(contexts=contexts)) as archive:
        fallbacks = FallbackSettings(measurement_report="comprehensive_sr")
        changed = {"results": ("measurement_report",), "fallbacks": fallbacks}
        report = echo("archive", destination(archive).model_copy(update=changed), "GLAMNODE")
    assert report.ok
    assert report.message.endswith("The node sends comprehensive_sr for measurement_report.")


def test_echo_leaves_no_trace_in_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "not" / "there" / "yet"):
        assert echo("trial", FolderSettings(kind="folder", path=path), "GLAMNODE").ok
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/proc/nope/x", "/dev/null", "/dev/null/x", "/sys"])
def test_echo_names_a_folder_that_accepts_no_file(path: str) -> None:
    report = echo("trial", FolderSettings(kind="folder", path=Path(path)), "GLAMNODE")
    assert not report.ok
    assert "accepts no results" in report.message
    assert "destinations.trial.path" in report.message
