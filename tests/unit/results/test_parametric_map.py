"""The saliency of a view as a Parametric Map."""

from dataclasses import replace

import numpy as np

from glam_node.inference.findings import CHANNELS
from tests.unit.results.analysed import analysed_exam


def test_only_views_with_saliency_have_a_map() -> None:
    exam = analysed_exam()
    passed_over = exam.with_images(replace(exam.image("R CC"), saliency=None))
    sources = [one.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0] for one in passed_over.parametric_maps()]
    expected = {image.sop_instance_uid for image in passed_over.findings.images if image.saliency is not None}
    assert {source.ReferencedSOPInstanceUID for source in sources} == expected
    assert (len(expected), len(sources)) == (3, 6)


def test_real_world_values_are_the_saliency_of_each_class() -> None:
    exam = analysed_exam().only("L MLO")
    (image,) = exam.findings.images
    assert image.saliency is not None
    for written, kind in zip(exam.parametric_maps(), CHANNELS, strict=True):
        (groups,) = written.PerFrameFunctionalGroupsSequence
        mapping = groups.RealWorldValueMappingSequence[0]
        real = written.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
        assert groups.FrameContentSequence[0].FrameLabel == kind
        assert np.allclose(real * 255, image.saliency.on_image(kind, image.shape))


def test_a_map_states_research_use_and_the_same_input_gives_the_same_bytes() -> None:
    exam = analysed_exam()
    first, second = exam.parametric_maps()[0], exam.parametric_maps()[0]
    assert "research use" in first.SeriesDescription
    assert "research use" in first.ContentDescription
    assert first == second
