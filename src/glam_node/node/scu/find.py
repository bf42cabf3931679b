"""Query SCU: counts the mammograms that an archive has of a study (PS3.4 C.4.1, Study Root)."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association

from glam_node.node.errors import PermanentError
from glam_node.node.scu.association import RemoteAE, SOPClassRefused, lost_association, open_association

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PENDING = (0xFF00, 0xFF01)


def count_mammograms(peer: RemoteAE, study_instance_uid: str) -> int:
    """Return the number of images in the study's series of Modality MG, as `peer` counts them.

    Results of this node do not count, since their series have other modalities.

    Raises:
        TransientError: The archive gave no answer.
        PermanentError: The peer accepts no queries, refuses this one, or does not return the optional Number of Series
            Related Instances.
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_instance_uid
    query.Modality = query.SeriesInstanceUID = query.NumberOfSeriesRelatedInstances = ""
    try:
        with open_association(peer, [build_context(STUDY_ROOT_FIND)]) as association:
            series = list(_answers(peer, association, query))
    except SOPClassRefused as error:
        raise PermanentError(f"{peer} accepts no queries (Study Root, C-FIND). {_remedy(peer)}") from error
    counts = [one.get("NumberOfSeriesRelatedInstances") for one in series if one.get("Modality") == "MG"]
    if None in counts:
        raise PermanentError(
            f"{peer} does not return Number of Series Related Instances (0020,1209). Unset assembly.confirm_with."
        )
    return sum(int(count) for count in counts if count is not None)


def _answers(peer: RemoteAE, association: Association, query: Dataset) -> Iterator[Dataset]:
    try:
        for status, identifier in association.send_c_find(query, STUDY_ROOT_FIND):
            if "Status" not in status:
                raise lost_association(peer, "C-FIND", association)
            if status.Status in PENDING and identifier is not None:
                yield identifier
            elif status.Status != 0:
                raise PermanentError(
                    f"{peer} answered 0x{status.Status:04X} to C-FIND. {_remedy(peer)}", status=status.Status
                )
    except RuntimeError as error:
        raise lost_association(peer, "C-FIND", association) from error


def _remedy(peer: RemoteAE) -> str:
    return f"Allow {peer.calling_ae_title} to query there, or unset assembly.confirm_with."
