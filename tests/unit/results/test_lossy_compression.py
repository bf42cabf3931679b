"""Lossy compression of a source is stated in every image derived from it (PS3.3 C.7.6.1.1.5)."""

from typing import Any

import pytest
from pydicom import uid
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset, FileMetaDataset

from glam_node.node.results.lossy_compression import lossy_compression
from glam_node.node.results.segmentation import FRACTIONAL, LABELMAP
from tests.unit.results.analysed import Analysed, analysed_exam
from tests.unit.results.presented import secondary_captures

JPEG = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "11.5"}
JPEG_WITH_METHOD = {**JPEG, "LossyImageCompressionMethod": "ISO_10918_1"}


def derived_images(exam: Analysed) -> dict[str, Dataset]:
    """Return one object of each kind of result that is an image."""
    return {
        "segmentation": exam.segmentations()[0],
        "fractional": exam.segmentations(segmentation_type=FRACTIONAL)[0],
        "label map": exam.segmentations(segmentation_type=LABELMAP)[0],
        "parametric map": exam.parametric_maps()[0],
        "sheet": secondary_captures(exam)[0],
        "view": secondary_captures(exam, "views")[0],
    }


def stated(result: Dataset) -> tuple[Any, ...]:
    keywords = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
    return tuple(result.get(keyword) for keyword in keywords)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        (JPEG_WITH_METHOD, ("01", 11.5, "ISO_10918_1")),
        (
            {
                **JPEG,
                "LossyImageCompressionRatio": ["4", "12.25"],
                "LossyImageCompressionMethod": ["ISO_15444_1", "ISO_10918_1"],
            },
            ("01", [4, 12.25], ["ISO_15444_1", "ISO_10918_1"]),
        ),
        ({"LossyImageCompression": "01"}, ("01", None, None)),
        ({"LossyImageCompression": "", "LossyImageCompressionRatio": "8"}, ("01", 8, None)),
        ({"LossyImageCompression": None, "LossyImageCompressionMethod": "ISO_10918_1"}, ("01", None, "ISO_10918_1")),
        ({"LossyImageCompression": "00"}, ("00", None, None)),
        ({"LossyImageCompression": ""}, ("00", None, None)),
        ({"LossyImageCompression": None}, ("00", None, None)),
    ],
    ids=["once", "twice", "01 alone", "empty with ratio", "method alone", "00", "empty", "absent"],
)
def test_every_derived_image_states_the_compression_of_its_source(
    elements: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    written = derived_images(analysed_exam().with_source_elements(**elements))
    assert {kind: stated(result) for kind, result in written.items()} == dict.fromkeys(written, expected)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("element", [{"LossyImageCompressionRatio": "-1"}, {"LossyImageCompressionMethod": "a" * 40}])
def test_a_malformed_ratio_or_method_is_left_out_and_the_image_stays_lossy(element: dict[str, str]) -> None:
    exam = analysed_exam().with_source_elements(**{**JPEG_WITH_METHOD, **element})
    (keyword,) = element
    for result in derived_images(exam).values():
        assert result.LossyImageCompression == "01"
        assert keyword not in result


@pytest.mark.parametrize(
    ("syntax", "says", "expected"),
    [
        (uid.JPEGBaseline8Bit, "00", "01"),
        (uid.JPEGExtended12Bit, None, "01"),
        (uid.JPEGLSNearLossless, None, "01"),
        (uid.JPEG2000, None, "01"),
        (uid.JPEG2000, "00", "00"),
        (uid.JPEG2000Lossless, None, "00"),
        (uid.ExplicitVRLittleEndian, None, "00"),
    ],
    ids=lambda value: value.name if isinstance(value, uid.UID) else str(value),
)
def test_a_source_in_a_lossy_transfer_syntax_is_lossy_whatever_it_says(
    syntax: uid.UID, says: str | None, expected: str
) -> None:
    exam = analysed_exam().with_source_elements(LossyImageCompression=says)
    for source in exam.sources.values():
        source.file_meta.TransferSyntaxUID = syntax
    result = exam.segmentations()[0]
    assert result.LossyImageCompression == expected
    assert ("LossyImageCompressionMethod" in result) == (expected == "01")


JPEG_XL = {
    f"1.2.840.10008.1.2.4.{number}": name
    for number, name in ((110, "JPEG XL Lossless"), (111, "JPEG XL JPEG Recompression"), (112, "JPEG XL"))
}
TRANSFER_SYNTAXES = {one: name for one, (name, kind, *_) in UID_dictionary.items() if kind == "Transfer Syntax"}
NEVER_LOSSY = ("Lossless", "Endian", "Deflated Image", "RLE", "Uncompressed", "RFC 2557", "XML Encoding", "SMPTE")
MAYBE_LOSSY = ("JPEG 2000", "JPIP")


@pytest.mark.parametrize(("syntax", "name"), [*(TRANSFER_SYNTAXES | JPEG_XL).items()])
def test_every_transfer_syntax_of_the_standard_is_known_as_lossy_or_not(syntax: str, name: str) -> None:
    never = any(word in name for word in NEVER_LOSSY) and "Near-Lossless" not in name
    maybe = name == "JPEG XL" or any(word in name for word in MAYBE_LOSSY)
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = uid.UID(syntax)
    found = lossy_compression(source)
    assert (found is None) == never
    assert found is None or len(found.methods) == 1
    source.LossyImageCompression = "00"
    assert (lossy_compression(source) is None) == (never or maybe)


def test_one_lossy_view_makes_the_sheet_of_all_views_lossy() -> None:
    exam = analysed_exam()
    for keyword, value in JPEG_WITH_METHOD.items():
        setattr(exam.source("R MLO"), keyword, value)
    assert stated(secondary_captures(exam)[0]) == ("01", 11.5, "ISO_10918_1")
    assert [one.LossyImageCompression for one in secondary_captures(exam, "views")] == ["00", "00", "01", "00"]
