"""Retrieve SCU (PS3.4 Annex C): fetches studies from an archive by C-MOVE or C-GET."""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from glam_node.node.domain.archived import ArchivedSeries, ArchivedStudy
from glam_node.node.domain.ports import Accept, Fetched
from glam_node.node.errors import NodeError, TransientError
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.dicom_source import MOVE_DESTINATION_UNKNOWN, PATIENT_ROOT_MODELS, DicomSource
from glam_node.node.scu.find import Answers, identifier
from glam_node.node.scu.tls import listens

MOVE_MODELS = ("1.2.840.10008.5.1.4.1.2.2.2", PATIENT_ROOT_MODELS[0])
GET_MODELS = ("1.2.840.10008.5.1.4.1.2.2.3", PATIENT_ROOT_MODELS[1])
"""The information models of C-MOVE and C-GET: Study Root and Patient Root."""
PROCESSING_FAILURE = 0x0110
_PROBE = 1000
"""Message ID of the request that asks for nothing."""
_LISTENS_WITHIN_S = 2.0
_MOST_CONTEXTS = 126
"""Maximum number of contexts for images; an association has at most 128, and two are for the request."""
_MAMMOGRAPHY = tuple(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"))
"""SOP classes to propose if the archive lists no instances."""


class MoveSource(DicomSource):
    """An archive that sends the images to this node's receiver (C-MOVE).

    Args:
        peer: The archive.
        modalities: Modalities of the series to fetch; empty for all.
        port: The port at which the node listens for the archive.
        host: The address at which this machine reaches that port.
    """

    models = MOVE_MODELS
    request = "C-MOVE"

    def __init__(self, peer: RemoteAE, modalities: Sequence[str], port: int, host: str = "127.0.0.1") -> None:
        super().__init__(peer, modalities)
        self._port, self._host = port, host

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        """Have the archive send instances to the receiver, which stores them without `accept`; see `Source`."""
        del accept
        with self._open() as opened:
            return self._ask_for_each(opened, study, wanted, on_progress)

    def _send(self, association: Association, model: str, message_id: int, asked: Dataset) -> Answers:
        title = self.peer.calling_ae_title
        try:
            return association.send_c_move(asked, title, model, message_id)
        except (RuntimeError, ValueError) as error:
            raise self._lost(association) from error

    def _lost(self, association: Association) -> TransientError:
        # Orthanc ends the association if it does not know the move destination.
        register = self._remedy_for(MOVE_DESTINATION_UNKNOWN)
        return TransientError(
            f"{super()._lost(association)} Some archives do this if they do not know the move destination. {register}"
        )

    def _probe(self, association: Association, unknown: Mapping[str, str]) -> None:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        model = next(one for one in self.models if one in accepted)
        try:
            answers = self._send(association, model, _PROBE, identifier("STUDY", unknown))
            self._follow(association, (model, _PROBE), answers, lambda: None)
        except NodeError as error:
            # Archives answer a request for an unknown study with success or with any of several failures.
            if error.status in (MOVE_DESTINATION_UNKNOWN, None):
                raise

    def _remedy_for(self, status: int) -> str:
        title, place = self.peer.calling_ae_title, f"{own_address(self.peer)}, port {self._port}"
        if status == MOVE_DESTINATION_UNKNOWN:
            return f"Register {title} at the archive as a move destination: address {place}."
        if not listens((self._host, self._port), _LISTENS_WITHIN_S):
            return (
                f"Nothing listens on port {self._port} of this node, to which the archive sends the images: start "
                "`glam-node serve`, and run the command again."
            )
        return (
            f"Check that the archive knows {title} with address {place}, that `glam-node serve` runs, and that "
            f"{self.peer.ae_title} is one of the [peers]; `glam-node status` shows senders that "
            "the node rejected. Check the archive's log."
        )


class GetSource(DicomSource):
    """An archive that sends the images on the association that asks for them (C-GET).

    Args:
        peer: The archive.
        modalities: Modalities of the series to fetch; empty for all.
        syntaxes: The transfer syntaxes to propose, in order of preference, by storage SOP class.
    """

    models = GET_MODELS
    request = "C-GET"

    def __init__(self, peer: RemoteAE, modalities: Sequence[str], syntaxes: Mapping[str, Sequence[str]]) -> None:
        super().__init__(peer, modalities)
        self._syntaxes = syntaxes

    def retrieve(
        self, study: ArchivedStudy, wanted: Sequence[ArchivedSeries], accept: Accept, on_progress: Callable[[], None]
    ) -> list[str]:
        """Have the archive send instances, and pass each to `accept`; see `Source`."""
        failures: list[str] = []

        def store(event: Event) -> int:
            request = cast(C_STORE, event.request)
            uid, sop_class = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
            encoded = memoryview(event.encoded_dataset(include_meta=False))
            try:
                accept(Fetched(study.study_instance_uid, sop_class, uid, str(event.context.transfer_syntax), encoded))
            except NodeError as error:
                failures.append(f"{uid} from {self.peer} was not stored: {error}")
                return error.status or PROCESSING_FAILURE
            on_progress()
            return 0

        listed = sorted({uid for series in wanted for uid in series.sop_class_uids} & self._syntaxes.keys())
        classes = listed or list(_MAMMOGRAPHY)
        roles = [build_role(uid, scp_role=True) for uid in classes]
        with self._open(self._contexts(classes), roles=roles, handlers=[(evt.EVT_C_STORE, store)]) as opened:
            try:
                failures += self._ask_for_each(opened, study, wanted, on_progress)
            except TransientError as error:
                if not failures:
                    raise
                failures.append(str(error))
        return failures

    def _contexts(self, classes: Sequence[str]) -> list[PresentationContext]:
        """Return a context for each transfer syntax, so that the archive can send each image as it has it."""
        each = [build_context(uid, syntax) for uid in classes for syntax in self._syntaxes[uid]]
        if len(each) <= _MOST_CONTEXTS:
            return each
        return [build_context(uid, list(self._syntaxes[uid])) for uid in classes[:_MOST_CONTEXTS]]

    def _send(self, association: Association, model: str, message_id: int, asked: Dataset) -> Answers:
        try:
            return association.send_c_get(asked, model, message_id)
        except (RuntimeError, ValueError) as error:
            raise self._lost(association) from error


def own_address(peer: RemoteAE) -> str:
    """Return the address of this machine from which it reaches the peer, or its name if that is not known."""
    try:
        family, _, _, _, address = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
