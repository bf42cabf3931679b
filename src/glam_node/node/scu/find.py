"""Query SCU (PS3.4 Annex C): queries an archive for studies, series and images by C-FIND."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association

from glam_node.node.errors import NodeError, PermanentError
from glam_node.node.scu.answer_timeouts import AnswerWait
from glam_node.node.scu.association import RemoteAE, SOPClassRefused, lost_association, open_association

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
FIND_MODELS = (STUDY_ROOT_FIND, PATIENT_ROOT_FIND)
"""The information models of queries, the preferred one first."""
PENDING = (0xFF00, 0xFF01)
CANCELLED = 0xFE00
CANCEL_TIMEOUT_S = 5.0
"""Seconds after a C-CANCEL request in which the archive may still send answers."""

Answers = Iterator[tuple[Dataset, Dataset | None]]
"""The statuses and identifiers of the answers to a request, as pynetdicom yields them."""


class QuerySession:
    """Queries on an open association.

    Args:
        peer: The archive.
        association: An association with an accepted context of at least one of FIND_MODELS.
        remedy: A sentence for a person if the archive refuses a query.
    """

    def __init__(self, peer: RemoteAE, association: Association, remedy: str) -> None:
        self._peer, self._association, self._remedy = peer, association, remedy
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        self._model = next(model for model in FIND_MODELS if model in accepted)
        self._message_id = 0

    def find(self, level: str, keys: Mapping[str, str]) -> Generator[Dataset]:
        """Yield the identifiers of the matches; cancel the query if the caller closes the iterator before its end.

        Args:
            level: The Query/Retrieve Level.
            keys: Values of the matching keys by keyword; empty ones are return keys. Below the level STUDY, the Patient
                ID is sent only in the Patient Root model, which needs it.

        Raises:
            TransientError: The archive gave no answer.
            PermanentError: The archive refuses the query, or its answer cannot be read.
        """
        if self._model == PATIENT_ROOT_FIND and not keys.get("PatientID"):
            raise PermanentError(
                f"{self._peer} answers only queries of the Patient Root model, which need a patient ID. "
                "Search with the patient ID, or enable Study Root queries there."
            )
        if self._model == STUDY_ROOT_FIND and level != "STUDY":
            keys = {keyword: value for keyword, value in keys.items() if keyword != "PatientID"}
        self._message_id += 1
        try:
            answers = self._association.send_c_find(identifier(level, keys), self._model, self._message_id)
        except (RuntimeError, ValueError) as error:
            raise lost_association(self._peer, "C-FIND", self._association) from error
        try:
            yield from self._matches(answers)
        except (GeneratorExit, KeyboardInterrupt):
            cancel(self._association, self._model, self._message_id, answers)
            raise

    def _matches(self, answers: Answers) -> Iterator[Dataset]:
        try:
            for status, match in answers:
                if "Status" not in status:
                    raise lost_association(self._peer, "C-FIND", self._association)
                if status.Status in PENDING and match is None:
                    raise PermanentError(
                        f"{self._peer} answered C-FIND with a data set that cannot be read. Check the archive's log."
                    )
                if status.Status not in (*PENDING, 0):
                    raise PermanentError(
                        f"{self._peer} answered 0x{status.Status:04X} to C-FIND. {self._remedy}", status=status.Status
                    )
                if match is not None:
                    yield match
        except RuntimeError as error:
            raise lost_association(self._peer, "C-FIND", self._association) from error


@contextmanager
def open_query(peer: RemoteAE, remedy: str) -> Iterator[QuerySession]:
    """Open an association for queries.

    Args:
        peer: The archive.
        remedy: A sentence for a person if the archive refuses queries.

    Raises:
        TransientError: The archive cannot be reached.
        PermanentError: The archive rejects the association, or accepts no queries.
    """
    try:
        with open_association(peer, [build_context(model) for model in FIND_MODELS]) as association:
            yield QuerySession(peer, association, remedy)
    except SOPClassRefused as error:
        raise PermanentError(f"{peer} accepts no queries (Study Root, C-FIND). {remedy}") from error


def identifier(level: str, keys: Mapping[str, str]) -> Dataset:
    """Return the identifier of a request with these keys, by keyword."""
    asked = Dataset()
    if not all(value.isascii() for value in keys.values()):
        asked.SpecificCharacterSet = "ISO_IR 192"
    asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return asked


def cancel(association: Association, model: str, message_id: int, answers: Answers) -> None:
    """Cancel a request (C-CANCEL) and wait for its last answer; abort the association if the archive does not end."""
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    with suppress(NodeError, RuntimeError, ValueError):
        if association.is_established:
            AnswerWait(association, CANCEL_TIMEOUT_S)
            association.send_c_cancel(message_id, query_model=model)
            for status, _ in answers:
                if status.get("Status") not in PENDING:
                    return
                if time.monotonic() >= deadline:
                    break
    association.abort()


def text_of(answer: Dataset, keyword: str) -> str:
    """Return the value of an answer's element as text, values separated by backslashes; empty if it is not readable."""
    try:
        value = answer.get(keyword)
        values = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
        return "\\".join("" if one is None else str(one).strip(" \0") for one in values)
    except Exception:  # pydicom converts a value when it is read, and its converters raise many types
        return ""


def number_of(answer: Dataset, keyword: str) -> int | None:
    """Return the value of an answer's element as a number of at least 0; None if there is no such number."""
    text = text_of(answer, keyword)
    return int(text) if text.isdecimal() else None


def count_mammograms(peer: RemoteAE, study_instance_uid: str) -> int:
    """Return the number of images in the study's series of Modality MG, as `peer` counts them.

    Results of this node do not count, since their series have other modalities.

    Raises:
        TransientError: The archive gave no answer.
        PermanentError: The peer accepts no queries, refuses this one, or does not return the optional Number of Series
            Related Instances.
    """
    remedy = f"Allow {peer.calling_ae_title} to query there, or unset assembly.confirm_with."
    keys = {
        "StudyInstanceUID": study_instance_uid,
        **dict.fromkeys(("Modality", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"), ""),
    }
    with open_query(peer, remedy) as session:
        series = list(session.find("SERIES", keys))
    counts = [number_of(one, "NumberOfSeriesRelatedInstances") for one in series if text_of(one, "Modality") == "MG"]
    if None in counts:
        raise PermanentError(
            f"{peer} does not return Number of Series Related Instances (0020,1209). Unset assembly.confirm_with."
        )
    return sum(count for count in counts if count is not None)
