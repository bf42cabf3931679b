"""Studies created from files, as if their images had been received."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.header_facts import describe_view
from glam_node.inference.reading import read_dataset
from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.routing import Headers
from glam_node.node.domain.study import Study, StudyState
from glam_node.node.storage.header import digest_of_data_set
from glam_node.node.storage.instances import is_valid_uid
from glam_node.node.workflow.assemble.rule_headers import values_in
from glam_node.node.workflow.receive.store_instance import image_attributes, image_identity, text_of

_NEEDED_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that cannot be analysed, with the reason."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Input:
    """Studies found in a set of files."""

    studies: tuple[Study, ...]
    """Studies whose instances have absolute paths."""
    refused: tuple[Refusal, ...]
    headers: Headers
    """Values of the requested header fields, by SOP Instance UID and field."""


def read_files(paths: Iterable[Path], now: datetime, fields: Sequence[str] = (), calling_ae_title: str = "") -> Input:
    """Return the studies in the files; a file that is not a readable DICOM object is refused with the reason.

    Args:
        paths: Files to read.
        now: Time at which the instances count as received.
        fields: Header fields to read.
        calling_ae_title: Calling AE title that is recorded for the instances.
    """
    instances: dict[str, dict[str, SOPInstance]] = {}
    headers = {}
    refused = []
    for path in paths:
        try:
            dataset = read_dataset(path)
            instance = _instance(path, dataset, calling_ae_title, now)
        except (UnsupportedMammogram, OSError) as error:
            refused.append(Refusal(str(path), str(error)))
            continue
        same_study = instances.setdefault(instance.study_instance_uid, {})
        if instance.sop_instance_uid in same_study:
            refused.append(Refusal(str(path), _duplicate_reason(instance, same_study[instance.sop_instance_uid])))
        else:
            same_study[instance.sop_instance_uid] = instance
            headers[instance.sop_instance_uid] = values_in(dataset, fields)
    studies = (_study(uid, tuple(by_uid.values()), now) for uid, by_uid in instances.items())
    return Input(tuple(studies), tuple(refused), headers)


def _duplicate_reason(instance: SOPInstance, known: SOPInstance) -> str:
    differs = "" if instance.identity == known.identity else ", though they state other facts of patient or study"
    return f"the same instance as {known.path}{differs}"


def _instance(path: Path, dataset: Dataset, calling_ae_title: str, now: datetime) -> SOPInstance:
    """Return the instance as `receive` would store it.

    Raises:
        UnsupportedMammogram: A UID that is needed is missing or not valid.
        OSError: The file cannot be read.
    """
    uids = {keyword: text_of(dataset, keyword) for keyword in _NEEDED_UIDS}
    for keyword, uid in uids.items():
        if not is_valid_uid(uid):
            raise UnsupportedMammogram(f"{keyword} is missing or is not a UID.")
    view = describe_view(dataset)
    return SOPInstance(
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        path=str(path.absolute()),
        blake3=digest_of_data_set(path),
        sha256="",
        byte_count=path.stat().st_size,
        calling_ae_title=calling_ae_title,
        received_at=now,
        attributes=image_attributes(view),
        identity=image_identity(dataset, view, uids["StudyInstanceUID"]),
    )


def _study(uid: str, instances: tuple[SOPInstance, ...], now: datetime) -> Study:
    return Study(
        study_instance_uid=uid,
        attributes=StudyAttributes(),
        state=StudyState.COMPLETE,
        rule="",
        reason="",
        first_received_at=now,
        receiving_since=now,
        last_received_at=now,
        instances=instances,
    )
