"""Synthetic four-view screening exams with known lesions, as valid DICOM; the same seed gives the same bytes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.inference.phantom_distractors import add_distractors
from glam_node.inference.phantom_image import FIELD_HEIGHT_MM, MAXIMUM_VALUE, PhantomLesion, render
from glam_node.kinds.facts import DRAWN_BY, DRAWN_MODEL

Lesions = Sequence[tuple[FindingKind, Laterality]]

DEFAULT_LESIONS: Lesions = ((FindingKind.BENIGN, Laterality.RIGHT), (FindingKind.MALIGNANT, Laterality.LEFT))
VIEWS = tuple((laterality, view) for view in ViewPosition for laterality in (Laterality.RIGHT, Laterality.LEFT))

_UID_NAMESPACE = uuid.UUID("2f0f1f0c-3b0e-5c51-9d0a-6b8a52a9b8f4")
_SOFTWARE_VERSION = "1"

# PS3.16 CID 4014, with the code meanings as the standard prints them
_VIEW_CODES = {
    ViewPosition.CC: ("399162004", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "medio-lateral oblique"),
}
# PS3.3 C.7.6.1.1.1: the directions that rows and columns run to when a left breast has its chest wall at the left edge
# and a right breast at the right edge
_PATIENT_ORIENTATION = {
    (Laterality.LEFT, ViewPosition.CC): ["A", "R"],
    (Laterality.RIGHT, ViewPosition.CC): ["P", "L"],
    (Laterality.LEFT, ViewPosition.MLO): ["A", "FR"],
    (Laterality.RIGHT, ViewPosition.MLO): ["P", "FL"],
}


@dataclass(frozen=True, slots=True, eq=False)
class PhantomView:
    """One view of a phantom exam with the true masks of its lesions, Rows x Columns; all False without a lesion."""

    dataset: Dataset
    benign_mask: NDArray[np.bool_]
    malignant_mask: NDArray[np.bool_]


def make_exam(
    seed: int,
    *,
    rows: int = 3328,
    columns: int = 2560,
    lesions: Lesions = DEFAULT_LESIONS,
    photometric_interpretation: str = "MONOCHROME2",
) -> list[PhantomView]:
    """Return R CC, L CC, R MLO and L MLO of one synthetic patient; both views of a breast show its lesions.

    The images have 12 bits, the breast touches the edge at its chest wall, and the background is black.

    Args:
        seed: The seed; the same arguments give the same bytes.
        rows: Rows of each image, at least 64.
        columns: Columns of each image, at least 48.
        lesions: Kind and breast of each lesion.
        photometric_interpretation: MONOCHROME2, or MONOCHROME1 for the same image inverted.
    """
    return [
        make_view(
            seed,
            *view,
            rows=rows,
            columns=columns,
            lesions=lesions,
            photometric_interpretation=photometric_interpretation,
        )
        for view in VIEWS
    ]


def make_view(
    seed: int,
    laterality: Laterality,
    view_position: ViewPosition,
    *,
    rows: int = 3328,
    columns: int = 2560,
    lesions: Lesions = DEFAULT_LESIONS,
    photometric_interpretation: str = "MONOCHROME2",
    varied: bool = False,
) -> PhantomView:
    """Return one view of the exam that `make_exam` makes with the same arguments, without drawing the others.

    With `varied`, as training needs it, lesions have more sizes and lie anywhere in the breast, among structures that
    are as bright but are not lesions; such a view has other UIDs.
    """
    exam = f"{_SOFTWARE_VERSION}/{seed}/{rows}x{columns}/{photometric_interpretation}/{sorted(lesions)}"
    exam += "/varied, distractors" if varied else ""
    draw = _varied_lesion if varied else _lesion
    number = VIEWS.index((laterality, view_position)) + 1
    drawn = [draw(seed, kind, laterality, view_position) for kind, side in lesions if side is laterality]
    distract = add_distractors if varied else None
    pixels, masks = render(seed * len(VIEWS) + number, (rows, columns), view_position, drawn, distract)
    if laterality is Laterality.RIGHT:
        pixels, masks = pixels[:, ::-1], {kind: mask[:, ::-1] for kind, mask in masks.items()}
    dataset = _view_attributes(_study_attributes(seed, exam), exam, number, laterality, view_position)
    _set_pixels(dataset, pixels, photometric_interpretation)
    return PhantomView(dataset, masks[FindingKind.BENIGN], masks[FindingKind.MALIGNANT])


def _uid(exam: str, role: str) -> UID:
    """Return a UID derived from a UUID (PS3.5 B.2); it is the same whenever the same exam is made."""
    return UID(f"2.25.{uuid.uuid5(_UID_NAMESPACE, f'{exam}/{role}').int}")


def _lesion(seed: int, kind: FindingKind, laterality: Laterality, view_position: ViewPosition) -> PhantomLesion:
    """Return the lesion as one view shows it; its size, shape and depth are the same in both views."""
    place = list(FindingKind).index(kind)
    generator = np.random.default_rng([seed, place, list(Laterality).index(laterality)])
    shape_seed, radius, depth = (
        int(generator.integers(2**31)),
        generator.uniform(0.024, 0.032),
        generator.uniform(0.5, 0.62),
    )
    heights = dict(zip(ViewPosition, generator.uniform(0.05, 0.1, 2), strict=True))
    below = place == 0
    return PhantomLesion(kind, shape_seed, radius, depth, heights[view_position] * (1 if below else -1))


def _varied_lesion(seed: int, kind: FindingKind, laterality: Laterality, view_position: ViewPosition) -> PhantomLesion:
    """Return a lesion as `_lesion` does, but with a size and place that do not depend on its kind."""
    place = list(FindingKind).index(kind)
    generator = np.random.default_rng([seed, place, list(Laterality).index(laterality), 1])
    shape_seed, radius, depth = (
        int(generator.integers(2**31)),
        generator.uniform(0.018, 0.036),
        generator.uniform(0.35, 0.72),
    )
    heights = dict(zip(ViewPosition, generator.uniform(-0.13, 0.13, 2), strict=True))
    return PhantomLesion(kind, shape_seed, radius, depth, heights[view_position])


def _set(dataset: Dataset, **values: object) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    _set(item, CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
    return item


def _study_attributes(seed: int, exam: str) -> Dataset:
    dataset = Dataset()
    _set(dataset, SpecificCharacterSet="ISO_IR 192", StudyInstanceUID=_uid(exam, "study"))
    _set(dataset, PatientName=f"PHANTOM^SEED {seed}", PatientID=f"PHANTOM-{seed}", PatientBirthDate="19700101")
    _set(dataset, PatientSex="F", PatientAge="056Y", AccessionNumber=f"PH{seed}"[:16], StudyID="1")
    _set(dataset, StudyDate="20260102", StudyTime="101500", StudyDescription="Screening mammography (phantom)")
    _set(dataset, ReferringPhysicianName="", Manufacturer=DRAWN_BY, ManufacturerModelName=DRAWN_MODEL)
    _set(dataset, DeviceSerialNumber="1", SoftwareVersions=_SOFTWARE_VERSION, DetectorID="1")
    return dataset


def _view_attributes(
    study: Dataset, exam: str, number: int, laterality: Laterality, view_position: ViewPosition
) -> Dataset:
    dataset = Dataset()
    dataset.update(study)
    name = f"{laterality} {view_position}"
    _set(dataset, SOPClassUID=DigitalMammographyXRayImageStorageForPresentation, SOPInstanceUID=_uid(exam, name))
    _set(dataset, SeriesInstanceUID=_uid(exam, f"series {name}"), SeriesNumber=number, InstanceNumber=1)
    _set(dataset, Modality="MG", PresentationIntentType="FOR PRESENTATION", SeriesDescription=f"{name} (phantom)")
    for event, time in (("Series", "101500"), ("Acquisition", f"1015{number:02}"), ("Content", f"1015{number:02}")):
        _set(dataset, **{f"{event}Date": "20260102", f"{event}Time": time})
    _set(dataset, ImageType=["ORIGINAL", "PRIMARY", ""], BodyPartExamined="BREAST", OrganExposed="BREAST")
    _set(dataset, ImageLaterality=laterality.value, PatientOrientation=_PATIENT_ORIENTATION[laterality, view_position])
    view = _code(_VIEW_CODES[view_position][0], "SCT", _VIEW_CODES[view_position][1])
    view.ViewModifierCodeSequence = []
    _set(dataset, ViewCodeSequence=[view], ViewPosition=view_position.value)
    _set(dataset, AnatomicRegionSequence=[_code("76752008", "SCT", "Breast")], AcquisitionContextSequence=[])
    _set(dataset, PositionerType="MAMMOGRAPHIC", PositionerPrimaryAngle=45 if view_position is ViewPosition.MLO else 0)
    _set(dataset, DetectorType="DIRECT", DistanceSourceToDetector=700, EstimatedRadiographicMagnificationFactor=1)
    _set(dataset, KVP=29, BreastImplantPresent="NO", PartialView="NO", QualityControlImage="NO")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _set_pixels(dataset: Dataset, pixels: NDArray[np.uint16], photometric_interpretation: str) -> None:
    """Set the pixels and their description, with a window that covers all values, so that it changes none.

    VOI LUT Function is left out, which means linear (PS3.3 C.11.2.1.2): OHIF 3.13 ignores the window next to one.
    """
    inverted = photometric_interpretation == "MONOCHROME1"
    stored = MAXIMUM_VALUE - pixels if inverted else pixels
    spacing = round(FIELD_HEIGHT_MM / pixels.shape[0], 6)
    dataset.Rows, dataset.Columns = pixels.shape
    _set(dataset, SamplesPerPixel=1, PhotometricInterpretation=photometric_interpretation, PixelRepresentation=0)
    _set(dataset, BitsAllocated=16, BitsStored=12, HighBit=11, BurnedInAnnotation="NO", LossyImageCompression="00")
    _set(dataset, ImagerPixelSpacing=[spacing, spacing], RescaleIntercept=0, RescaleSlope=1, RescaleType="US")
    _set(dataset, PixelIntensityRelationship="LOG", PixelIntensityRelationshipSign=1 if inverted else -1)
    _set(dataset, PresentationLUTShape="INVERSE" if inverted else "IDENTITY")
    _set(dataset, WindowCenter=2048, WindowWidth=4096)
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
