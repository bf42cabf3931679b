"""Settings of [hl7], the port for HL7 v2 messages of the hospital."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import (
    File,
    HL7Name,
    Host,
    Network,
    Port,
    Seconds,
    Timeout,
    local_host,
    not_empty,
    share_an_address,
)

_SENDER = "an application, or an application and a facility, such as RIS or RIS|HOSPITAL"
_FIELD = "a field such as OBR-18, or a component such as ORC-3.1"
_SOURCE = "the NAME of a [sources.NAME], or empty"


def _sender(value: str) -> str:
    parts = value.split("|")
    if not parts[0].strip() or len(parts) > 2 or any(character < " " for character in value):
        raise ValueError(_SENDER)
    return "|".join(part.strip() for part in parts)


def _field(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{2}-[1-9]\d?(\.[1-9]\d?)?", value):
        raise ValueError(_FIELD)
    return value


def _source(value: str) -> str:
    if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_-]*)?", value):
        raise ValueError(_SOURCE)
    return value


HL7Sender = Annotated[str, AfterValidator(_sender), Field(json_schema_extra={"allowed": _SENDER})]
HL7Field = Annotated[str, AfterValidator(_field), Field(json_schema_extra={"allowed": _FIELD})]
SourceName = Annotated[str, AfterValidator(_source), Field(json_schema_extra={"allowed": _SOURCE})]


class HL7ListenerSettings(Section):
    """[hl7]: a port for HL7 v2 messages (MLLP): corrected and merged patients, orders, and the end of a first read."""

    host: Host = "0.0.0.0"  # noqa: S104 - the engine must reach the node; unknown senders are refused
    """Address to listen on."""
    port: Port = 0
    """TCP port to listen on, usually 2575; 0: HL7 messages are not accepted."""
    senders: tuple[HL7Sender, ...] = ()
    """Systems that may send, by their MSH-3, or MSH-3 and MSH-4: RIS or RIS|HOSPITAL."""
    hosts: tuple[Network, ...] = ()
    """Addresses or networks from which messages are accepted; empty: any."""
    application: HL7Name = ""
    """MSH-5 of messages for this node; those for another application are rejected. Empty: any."""
    character_set: Literal["utf-8", "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9"] = "utf-8"
    """Character set of messages that declare none in MSH-18."""
    certificate: File | None = None
    """Certificate for TLS with the certificates that lead to its authority, PEM; unset: no TLS."""
    key: File | None = None
    """Private key of the certificate, PEM, unencrypted, in a file that only this node may read."""
    ca: File | None = None
    """Certificates of the authorities that sign the certificates of senders, PEM. If set, senders must present one."""
    accession_number: Annotated[tuple[HL7Field, ...], AfterValidator(not_empty)] = ("IPC-1", "OBR-18")
    """Fields with the Accession Number of an order or a report; the first one that has a value counts."""
    assigning_authority: HL7Name = ""
    """Assigning authority of Patient IDs that state none, in messages (PID-3) and in images (Issuer of Patient ID). Of
    several IDs in PID-3, the one of this authority counts."""
    patient_corrected: Literal["hold", "follow"] = "hold"
    """hold: if ADT^A08 or A31 corrects a patient after the images came, results that were not sent yet are held until a
    person releases the study; follow: they are made with the corrected name, birth date and sex. In doubt the study
    is held in any case."""
    patient_merged: Literal["hold", "follow"] = "hold"
    """The same for ADT^A40; with follow, results are made with the Patient ID that survives."""
    release_on: tuple[Literal["final_report", "completed_order"], ...] = ()
    """Events that release a study which a rule holds: final_report (ORU^R01 with OBR-25 F or C) or completed_order
    (ORM^O01 or OMI^O23 with ORC-5 CM). Empty: no message releases a study."""
    fetch_from: SourceName = ""
    """Name of the source from which the study of an order is fetched; empty: studies of orders are not fetched."""
    fetch_interval: Timeout = 60.0
    """Seconds between two looks for the study of an order at the source."""
    fetch_time: Seconds = 86400.0
    """Seconds after the scheduled time of an order, or after its arrival if it states none, at which the node stops
    looking for its study."""

    @property
    def local_host(self) -> str:
        """The address at which this machine reaches the port: `host`, or loopback where it listens on every address."""
        return local_host(self.host)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.port and not self.senders:
            raise contradiction("senders", "is empty: name the systems that may send to hl7.port by their MSH-3")
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise contradiction(missing, "is missing: a certificate and its key go together")
        if self.ca is not None and self.certificate is None:
            raise contradiction("ca", "is for TLS: set hl7.certificate and hl7.key")
        return self


def check_listener(
    chosen: HL7ListenerSettings, sources: Collection[str], others: Mapping[str, tuple[str, int]]
) -> None:
    """Raise a contradiction if the port is that of another listener, or the source of orders does not exist.

    Args:
        chosen: The section [hl7].
        sources: The names of the sources.
        others: Host and port of each other listener of the node, by the key of its port.
    """
    if chosen.fetch_from and chosen.fetch_from not in sources:
        raise contradiction("hl7.fetch_from", f"there is no sources.{chosen.fetch_from}")
    for key, (host, port) in others.items():
        if port and port == chosen.port and share_an_address(host, chosen.host):
            raise contradiction("hl7.port", f"{port} is already {key}; choose another, or another hl7.host")
