"""The schema of all settings: the type, default and meaning of every key."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.alerts import AlertSettings
from glam_node.settings.audit import AuditSettings
from glam_node.settings.canary import CanarySettings
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.destinations import CStoreSettings, DestinationSettings
from glam_node.settings.hl7 import HL7ListenerSettings, check_listener
from glam_node.settings.inference import InferenceSettings
from glam_node.settings.observation import LogSettings, TelemetrySettings
from glam_node.settings.peers import PeerSettings, distinct
from glam_node.settings.rules import RuleSettings, require_sources
from glam_node.settings.section import Section, contradiction
from glam_node.settings.sources import SourceSettings
from glam_node.settings.tls import TLSSettings
from glam_node.settings.urls import BrokerURL, DatabaseURL
from glam_node.settings.values import (
    AETitle,
    ArchiveName,
    Banner,
    CodeScheme,
    Directory,
    Host,
    ImageTypeTerm,
    Name,
    Port,
    ScoreScale,
    Seconds,
    SeriesDescription,
    SeriesNumber,
    SOPClass,
    Text,
    Timeout,
    local_host,
    share_an_address,
)


class NodeSettings(Section):
    """[node]: this node as a DICOM application entity."""

    ae_title: AETitle = "GLAMNODE"
    """AE title of this node: the PACS calls this title, and the node uses it when it sends."""
    host: Host = "0.0.0.0"  # noqa: S104 - other machines must reach the node; unknown peers are refused
    """Address to listen on."""
    port: Port = 11112
    """TCP port to listen on; 0: any free port."""
    maximum_associations: int = Field(default=64, ge=1, le=1024)
    """Number of associations served at once. A further one is rejected (RJ 02-03-02), and its sender may try again."""
    maximum_pdu_length: int = Field(default=131072, ge=4096, le=1048576)
    """Length in bytes of the longest P-DATA-TF that peers may send."""
    network_timeout: Timeout = 60.0
    """Seconds without progress after which an association is aborted."""
    receiver_processes: int = Field(default=0, ge=0, le=16)
    """Number of processes that serve associations; 0: one per core, at most 4. A single sender uses only one."""
    require_called_ae_title: bool = True
    """Refuse associations that call another AE title than node.ae_title."""
    additional_storage_sop_classes: tuple[SOPClass, ...] = ()
    """SOP Class UIDs to accept in addition to the built-in list; "all" accepts every Storage class of the standard."""

    @property
    def local_host(self) -> str:
        """The address at which this machine reaches the node: `host`, or loopback where it listens on every address."""
        return local_host(self.host)


class AssemblySettings(Section):
    """[assembly]: the waiting times after which a study is complete."""

    settle_time: Seconds = 10.0
    """Seconds without a new instance after which a study with all four standard views is complete."""
    quiet_time: Seconds = 300.0
    """Seconds without a new instance after which any study is complete."""
    maximum_age: Seconds = 3600.0
    """Longest wait in seconds after the first instance: then a study is complete even if instances keep arriving."""
    confirm_with: ArchiveName = ""
    """Name of the destination or source whose archive is asked how many mammograms a study has; empty: none. If the
    node has all of them, the study is complete after settle_time, whatever its views. If some are missing, it is not
    complete before quiet_time. A destination is asked by C-FIND."""

    @model_validator(mode="after")
    def _has_growing_waits(self) -> Self:
        if self.quiet_time < self.settle_time:
            raise contradiction("quiet_time", f"{self.quiet_time:g} is less than settle_time ({self.settle_time:g})")
        if self.maximum_age < self.quiet_time:
            raise contradiction("maximum_age", f"{self.maximum_age:g} is less than quiet_time ({self.quiet_time:g})")
        return self


class EligibilitySettings(Section):
    """[eligibility]: the conditions for a study to be analysed."""

    minimum_views: int = Field(default=1, ge=1, le=4)
    """Number of the four standard views (L/R, CC/MLO) that a study needs."""
    accept_implants: bool = True
    """Analyse images of breasts with implants."""
    read_descriptions: bool = True
    """Also leave out images that are called synthesized, contrast-enhanced, spot, magnified, or of a biopsy, a specimen
    or a phantom only in a description (of the series, processing, derivation or paddle), as in "C-View" or "Insight
    2D"."""
    image_types: tuple[ImageTypeTerm, ...] = ()
    """Terms in values 3 to 5 of Image Type (0008,0008) that the standard does not define but your machines write on
    ordinary screening views. Images with other unknown terms are left out."""


