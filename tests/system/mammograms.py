"""The real 16-bit views next to the checkout, as MG DICOM files like those of a modality."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DIGITAL_MAMMOGRAPHY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
# The stored views of the right breast point left, as modalities store them.
PATIENT_ORIENTATION = {"L-CC": ["A", "R"], "R-CC": ["P", "L"], "L-MLO": ["A", "FR"], "R-MLO": ["P", "FL"]}


@dataclass(frozen=True)
class RealExam:
    """The four files of one study."""

    study_instance_uid: str
    files: dict[str, Path]


def wrap_exam(images: Path, directory: Path) -> RealExam:
    """Write the four views of sample exam 0 as MG For Presentation files to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    study_instance_uid = generate_uid()
    files = {}
    for number, view in enumerate(PATIENT_ORIENTATION, start=1):
        files[view] = directory / f"{view}.dcm"
        pydicom.dcmwrite(files[view], real_view(images, view, study_instance_uid, number), enforce_file_format=True)
    return RealExam(study_instance_uid, files)


def real_view(images: Path, view: str, study_instance_uid: str = "2.25.1", number: int = 1) -> Dataset:
    """Return one view of sample exam 0, such as "L-CC", as an MG For Presentation data set."""
    pixels = cv2.imread(str(images / f"0_{view}.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.dtype == np.uint16
    return _mammogram(view, pixels.astype(np.uint16), study_instance_uid, number)


def _set(dataset: Dataset, **values: object) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _mammogram(view: str, pixels: NDArray[np.uint16], study_instance_uid: str, number: int) -> Dataset:
    laterality, _, view_position = view.partition("-")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DIGITAL_MAMMOGRAPHY_FOR_PRESENTATION
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = study_instance_uid
    dataset.SeriesInstanceUID = generate_uid()
    _set(dataset, PatientID="SAMPLE0", PatientName="Sample^Exam", PatientBirthDate="", PatientSex="F")
    _set(dataset, StudyDate="20210606", StudyTime="120000", StudyID="1", AccessionNumber="A1")
    _set(dataset, Modality="MG", PresentationIntentType="FOR PRESENTATION", Manufacturer="test")
    _set(dataset, SeriesNumber=number, InstanceNumber=1, BodyPartExamined="BREAST")
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PatientOrientation = PATIENT_ORIENTATION[view]
    dataset.ImageLaterality = laterality
    dataset.ViewPosition = view_position
    code, meaning = VIEW_CODES[view_position]
    item = Dataset()
    _set(item, CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning=meaning)
    item.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [item]
    dataset.ImagerPixelSpacing = [0.07, 0.07]
    dataset.Rows, dataset.Columns = pixels.shape
    _set(dataset, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", PixelRepresentation=0)
    _set(dataset, BitsAllocated=16, BitsStored=12, HighBit=11, PresentationLUTShape="IDENTITY")
    _set(dataset, PixelIntensityRelationship="LOG", PixelIntensityRelationshipSign=-1)
    _set(dataset, RescaleIntercept=0, RescaleSlope=1, RescaleType="US", BurnedInAnnotation="NO")
    dataset.PixelData = pixels.tobytes()
    return dataset
