"""Every setting, its type, its default and its meaning; frozen, unknown keys refused."""

import ipaddress
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from glam_node.settings.values import (
    AETitle,
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
    Seconds,
    SOPClass,
    Text,
    not_empty,
)


def _contradiction(key: str, message: str) -> PydanticCustomError:
    """Two settings that cannot both be; `key` is relative to the section that finds it."""
    return PydanticCustomError("contradiction", "{message}", {"key": key, "message": message})


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NodeSettings(_Section):
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


class PeerSettings(_Section):
    """[peers.NAME]: one application entity that may send to us."""

    ae_title: AETitle
    """Its calling AE title."""
    hosts: tuple[Network, ...] = ()
    """Addresses or networks it may call from; empty: from anywhere."""


def _overlap(one: PeerSettings, other: PeerSettings) -> bool:
    """Whether some caller could be both."""
    if one.ae_title != other.ae_title:
        return False
    ours, theirs = ([ipaddress.ip_network(host, strict=False) for host in peer.hosts] for peer in (one, other))
    return not ours or not theirs or any(a.version == b.version and a.overlaps(b) for a in ours for b in theirs)


def _distinct(peers: dict[str, PeerSettings]) -> dict[str, PeerSettings]:
    for (first, one), (second, other) in combinations(peers.items(), 2):
        if _overlap(one, other):
            raise _contradiction(
                f"{second}.ae_title",
                f'"{other.ae_title}" from the same hosts is peers.{first} already; leave one out or part their hosts',
            )
    return peers


ResultKind = Literal[
    "segmentation",
    "fractional_segmentation",
    "labelmap_segmentation",
    "parametric_map",
    "measurement_report",
    "mammography_cad_sr",
    "presentation_state",
    "secondary_capture",
    "key_object_selection",
    "comprehensive_sr",
    "not_analysed_report",
]

TransferSyntax = Literal[
    "explicit_vr_little_endian", "implicit_vr_little_endian", "deflated_explicit_vr_little_endian", "rle_lossless"
]


class FallbackSettings(_Section):
    """[destinations.NAME.fallbacks]: what goes there instead where it does not accept a result's SOP class."""

    segmentation: ResultKind | None = None
    """In place of a segmentation."""
    measurement_report: ResultKind | None = None
    """In place of the measurement report; comprehensive_sr is the same report in an older class."""
    mammography_cad_sr: ResultKind | None = None
    """In place of the Mammography CAD SR."""
    presentation_state: ResultKind | None = None
    """In place of a presentation state."""

    @property
    def by_kind(self) -> dict[str, str]:
        """What stands in for which."""
        chosen: dict[str, str] = self.model_dump(exclude_none=True)
        return chosen


class DestinationSettings(_Section):
    """[destinations.NAME]: one archive that results go to."""

    kind: Literal["c-store", "folder"] = "c-store"
    """c-store: a DICOM archive; folder: files in a directory, for trials without an archive."""
    ae_title: AETitle = "ARCHIVE"
    """c-store: AE title of the archive."""
    host: Host = "127.0.0.1"
    """c-store: its address or name."""
    port: Port = 104
    """c-store: its port."""
    path: Directory | None = None
    """folder: the directory."""
    results: Annotated[tuple[ResultKind, ...], AfterValidator(not_empty)] = ("segmentation", "measurement_report")
    """Which objects it gets; what no destination asks for is not made."""
    transfer_syntaxes: Annotated[tuple[TransferSyntax, ...], AfterValidator(not_empty)] = (
        "explicit_vr_little_endian",
        "implicit_vr_little_endian",
    )
    """c-store: how objects are sent, the preferred first; what it does not accept, or does not fit an object
    (rle_lossless: images of 8 bits and more), is passed over."""
    timeout: Patience = 30.0
    """Seconds to wait for any answer of the archive."""
    fallbacks: FallbackSettings = FallbackSettings()

    @model_validator(mode="after")
    def _fall_back_from_what_is_sent(self) -> Self:
        for kind, instead in self.fallbacks.by_kind.items():
            if kind not in self.results:
                raise _contradiction(f"fallbacks.{kind}", "stands in for nothing: it is not in results")
            if instead in (kind, "not_analysed_report"):
                raise _contradiction(f"fallbacks.{kind}", f'"{instead}" cannot stand in for it')
        return self

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.kind == "folder" and self.path is None:
            raise _contradiction("path", 'is missing: kind = "folder" needs a directory')
        if self.transfer_syntaxes == ("rle_lossless",):
            raise _contradiction("transfer_syntaxes", "needs one for objects that are no images, beside rle_lossless")
        if self.kind == "c-store" and self.port == 0:
            raise _contradiction("port", "0 is not allowed: the port that the archive listens on, 1 to 65535")
        return self


