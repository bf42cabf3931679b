"""A modality or PACS that sends synthetic exams by C-STORE."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom.association import Association

from glam_node.inference.phantom import make_exam
from glam_node.node.scu.requesting_ae import RequestingAE

MODALITY = "MODALITY"


def small_exam(seed: int) -> list[Dataset]:
    """Return four small views that are analysed in milliseconds; they result in four SEG and one SR."""
    return [view.dataset for view in make_exam(seed, rows=256, columns=192)]


@contextmanager
def associated(port: int, called_ae_title: str = "GLAMNODE", calling_ae_title: str = MODALITY) -> Iterator[Association]:
    """Open an association for mammograms and release it at the end."""
    ae = RequestingAE(ae_title=calling_ae_title)
    ae.add_requested_context(DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title=called_ae_title)
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def send(
    port: int, datasets: list[Dataset], called_ae_title: str = "GLAMNODE", calling_ae_title: str = MODALITY
) -> None:
    """Send the data sets; fail unless each is answered with 0x0000."""
    with associated(port, called_ae_title, calling_ae_title) as association:
        assert [association.send_c_store(dataset).Status for dataset in datasets] == [0] * len(datasets)
