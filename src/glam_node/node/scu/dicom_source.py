"""A DICOM archive as a source of studies (PS3.4 Annex C): queries by C-FIND, and the base of requests to retrieve."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy, FoundStudies, StudyQuery, found_studies
from glam_node.node.errors import PermanentError, TransientError
from glam_node.node.scu.answer_timeouts import ANSWER_TIMEOUT_FACTOR
from glam_node.node.scu.association import RemoteAE, SOPClassRefused, lost_association, open_association
from glam_node.node.scu.echo import VERIFICATION, send_echo
from glam_node.node.scu.find import (
    CANCELLED,
    FIND_MODELS,
    PENDING,
    Answers,
    QuerySession,
    cancel,
    identifier,
    number_of,
    open_query,
    text_of,
)

PATIENT_ROOT_MODELS = ("1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3")
"""The Patient Root information models of C-MOVE and C-GET."""
MOVE_DESTINATION_UNKNOWN = 0xA801
# PS3.4 Tables C.4-2 and C.4-3, PS3.7 Annex C: statuses with which the same request fails again
_LASTING = {
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0xA900: "identifier does not match SOP class",
    MOVE_DESTINATION_UNKNOWN: "move destination unknown",
}
_WARNING = 0xB000
_STUDY_KEYS = ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate", "ModalitiesInStudy")


class DicomSource:
    """A DICOM archive that answers queries; the subclasses retrieve by C-MOVE or C-GET.

    Args:
        peer: The archive.
        modalities: Modalities of the series to fetch; empty for all.
    """

    models: tuple[str, ...] = ()
    """The information models of the requests to retrieve, the preferred one first."""
    request = ""
    """The name of the request."""

    def __init__(self, peer: RemoteAE, modalities: Sequence[str]) -> None:
        self.peer = peer
        self._modalities = tuple(modalities)
        self._remedy = f"Allow {peer.calling_ae_title} to query there. Check the archive's log."

    @property
    def name(self) -> str:
        """The NAME of [sources.NAME]."""
        return self.peer.name

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Return the studies that match; see `Source`."""
        keys = {**query.keys, **dict.fromkeys((*query.return_keys, "NumberOfStudyRelatedInstances"), "")}
        with (
            open_query(self.peer, self._remedy) as session,
            closing(session.find("STUDY", keys)) as answers,
        ):
            return found_studies(map(_study, answers), query)

    def list_series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        """Return the series that the source fetches; see `Source`."""
        keys = {
            **_keys_of(study),
            **dict.fromkeys(("SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances"), ""),
        }
        with open_query(self.peer, self._remedy) as session:
            found = {}
            for answer in session.find("SERIES", keys):
                if text_of(answer, "StudyInstanceUID") in ("", study.study_instance_uid):
                    uid, count = (
                        text_of(answer, "SeriesInstanceUID"),
                        number_of(answer, "NumberOfSeriesRelatedInstances"),
                    )
                    found[uid] = ArchivedSeries(uid, text_of(answer, "Modality"), count)
            wanted = [one for one in found.values() if not self._modalities or one.modality in ("", *self._modalities)]
            return [self._with_instances(session, study, one) for one in wanted]

    def _with_instances(self, session: QuerySession, study: ArchivedStudy, series: ArchivedSeries) -> ArchivedSeries:
        """Return the series with its instances; some archives only count them and answer no queries for images.

        Raises:
            NodeError: The archive neither lists nor counts the instances.
        """
        uid = series.series_instance_uid
        keys = {**_keys_of(study), "SeriesInstanceUID": uid, "SOPInstanceUID": "", "SOPClassUID": ""}
        try:
            answers = list(session.find("IMAGE", keys))
        except PermanentError:
            if series.count is None:
                raise
            return series
        images = [one for one in answers if text_of(one, "SeriesInstanceUID") in ("", uid)]
        return ArchivedSeries(
            uid,
            series.modality,
            series.count,
            tuple(dict.fromkeys(found for one in images if (found := text_of(one, "SOPInstanceUID")))),
            frozenset(found for one in images if (found := text_of(one, "SOPClassUID"))),
        )

    def check(self) -> str:
        """Return a sentence that confirms that the archive answers and accepts requests; see `Source`."""
        peer, asked = self.peer, (VERIFICATION, *FIND_MODELS, *self.models)
        unknown = {"StudyInstanceUID": f"2.25.{uuid4().int}"}
        with open_association(peer, [build_context(uid) for uid in asked]) as association:
            accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
            for models, service in ((FIND_MODELS, "queries (C-FIND)"), (self.models, self.request)):
                if accepted.isdisjoint(models):
                    raise PermanentError(
                        f"{peer} answers to {peer.calling_ae_title} but accepts no {service}. Allow it for "
                        f"{peer.calling_ae_title} at the archive."
                    )
            if VERIFICATION in accepted:
                send_echo(peer, association)
            if FIND_MODELS[0] in accepted:
                list(QuerySession(peer, association, self._remedy).find("STUDY", unknown))
            self._probe(association, unknown)
        return f"{peer} answers queries of {peer.calling_ae_title} and accepts {self.request}."

    def _probe(self, association: Association, unknown: Mapping[str, str]) -> None:
        """Check, with a request for a study that does not exist, what no negotiation shows."""

    @contextmanager
    def _open(self, contexts: Sequence[PresentationContext] = (), **more: Any) -> Iterator[tuple[Association, str]]:
        """Open an association for requests to retrieve; yield it with the accepted information model."""
        asked = [*(build_context(model) for model in self.models), *contexts]
        try:
            with open_association(self.peer, asked, answer_timeout_factor=ANSWER_TIMEOUT_FACTOR, **more) as association:
                accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
                model = next((one for one in self.models if one in accepted), "")
                if not model:
                    raise SOPClassRefused("")
                yield association, model
        except SOPClassRefused as error:
            raise PermanentError(
                f"{self.peer} accepts no {self.request}. Allow it for {self.peer.calling_ae_title} at the archive, or "
                f"set another {self.peer.section}.kind."
            ) from error

    def _ask_for_each(
        self,
        opened: tuple[Association, str],
        study: ArchivedStudy,
        wanted: Sequence[ArchivedSeries],
        tell: Callable[[], None],
    ) -> list[str]:
        """Request each series, or the listed instances of it, and return the failures in words."""
        association, model = opened
        patient = {"PatientID": study.patient_id} if model in PATIENT_ROOT_MODELS else {}
        failures = []
        for message_id, series in enumerate(wanted, start=1):
            keys = {**patient, "StudyInstanceUID": study.study_instance_uid}
            keys["SeriesInstanceUID"] = series.series_instance_uid
            if series.sop_instance_uids:
                keys["SOPInstanceUID"] = "\\".join(series.sop_instance_uids)
            asked = identifier("IMAGE" if series.sop_instance_uids else "SERIES", keys)
            answers = self._send(association, model, message_id, asked)
            failures.append(self._follow(association, (model, message_id), answers, tell))
        return [failure for failure in failures if failure]

    @abstractmethod
    def _send(self, association: Association, model: str, message_id: int, asked: Dataset) -> Answers:
        """Send a request and return its answers."""

    def _follow(
        self,
        association: Association,
        request: tuple[str, int],
        answers: Answers,
        tell: Callable[[], None],
    ) -> str:
        """Read all answers to a request; return the failure of single instances in words, or an empty string.

        Args:
            association: The association.
            request: Information model and message ID of the request.
            answers: The answers.
            tell: Called at each answer.

        Raises:
            NodeError: The archive sent no instances, or the association ended.
        """
        try:
            for status, _ in answers:
                if "Status" not in status:
                    raise self._lost(association)
                tell()
                if status.Status not in PENDING:
                    return self._judge(status.Status, int(status.get("NumberOfFailedSuboperations") or 0))
        except KeyboardInterrupt:
            cancel(association, *request, answers)
            raise
        except RuntimeError as error:
            raise self._lost(association) from error
        raise self._lost(association)

    def _lost(self, association: Association) -> TransientError:
        """Return the error for an association that ended without an answer to a request."""
        return lost_association(self.peer, self.request, association)

    def _judge(self, status: int, failed: int) -> str:
        if status == 0 and not failed:
            return ""
        said = f"{self.peer} answered 0x{status:04X} to {self.request}"
        if status in _LASTING:
            raise PermanentError(f"{said} ({_LASTING[status]}). {self._remedy_for(status)}", status=status)
        if status == CANCELLED:
            return f"{self.peer} cancelled {self.request}."
        counted = f" and could not send {failed} instances" if failed else ""
        message = f"{said}{counted}. {self._remedy_for(status)}"
        if status not in (0, _WARNING):
            raise TransientError(message, status=status)
        return message

    def _remedy_for(self, status: int) -> str:  # noqa: ARG002 - a subclass uses it
        return "Check the archive's log."


def _keys_of(study: ArchivedStudy) -> dict[str, str]:
    """Return the unique keys of the levels above SERIES."""
    return {"PatientID": study.patient_id, "StudyInstanceUID": study.study_instance_uid}


def _study(answer: Any) -> ArchivedStudy:
    uid, patient_id, accession, date, modalities = (text_of(answer, keyword) for keyword in _STUDY_KEYS)
    modality = tuple(one.strip() for one in modalities.split("\\") if one.strip())
    count = number_of(answer, "NumberOfStudyRelatedInstances")
    issuer, born = (text_of(answer, keyword) for keyword in ("IssuerOfPatientID", "PatientBirthDate"))
    return ArchivedStudy(uid, patient_id, accession, date, modality, count, issuer, born)