class StorageSettings(Section):
    """[storage]: the directory for instances, findings and results."""

    root: Directory = Path("var/glam-node")
    """Directory on a local disk that is large enough for the received studies."""
    minimum_free_bytes: int = Field(default=1_073_741_824, ge=0)
    """With fewer free bytes, the node refuses C-STORE requests with status 0xA700 (out of resources)."""
    pause_free_bytes: int = Field(default=268_435_456, ge=0)
    """With fewer free bytes, no study is completed and no job is started; running jobs continue. Set it lower than
    minimum_free_bytes."""


class RetentionSettings(Section):
    """[retention]: removal of finished studies; a study that is not delivered or needs a person is never removed."""

    days: float = Field(default=30.0, ge=1)
    """Age in days, counted from the last image of a study, at which its images, findings and results are removed."""
    free_bytes: int = Field(default=0, ge=0)
    """With fewer free bytes, the oldest studies are removed earlier, but none within an hour of its last image. Set it
    higher than storage.minimum_free_bytes. 0: studies are removed by age only."""


class DeliverySettings(Section):
    """[delivery]: sending of results, and retries."""

    initial_delay: Seconds = 5.0
    """Seconds to wait after the first failure; the wait doubles with each further failure."""
    maximum_delay: Seconds = 900.0
    """Seconds of the longest wait between two attempts. An archive that does not answer is tried every 30 s in any
    case."""
    maximum_attempts: int = Field(default=1000, ge=1)
    """Number of attempts after which a delivery is ABANDONED and a person must act."""
    commitment_timeout: Seconds = 3600.0
    """Seconds to wait for an archive to answer a storage commitment request; then the results are sent again."""
    commitment_requests: int = Field(default=5, ge=1)
    """Number of times that a result is sent and storage commitment requested before the delivery is ABANDONED."""


