"""UIDs and names that are derived from the sources of the results."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydicom.uid import UID

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.tracking import tracked_findings
from glam_node.result_kinds import FRACTIONAL_SEGMENTATION, LABELMAP_SEGMENTATION, SEGMENTATION, SOP_CLASSES
from tests.integration.results.written import FOUR_LESIONS
from tests.unit.results.analysed import IDENTITY, analysed_exam

ALGORITHM = AlgorithmIdentification("GLAM", "1.0", "ab" * 32, trained=True, parameters=(("threshold", "0.5"),))
UNTRAINED = replace(ALGORITHM, trained=False)


def uid(
    role: str = "report",
    sources: tuple[str, ...] = ("1.2", "1.3"),
    algorithm: AlgorithmIdentification = ALGORITHM,
    identity: ResultIdentity = IDENTITY,
) -> str:
    return identity.derived_uid(role, sources, algorithm)


def test_a_derived_uid_is_a_valid_uid() -> None:
    assert UID(uid()).is_valid


def test_the_same_input_gives_the_same_uid_in_every_order_and_at_any_time() -> None:
    later = IDENTITY.at(datetime(2027, 5, 5, tzinfo=UTC))
    assert uid() == uid(sources=("1.3", "1.2")) == uid(identity=later)


@pytest.mark.parametrize(
    "other",
    [
        {"role": "segmentation"},
        {"sources": ("1.2",)},
        {"algorithm": replace(ALGORITHM, weights_sha256="cd" * 32)},
        {"algorithm": replace(ALGORITHM, algorithm_version="1.1")},
        {"algorithm": replace(ALGORITHM, parameters=(("threshold", "0.6"),))},
        {"identity": replace(IDENTITY, settings_digest="other")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_input_of_a_result_changes_its_uid(other: dict[str, object]) -> None:
    assert uid(**other) != uid()  # type: ignore[arg-type]


def test_series_numbers_of_a_study_differ() -> None:
    exam = analysed_exam(lesions=FOUR_LESIONS)
    views = replace(IDENTITY, secondary_capture="views")
    for identity in (IDENTITY, views):
        made = [(one.kind, int(one.dataset.SeriesNumber)) for one in exam.every_kind(identity)]
        numbers = Counter([number for _, number in made] + [int(exam.notice().SeriesNumber)])
        shared = sorted(kind for kind, number in made if numbers[number] > 1)
        assert shared == [], "give each of these kinds another `series` in result_kinds.py"


@pytest.mark.parametrize("kind", [SEGMENTATION, FRACTIONAL_SEGMENTATION, LABELMAP_SEGMENTATION])
def test_a_segmentation_type_takes_no_series_number_of_another_kind(kind: str) -> None:
    numbers = {
        IDENTITY.series_number_of(kind, image, place, 100)
        for image in analysed_exam().findings.images
        for place in range(100)
    }
    others = {IDENTITY.series_number_of(other) for other in SOP_CLASSES if other != kind}
    assert len(numbers - others) == 400


def test_findings_are_numbered_within_their_class() -> None:
    exam = analysed_exam()
    image = exam.image("L CC")
    twice = replace(image, findings=(*image.findings, *image.findings))
    names = [tracked.tracking_id for tracked in tracked_findings(twice, exam.findings.algorithm, IDENTITY)]
    assert names == ["L CC malignant 1", "L CC benign 1", "L CC malignant 2", "L CC benign 2"]


def test_the_description_says_research_use_and_untrained() -> None:
    assert IDENTITY.described("report", UNTRAINED) == "GLAM-NODE report research use UNTRAINED"
    assert "UNTRAINED" not in IDENTITY.described("report", ALGORITHM)


def test_a_site_chooses_banner_and_description_and_untrained_weights_stay_named() -> None:
    identity = replace(IDENTITY, banner="B" * 48, series_description="{subject} by the site" + "x" * 60)
    assert identity.statement(ALGORITHM) == "B" * 48 + "."
    for text in (identity.short_statement(UNTRAINED), identity.described("report", UNTRAINED)):
        assert text.endswith("UNTRAINED")
        assert len(text) <= 64
    assert identity.described("report", UNTRAINED).startswith("report by the site")


def test_results_without_a_time_of_creation_are_not_written() -> None:
    with pytest.raises(ValueError, match="time of its creation"):
        ResultIdentity().created(UTC)
