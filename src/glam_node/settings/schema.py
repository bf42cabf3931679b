"""Every setting, its type, its default and its meaning; frozen, unknown keys refused."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.alerts import AlertSettings
from glam_node.settings.audit import AuditSettings
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.destinations import DestinationSettings
from glam_node.settings.inference import InferenceSettings
from glam_node.settings.peers import PeerSettings, distinct
from glam_node.settings.results import ResultsSettings
from glam_node.settings.rules import RuleSettings
from glam_node.settings.section import Section, contradiction
from glam_node.settings.telemetry import TelemetrySettings
from glam_node.settings.tls import TLSSettings
from glam_node.settings.urls import BrokerURL, DatabaseURL
from glam_node.settings.values import (
    AETitle,
    Directory,
    Host,
    ImageTypeTerm,
    Name,
    Patience,
    Port,
    Seconds,
    SOPClass,
)


class NodeSettings(Section):
    """[node]: this application entity."""

    ae_title: AETitle = "GLAMNODE"
    """AE title of this node: what the PACS calls, and what it presents when it sends."""
    host: Host = "0.0.0.0"  # noqa: S104 - a DICOM node is there to be reached; unknown peers are refused
    """Address to listen on."""
    port: Port = 11112
    """TCP port to listen on; 0 takes a free one."""
    maximum_associations: int = Field(default=64, ge=1, le=1024)
    """Associations served at once; one more is rejected (RJ 02-03-02) and may try again."""
    maximum_pdu_length: int = Field(default=131072, ge=4096, le=1048576)
    """Bytes; the longest P-DATA-TF that peers may send."""
    network_timeout: Patience = 60.0
    """Seconds without progress after which an association is aborted."""
    upper_layer: Literal["streaming", "pynetdicom"] = "streaming"
    """streaming: our own, straight to the disk; pynetdicom: that library's, many times slower, with less patience
    for attackers, should ours ever not understand a sender."""
    receiver_processes: int = Field(default=0, ge=0, le=16)
    """Processes that serve associations; 0: one per core, at most 4. A single sender keeps one busy."""
    require_called_ae_title: bool = True
    """Refuse associations that call another AE title than ours."""
    additional_storage_sop_classes: tuple[SOPClass, ...] = ()
    """SOP Class UIDs to accept beside the built-in list; "all" accepts every Storage class of the standard."""

    @property
    def local_host(self) -> str:
        """Where this machine reaches it: `host`, or the loopback address of one that listens everywhere."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared only


class AssemblySettings(Section):
    """[assembly]: when a study is whole."""

    settle_time: Seconds = 10.0
    """Seconds of silence after which a study with all four standard views is complete."""
    quiet_time: Seconds = 300.0
    """Seconds of silence after which any study is complete."""
    maximum_age: Seconds = 3600.0
    """Seconds since the first instance after which a study is complete even if more keeps arriving."""
    confirm_with: Name | Literal[""] = ""
    """The destination whose archive is asked by C-FIND how many mammograms a study has: when all are here it is
    complete after settle_time, whatever their views; when some are missing, not before quiet_time. Empty: none."""

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if self.quiet_time < self.settle_time:
            raise contradiction("quiet_time", f"{self.quiet_time:g} is less than settle_time ({self.settle_time:g})")
        if self.maximum_age < self.quiet_time:
            raise contradiction("maximum_age", f"{self.maximum_age:g} is less than quiet_time ({self.quiet_time:g})")
        return self


class EligibilitySettings(Section):
    """[eligibility]: which studies are analysed."""

    minimum_views: int = Field(default=1, ge=1, le=4)
    """How many of the four standard views (L/R, CC/MLO) a study needs."""
    accept_implants: bool = True
    """Analyse images of breasts with implants."""
    read_descriptions: bool = True
    """Leave out images that only a description (of series, processing, derivation or paddle) calls synthesized,
    contrast-enhanced, spot, magnified, of a biopsy, a specimen or a phantom, as in "C-View" or "Insight 2D"."""
    image_types: tuple[ImageTypeTerm, ...] = ()
    """Terms in values 3 to 5 of Image Type (0008,0008) that are not the standard's and that your machines write on
    ordinary screening views; images with other unknown terms are left out."""


class StorageSettings(Section):
    """[storage]: where instances, findings and results are kept."""

    root: Directory = Path("var/glam-node")
    """A directory on a local disk with room for what arrives."""
    minimum_free_bytes: int = Field(default=1_073_741_824, ge=0)
    """Below this many free bytes C-STORE is answered 0xA700."""
    pause_free_bytes: int = Field(default=268_435_456, ge=0)
    """Below this many free bytes no study is taken up: none is completed, no job is begun; what was begun goes on.
    Should be less than minimum_free_bytes."""