class AssemblySettings(_Section):
    """[assembly]: when a study is whole."""

    settle_time: Seconds = 10.0
    """Seconds of silence after which a study with all four standard views is complete."""
    quiet_time: Seconds = 300.0
    """Seconds of silence after which any study is complete."""
    maximum_age: Seconds = 3600.0
    """Seconds since the first instance after which a study is complete even if more keeps arriving."""

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if self.quiet_time < self.settle_time:
            raise _contradiction("quiet_time", f"{self.quiet_time:g} is less than settle_time ({self.settle_time:g})")
        if self.maximum_age < self.quiet_time:
            raise _contradiction("maximum_age", f"{self.maximum_age:g} is less than quiet_time ({self.quiet_time:g})")
        return self


class EligibilitySettings(_Section):
    """[eligibility]: which studies are analysed."""

    minimum_views: int = Field(default=1, ge=1, le=4)
    """How many of the four standard views (L/R, CC/MLO) a study needs."""
    accept_implants: bool = True
    """Analyse images of breasts with implants."""


class StorageSettings(_Section):
    """[storage]: where instances, findings and results are kept."""

    root: Directory = Path("var/glam-node")
    """A directory on a local disk with room for what arrives."""
    minimum_free_bytes: int = Field(default=1_073_741_824, ge=0)
    """Below this many free bytes C-STORE is answered 0xA700."""


class OperatingPointSettings(_Section):
    """[inference.operating_points.benign|malignant]: overrides of the package's own values."""

    image_score_threshold: float | None = Field(default=None, ge=0, le=1)
    """An image whose score is under this is negative for the class."""
    local_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Inside the patches a pixel belongs to a finding above this local saliency."""
    global_saliency_threshold: float | None = Field(default=None, ge=0, le=1)
    """Outside the patches a pixel belongs to a finding above this global saliency."""
    minimum_area_px: int | None = Field(default=None, ge=1)
    """Regions of fewer model pixels are dropped."""


class InferenceSettings(_Section):
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
    operating_points: dict[Literal["benign", "malignant"], OperatingPointSettings] = {}
    """Per class, values that take the place of the package's."""


class DeliverySettings(_Section):
    """[delivery]: sending results, and trying again."""

    initial_delay: Seconds = 5.0
    """Seconds to wait after the first failure; doubles with each further one."""
    maximum_delay: Seconds = 900.0
    """Seconds; the longest wait between two attempts."""
    maximum_attempts: int = Field(default=1000, ge=1)
    """Attempts before a delivery is ABANDONED and a person must act."""


class ResultsSettings(_Section):
    """[results]: how results present themselves."""

    manufacturer: Text = Field(default="glam-node", min_length=1, max_length=64)
    """Manufacturer (0008,0070) of the objects written."""
    station_name: Text = Field(default="GLAMNODE", max_length=16)
    """Station Name (0008,1010)."""
    institution_name: Text = Field(default="", max_length=64)
    """Institution Name (0008,0080)."""
    device_serial_number: Text = Field(default="1", min_length=1, max_length=64)
    """Device Serial Number (0018,1000)."""
    series_number: int = Field(default=9500, ge=1, le=2_000_000_000)
    """Series Number of the first result series; the others count up from it."""
    secondary_capture: Literal["sheet", "views"] = "sheet"
    """sheet: all views on one picture; views: one picture each; for destinations that ask for secondary_capture."""


class LogSettings(_Section):
    """[log]: what is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["console", "json"] = "console"
    """console: for people; json: one object a line, for machines."""


class Settings(_Section):
    """All settings of a node."""

    node: NodeSettings = NodeSettings()
    peers: Annotated[dict[Name, PeerSettings], AfterValidator(_distinct)] = {}
    destinations: dict[Name, DestinationSettings] = {}
    assembly: AssemblySettings = AssemblySettings()
    eligibility: EligibilitySettings = EligibilitySettings()
    storage: StorageSettings = StorageSettings()
    inference: InferenceSettings = InferenceSettings()
    delivery: DeliverySettings = DeliverySettings()
    results: ResultsSettings = ResultsSettings()
    log: LogSettings = LogSettings()
    database_url: DatabaseURL = ""
    """SQLAlchemy URL; empty: SQLite in the storage root. Across hosts: postgresql+psycopg://user:password@host/name."""
    broker_url: BrokerURL = ""
    """Celery broker; empty: an embedded one that starts and ends with the node. Across hosts: redis://host:6379/0."""
