"""Tables of the database; columns have the names of the domain's fields."""

from glam_node.node.db.tables.accounts_and_events import (
    AccountRow,
    AlertMessageRow,
    AlertRow,
    AuditMessageRow,
    EventRow,
    SessionRow,
    TraceCursorRow,
)
from glam_node.node.db.tables.base import Base
from glam_node.node.db.tables.canary import CanaryRow
from glam_node.node.db.tables.hospital import (
    HospitalMessageCountRow,
    HospitalMessageRow,
    ImagingOrderRow,
    PatientChangeRow,
    PatientMergeRow,
)
from glam_node.node.db.tables.jobs_and_deliveries import (
    CommitmentRequestRow,
    DeliveryRow,
    DestinationRow,
    JobRow,
    WorkerRow,
)
from glam_node.node.db.tables.studies import (
    BackfillRow,
    ConflictRow,
    InstanceRow,
    PriorSearchRow,
    PriorStudyRow,
    StorageRow,
    StudyRow,
)

__all__ = [
    "AccountRow",
    "AlertMessageRow",
    "AlertRow",
    "AuditMessageRow",
    "BackfillRow",
    "Base",
    "CanaryRow",
    "CommitmentRequestRow",
    "ConflictRow",
    "DeliveryRow",
    "DestinationRow",
    "EventRow",
    "HospitalMessageCountRow",
    "HospitalMessageRow",
    "ImagingOrderRow",
    "InstanceRow",
    "JobRow",
    "PatientChangeRow",
    "PatientMergeRow",
    "PriorSearchRow",
    "PriorStudyRow",
    "SessionRow",
    "StorageRow",
    "StudyRow",
    "TraceCursorRow",
    "WorkerRow",
]
