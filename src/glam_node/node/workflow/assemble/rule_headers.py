"""Header fields of stored images that the site's rules ask about."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from glam_node.node.db import studies
from glam_node.node.db.engine import SessionFactory, reading
from glam_node.node.domain.instance import SOPInstance
from glam_node.node.domain.routing import Headers, SiteRule
from glam_node.node.storage.header import read_stored_header
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.workflow.assemble.submit import AT_ONCE
from glam_node.rules.expression import Value, comparisons
from glam_node.rules.fields import is_of_the_header
from glam_node.rules.header import header_values

log = structlog.get_logger(__name__)


def asked_fields(site: Sequence[SiteRule]) -> tuple[str, ...]:
    """Return the header fields that the rules ask about, each once."""
    asked = (comparison.field for rule in site for comparison in comparisons(rule.when))
    return tuple(dict.fromkeys(field for field in asked if is_of_the_header(field)))


def headers_of_complete_studies(
    sessions: SessionFactory, store: InstanceStore, site: Sequence[SiteRule]
) -> Headers | None:
    """Return the header fields of the images of all studies that wait for judgement; None if no rule uses any.

    No transaction is open while files are read.

    Raises:
        OSError: The disk failed.
    """
    fields = asked_fields([rule for rule in site if not rule.of_results])
    if not fields:
        return None
    with reading(sessions)() as session:
        waiting = studies.waiting_for_judgement(session, AT_ONCE)
    return fields_of_images([instance for study in waiting for instance in study.instances], store, fields)


def fields_of_images(instances: Iterable[SOPInstance], store: InstanceStore, fields: Sequence[str]) -> Headers:
    """Return these header fields of stored images by SOP Instance UID; no file is read if there are no fields.

    Raises:
        OSError: The disk failed.
    """
    return {
        one.sop_instance_uid: _fields_of_file(store.resolve(one.path), fields) if fields else {} for one in instances
    }


def _fields_of_file(path: Path, fields: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Return the fields of a stored image; none when it cannot be read, which the job of its study will report."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = read_stored_header(path)
        except FileNotFoundError:
            return {}
        except OSError:
            raise
        except Exception as error:
            log.warning("header_unreadable", file=path.name, failure=type(error).__name__)
            return {}
        return values_in(header, fields)


def values_in(header: Dataset, fields: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Return the values of a header by field."""
    return {field: header_values(header, field) for field in fields}
