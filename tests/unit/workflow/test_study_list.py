"""Facts about studies that lists show."""

from dataclasses import replace

from pydicom.dataset import Dataset

from glam_node.kinds.facts import KindPolicy
from glam_node.node.domain.eligibility import EligibilityPolicy
from glam_node.node.workflow.operate.study_description import summary
from tests.unit.workflow.workbench import ELIGIBILITY, Workbench


def test_the_views_of_patients_are_left_out_by_the_demonstration_package(bench: Workbench, exam: list[Dataset]) -> None:
    for image in exam:
        image.Manufacturer = image.ManufacturerModelName = "of a machine"
    bench.receive(*exam)
    demonstration = EligibilityPolicy(1, accept_implants=True, kinds=KindPolicy(phantoms_only=True))
    assert summary(bench.study(), ELIGIBILITY, None)["views"] == "R CC, L CC, R MLO, L MLO"
    assert summary(bench.study(), demonstration, None)["views"] == (
        "R CC, L CC, R MLO, L MLO: left out (demonstration_package)"
    )


def test_a_retired_study_has_no_images_instead_of_no_standard_view(bench: Workbench, exam: list[Dataset]) -> None:
    bench.receive(*exam)
    assert summary(replace(bench.study(), instances=()), ELIGIBILITY, None)["views"] == "images removed"
