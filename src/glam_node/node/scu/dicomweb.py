"""A DICOMweb server as a source of studies: queries by QIDO-RS, retrieval by WADO-RS (PS3.18 10.4 and 10.6)."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import requests
from dicomweb_client import DICOMwebClient
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom.dsutils import encode

from glam_node.node.domain.archived import (
    ArchivedSeries,
    ArchivedStudy,
    FoundStudies,
    StudyQuery,
    found_studies,
)
from glam_node.node.domain.ports import Accept, Fetched
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import NodeError, PermanentError, TransientError
from glam_node.node.scu.answer_timeouts import ANSWER_TIMEOUT_FACTOR
from glam_node.node.scu.bounded_session import bound_answers
from glam_node.node.scu.web_peer import WebPeer, other_protocol

PAGE = 100
"""Number of answers that one request asks for."""
_LASTING = {
    400: "Check {section}.service_path, and the server's log.",
    401: "Check {section}.authorization.",
    403: "Check {section}.authorization.",
    404: "Check {section}.service_path, {section}.host and {section}.port.",
    405: "Check {section}.service_path, {section}.host and {section}.port.",
}
"""The remedies for statuses with which the next request fails, too."""
_OF_ANY_REQUEST = (401, 403, 405)
"""Statuses that do not depend on the instance that was asked for."""
_AS_STORED = (("application/dicom", "*"),)
_STUDY_KEYS = ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate")

Answer = Mapping[str, Any]
"""A match in DICOM JSON (PS3.18 F.2)."""


class WebSource:
    """A DICOMweb server.

    Args:
        peer: The server.
        modalities: Modalities of the series to fetch; empty for all.
    """

    def __init__(self, peer: WebPeer, modalities: Sequence[str]) -> None:
        self._peer, self._modalities = peer, tuple(modalities)

    @property
    def name(self) -> str:
        """The NAME of [sources.NAME]."""
        return self._peer.name

    def find_studies(self, query: StudyQuery) -> FoundStudies:
        """Return the studies that match; see `Source`."""
        asked = {keyword: value for keyword, value in query.keys.items() if value}
        # Debian's Orthanc finds no value with a blank or a letter outside of ASCII; `found_studies` compares again.
        wider = {keyword: re.sub(r"[^!-~]+", "*", value) for keyword, value in asked.items()}
        found = self._search(asked, query)
        return self._search(wider, query) if not found.studies and wider != asked else found

    def _search(self, asked: Mapping[str, str], query: StudyQuery) -> FoundStudies:
        fields = ["ModalitiesInStudy", "NumberOfStudyRelatedInstances", *query.return_keys]
        with self._client() as client:
            answers = _pages(client.search_for_studies, "StudyInstanceUID", search_filters=asked, fields=fields)
            return found_studies(map(_study, answers), query)

    def list_series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        """Return the series that the source fetches; see `Source`."""
        uid = study.study_instance_uid
        fields = ["NumberOfSeriesRelatedInstances"]
        with self._client() as client:
            found = [
                (
                    _text(one, "SeriesInstanceUID"),
                    _text(one, "Modality"),
                    _number(one, "NumberOfSeriesRelatedInstances"),
                )
                for one in _pages(client.search_for_series, "SeriesInstanceUID", study_instance_uid=uid, fields=fields)
            ]
            wanted = [one for one in found if not self._modalities or one[1] in ("", *self._modalities)]
            return [
                ArchivedSeries(series, modality, count, _instances(client, study, series))
                for series, modality, count in wanted
            ]

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        """Retrieve instances one by one, and pass each to `accept`; see `Source`."""
        failures: list[str] = []
        with self._client() as client:
            for series in wanted:
                uid = series.series_instance_uid
                for instance in series.sop_instance_uids or _instances(client, study, uid):
                    failures.append(self._retrieve_one(client, (study.study_instance_uid, uid, instance), accept))
                    on_progress()
        return [failure for failure in failures if failure]

    def check(self) -> str:
        """Return a sentence that confirms that the server answers a search; see `Source`."""
        with self._client() as client:
            list(_pages(client.search_for_studies, "", search_filters={"StudyInstanceUID": f"2.25.{uuid4().int}"}))
        return f"{self._peer} answers searches."

    def _retrieve_one(self, client: DICOMwebClient, uids: tuple[str, str, str], accept: Accept) -> str:
        """Retrieve an instance; return the failure in words, or an empty string.

        Raises:
            NodeError: The server answers no request.
        """
        what = f"instance {uids[2]} from {self._peer}"
        try:
            with self._translated():
                accept(_fetched(uids, client.retrieve_instance(*uids, media_types=_AS_STORED)))
        except _NoAnswer:
            raise
        except _Answered as error:
            if error.status in _OF_ANY_REQUEST:
                raise
            return f"{what} was not sent: {error}"
        except (NodeError, InvalidDicomError, ValueError) as error:
            return f"{what} was not stored: {error}"
        return ""

    @contextmanager
    def _client(self) -> Iterator[DICOMwebClient]:
        """Open a session; translate its errors.

        Raises:
            TransientError: The server gave no answer, or its certificate or the file with the authorization is wrong.
            PermanentError: The server refuses.
        """
        with self._translated(), requests.Session() as session, warnings.catch_warnings():
            # No netrc file or environment variable may set proxies or credentials for these requests.
            session.trust_env = False
            limit_s = self._peer.timeout * ANSWER_TIMEOUT_FACTOR
            bound_answers(session, limit_s, self._peer.tls)
            session.auth = partial(_corrected, self._peer.headers().get("Authorization"))
            # The library warns of servers whose answers deviate from the standard but can be read.
            warnings.simplefilter("ignore", UserWarning)
            client = DICOMwebClient(str(self._peer), session, permissive_uid=True, timeout=self._peer.timeout)
            client.set_http_retry_params(retry=False)
            yield client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        section = self._peer.section
        try:
            yield
        except requests.HTTPError as error:
            raise self._refused(error.response.status_code if error.response is not None else 500) from error
        except requests.exceptions.SSLError as error:
            raise _NoAnswer(
                f"{self._peer}: TLS failed: {unstopped(_innermost(error))}. Check {section}.ca, {section}.server_name "
                f"and {section}.certificate."
            ) from error
        except requests.exceptions.JSONDecodeError as error:
            raise PermanentError(
                f"{self._peer} answered with something else than DICOM JSON, perhaps a sign-in page. "
                f"Check {section}.service_path and {section}.authorization."
            ) from error
        except requests.RequestException as error:
            slow = f", or raise {section}.timeout" if isinstance(error, requests.Timeout) else ""
            if remedy := other_protocol(self._peer):  # the answer of another protocol is no text
                raise _NoAnswer(f"{self._peer} did not answer to HTTP. {remedy}") from error
            remedy = f"Is it running? Check {section}.host and {section}.port{slow}."
            raise _NoAnswer(f"{self._peer} did not answer: {unstopped(_innermost(error))}. {remedy}") from error

    def _refused(self, status: int) -> NodeError:
        remedy = _LASTING.get(status, "Check the server's log.").format(section=self._peer.section)
        kind = _Busy if status >= 500 or status in (408, 429) else _Answered
        return kind(f"{self._peer} answered {status}. {remedy}", status=status)


def _corrected(authorization: str | None, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add the credentials to a request of the library, and correct what real servers do not understand.

    The library writes a blank as a plus sign, and a Host header without the port. Debian's Orthanc takes the plus sign
    and every percent sign of a value literally, so that a wildcard must not be escaped; RFC 3986 allows both ways.
    """
    url, question_mark, keys = (request.url or "").partition("?")
    request.url = f"{url}{question_mark}{keys.replace('+', '%20').replace('%2A', '*')}"
    request.headers.pop("Host", None)
    # A server that compresses pixels by gzip is several times slower than the network.
    request.headers["Accept-Encoding"] = "identity"
    if authorization:
        request.headers["Authorization"] = authorization
    return request


