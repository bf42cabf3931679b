"""A modality or PACS that sends synthetic exams by C-STORE."""

from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE

from glam_node.inference.phantom import make_exam

MODALITY = "MODALITY"


def small_exam(seed: int) -> list[Dataset]:
    """Four views that are analysed in milliseconds: four SEG and one SR will come of them."""
    return [view.dataset for view in make_exam(seed, rows=256, columns=192)]


def send(
    port: int, datasets: list[Dataset], called_ae_title: str = "GLAMNODE", calling_ae_title: str = MODALITY
) -> None:
    """Every data set was answered with 0x0000."""
    ae = AE(ae_title=calling_ae_title)
    ae.add_requested_context(DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title=called_ae_title)
    assert association.is_established
    try:
        assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * len(datasets)
    finally:
        association.release()
