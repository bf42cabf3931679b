"""Table of canaries."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from glam_node.node.db.tables.base import UID, Base


class CanaryRow(Base):
    """Canary, as in `domain.canary`."""

    __tablename__ = "canaries"

    run_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    state: Mapped[str] = mapped_column(String(16))
    scheduled: Mapped[bool] = mapped_column(Boolean)
    requested_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    pass_code_digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the pass code that admits the association, while the images are being sent; else empty."""
    sent_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(Text)
    remark: Mapped[str] = mapped_column(Text)
    observation: Mapped[dict[str, Any]] = mapped_column(JSON)
    stages: Mapped[list[Any]] = mapped_column(JSON)
    present: Mapped[bool] = mapped_column(Boolean)
