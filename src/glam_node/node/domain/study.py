"""A study while it arrives, is judged and is reported."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glam_node.node.domain.instance import SOPInstance, StudyAttributes
from glam_node.node.domain.standing import Standing


class StudyState(StrEnum):
    """Where a study is on its way."""

    RECEIVING = "RECEIVING"
    """Instances may still arrive."""
    COMPLETE = "COMPLETE"
    """Whole; not yet judged."""
    INELIGIBLE = "INELIGIBLE"
    """Not for us; `rule` and `reason` say why. Nothing is sent."""
    SUBMITTED = "SUBMITTED"
    """A job exists."""
    REPORTED = "REPORTED"
    """Results are written and handed to delivery."""
    RETIRED = "RETIRED"
    """Old or in the way, and done: images, findings and results are removed here, the record stays."""


# A late instance takes a study back to RECEIVING from anywhere; what is set aside is RETIRED from anywhere.
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


@dataclass(frozen=True, slots=True)
class Study:
    """One study and the instances that arrived of it."""

    study_instance_uid: str
    attributes: StudyAttributes
    state: StudyState
    rule: str
    """The rule that decided the state last: of completeness, then of eligibility; empty while RECEIVING."""
    reason: str
    """The same in plain words."""
    first_received_at: datetime
    receiving_since: datetime
    """When the instances of this round began to arrive: the first ever, or the one that reopened the study."""
    last_received_at: datetime
    instances: tuple[SOPInstance, ...]
    standing: Standing = Standing.FREE
    standing_reason: str = ""
    """Why it is held or set aside, in the words of whoever did it."""

    @property
    def mammograms(self) -> int:
        """How many of the instances are of Modality MG, whatever they show."""
        return sum(instance.attributes.modality == "MG" for instance in self.instances)

    def one_image_per_series(self) -> list[SOPInstance]:
        """The first of each by UID; what has no rows, and segmentations, are no images.

        Where there are mammograms, only these: captures that come back from an archive may name another patient.
        """
        images = [one for one in self.instances if one.attributes.rows and one.attributes.modality != "SEG"]
        images = [one for one in images if one.attributes.modality == "MG"] or images
        first: dict[str, SOPInstance] = {}
        for image in sorted(images, key=lambda image: (image.series_instance_uid, image.sop_instance_uid)):
            first.setdefault(image.series_instance_uid, image)
        return list(first.values())