class RetentionSettings(Section):
    """[retention]: when what is done is removed here; never what was not delivered, or needs a person."""

    days: float = Field(default=30.0, ge=1)
    """Days after the last image of a study after which its images, findings and results are removed."""
    free_bytes: int = Field(default=0, ge=0)
    """Below this many free bytes the oldest studies go earlier, though never within the hour; should be more than
    storage.minimum_free_bytes. 0: only age counts."""


class DeliverySettings(Section):
    """[delivery]: sending results, and trying again."""

    initial_delay: Seconds = 5.0
    """Seconds to wait after the first failure; doubles with each further one."""
    maximum_delay: Seconds = 900.0
    """Seconds; the longest wait between two attempts. An archive that does not answer is called every 30 s anyway."""
    maximum_attempts: int = Field(default=1000, ge=1)
    """Attempts before a delivery is ABANDONED and a person must act."""
    commitment_timeout: Seconds = 3600.0
    """Seconds for an archive to answer a request for storage commitment; then the results are sent again."""
    commitment_requests: int = Field(default=5, ge=1)
    """How often a result is sent and storage commitment asked for before it is ABANDONED."""


class LogSettings(Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["console", "json"] = "console"
    """console: for people; json: one object a line, for machines."""


class Settings(Section):
    """All settings of a node."""

    node: NodeSettings = NodeSettings()
    tls: TLSSettings = TLSSettings()
    peers: Annotated[dict[Name, PeerSettings], AfterValidator(distinct)] = Field(default={})
    destinations: dict[Name, DestinationSettings] = Field(default={})
    assembly: AssemblySettings = AssemblySettings()
    eligibility: EligibilitySettings = EligibilitySettings()
    rules: dict[Name, RuleSettings] = Field(default={})
    storage: StorageSettings = StorageSettings()
    retention: RetentionSettings = RetentionSettings()
    inference: InferenceSettings = InferenceSettings()
    delivery: DeliverySettings = DeliverySettings()
    results: ResultsSettings = ResultsSettings()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    alerts: AlertSettings = AlertSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    log: LogSettings = LogSettings()
    database_url: DatabaseURL = ""
    """SQLAlchemy URL; empty: SQLite in the storage root. Across hosts: postgresql+psycopg://user:password@host/name."""
    broker_url: BrokerURL = ""
    """Celery broker; empty: an embedded one that starts and ends with the node. Across hosts: redis://host:6379/0."""

    @model_validator(mode="after")
    def _part_the_ports(self) -> Self:
        if self.tls.plain and self.node.port and self.tls.port == self.node.port:
            raise contradiction("tls.port", f"{self.tls.port} is node.port already; take another, or tls.plain = false")
        dicom = {"tls.port": self.tls.port, **({"node.port": self.node.port} if self.tls.plain else {})}
        taken = next((name for name, port in dicom.items() if port and port == self.console.port), None)
        if taken:
            raise contradiction("console.port", f"{self.console.port} is {taken} already; take another")
        return self

    @model_validator(mode="after")
    def _part_the_console(self) -> Self:
        everywhere = ("0.0.0.0", "::")  # noqa: S104 - compared only
        apart = self.console.host != self.node.host and not {self.console.host, self.node.host} & set(everywhere)
        taken = {"node.port": self.node.port if self.tls.plain else 0, "tls.port": self.tls.port}
        for key, port in taken.items():
            if self.console.port and port == self.console.port and not apart:
                raise contradiction("console.port", f"{port} is {key} already; take another")
        return self

    @model_validator(mode="after")
    def _answer_where_somebody_listens(self) -> Self:
        for name, peer in self.peers.items():
            if peer.destination and peer.destination not in self.destinations:
                raise contradiction(f"peers.{name}.destination", f"there is no destinations.{peer.destination}")
            if peer.destination and self.destinations[peer.destination].kind != "c-store":
                raise contradiction(f"peers.{name}.destination", f"destinations.{peer.destination} has no AE title")
        return self

    @model_validator(mode="after")
    def _route_to_destinations(self) -> Self:
        for name, rule in self.rules.items():
            for destination in rule.destinations or ():
                if destination not in self.destinations:
                    raise contradiction(f"rules.{name}.destinations", f"there is no destinations.{destination}")
        return self

    @model_validator(mode="after")
    def _confirm_with_an_archive(self) -> Self:
        name = self.assembly.confirm_with
        if name and name not in self.destinations:
            raise contradiction("assembly.confirm_with", f"there is no destinations.{name}")
        if name and self.destinations[name].kind != "c-store":
            raise contradiction("assembly.confirm_with", f"destinations.{name} has no AE title and answers no C-FIND")
        return self

    @model_validator(mode="after")
    def _ask_for_certificates(self) -> Self:
        for name, peer in self.peers.items():
            if peer.certificates and self.tls.port is None:
                raise contradiction(f"peers.{name}.certificates", "nobody can show one: tls.port is unset")
            if peer.certificates and self.tls.client_certificate == "none":
                raise contradiction(
                    f"peers.{name}.certificates", 'nobody is asked for one: tls.client_certificate = "none"'
                )
        return self
