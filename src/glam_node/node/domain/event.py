"""Events: their kinds, and the details that are recorded with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypedDict


class EventKind(StrEnum):
    """Kind of an event; the values are stored in the database and stay the same."""

    PROCESS_STARTED = "process_started"
    PROCESS_STOPPED = "process_stopped"
    SETTINGS_CHANGED = "settings_changed"
    SETTINGS_REFUSED = "settings_refused"

    ASSOCIATION_REJECTED = "association_rejected"
    ASSOCIATION_ABORTED = "association_aborted"
    INSTANCE_STORED = "instance_stored"
    INSTANCE_DUPLICATE = "instance_duplicate"
    INSTANCE_REFUSED = "instance_refused"

    MESSAGE_REFUSED = "message_refused"
    ORDER_RECEIVED = "order_received"
    ORDER_FETCHED = "order_fetched"
    ORDER_GIVEN_UP = "order_given_up"
    PATIENT_CHANGED = "patient_changed"

    STUDY_COMPLETE = "study_complete"
    STUDY_INELIGIBLE = "study_ineligible"
    PRIORS_SETTLED = "priors_settled"
    JOB_SUBMITTED = "job_submitted"
    JOB_SUPERSEDED = "job_superseded"
    JOB_STARTED = "job_started"
    JOB_FAILED = "job_failed"
    JOB_SUCCEEDED = "job_succeeded"
    RESULT_WRITTEN = "result_written"
    RESULT_NOT_WRITTEN = "result_not_written"

    RESULT_WITHHELD = "result_withheld"
    RESULT_STORED = "result_stored"
    RESULT_WARNED_OF = "result_warned_of"
    RESULT_FAILED = "result_failed"
    RESULT_COMMITTED = "result_committed"
    RESULT_NOT_COMMITTED = "result_not_committed"
    DELIVERY_REPLACED = "delivery_replaced"
    DELIVERY_ABANDONED = "delivery_abandoned"
    COMMITMENT_REPORTED = "commitment_reported"
    COMMITMENT_ABANDONED = "commitment_abandoned"

    STUDY_RETIRED = "study_retired"
    CONFLICT_RETIRED = "conflict_retired"
    STUDY_BACKED_UP = "study_backed_up"
    ALERT_BEGINS = "alert_begins"
    ALERT_OVER = "alert_over"

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGN_IN_LIMITED = "sign_in_limited"
    ACCOUNT_SET = "account_set"
    ACCOUNT_REMOVED = "account_removed"
    IDENTITY_SHOWN = "identity_shown"
    ACT_REFUSED = "act_refused"
    DESTINATION_ASKED = "destination_asked"
    SOURCE_QUERIED = "source_queried"
    SOURCE_ASKED_TO_SEND = "source_asked_to_send"
    SEND_REQUESTED = "send_requested"
    RETRY_REQUESTED = "retry_requested"
    RESEND_REQUESTED = "resend_requested"
    STUDY_HELD = "study_held"
    STUDY_SET_ASIDE = "study_set_aside"
    STUDY_RELEASED = "study_released"
    NEWER_TAKEN = "newer_taken"
    NEWER_LEFT = "newer_left"


class EventDetail(TypedDict, total=False):
    """Details of an event, as they are stored in the database; never a patient's name, ID or birth date."""

    # Several kinds of events
    failure: str
    reason: str
    remedy: str
    rule: str
    was: str
    """State or standing of the study before the event."""
    job_id: str
    attempt: int
    destination: str
    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    address: str
    """Network address of a sender or a browser; on the command line, the name of the host."""
    instances: int
    images: int
    withheld: int
    deliveries: int | Mapping[str, int]
    """Number of results; by destination for RESEND_REQUESTED."""
    kept_at: str
    differs: Sequence[str]

    # Processes and settings
    process: str
    process_id: int
    host: str
    digests: Mapping[str, str]
    changed: Sequence[str]

    # Receiving
    called_ae_title: str
    rejection: Sequence[int]
    """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    certificate: str
    """Fingerprint of the certificate that the peer presented."""
    certificate_names: Sequence[str]
    status: str
    stored: int | bool
    """Number of instances that an aborted association stored; for RESEND_REQUESTED, whether stored results count."""
    refused: int
    repeated: int
    unlisted: int
    byte_count: int
    patient_mismatch: bool
    same_bytes: bool

    # HL7 messages of the hospital
    control_id: str
    """MSH-10 of the message."""
    step: str
    """Step of an order, as in `domain.imaging_order.OrderStep`."""
    source: str
    sent_to: Sequence[str]
    """Destinations that have results for the patient as the images name her."""

    # Analysis
    priority: str
    owner: str
    next_attempt_at: str
    algorithm_version: str
    not_analysed: int
    mean_scores: Mapping[str, float]
    study_scores: Mapping[str, float]
    reference_scores: Mapping[str, float]
    queued: int
    would_send: Mapping[str, Sequence[str]]
    kind: str
    view: str
    image: str

    priors: int
    """Number of prior exams that the findings are compared with."""

    # Delivery and storage commitment
    warning: str
    transaction_uid: str
    committed: int
    failed: int

    # Backups and alerts
    uri: str
    alert: str
    subject: str
    fact: str

    # People
    account: str
    person: str
    role: str
    may_see_identity: bool
    by: str
    asked: str
    """Matching keys of a query, without Patient ID and Accession Number."""
    matches: int
    act: str
    ok: bool
    message: str
    judged_again: bool
    waiting: Mapping[str, int]
    written_for: Sequence[str]


@dataclass(frozen=True, slots=True)
class Event:
    """Recorded event of a study, or of the node if `study_instance_uid` is empty."""

    at: datetime
    kind: EventKind
    study_instance_uid: str
    detail: EventDetail
    event_id: int
