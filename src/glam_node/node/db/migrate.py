"""Brings the database to the schema of this version."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from glam_node.node.db.engine import open_engine
from glam_node.node.errors import PermanentError

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 0x474C414D
"""Number of PostgreSQL's lock that lets one process migrate at a time; "GLAM"."""


def upgrade(url: str) -> None:
    """The database at `url` has the newest schema, whoever else is upgrading it at the moment.

    Raises PermanentError when a newer glam-node made it. Repeating it changes nothing.
    """
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            _lock(connection)
            if not _has_newest_schema(connection):
                _upgrade(connection)
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether the database at `url` is there and has the newest schema; changes nothing."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return False
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return _has_newest_schema(connection)
    finally:
        engine.dispose()


def revision(session: Session) -> str:
    """The schema that the database has."""
    return _revision(session.connection())


def newest() -> str:
    """The schema of this version."""
    return revisions()[-1]


def knows(revision: str) -> bool:
    """Whether this version can upgrade from that schema."""
    return revision in revisions()


def revisions() -> list[str]:
    """All that there are, oldest first: they are numbered, and a file is named by its number."""
    return sorted(path.stem.removeprefix("revision_") for path in (SCRIPTS / "versions").glob("revision_*.py"))


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or ""  # noqa: S608 - a constant


def _upgrade(connection: Connection) -> None:
    # Where nothing has to be upgraded, which is nearly always, Alembic is not loaded.
    from alembic import command
    from alembic.util.exc import CommandError

    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise PermanentError(
            f"Database {connection.engine.url.render_as_string(hide_password=True)} cannot be upgraded: {error}. "
            "It was probably made by a newer glam-node: install that version, or name another database_url."
        ) from error


def _lock(connection: Connection) -> None:
    """SQLite's transaction is IMMEDIATE, which is lock enough."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})


def _has_newest_schema(connection: Connection) -> bool:
    return _revision(connection) == revisions()[-1]


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
