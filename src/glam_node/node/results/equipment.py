"""What every result says of the device that made it, and of when and for what."""

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.uid import UID

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.domain import implementation
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.snomed_rt import use_snomed_rt
from glam_node.node.results.sources import character_set, patient_name


def contributing_equipment(algorithm: AlgorithmIdentification, identity: ResultIdentity) -> ContributingEquipment:
    """The algorithm as equipment (PS3.3 C.12.1, IHE AIR: one item per algorithm)."""
    return ContributingEquipment(
        manufacturer=identity.manufacturer,
        purpose_of_reference=codes.PROCESSING_EQUIPMENT,
        manufacturer_model_name=algorithm.algorithm_name,
        software_versions=[algorithm.algorithm_version, f"weights {algorithm.weights_sha256[:16]}"],
        device_serial_number=identity.device_serial_number,
        institution_name=identity.institution_name or None,
        station_name=identity.station_name or None,
        contribution_description=identity.statement(algorithm),
    )


def finish(result: Dataset, source: Dataset, identity: ResultIdentity) -> None:
    """Sets what highdicom leaves out, prints, or takes from the clock, and codes in the scheme that is asked for."""
    if identity.code_scheme == "SRT":
        use_snomed_rt(result)
    result.PatientName = patient_name(source)
    for event in ("InstanceCreation", "Content", "Series"):
        setattr(result, f"{event}Date", identity.date)
        setattr(result, f"{event}Time", identity.time)
    # highdicom's own item is the last.
    result.ContributingEquipmentSequence[-1].ContributionDateTime = identity.date + identity.time
    if identity.station_name:
        result.StationName = identity.station_name
    terms = character_set(source, identity.manufacturer, identity.institution_name, identity.station_name)
    if terms is None:
        result.pop("SpecificCharacterSet", None)
    else:
        result.SpecificCharacterSet = terms
    result.file_meta.ImplementationClassUID = UID(implementation.CLASS_UID)
    result.file_meta.ImplementationVersionName = implementation.version_name(identity.software_version)
