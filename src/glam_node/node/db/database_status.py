"""Status of a database for the checks of `glam-node doctor`, which do not change the database."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, false, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from glam_node.node.db import deliveries, migrate, storage
from glam_node.node.db.engine import is_damaged, open_engine, reading
from glam_node.node.db.tables import AccountRow, Base, DeliveryRow, EventRow, InstanceRow, JobRow, StudyRow
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.job import JobState
from glam_node.node.errors import PermanentError


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """Status of one database."""

    revision: str = ""
    """Revision of the schema; empty if there is no schema yet."""
    is_current: bool = False
    """Whether the schema is that of this version; if not, the fields from `newest_at` on are not filled in."""
    server_time: datetime | None = None
    """Time of the database server; None for SQLite."""
    refusal: str = ""
    """Error of the database when the check tried to write; empty if it can be written to."""
    newest_at: datetime | None = None
    """Newest time in the tables of studies, jobs, deliveries and events."""
    running_jobs: int = 0
    """Number of jobs whose lease has not ended."""
    waiting_jobs: int = 0
    waiting_deliveries: dict[str, int] | None = None
    """Number of pending deliveries by destination."""
    has_accounts: bool = False
    storage_id: str = ""
    """ID of the storage root that belongs to the database; empty if none was chosen."""
    is_bound: bool = False
    """Whether the marker file of a storage root contains the ID."""
    newest_files: tuple[str, ...] = ()
    """Paths of the newest instances, relative to the storage root."""


def read_status(url: str, now: datetime) -> DatabaseStatus:
    """Return the status of the existing database at `url`.

    Raises:
        PermanentError: The database cannot be read.
        sqlalchemy.exc.DBAPIError: The database cannot be reached, or is damaged.
    """
    engine = open_engine(url)
    sessions = sessionmaker(engine)
    try:
        with reading(sessions)() as session:
            revision = migrate.revision(session)
            at = session.scalar(select(func.now())) if engine.dialect.name == "postgresql" else None
        is_current = revision == migrate.newest()
        refusal = _refusal(sessions, is_current=is_current)
        if not is_current:
            return DatabaseStatus(revision, is_current, at, refusal)
        with reading(sessions)() as session:
            return _of_tables(session, revision, at, refusal, now)
    except DBAPIError as error:
        is_away = error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")
        if is_away or is_damaged(error):
            raise
        raise PermanentError(
            f"The database cannot be read: {_said(error)}. Check database_url and the rights of its user."
        ) from error
    finally:
        engine.dispose()


def _refusal(sessions: sessionmaker[Session], *, is_current: bool) -> str:
    """Return the error of an attempt to write to every table that changes no row; empty without an error.

    If the schema has to be created or upgraded, the attempt creates a table and rolls back.
    """
    session = sessions()
    try:
        if is_current:
            for table in Base.metadata.sorted_tables:
                columns = list(table.columns)
                session.execute(insert(table).from_select(columns, select(table).where(false())))
                session.execute(update(table).where(false()).values({columns[0].name: columns[0]}))
            session.execute(delete(InstanceRow).where(false()))
        else:
            session.execute(text("CREATE TABLE glam_node_probe (number INTEGER)"))
    except SQLAlchemyError as error:
        return _said(error)
    finally:
        session.rollback()
        session.close()
    return ""


def _of_tables(session: Session, revision: str, at: datetime | None, refusal: str, now: datetime) -> DatabaseStatus:
    columns = (StudyRow.last_received_at, JobRow.created_at, DeliveryRow.created_at, EventRow.at)
    newest = [found for column in columns if (found := session.scalar(select(func.max(column)))) is not None]
    running = (JobRow.state == JobState.RUNNING, JobRow.lease_expires_at > now)
    counts = deliveries.counts(session)
    return DatabaseStatus(
        revision,
        True,
        at,
        refusal,
        max(newest, default=None),
        session.scalar(select(func.count()).select_from(JobRow).where(*running)) or 0,
        session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state == JobState.PENDING)) or 0,
        {name: count for (name, state), count in counts.items() if state is DeliveryState.PENDING},
        session.scalar(select(func.count()).select_from(AccountRow)) != 0,
        *storage.known_storage(session),
        tuple(storage.newest_files(session)),
    )


def _said(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
