"""Attributes that every result states about the device and the algorithm, its creation time and its character set."""

from collections.abc import Sequence
from datetime import datetime

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.uid import UID, GrayscaleSoftcopyPresentationStateStorage, SecondaryCaptureImageStorage

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.domain import implementation
from glam_node.node.results import codes
from glam_node.node.results.highdicom_tables import remember_searches
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.lossy_compression import state_lossy_compression
from glam_node.node.results.sources import character_set, patient_name, set_referenced_classes
from glam_node.node.results.time_zone import offset_text, zone_of

remember_searches()

_ALWAYS = (("InstanceCreationDate", "InstanceCreationTime"), ("SeriesDate", "SeriesTime"))
_EVENTS = (*_ALWAYS, ("ContentDate", "ContentTime"))
_EVENTS_OF_CLASS = {
    # A presentation state has Presentation Creation Date in place of Content Date.
    GrayscaleSoftcopyPresentationStateStorage: (*_ALWAYS, ("PresentationCreationDate", "PresentationCreationTime")),
    SecondaryCaptureImageStorage: (*_EVENTS, ("DateOfSecondaryCapture", "TimeOfSecondaryCapture")),
}


def contributing_equipment(algorithm: AlgorithmIdentification, identity: ResultIdentity) -> ContributingEquipment:
    """Return the algorithm as Contributing Equipment (PS3.3 C.12.1; IHE AIR requires one item for each algorithm)."""
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


def finish(result: Dataset, sources: Sequence[Dataset], identity: ResultIdentity) -> None:
    """Set the attributes that highdicom leaves out, takes from the clock or would print, such as the patient's name.

    SCT codes are replaced by SRT codes if `identity.code_scheme` is "SRT".

    Args:
        result: The object, complete except for these attributes.
        sources: The source images. Name and character set come from the first, the time zone from the first that
            states one.
        identity: The device, and the creation time of the object.
    """
    if identity.code_scheme == "SRT":
        codes.use_snomed_rt(result)
    set_referenced_classes(result, sources)
    result.PatientName = patient_name(sources[0])
    _set_times(result, identity.created(zone_of(sources)))
    if "PixelData" in result:
        state_lossy_compression(result, sources)
    if identity.station_name:
        result.StationName = identity.station_name
    terms = character_set(sources[0], identity.manufacturer, identity.institution_name, identity.station_name)
    if terms is None:
        result.pop("SpecificCharacterSet", None)
    else:
        result.SpecificCharacterSet = terms
    result.file_meta.ImplementationClassUID = UID(implementation.CLASS_UID)
    result.file_meta.ImplementationVersionName = implementation.version_name(identity.software_version)


def _set_times(result: Dataset, created: datetime) -> None:
    """Set the dates and times of the creation of the object, and its time zone (PS3.3 C.12.1.1.8)."""
    result.TimezoneOffsetFromUTC = offset_text(created)
    for date, time in _EVENTS_OF_CLASS.get(UID(result.SOPClassUID), _EVENTS):
        setattr(result, date, created.strftime("%Y%m%d"))
        setattr(result, time, created.strftime("%H%M%S.%f"))
    # The item that describes this algorithm is the last.
    result.ContributingEquipmentSequence[-1].ContributionDateTime = created.strftime("%Y%m%d%H%M%S.%f")
