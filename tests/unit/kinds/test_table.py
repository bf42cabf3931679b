"""Tests that the table of kinds decides for the node, for `analyse` and for programs alike."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.header_facts import describe_view
from glam_node.inference.reading import read_mammogram
from glam_node.kinds.facts import DECLARABLE_KINDS, KindPolicy
from glam_node.kinds.table import KINDS, kind_left_out
from glam_node.node.domain.eligibility import EligibilityPolicy, LeftOut, judge
from glam_node.node.workflow.assemble.read_files import read_files
from tests.unit.kinds.headers import LEFT_OUT, ORDINARY, image_with

ANY_VIEW = EligibilityPolicy(minimum_views=1, accept_implants=True)


def left_out_of_a_folder(
    changes: dict[str, Any], directory: Path, policy: EligibilityPolicy = ANY_VIEW
) -> list[LeftOut]:
    image_with(changes).save_as(directory / "image.dcm", enforce_file_format=True)
    (study,) = read_files([directory / "image.dcm"], datetime(2026, 1, 2, tzinfo=UTC)).studies
    return list(judge(study, policy).left_out.values())


@pytest.mark.parametrize(("rule", "changes"), LEFT_OUT, ids=str)
def test_node_and_api_leave_out_an_image_with_the_same_reason(
    rule: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    (left_out,) = left_out_of_a_folder(changes, tmp_path)
    with pytest.raises(UnsupportedMammogram) as refusal:
        read_mammogram(image_with(changes))
    assert (left_out.rule, left_out.reason) == (rule, str(refusal.value))


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_view_is_analysed_by_the_node_and_read_by_the_api(name: str, tmp_path: Path) -> None:
    assert left_out_of_a_folder(ORDINARY[name], tmp_path) == []
    assert read_mammogram(image_with(ORDINARY[name])).shape == (128, 96)


OPTIONAL = """Manufacturer ManufacturerModelName SeriesDescription PaddleDescription DerivationDescription TomoClass
ContrastBolusAgent ContrastBolusAgentSequence ContrastBolusVolume PartialView PartialViewCodeSequence CalibrationImage
QualityControlImage BodyPartExamined AnatomicRegionSequence VolumetricProperties ConcatenationUID
SpecimenDescriptionSequence NumberOfTomosynthesisSourceImages
EstimatedRadiographicMagnificationFactor BreastImplantPresent DetectorMode"""


@pytest.mark.parametrize("keyword", OPTIONAL.split())
@pytest.mark.parametrize("value", [b"", b"\xff\xfe\x00", b"\x00" * 2000])
@pytest.mark.filterwarnings("ignore")
def test_a_malformed_optional_element_never_stops_the_reading_of_a_header(keyword: str, value: bytes) -> None:
    image = image_with({})
    tag = Tag(keyword)
    image[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    assert describe_view(image).view_position == "CC"


def test_every_kind_of_the_table_has_a_test_image() -> None:
    tried = {rule for rule, _ in LEFT_OUT}
    assert {kind.rule for kind in KINDS} - tried == {"conventional", "demonstration_package"}


def test_the_document_of_rules_has_every_kind_in_the_order_of_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row in {kind.rule for kind in KINDS}] == [kind.rule for kind in KINDS]


def test_every_reason_is_a_complete_sentence() -> None:
    for kind in KINDS:
        reason = kind.reason(describe_view(image_with({})))
        assert reason.endswith(".")
        assert not {"{", "}"} & set(reason)


@pytest.mark.parametrize("kind", DECLARABLE_KINDS[1:])
def test_a_kind_that_the_package_declares_is_read(kind: str) -> None:
    policy = KindPolicy(accepted=frozenset({kind}))
    for rule, changes in LEFT_OUT:
        if rule == kind:
            assert read_mammogram(image_with(changes), policy)
    with pytest.raises(UnsupportedMammogram, match="conventional mammogram, which the model package does not declare"):
        read_mammogram(image_with({}), policy)


def test_a_subtraction_is_never_read_whatever_the_package_declares() -> None:
    policy = KindPolicy(accepted=frozenset(DECLARABLE_KINDS))
    for changes in (changes for rule, changes in LEFT_OUT if rule == "contrast_enhanced"):
        with pytest.raises(UnsupportedMammogram, match="contrast-enhanced"):
            read_mammogram(image_with(changes), policy)


def test_a_program_may_ignore_the_kind_of_an_image() -> None:
    assert read_mammogram(image_with({"SeriesDescription": "C-View", "ContrastBolusAgent": "IODINE"}), None)
    with pytest.raises(UnsupportedMammogram, match="15 frames"):
        read_mammogram(image_with({"NumberOfFrames": 15}), None)


def test_a_site_may_switch_off_the_reading_of_descriptions(tmp_path: Path) -> None:
    policy = EligibilityPolicy(1, accept_implants=True, kinds=KindPolicy(descriptions=False))
    assert left_out_of_a_folder({"SeriesDescription": "R CC C-View"}, tmp_path, policy) == []


def test_a_site_may_add_terms_of_its_machines() -> None:
    facts = describe_view(image_with({"ImageType": ["ORIGINAL", "PRIMARY", "SOMETHING"]}))
    assert kind_left_out(facts, "", KindPolicy(image_types=frozenset({"SOMETHING"}))) is None


def test_a_term_that_a_site_adds_does_not_admit_another_kind() -> None:
    facts = describe_view(image_with({"ImageType": ["DERIVED", "PRIMARY", "", "SUBTRACTION"]}))
    kind = kind_left_out(facts, "", KindPolicy(image_types=frozenset({"SUBTRACTION"})))
    assert kind is not None
    assert kind.rule == "contrast_enhanced"
