"""Upgrade of the database schema to that of this version."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from glam_node.node.db.engine import open_engine
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import PermanentError

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 0x474C414D
"""Key of the PostgreSQL advisory lock that lets one process upgrade at a time: the letters GLAM."""


def upgrade(url: str) -> None:
    """Upgrade the database at `url` to the newest schema; several processes may do so at once.

    This alone creates an SQLite database.

    Raises:
        PermanentError: The schema is unknown, probably that of a newer glam-node.
    """
    engine = open_engine(url, create=True)
    try:
        with engine.begin() as connection:
            _lock(connection)
            if not _has_newest_schema(connection):
                _upgrade(connection)
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Return whether the database at `url` exists and has the newest schema."""
    return revision_at(url) == newest()


def revision_at(url: str) -> str:
    """Return the revision of the schema of the database at `url`; empty if there is no database or no schema."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return ""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def revision(session: Session) -> str:
    """Return the revision of the database's schema; empty if there is no schema."""
    return _revision(session.connection())


def newest() -> str:
    """Return the newest revision, which is that of this version."""
    return revisions()[-1]


def knows(revision: str) -> bool:
    """Return whether this version can upgrade from that revision."""
    return revision in revisions()


def revisions() -> list[str]:
    """Return all revisions, the oldest first; each is numbered, and its file is named after the number."""
    return sorted(path.stem.removeprefix("revision_") for path in (SCRIPTS / "versions").glob("revision_*.py"))


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or ""  # noqa: S608 - a constant


def _upgrade(connection: Connection) -> None:
    # Imported here because nearly every start finds the newest schema and does not need Alembic.
    from alembic import command
    from alembic.util.exc import CommandError

    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise PermanentError(
            f"Database {connection.engine.url.render_as_string(hide_password=True)} cannot be upgraded: "
            f"{unstopped(error)}. "
            "It was probably made by a newer glam-node: install that version, or name another database_url."
        ) from error


def _lock(connection: Connection) -> None:
    """Lock PostgreSQL against other upgrades; SQLite is locked by its IMMEDIATE transaction."""
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
