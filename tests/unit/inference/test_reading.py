"""Tests that any file is read as a mammogram as displayed, or refused with a reason."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_dataset, read_mammogram

ROWS, COLUMNS = 128, 96
_GDCMCONV = Path(sys.executable).parent / "gdcmconv"


def mammogram(**changes: object) -> Dataset:
    """Return the R CC view of a phantom with these elements; those whose value is None are removed."""
    dataset = make_exam(1, rows=ROWS, columns=COLUMNS)[0].dataset
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def with_pixels(pixels: NDArray[np.uint16], **changes: object) -> Dataset:
    rows, columns = pixels.shape
    return mammogram(PixelData=pixels.astype("<u2").tobytes(), Rows=rows, Columns=columns, **changes)


def stored(dataset: Dataset) -> NDArray[np.uint16]:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)


def disc(background: int, tissue: int) -> NDArray[np.uint16]:
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return np.where((y - 64) ** 2 + x**2 < 3000, tissue, background).astype(np.uint16)


def write(dataset: Dataset, path: Path) -> Path:
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def recoded(dataset: Dataset, transfer_syntax_uid: str, path: Path) -> Path:
    implicit, little = transfer_syntax_uid == ImplicitVRLittleEndian, transfer_syntax_uid != ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    if not little:
        dataset.PixelData = stored(dataset).astype(">u2").tobytes()
    pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return path


def test_a_view_is_read_as_it_is_stored_when_its_window_covers_all_values() -> None:
    dataset = mammogram()
    read = read_mammogram(dataset)
    assert (read.pixels == stored(dataset)).all()
    assert read.pixels.dtype == np.uint16


def test_the_facts_about_the_view_are_kept() -> None:
    dataset = mammogram()
    read = read_mammogram(dataset)
    assert (read.sop_instance_uid, read.image_laterality, read.view_position, read.shape) == (
        dataset.SOPInstanceUID,
        Laterality.RIGHT,
        ViewPosition.CC,
        (ROWS, COLUMNS),
    )
    assert (read.imager_pixel_spacing, read.patient_orientation) == ((1.82, 1.82), ("P", "L"))


def test_monochrome1_is_inverted() -> None:
    inverted = make_exam(1, rows=ROWS, columns=COLUMNS, photometric_interpretation="MONOCHROME1")[0].dataset
    assert (read_mammogram(inverted).pixels == read_mammogram(mammogram()).pixels).all()


@pytest.mark.parametrize("transfer_syntax_uid", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_uncompressed_syntax_gives_the_same_pixels(tmp_path: Path, transfer_syntax_uid: str) -> None:
    path = recoded(mammogram(), transfer_syntax_uid, tmp_path / "image.dcm")
    assert (read_mammogram(read_dataset(path)).pixels == stored(mammogram())).all()


def test_a_deflated_data_set_gives_the_same_pixels(tmp_path: Path) -> None:
    path = recoded(mammogram(), DeflatedExplicitVRLittleEndian, tmp_path / "image.dcm")
    assert (read_mammogram(read_dataset(path)).pixels == stored(mammogram())).all()


@pytest.mark.parametrize("transfer_syntax_uid", [RLELossless, JPEGLSLossless])
def test_rle_and_jpeg_ls_give_the_same_pixels(transfer_syntax_uid: str) -> None:
    dataset = mammogram()
    dataset.compress(transfer_syntax_uid)
    assert (read_mammogram(dataset).pixels == stored(mammogram())).all()


def gdcm_encoded(option: str, directory: Path) -> Path:
    plain, encoded = write(mammogram(), directory / "plain.dcm"), directory / "encoded.dcm"
    subprocess.run([_GDCMCONV, option, plain, encoded], check=True, capture_output=True)
    return encoded


@pytest.mark.parametrize("option", ["--jpeg", "--j2k", "--jpegls", "--rle"])
def test_images_of_another_encoder_give_the_same_pixels(tmp_path: Path, option: str) -> None:
    assert (read_mammogram(read_dataset(gdcm_encoded(option, tmp_path))).pixels == stored(mammogram())).all()


@pytest.mark.parametrize("option", ["--jpeg", "--j2k", "--jpegls"])
def test_a_truncated_compressed_image_is_refused(tmp_path: Path, option: str) -> None:
    dataset = read_dataset(gdcm_encoded(option, tmp_path))
    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(UnsupportedMammogram, match="cut short"):
        read_mammogram(dataset)


def test_the_first_window_is_applied() -> None:
    dataset = with_pixels(disc(0, 1500), WindowCenter=[1501, 100], WindowWidth=[1000, 10])
    assert set(np.unique(read_mammogram(dataset).pixels)) == {0, round(4095 * (1500 - 1500.5 + 499.5) / 999)}


def test_a_voi_lut_takes_precedence_over_a_window() -> None:
    lut = Dataset()
    lut.LUTDescriptor = [3, 1499, 12]
    lut.LUTData = [0, 4095, 1000]
    read = read_mammogram(with_pixels(disc(0, 1500), VOILUTSequence=[lut]))
    assert read.pixels.max() == 4095


def test_a_sigmoid_window_is_not_taken_for_a_linear_one() -> None:
    changes = {"WindowCenter": 1800, "WindowWidth": 1000}
    linear = read_mammogram(with_pixels(disc(0, 1500), **changes)).pixels
    sigmoid = read_mammogram(with_pixels(disc(0, 1500), **changes, VOILUTFunction="SIGMOID")).pixels
    assert [int(linear.max()), int(sigmoid.max())] == [820, 946]


def test_rescale_comes_before_the_window() -> None:
    plain = read_mammogram(with_pixels(disc(0, 1000), WindowCenter=2001, WindowWidth=3000, RescaleSlope=2))
    assert plain.pixels.max() == round(4095 * (2000 - 2000.5 + 1499.5) / 2999)


def test_a_window_that_shows_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="shows every pixel alike"):
        read_mammogram(mammogram(WindowCenter=100000, WindowWidth=10))


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="cannot be applied"):
        read_mammogram(mammogram(WindowWidth=0))


def test_pixel_padding_becomes_background() -> None:
    read = read_mammogram(with_pixels(disc(700, 3000), PixelPaddingValue=700))
    assert set(np.unique(read.pixels)) == {0, 3000}


def test_a_range_of_pixel_padding_becomes_background() -> None:
    pixels = disc(0, 3000)
    pixels[::3][pixels[::3] == 0] = 30
    read = read_mammogram(with_pixels(pixels, PixelPaddingValue=30, PixelPaddingRangeLimit=0))
    assert set(np.unique(read.pixels)) == {0, 3000}


def test_a_background_that_is_not_black_becomes_black() -> None:
    noise = np.random.default_rng(0).integers(80, 120, (ROWS, COLUMNS))
    read = read_mammogram(with_pixels(np.where(disc(0, 1) == 1, 3000, noise).astype(np.uint16)))
    assert np.count_nonzero(read.pixels[disc(0, 1) == 0]) < 0.02 * ROWS * COLUMNS
    assert read.pixels.max() >= 2850


def test_tissue_that_fills_the_image_is_not_taken_for_background() -> None:
    pixels = np.random.default_rng(0).integers(500, 3000, (ROWS, COLUMNS)).astype(np.uint16)
    assert (read_mammogram(with_pixels(pixels)).pixels == pixels).all()


def test_black_specks_within_the_breast_are_not_background() -> None:
    pixels = disc(0, 3000)
    pixels[60:64, 20:24] = 0
    read = read_mammogram(with_pixels(pixels))
    assert (read.pixels[60:64, 20:24] == 1).all()
    assert read.pixels[0, -1] == 0


@pytest.mark.parametrize(
    ("changes", "remark"),
    [({"PartialView": "YES"}, "partial view"), ({"BurnedInAnnotation": "YES"}, "burned-in annotation")],
)
def test_facts_that_matter_to_a_reader_get_a_remark(changes: dict[str, object], remark: str) -> None:
    (told,) = read_mammogram(mammogram(**changes)).remarks
    assert remark in told


def test_a_blackened_background_gets_a_remark() -> None:
    (told,) = read_mammogram(with_pixels(disc(700, 3000))).remarks
    assert "values up to 700 were made black" in told


def test_a_cc_view_without_patient_orientation_may_be_upside_down() -> None:
    unstated = read_mammogram(mammogram(PatientOrientation=None))
    assert unstated.view_position is ViewPosition.CC
    assert any("upside down was not checked" in remark for remark in unstated.remarks)


def test_an_ordinary_view_has_no_remarks() -> None:
    assert read_mammogram(mammogram()).remarks == ()


def test_bits_above_bits_stored_are_ignored() -> None:
    pixels = disc(0, 3000)
    pixels[0, 0] |= 0x8000
    assert read_mammogram(with_pixels(pixels)).pixels[0, 0] == 0


def test_signed_pixels_are_read() -> None:
    pixels = disc(0, 3000).astype(np.int16) - 1000
    dataset = with_pixels(
        pixels.view(np.uint16), PixelRepresentation=1, RescaleIntercept=1000, BitsStored=16, HighBit=15
    )
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    assert set(np.unique(read_mammogram(dataset).pixels)) == {0, round(3000 / 4095 * 65535)}


def code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "x"
    return item


def view_with_modifier(value: str) -> list[Dataset]:
    view = code("399162004")
    view.ViewModifierCodeSequence = [code(value)]
    return [view]


def one_line(value: int) -> NDArray[np.uint16]:
    pixels = np.zeros((ROWS, COLUMNS), dtype=np.uint16)
    pixels[ROWS // 2] = value
    return pixels


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "another modality": ({"Modality": "CR"}, "not a mammogram"),
    "for processing": ({"PresentationIntentType": "FOR PROCESSING"}, "not for presentation"),
    "no laterality": ({"ImageLaterality": None}, "which breast"),
    "both breasts": ({"ImageLaterality": "B"}, "which breast"),
    "contradictory laterality": ({"Laterality": "L"}, "contradicts itself"),
    "no view": ({"ViewCodeSequence": None, "ViewPosition": None}, "The view is not given"),
    "another view": ({"ViewCodeSequence": None, "ViewPosition": "ML"}, "The view is ML"),
    "magnification": ({"ViewCodeSequence": view_with_modifier("399163009")}, "magnification"),
    "stereotactic": ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}, "stereotactic"),
    "specimen": ({"ImageType": ["ORIGINAL", "PRIMARY", "SPECIMEN"]}, "specimen"),
    "projection": ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ"]}, "projection"),
    "several frames": ({"NumberOfFrames": 15}, "15 frames"),
    "colour": ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "not a grey-scale image"),
    "no rows": ({"Rows": 0}, "no size"),
    "absurd size": ({"Rows": 65535, "Columns": 65535}, "no mammogram is that large"),
    "size without pixels": ({"Rows": 4000, "Columns": 3000}, "cut short"),
    "no pixels": ({"PixelData": None}, "no pixel data"),
    "32 bits": ({"BitsAllocated": 32, "BitsStored": 32}, "bits per pixel"),
    "no photometric interpretation": ({"PhotometricInterpretation": None}, "not a grey-scale image"),
    "no SOP Instance UID": ({"SOPInstanceUID": None}, "SOP Instance UID"),
    "quality control": ({"QualityControlImage": "YES"}, "quality control phantom"),
    "another body part": ({"BodyPartExamined": "CHEST"}, "does not show a breast: Body Part Examined is CHEST"),
    "another region": ({"AnatomicRegionSequence": [code("51185008")]}, "anatomic region is 51185008"),
    "black": ({"PixelData": bytes(2 * ROWS * COLUMNS)}, "black everywhere"),
    "one bright line": ({"PixelData": one_line(0x0FFD).tobytes()}, "nothing that differs from its background"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_image_that_is_not_a_screening_view_is_refused_with_the_reason(case: str) -> None:
    changes, reason = REFUSED[case]
    with pytest.raises(UnsupportedMammogram, match=reason):
        read_mammogram(mammogram(**changes))


def test_implant_displaced_views_are_screening_views() -> None:
    assert read_mammogram(mammogram(ViewCodeSequence=view_with_modifier("399209000"))).shape == (ROWS, COLUMNS)


def test_the_class_for_processing_is_refused() -> None:
    dataset = mammogram(SOPClassUID=DigitalMammographyXRayImageStorageForProcessing, PresentationIntentType=None)
    with pytest.raises(UnsupportedMammogram, match="FOR PROCESSING"):
        read_mammogram(dataset)


def test_an_absurd_size_in_a_few_compressed_bytes_is_refused() -> None:
    dataset = mammogram()
    dataset.compress(JPEGLSLossless)
    dataset.Rows, dataset.Columns = 8000, 8000
    with pytest.raises(UnsupportedMammogram, match="cannot hold"):
        read_mammogram(dataset)


def test_a_compressed_image_of_another_size_than_the_header_says_is_refused() -> None:
    dataset = mammogram()
    dataset.compress(JPEGLSLossless)
    dataset.Rows = ROWS - 1
    with pytest.raises(UnsupportedMammogram, match="the DICOM header states"):
        read_mammogram(dataset)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UnsupportedMammogram, match="not a mammogram"):
        read_mammogram(Dataset())


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00" * 4096)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def nested_too_deeply(path: Path) -> None:
    head = recoded(mammogram(), ImplicitVRLittleEndian, path).read_bytes()[:300]
    referenced_study_item = b"\x08\x00\x10\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(head[: 144 + head[140]] + 5000 * referenced_study_item)


def cut_by_a_hundred_bytes(path: Path) -> None:
    path.write_bytes(gdcm_encoded("--j2k", path.parent).read_bytes()[:-100])


@pytest.mark.parametrize("damage", [garbage, nothing, nested_too_deeply, cut_by_a_hundred_bytes])
def test_a_file_that_is_not_dicom_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "image.dcm"
    damage(path)
    with pytest.raises(UnsupportedMammogram):
        read_dataset(path)


def test_a_deflated_data_set_that_inflates_too_far_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glam_node.inference.bounded_dataset.MAXIMUM_INFLATED_BYTES", 10_000)
    path = recoded(mammogram(), DeflatedExplicitVRLittleEndian, tmp_path / "image.dcm")
    with pytest.raises(UnsupportedMammogram, match="would inflate to more than"):
        read_dataset(path)


def test_a_missing_file_raises_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path / "none.dcm")


@pytest.mark.parametrize("option", ["--jpeg", "--jpegls", "--rle"])
def test_damaged_pixel_data_are_decoded_or_refused_and_nothing_else(tmp_path: Path, option: str) -> None:
    dataset = read_dataset(gdcm_encoded(option, tmp_path))
    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    generator, refused = random.Random(0), 0
    for _ in range(60):
        damaged = bytearray(frame)
        for _ in range(20):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        dataset.PixelData = pydicom.encaps.encapsulate([bytes(damaged)])
        try:
            read_mammogram(dataset)
        except UnsupportedMammogram:
            refused += 1
    assert refused > 0


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    whole = write(mammogram(), tmp_path / "whole.dcm").read_bytes()
    generator, path = random.Random(0), tmp_path / "damaged.dcm"
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(generator.choice((1, 3, 20))):
            damaged[generator.randrange(132, 2600)] = generator.randrange(256)
        path.write_bytes(damaged[: generator.choice((len(whole), generator.randrange(len(whole))))])
        try:
            read_mammogram(read_dataset(path))
        except UnsupportedMammogram:
            refused += 1
    assert 30 < refused < 300
