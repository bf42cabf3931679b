"""Construction of the sources that studies are fetched from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from glam_node.node.bootstrap.base_node import BaseNode
from glam_node.node.db.writer import Writer
from glam_node.node.domain.account import Actor
from glam_node.node.domain.archived import ArchivedStudy
from glam_node.node.domain.ports import Source
from glam_node.node.domain.prior import MODALITY
from glam_node.node.errors import PermanentError
from glam_node.node.scp.contexts import accepted_contexts
from glam_node.node.scu.echo import remote_ae_of
from glam_node.node.scu.retrieve import GetSource, MoveSource
from glam_node.node.scu.web_peer import web_peer
from glam_node.node.workflow.receive.fetch_study import Intake, StudyFetcher
from glam_node.node.workflow.receive.refusals import Refusals
from glam_node.node.workflow.record.source_events import RecordedSource
from glam_node.settings.schema import Settings
from glam_node.settings.sources import CGetSettings, CMoveSettings, DicomSourceSettings, DicomwebSettings

if TYPE_CHECKING:
    from glam_node.node.workflow.assemble.fetch_priors import PriorSource


def built_source(name: str, settings: Settings) -> Source:
    """Return the source that [sources.NAME] describes."""
    source, ours = settings.sources[name], settings.node
    match source:
        case CMoveSettings():
            port = ours.port if settings.tls.plain or settings.tls.port is None else settings.tls.port
            return MoveSource(remote_ae_of(name, source, ours.ae_title), source.modalities, port, ours.local_host)
        case CGetSettings():
            syntaxes = accepted_contexts(ours.additional_storage_sop_classes)
            return GetSource(remote_ae_of(name, source, ours.ae_title), source.modalities, syntaxes)
        case DicomwebSettings():
            # The library for DICOMweb is loaded only where it is used.
            from glam_node.node.scu.dicomweb import WebSource

            return WebSource(web_peer(name, source), source.modalities)
    assert_never(source)


def recorded_source(name: str, node: BaseNode, actor: Actor) -> RecordedSource:
    """Return [sources.NAME], with a record of everything that a person asks it for."""
    return RecordedSource(built_source(name, node.settings), node.sessions, actor)


def mammogram_counter(name: str, settings: Settings) -> Callable[[str], int]:
    """Return a function that counts the mammograms that [sources.NAME] has of a study; it raises the source's errors.

    Results of this node do not count, since their series have other modalities.
    """
    mammograms = settings.sources[name].model_copy(update={"modalities": ("MG",)})
    source = built_source(name, settings.model_copy(update={"sources": {name: mammograms}}))
    return lambda uid: sum(one.expected for one in source.list_series(ArchivedStudy(uid)) if one.modality == "MG")


@contextmanager
def prior_source(name: str, node: BaseNode) -> "Iterator[PriorSource]":
    """Yield [sources.NAME] as a source of prior exams, whose series of other modalities are not fetched.

    Raises:
        PermanentError: The settings do not have the source any more.
    """
    if name not in node.settings.sources:
        raise PermanentError(f"There is no sources.{name} any more, from which a rule wanted to fetch prior exams.")
    from glam_node.node.workflow.assemble.fetch_priors import PriorSource

    mammograms = node.settings.sources[name].model_copy(update={"modalities": (MODALITY,)})
    settings = node.settings.model_copy(update={"sources": {name: mammograms}})
    limited = BaseNode(settings, node.sessions, node.store)
    with study_fetcher(name, limited) as fetcher:
        yield PriorSource(built_source(name, settings), fetcher)


@contextmanager
def study_fetcher(name: str, node: BaseNode, actor: Actor | None = None) -> Iterator[StudyFetcher]:
    """Yield the fetcher of the studies of [sources.NAME], which stores in the storage root of the node.

    What it asks the archive for is recorded with the person who started it, `actor`, if there is one.
    """
    source = node.settings.sources[name]
    title = source.ae_title if isinstance(source, DicomSourceSettings) else name[:16]
    writer = Writer(node.sessions)
    try:
        intake = Intake(
            node.store,
            writer,
            Refusals(writer),
            node.settings.storage.minimum_free_bytes,
            accepted_contexts(node.settings.node.additional_storage_sop_classes),
            title,
            source.host,
        )
        asked = built_source(name, node.settings) if actor is None else recorded_source(name, node, actor)
        yield StudyFetcher(asked, intake, node.sessions)
    finally:
        writer.stop()
