"""Every setting, its type, its default and its meaning; frozen, unknown keys refused."""

import ipaddress
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from glam_node.settings.audit import AuditSettings
from glam_node.settings.console import ConsoleSettings
from glam_node.settings.destinations import DestinationSettings
from glam_node.settings.section import Section, contradiction
from glam_node.settings.tls import KnownCertificate, TLSSettings
from glam_node.settings.values import (
    AETitle,
    Banner,
    BrokerURL,
    DatabaseURL,
    Device,
    Directory,
    Host,
    Name,
    Network,
    Patience,
    Port,
    Predictor,
    ScoreScale,
    Seconds,
    SeriesDescription,
    SeriesNumber,
    SOPClass,
    Text,
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
    require_called_ae_title: bool = True
    """Refuse associations that call another AE title than ours."""
    additional_storage_sop_classes: tuple[SOPClass, ...] = ()
    """SOP Class UIDs to accept beside the built-in list; "all" accepts every Storage class of the standard."""

    @property
    def local_host(self) -> str:
        """Where this machine reaches it: `host`, or the loopback address of one that listens everywhere."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared only


class PeerSettings(Section):
    """[peers.NAME]: one application entity that may send to us."""

    ae_title: AETitle
    """Its calling AE title."""
    hosts: tuple[Network, ...] = ()
    """Addresses or networks it may call from; empty: from anywhere."""
    priority: Literal["urgent", "screening", "backfill"] = "screening"
    """Which studies are analysed first; a study from several peers counts as its most urgent one."""
    destination: Name | Literal[""] = ""
    """The destination that is the same application: its requests for storage commitment are answered there."""
    certificates: tuple[KnownCertificate, ...] = ()
    """The TLS client certificates that it may show, by fingerprint, or by common or alternative name; empty:
    whatever [tls] lets in; not empty: it may not call without TLS."""


def _overlap(one: PeerSettings, other: PeerSettings) -> bool:
    """Whether some caller could be both."""
    if one.ae_title != other.ae_title:
        return False
    ours, theirs = ([ipaddress.ip_network(host, strict=False) for host in peer.hosts] for peer in (one, other))
    return not ours or not theirs or any(a.version == b.version and a.overlaps(b) for a in ours for b in theirs)


def _distinct(peers: dict[str, PeerSettings]) -> dict[str, PeerSettings]:
    for (first, one), (second, other) in combinations(peers.items(), 2):
        if _overlap(one, other):
            raise contradiction(
                f"{second}.ae_title",
                f'"{other.ae_title}" from the same hosts is peers.{first} already; leave one out or part their hosts',
            )
    return peers


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


class StorageSettings(Section):
    """[storage]: where instances, findings and results are kept."""

    root: Directory = Path("var/glam-node")
    """A directory on a local disk with room for what arrives."""
    minimum_free_bytes: int = Field(default=1_073_741_824, ge=0)
    """Below this many free bytes C-STORE is answered 0xA700."""


class RetentionSettings(Section):
    """[retention]: when what is done is removed here; never what was not delivered, or needs a person."""

    days: float = Field(default=30.0, ge=1)
    """Days after the last image of a study after which its images, findings and results are removed."""
    free_bytes: int = Field(default=0, ge=0)
    """Below this many free bytes the oldest studies go earlier, though never within the hour; should be more than
    storage.minimum_free_bytes. 0: only age counts."""


class OperatingPointSettings(Section):
    """[inference.operating_points.benign|malignant]: overrides of the package's own values."""

    image_score_threshold: float | None = Field(default=None, ge=0, le=1)
    """An image whose score is under this is negative for the class."""
    local_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Inside the patches a pixel belongs to a finding above this local saliency."""
    global_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Outside the patches a pixel belongs to a finding above this global saliency."""
    minimum_area_px: int | None = Field(default=None, ge=1)
    """Regions of fewer model pixels are dropped."""


class InferenceSettings(Section):
    """[inference]: the model."""

    predictor: Predictor = "glam_node.inference.glam.predictor:GlamPredictor"
    """The predictor, as "module:Class"."""
    package: Directory | None = None
    """Directory of the model package; unset: the demonstration that ships with glam-node, which is not for patients."""
    device: Device = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Literal["exact", "fast"] = "exact"
    """exact: float32; fast: the local network in narrower numbers where the processor has them (saliency within
    0.025, scores and place of the patch unchanged)."""
    runtime: Literal["auto", "torch", "openvino"] = "auto"
    """On a CPU; openvino: OpenVINO, the extra `fast`; auto: that where it is installed, else torch."""
    segment: Literal["positive", "always"] = "positive"
    """Images to outline; positive: those whose score reaches an operating point (others cost a tenth); always: all."""
    threads: int = Field(default=0, ge=0, le=256)
    """CPU threads of one worker; 0: one for each physical core that it may use, within its container's quota."""
    lease_time: Patience = 120.0
    """Seconds after which a job whose worker gives no sign of life goes to another."""
    maximum_attempts: int = Field(default=3, ge=1, le=100)
    """Attempts at one job before it is FAILED and a person must act."""
    operating_points: dict[Literal["benign", "malignant"], OperatingPointSettings] = Field(default={})
    """Per class, values that take the place of the package's."""


class DeliverySettings(Section):
    """[delivery]: sending results, and trying again."""

    initial_delay: Seconds = 5.0
    """Seconds to wait after the first failure; doubles with each further one."""
    maximum_delay: Seconds = 900.0
    """Seconds; the longest wait between two attempts."""
    maximum_attempts: int = Field(default=1000, ge=1)
    """Attempts before a delivery is ABANDONED and a person must act."""
    commitment_timeout: Seconds = 3600.0
    """Seconds for an archive to answer a request for storage commitment; then the results are sent again."""
    commitment_requests: int = Field(default=5, ge=1)
    """How often a result is sent and storage commitment asked for before it is ABANDONED."""


class ResultsSettings(Section):
    """[results]: how results present themselves."""

    manufacturer: Text = Field(default="glam-node", min_length=1, max_length=64)
    """Manufacturer (0008,0070) of the objects written."""
    station_name: Text = Field(default="GLAMNODE", max_length=16)
    """Station Name (0008,1010)."""
    institution_name: Text = Field(default="", max_length=64)
    """Institution Name (0008,0080)."""
    device_serial_number: Text = Field(default="1", min_length=1, max_length=64)
    """Device Serial Number (0018,1000)."""
    series_number: SeriesNumber = 9500
    """Series Number of the first result series; the others count up from it."""
    banner: Banner = "For research use, not for diagnosis"
    """What every object says of itself. Change it only when your site has validated the package for another use."""
    series_description: SeriesDescription = "GLAM-NODE {subject} research use"
    """Series Description (0008,103E) of the objects written; {subject} is what each holds."""
    score_scale: ScoreScale = "percent"
    """Scores of images, breasts and studies; raw: 0 to 1; ten: 1 to 10 by the package's calibration, percent without
    one. Those of findings are saliency, and no calibration is for them."""
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: all views on one picture; views: one picture each; for destinations that ask for secondary_capture."""


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
    peers: Annotated[dict[Name, PeerSettings], AfterValidator(_distinct)] = Field(default={})
    destinations: dict[Name, DestinationSettings] = Field(default={})
    assembly: AssemblySettings = AssemblySettings()
    eligibility: EligibilitySettings = EligibilitySettings()
    storage: StorageSettings = StorageSettings()
    retention: RetentionSettings = RetentionSettings()
    inference: InferenceSettings = InferenceSettings()
    delivery: DeliverySettings = DeliverySettings()
    results: ResultsSettings = ResultsSettings()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    log: LogSettings = LogSettings()
    database_url: DatabaseURL = ""
    """SQLAlchemy URL; empty: SQLite in the storage root. Across hosts: postgresql+psycopg://user:password@host/name."""
    broker_url: BrokerURL = ""
    """Celery broker; empty: an embedded one that starts and ends with the node. Across hosts: redis://host:6379/0."""

    @model_validator(mode="after")
    def _part_the_ports(self) -> Self:
        if self.tls.plain and self.node.port and self.tls.port == self.node.port:
            raise contradiction("tls.port", f"{self.tls.port} is node.port already; take another, or tls.plain = false")
        return self

    @model_validator(mode="after")
    def _answer_where_somebody_listens(self) -> Self:
        for name, peer in self.peers.items():
            if peer.destination and peer.destination not in self.destinations:
                raise contradiction(f"peers.{name}.destination", f"there is no destinations.{peer.destination}")
            if peer.destination and self.destinations[peer.destination].kind != "c-store":
                raise contradiction(f"peers.{name}.destination", f"destinations.{peer.destination} is a folder")
        return self

    @model_validator(mode="after")
    def _confirm_with_an_archive(self) -> Self:
        name = self.assembly.confirm_with
        if name and name not in self.destinations:
            raise contradiction("assembly.confirm_with", f"there is no destinations.{name}")
        if name and self.destinations[name].kind != "c-store":
            raise contradiction("assembly.confirm_with", f"destinations.{name} is a folder, which answers no C-FIND")
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
