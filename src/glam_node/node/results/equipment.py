"""What every result says of the device that made it, and of when and for what."""

from collections.abc import Sequence
from datetime import datetime

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset
from pydicom.uid import UID, GrayscaleSoftcopyPresentationStateStorage, SecondaryCaptureImageStorage

from glam_node.inference.findings import AlgorithmIdentification
from glam_node.node.domain import implementation
from glam_node.node.results import codes
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.lossy import state_lossy_compression
from glam_node.node.results.snomed_rt import use_snomed_rt
from glam_node.node.results.sources import character_set, name_classes, patient_name
from glam_node.node.results.time_zone import offset_text, zone_of

_ALWAYS = (("InstanceCreationDate", "InstanceCreationTime"), ("SeriesDate", "SeriesTime"))
_EVENTS = (*_ALWAYS, ("ContentDate", "ContentTime"))
_EVENTS_OF_CLASS = {
    # A presentation state has a creation date of its own name.
    GrayscaleSoftcopyPresentationStateStorage: (*_ALWAYS, ("PresentationCreationDate", "PresentationCreationTime")),
    SecondaryCaptureImageStorage: (*_EVENTS, ("DateOfSecondaryCapture", "TimeOfSecondaryCapture")),
}


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


def finish(result: Dataset, sources: Sequence[Dataset], identity: ResultIdentity) -> None:
    """Set what highdicom leaves out, prints, or takes from the clock, and code in the scheme that is asked for.

    Args:
        result: The object, complete but for this.
        sources: The images that it is made of; name, alphabet and time zone are those of the first that states them.
        identity: The device, and when it made the object.
    """
    if identity.code_scheme == "SRT":
        use_snomed_rt(result)
    name_classes(result, sources)
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
    """Every date and time of our own, and the zone of all (PS3.3 C.12.1.1.8)."""
    result.TimezoneOffsetFromUTC = offset_text(created)
    for date, time in _EVENTS_OF_CLASS.get(UID(result.SOPClassUID), _EVENTS):
        setattr(result, date, created.strftime("%Y%m%d"))
        setattr(result, time, created.strftime("%H%M%S.%f"))
    # highdicom's own item is the last.
    result.ContributingEquipmentSequence[-1].ContributionDateTime = created.strftime("%Y%m%d%H%M%S.%f")