class ResultsSettings(Section):
    """[results]: attributes and appearance of the result objects."""

    manufacturer: Text = Field(default="glam-node", min_length=1, max_length=64)
    """Manufacturer (0008,0070) of the result objects."""
    station_name: Text = Field(default="GLAMNODE", max_length=16)
    """Station Name (0008,1010)."""
    institution_name: Text = Field(default="", max_length=64)
    """Institution Name (0008,0080)."""
    device_serial_number: Text = Field(default="1", min_length=1, max_length=64)
    """Device Serial Number (0018,1000)."""
    series_number: SeriesNumber = 9500
    """Series Number of the first result series; the others count up from it."""
    banner: Banner = "For research use, not for diagnosis"
    """Statement of the intended use in every object. Change it only when your site has validated the package for
    another use."""
    series_description: SeriesDescription = "GLAM-NODE {subject} research use"
    """Series Description (0008,103E) of the result objects; {subject} is replaced by the content of the series."""
    score_scale: ScoreScale = "percent"
    """Scale of the scores of images, breasts and studies. percent: the calibrated probability if inference.calibration
    is set, else the score; raw: 0 to 1; ten: 1 to 10 by the calibration of the site or the package, percent without
    one. Scores of findings are saliency, and are never calibrated."""
    code_scheme: CodeScheme = "SCT"
    """Scheme of the SNOMED codes: SCT as in DICOM today; SRT for workstations from before about 2017."""
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: one picture of all views; views: one picture per view. It is for destinations that get
    secondary_capture."""


class Settings(Section):
    """All settings of a node."""

    node: NodeSettings = NodeSettings()
    tls: TLSSettings = TLSSettings()
    peers: Annotated[dict[Name, PeerSettings], AfterValidator(distinct)] = Field(default={})
    destinations: dict[Name, DestinationSettings] = Field(default={})
    sources: dict[Name, SourceSettings] = Field(default={})
    hl7: HL7ListenerSettings = HL7ListenerSettings()
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
    canary: CanarySettings = CanarySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    log: LogSettings = LogSettings()
    database_url: DatabaseURL = ""
    """SQLAlchemy URL of the database; empty: an SQLite file in the storage root. For workers on other hosts:
    postgresql+psycopg://user:password@host/name."""
    broker_url: BrokerURL = ""
    """URL of the Celery broker; empty: an embedded broker that starts and stops with the node. For workers on other
    hosts: redis://host:6379/0."""

    @property
    def archives(self) -> dict[str, CStoreSettings]:
        """The DICOM archives among the destinations, by name."""
        return {name: one for name, one in self.destinations.items() if isinstance(one, CStoreSettings)}

    @model_validator(mode="after")
    def _has_one_listener_per_port(self) -> Self:
        if self.tls.plain and self.node.port and self.tls.port == self.node.port:
            raise contradiction(
                "tls.port", f"{self.tls.port} is already node.port; choose another, or set tls.plain = false"
            )
        if not share_an_address(self.node.host, self.console.host):
            return self
        dicom = {"tls.port": self.tls.port, **({"node.port": self.node.port} if self.tls.plain else {})}
        taken = next((name for name, port in dicom.items() if port and port == self.console.port), None)
        if taken:
            raise contradiction(
                "console.port", f"{self.console.port} is already {taken}; choose another, or another console.host"
            )
        return self

    @model_validator(mode="after")
    def _listens_to_hl7_on_a_port_of_its_own(self) -> Self:
        node = {"node.port": (self.node.host, self.node.port)} if self.tls.plain else {}
        others = {**node, "tls.port": (self.node.host, self.tls.port or 0)}
        check_listener(self.hl7, self.sources, {**others, "console.port": (self.console.host, self.console.port)})
        return self

    @model_validator(mode="after")
    def _answers_peers_at_archives(self) -> Self:
        for name, peer in self.peers.items():
            if peer.destination and peer.destination not in self.destinations:
                raise contradiction(f"peers.{name}.destination", f"there is no destinations.{peer.destination}")
            if peer.destination and peer.destination not in self.archives:
                raise contradiction(f"peers.{name}.destination", f"destinations.{peer.destination} has no AE title")
        return self

    @model_validator(mode="after")
    def _routes_to_known_destinations(self) -> Self:
        require_sources(self.rules, self.sources)
        for name, rule in self.rules.items():
            for destination in rule.destinations or ():
                if destination not in self.destinations:
                    raise contradiction(f"rules.{name}.destinations", f"there is no destinations.{destination}")
            if rule.notify and not (self.alerts.webhook_url or self.alerts.smtp_host):
                raise contradiction(f"rules.{name}.notify", "needs alerts.webhook_url or alerts.smtp_host")
            asked = {kind for one in rule.destinations or self.destinations for kind in self.destinations[one].results}
            lacking = [kind for kind in rule.results or () if kind not in asked]
            if lacking and self.destinations:
                raise contradiction(
                    f"rules.{name}.results",
                    f"no destination of the rule asks for {lacking[0]}: add it to destinations.NAME.results",
                )
        return self

    @model_validator(mode="after")
    def _sends_the_canary_to_known_destinations(self) -> Self:
        for name in self.canary.destinations:
            if name not in self.destinations:
                raise contradiction("canary.destinations", f"there is no destinations.{name}")
            if self.destinations[name].mode == "dry_run":
                raise contradiction("canary.destinations", f'destinations.{name}.mode is "dry_run": it gets no results')
        return self

    @model_validator(mode="after")
    def _confirms_with_an_archive(self) -> Self:
        name = self.assembly.confirm_with
        if not name or name in self.sources:
            return self
        if name not in self.destinations:
            raise contradiction("assembly.confirm_with", f"there is no destinations.{name} or sources.{name}")
        if name not in self.archives:
            raise contradiction("assembly.confirm_with", f"destinations.{name} has no AE title and answers no C-FIND")
        return self

    @model_validator(mode="after")
    def _requests_certificates_of_peers(self) -> Self:
        for name, peer in self.peers.items():
            if peer.certificates and self.tls.port is None:
                raise contradiction(f"peers.{name}.certificates", "the peer cannot present one: tls.port is unset")
            if peer.certificates and self.tls.client_certificate == "none":
                raise contradiction(
                    f"peers.{name}.certificates", 'no certificate is requested: tls.client_certificate = "none"'
                )
        return self
