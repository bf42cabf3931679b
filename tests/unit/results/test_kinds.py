"""The kinds of results that destinations ask for."""

from typing import get_args

from glam_node.node.results.kinds import DEFAULT_KINDS, SOP_CLASSES, wanted_kinds
from glam_node.settings.destinations import CStoreSettings, ResultKind


def test_the_settings_offer_every_kind_in_the_order_of_writing() -> None:
    assert get_args(ResultKind) == tuple(SOP_CLASSES)


def test_kinds_that_any_destination_asks_for_are_wanted() -> None:
    assert wanted_kinds([["segmentation"], ["secondary_capture"]]) == {"segmentation", "secondary_capture"}


def test_the_default_kinds_are_kept_without_destinations() -> None:
    assert wanted_kinds([]) == DEFAULT_KINDS == set(CStoreSettings().results)