class _NoAnswer(TransientError):
    """The server gave no answer to a request."""


class _Answered(PermanentError):
    """The server refused a request."""


class _Busy(TransientError):
    """The server could not serve a request at present."""


def _innermost(error: BaseException) -> object:
    """Return the first cause of an error of `requests`, whose own message repeats its causes."""
    while (cause := error.__context__ or getattr(error, "reason", None)) is not None and cause is not error:
        error = cause
    return getattr(error, "strerror", None) or error


def _pages(search: Callable[..., Any], keyword: str, **asked: Any) -> Iterator[Answer]:
    """Yield the answers to a search, page by page, each once by the UID at `keyword`; without one, only the first page.

    A server may return fewer answers than asked for on each page, or all answers at once, or ignore the offset.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        answers = search(**asked, limit=PAGE, offset=offset)
        new = [one for one in answers if _text(one, keyword) not in seen]
        seen.update(_text(one, keyword) for one in new)
        yield from new
        offset += len(answers)
        if not new or not keyword or len(answers) > PAGE:
            return


def _instances(client: DICOMwebClient, study: ArchivedStudy, series_instance_uid: str) -> tuple[str, ...]:
    uids = {"study_instance_uid": study.study_instance_uid, "series_instance_uid": series_instance_uid}
    found = (_text(one, "SOPInstanceUID") for one in _pages(client.search_for_instances, "SOPInstanceUID", **uids))
    return tuple(dict.fromkeys(uid for uid in found if uid))


def _fetched(uids: tuple[str, str, str], dataset: Dataset) -> Fetched:
    """Return a retrieved data set as an instance to be stored.

    Raises:
        PermanentError: The server sent another instance, or it cannot be encoded again.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if str(dataset.get("SOPInstanceUID")) != uids[2]:
        raise PermanentError("The server sent another instance. Check the server's log.")
    encoded = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if encoded is None:
        raise PermanentError("Its data set cannot be read. Check the server's log.")
    return Fetched(uids[0], str(dataset.SOPClassUID), uids[2], str(syntax), memoryview(encoded))


def _study(answer: Answer) -> ArchivedStudy:
    uid, patient_id, accession, date = (_text(answer, keyword) for keyword in _STUDY_KEYS)
    modalities = tuple(str(one).strip() for one in _values(answer, "ModalitiesInStudy") if one)
    count = _number(answer, "NumberOfStudyRelatedInstances")
    issuer, born = (_text(answer, keyword) for keyword in ("IssuerOfPatientID", "PatientBirthDate"))
    return ArchivedStudy(uid, patient_id, accession, date, modalities, count, issuer, born)


def _text(answer: Answer, keyword: str) -> str:
    values = _values(answer, keyword)
    return str(values[0]).strip(" \0") if values and values[0] is not None else ""


def _number(answer: Answer, keyword: str) -> int | None:
    text = _text(answer, keyword)
    return int(text) if text.isdecimal() else None


def _values(answer: Answer, keyword: str) -> list[Any]:
    tag = tag_for_keyword(keyword) if keyword else None
    element = answer.get(f"{tag:08X}") if tag is not None else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []
