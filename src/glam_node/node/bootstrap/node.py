"""Construction of the whole node from settings."""

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import assert_never

from glam_node.node.audit.message import Reporter
from glam_node.node.audit.templates import Party
from glam_node.node.bootstrap.alerts import alert_channels, alert_policy
from glam_node.node.bootstrap.base_node import BaseNode, open_base_node
from glam_node.node.bootstrap.commitment import commitment_policy
from glam_node.node.bootstrap.messages import message_form
from glam_node.node.bootstrap.rules import eligibility_policy, kind_policy, site_rules
from glam_node.node.domain.alert import AlertPolicy
from glam_node.node.domain.completeness import AssemblyPolicy
from glam_node.node.domain.job import Priority, RetryPolicy
from glam_node.node.domain.ports import Destination
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.scu.association import RemoteAE
from glam_node.node.scu.commitment import send_report
from glam_node.node.scu.echo import remote_ae_of
from glam_node.node.scu.find import count_mammograms
from glam_node.node.scu.folder import FolderDestination
from glam_node.node.scu.hl7 import HL7Destination, hl7_peer
from glam_node.node.scu.store import CStoreDestination
from glam_node.node.scu.stow import StowDestination
from glam_node.node.scu.syslog import AuditCollector, audit_collector
from glam_node.node.scu.transfer_syntaxes import TRANSFER_SYNTAXES
from glam_node.node.scu.web_peer import web_peer
from glam_node.node.workflow.analyse.context import Audience, InferenceContext
from glam_node.node.workflow.assemble.completion import Confirmations
from glam_node.node.workflow.assemble.submit import SubmissionPolicy
from glam_node.node.workflow.deliver.answer_commitments import SendReply
from glam_node.node.workflow.deliver.commit_results import CommitmentPolicy
from glam_node.node.workflow.operate.retention import RetentionPolicy
from glam_node.node.workflow.record.alerts import Channel
from glam_node.node.workflow.record.event_messages import Reporting
from glam_node.result_kinds import fallback_sop_classes
from glam_node.settings.destinations import (
    CStoreSettings,
    DestinationSettings,
    FolderSettings,
    HL7Settings,
    StowSettings,
)
from glam_node.settings.digest import settings_digest
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import Settings

RETRY_JOB_AFTER_S = 10.0
RETRY_JOB_AT_MOST_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class Node(BaseNode):
    """The parts that processes and commands of a node share. Building a node connects only the database."""

    destinations: Mapping[str, Destination]
    archives: Mapping[str, RemoteAE]
    """The destinations of kind "c-store", by name."""
    commitment_policy: CommitmentPolicy
    commitment_peers: Mapping[str, SendReply]
    """Functions that answer a peer's requests for storage commitment, by the AE title of the peer."""
    assembly_policy: AssemblyPolicy
    confirmations: Confirmations | None
    """The archive that is asked whether a study is complete; None if none is configured."""
    submission_policy: SubmissionPolicy
    retention_policy: RetentionPolicy
    inference: InferenceContext
    delivery_policy: RetryPolicy
    fallbacks: Mapping[str, Mapping[str, str]]
    """For each destination, the SOP classes that replace others, by the UID of the replaced SOP class."""
    reporting: Reporting
    collector: AuditCollector | None
    alert_policy: AlertPolicy
    alert_channels: Mapping[str, Channel]
    """The channels to which alerts are sent, by name."""


