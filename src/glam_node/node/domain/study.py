"""Studies, their states from the first image to the removal of the files, and their standing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glam_node.node.domain.instance import SOPInstance, StudyAttributes


class StudyState(StrEnum):
    """State of a study."""

    RECEIVING = "RECEIVING"
    """Instances may still arrive."""
    COMPLETE = "COMPLETE"
    """All expected instances have arrived; the study is not judged yet."""
    INELIGIBLE = "INELIGIBLE"
    """The study is not analysed; `rule` and `reason` say why."""
    SUBMITTED = "SUBMITTED"
    """A job for the study exists."""
    REPORTED = "REPORTED"
    """Results are written and queued for delivery."""
    RETIRED = "RETIRED"
    """Images, findings and results are removed from this node; the database keeps the record of the study."""


# A late instance returns a study to RECEIVING from any state; a study that is set aside can retire from any state.
LEGAL_TRANSITIONS: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECEIVING: frozenset({StudyState.COMPLETE, StudyState.RETIRED}),
    StudyState.COMPLETE: frozenset(
        {StudyState.INELIGIBLE, StudyState.SUBMITTED, StudyState.RECEIVING, StudyState.RETIRED}
    ),
    StudyState.INELIGIBLE: frozenset({StudyState.RECEIVING, StudyState.RETIRED}),
    StudyState.SUBMITTED: frozenset({StudyState.REPORTED, StudyState.RECEIVING, StudyState.RETIRED}),
    StudyState.REPORTED: frozenset({StudyState.RECEIVING, StudyState.RETIRED}),
    StudyState.RETIRED: frozenset({StudyState.RECEIVING}),
}


class Standing(StrEnum):
    """Standing of a study: a person's decision whether it may proceed, independent of its state."""

    FREE = "FREE"
    """The study proceeds."""
    HELD = "HELD"
    """The study waits for its release: no job is created or started, no result is sent, and no file is removed."""
    SET_ASIDE = "SET_ASIDE"
    """All work on the study has stopped and its files are removed in time; a release resumes the work."""


class Holder(StrEnum):
    """Holder of a study, which decides what may release it; a person may release every study."""

    NONE = ""
    PERSON = "person"
    RULE = "rule"
    """A rule of the site; a time or a message of the hospital may release the study."""
    PATIENT = "patient"
    """A correction or merge of the patient, about which a person decides."""


LEGAL_STANDINGS: dict[Standing, frozenset[Standing]] = {
    Standing.FREE: frozenset({Standing.HELD, Standing.SET_ASIDE}),
    Standing.HELD: frozenset({Standing.FREE, Standing.SET_ASIDE}),
    Standing.SET_ASIDE: frozenset({Standing.FREE}),
}


@dataclass(frozen=True, slots=True)
class Study:
    """Study with the instances that have arrived."""

    study_instance_uid: str
    attributes: StudyAttributes
    state: StudyState
    rule: str
    """Rule that decided the current state, of completeness or of eligibility; empty while RECEIVING."""
    reason: str
    """Explanation of the decision in plain words."""
    first_received_at: datetime
    receiving_since: datetime
    """Arrival of the first instance, or of the instance that last reopened the study."""
    last_received_at: datetime
    instances: tuple[SOPInstance, ...]
    standing: Standing = Standing.FREE
    standing_reason: str = ""
    """Reason why the study is held or set aside, in the words of the person who did so."""
    version: int = 0
    """Number that grows with each change of what a person sees before they act on the study."""

    @property
    def mammograms(self) -> int:
        """Number of instances of Modality MG."""
        return sum(instance.attributes.modality == "MG" for instance in self.instances)

    def one_image_per_series(self) -> list[SOPInstance]:
        """Return the image with the lowest SOP Instance UID of each series, in the order of the series' UIDs.

        Instances without rows and segmentations are not images. If the study has mammograms, only those are returned,
        because captures that come back from an archive may name another patient.
        """
        images = [one for one in self.instances if one.attributes.rows and one.attributes.modality != "SEG"]
        images = [one for one in images if one.attributes.modality == "MG"] or images
        first: dict[str, SOPInstance] = {}
        for image in sorted(images, key=lambda image: (image.series_instance_uid, image.sop_instance_uid)):
            first.setdefault(image.series_instance_uid, image)
        return list(first.values())
