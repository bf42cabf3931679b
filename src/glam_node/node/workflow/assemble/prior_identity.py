"""Identity of prior exams: the headers of stored images decide whether two studies are surely of one person."""

import warnings
from collections.abc import Iterable

from glam_node.node.domain.identity import ImageIdentity, identity_of
from glam_node.node.domain.identity_comparison import surely_one_person
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.prior import MODALITY, SoughtPatient
from glam_node.node.domain.study import Study
from glam_node.node.storage.header import UnreadableDataSet, read_stored_header
from glam_node.node.storage.identity import read_identity
from glam_node.node.storage.instances import InstanceStore


def sought_patient(study: Study, store: InstanceStore) -> SoughtPatient | None:
    """Return the patient of a study; None if it has no mammogram. Raises OSError if the image cannot be read."""
    image = next(iter(_mammograms(study.instances)), None)
    if image is None:
        return None
    # Warnings of pydicom contain the offending value, which may be a patient's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stated = read_identity(store.resolve(image.path))
    return SoughtPatient(
        patient_id=stated.patient_id.strip(),
        issuer_of_patient_id=study.attributes.issuer_of_patient_id,
        patient_birth_date=stated.patient_birth_date.strip(),
        study_instance_uid=study.study_instance_uid,
        study_date=stated.study_date.strip(),
    )


def difference_in_person(study: Study, prior: Study, store: InstanceStore) -> str:
    """Return why a prior exam is not surely of the patient of the study; empty if it is.

    Every mammogram of both is compared, by what its stored header states.
    """
    try:
        images, earlier = (_identities(one.instances, store) for one in (study, prior))
    except (OSError, UnreadableDataSet, ValueError, LookupError, NotImplementedError) as error:
        return f"an image cannot be read ({type(error).__name__})"
    if not images or not earlier:
        return "there are no mammograms"
    return surely_one_person(images, earlier)


def _identities(instances: Iterable[SOPInstance], store: InstanceStore) -> list[ImageIdentity]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Digests of the database are salted by study, so both studies are read with one salt.
        return [identity_of(read_stored_header(store.resolve(one.path)), "") for one in _mammograms(instances)]


def _mammograms(instances: Iterable[SOPInstance]) -> list[SOPInstance]:
    return [one for one in instances if one.attributes.modality == MODALITY]
