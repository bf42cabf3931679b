"""The table of the kinds of results."""

from glam_node.result_kinds import DEFAULT_KINDS, RESULT_KINDS, SOP_CLASSES, wanted_kinds
from glam_node.settings.destinations import CStoreSettings
from tests.unit.results.analysed import analysed_exam


def test_the_writer_of_each_kind_writes_the_sop_class_of_the_table() -> None:
    assert {one.kind: one.dataset.SOPClassUID for one in analysed_exam().every_kind()} == {
        kind: sop_class for kind, sop_class in SOP_CLASSES.items() if kind != "not_analysed_report"
    }
    assert analysed_exam().notice().SOPClassUID == SOP_CLASSES["not_analysed_report"]


def test_kinds_of_one_sop_class_are_shown_by_one_name_and_files_of_each_kind_by_their_own() -> None:
    assert len({(kind.sop_class_uid, kind.shown) for kind in RESULT_KINDS}) == len(set(SOP_CLASSES.values()))
    assert len({kind.prefix for kind in RESULT_KINDS}) == len(RESULT_KINDS)


def test_kinds_that_any_destination_asks_for_are_wanted() -> None:
    assert wanted_kinds([["segmentation"], ["secondary_capture"]]) == {"segmentation", "secondary_capture"}


def test_the_default_kinds_are_kept_without_destinations() -> None:
    assert wanted_kinds([]) == DEFAULT_KINDS == set(CStoreSettings().results)