def build_node(settings: Settings) -> Node:
    """Build the node that the settings describe, and upgrade its database to the newest schema.

    Raises:
        PermanentError: The storage root cannot be written, or a setting cannot work.
        TransientError: The database does not answer.
    """
    base = open_base_node(settings)
    identity = result_identity(settings)
    archives = {name: remote_ae_of(name, one, settings.node.ae_title) for name, one in settings.archives.items()}
    built = {name: built_destination(name, one, settings.node.ae_title) for name, one in settings.destinations.items()}
    inference = InferenceContext(
        identity=identity,
        audiences=audiences({name: one for name, one in settings.destinations.items() if one.mode != "dry_run"}),
        policy=RetryPolicy(RETRY_JOB_AFTER_S, 2.0, RETRY_JOB_AT_MOST_EVERY_S, settings.inference.maximum_attempts),
        lease_time_s=settings.inference.lease_time,
        shadow=frozenset(name for name, one in settings.destinations.items() if one.mode == "shadow"),
        dry_run={name: one.results for name, one in settings.destinations.items() if one.mode == "dry_run"},
        kinds=kind_policy(settings),
        least_free_bytes=settings.storage.pause_free_bytes,
        site=tuple(rule for rule in site_rules(settings) if rule.of_results),
        released_by="a person or an HL7 message" if settings.hl7.port and settings.hl7.release_on else "a person",
    )
    return Node(
        settings=settings,
        sessions=base.sessions,
        store=base.store,
        destinations={name: destination for name, (destination, _) in built.items()},
        archives=archives,
        commitment_policy=commitment_policy(settings),
        commitment_peers={
            peer.ae_title: partial(send_report, archives[peer.destination])
            for peer in settings.peers.values()
            if peer.destination
        },
        assembly_policy=AssemblyPolicy(
            settings.assembly.settle_time,
            settings.assembly.quiet_time,
            settings.assembly.maximum_age,
            bool(settings.assembly.confirm_with),
            inference.kinds,
        ),
        confirmations=_confirmations(settings, archives),
        submission_policy=SubmissionPolicy(
            eligibility_policy(settings),
            identity.settings_digest,
            inference.notices,
            _priorities(settings.peers.values()),
            site_rules(settings),
            settings.canary.destinations,
            settings.hl7.assigning_authority,
        ),
        retention_policy=RetentionPolicy(timedelta(days=settings.retention.days), settings.retention.free_bytes),
        inference=inference,
        delivery_policy=RetryPolicy(
            settings.delivery.initial_delay, 2.0, settings.delivery.maximum_delay, settings.delivery.maximum_attempts
        ),
        fallbacks=fallback_sop_classes({name: one.fallbacks.by_kind for name, one in settings.destinations.items()}),
        reporting=Reporting(
            Reporter(settings.node.ae_title, settings.results.institution_name, socket.gethostname()),
            {name: party for name, (_, party) in built.items()},
            {name: Party(name, getattr(one, "ae_title", ""), one.host) for name, one in settings.sources.items()},
        ),
        collector=audit_collector(settings.audit),
        alert_policy=alert_policy(settings),
        alert_channels=alert_channels(settings),
    )


def audiences(destinations: Mapping[str, DestinationSettings]) -> tuple[Audience, ...]:
    """Group the destinations whose results are presented alike; if there are none, return one empty audience.

    Each HL7 engine is a group of its own.
    """
    alike: dict[str, list[str]] = {}
    for name, destination in destinations.items():
        own = name if isinstance(destination, HL7Settings) else ""
        alike.setdefault(json.dumps([own, destination.presentation.chosen], sort_keys=True), []).append(name)
    return tuple(
        Audience(
            {name: destinations[name].results for name in names},
            {name: destinations[name].fallbacks.by_kind for name in names},
            destinations[names[0]].presentation.chosen,
            message_form(names[0], destinations[names[0]]),
        )
        for names in alike.values()
    ) or (Audience(),)


def _confirmations(settings: Settings, archives: Mapping[str, RemoteAE]) -> Confirmations | None:
    name = settings.assembly.confirm_with
    if name in settings.sources:
        from glam_node.node.bootstrap.sources import mammogram_counter

        return Confirmations(mammogram_counter(name, settings), name)
    return Confirmations(partial(count_mammograms, archives[name]), name) if name else None


def _priorities(peers: Iterable[PeerSettings]) -> dict[str, Priority]:
    """Return the priority by AE title; if peers share an AE title, the most urgent priority counts."""
    by_title: dict[str, Priority] = {}
    for peer in peers:
        priority = Priority[peer.priority.upper()]
        by_title[peer.ae_title] = min(priority, by_title.get(peer.ae_title, priority))
    return by_title


def result_identity(settings: Settings) -> ResultIdentity:
    """Return the attributes that results state about their source; the time of an analysis is added later by `at`."""
    return ResultIdentity(**settings.results.model_dump(), settings_digest=settings_digest(settings))


def built_destination(name: str, settings: DestinationSettings, ae_title: str) -> tuple[Destination, Party]:
    """Return a destination, and its description for audit messages."""
    match settings:
        case CStoreSettings():
            syntaxes = [TRANSFER_SYNTAXES[syntax] for syntax in settings.transfer_syntaxes]
            archive = CStoreDestination(remote_ae_of(name, settings, ae_title), syntaxes)
            return archive, Party(name, settings.ae_title, settings.host)
        case StowSettings():
            return StowDestination(web_peer(name, settings)), Party(name, host=settings.host)
        case HL7Settings():
            where = f"mllp{'s' if settings.tls else ''}://{settings.host}:{settings.port}"
            return HL7Destination(hl7_peer(name, settings)), Party(name, uri=where)
        case FolderSettings():
            return FolderDestination(name, settings.path), Party(name, uri=settings.path.resolve().as_uri())
    assert_never(settings)
