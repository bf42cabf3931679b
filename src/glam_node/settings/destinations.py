"""Settings of [destinations.NAME]."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator

from glam_node.result_kinds import NOT_ANALYSED_REPORT, SOP_CLASSES
from glam_node.settings.connection import ConnectionSettings
from glam_node.settings.kinds import by_kind, one_of_kinds
from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import (
    AETitle,
    Banner,
    CodeScheme,
    Directory,
    File,
    ScoreScale,
    SeriesDescription,
    SeriesNumber,
    ServicePath,
    Timeout,
    not_empty,
)

if TYPE_CHECKING:
    ResultKind = str
else:
    ResultKind = Literal[tuple(SOP_CLASSES)]

TransferSyntax = Literal[
    "explicit_vr_little_endian", "implicit_vr_little_endian", "deflated_explicit_vr_little_endian", "rle_lossless"
]


class FallbackSettings(Section):
    """[destinations.NAME.fallbacks]: results to send instead, if the destination does not accept a SOP class."""

    segmentation: ResultKind | None = None
    """Result to send instead of a segmentation."""
    measurement_report: ResultKind | None = None
    """Result to send instead of the measurement report; comprehensive_sr is the same report in an older SOP class."""
    mammography_cad_sr: ResultKind | None = None
    """Result to send instead of the Mammography CAD SR."""
    presentation_state: ResultKind | None = None
    """Result to send instead of a presentation state."""

    @property
    def by_kind(self) -> dict[str, str]:
        """The fallback of each kind of result that has one."""
        chosen: dict[str, str] = self.model_dump(exclude_none=True)
        return chosen


class PresentationSettings(Section):
    """[destinations.NAME.presentation]: values that replace those of [results] in objects for this destination."""

    banner: Banner | None = None
    """Value that replaces results.banner."""
    series_description: SeriesDescription | None = None
    """Value that replaces results.series_description."""
    series_number: SeriesNumber | None = None
    """Value that replaces results.series_number."""
    score_scale: ScoreScale | None = None
    """Value that replaces results.score_scale."""
    code_scheme: CodeScheme | None = None
    """Value that replaces results.code_scheme."""

    @property
    def chosen(self) -> dict[str, object]:
        """The values that are set."""
        values: dict[str, object] = self.model_dump(exclude_none=True)
        return values


class DestinationBase(Section):
    """The keys of every kind of destination."""

    mode: Literal["live", "shadow", "dry_run"] = "live"
    """live: results are sent; shadow: results are made and kept, but not sent; dry_run: the node only records which
    results it would make."""
    kind: str
    """The kind of destination."""
    results: tuple[ResultKind, ...] = ("segmentation", "measurement_report")
    """Kinds of result to send; a kind that no destination lists is not made."""
    fallbacks: FallbackSettings = FallbackSettings()
    presentation: PresentationSettings = PresentationSettings()

    @property
    @abstractmethod
    def title(self) -> str:
        """Words for pages that come before the address, such as "DICOMweb at"."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The address for pages; it contains no secret."""

    @model_validator(mode="after")
    def _has_usable_fallbacks(self) -> Self:
        for kind, instead in self.fallbacks.by_kind.items():
            if kind not in self.results:
                raise contradiction(f"fallbacks.{kind}", "replaces nothing: that kind is not in results")
            if instead in (kind, NOT_ANALYSED_REPORT):
                raise contradiction(f"fallbacks.{kind}", f'"{instead}" cannot replace it')
            if SOP_CLASSES[instead] == SOP_CLASSES[kind]:
                raise contradiction(
                    f"fallbacks.{kind}", f'"{instead}" is of the same SOP class: an archive refuses both or neither'
                )
        return self


class ServerSettings(ConnectionSettings, DestinationBase):
    """The keys of destinations that the node calls over the network."""

    timeout: Timeout = 30.0
    """Seconds to wait for the archive to connect, to answer or to accept more of an object. The wait for its answer to
    a complete object is ten times as long."""


class CStoreSettings(ServerSettings):
    """[destinations.NAME]: a DICOM archive that results are sent to by C-STORE."""

    kind: Literal["c-store"] = "c-store"
    """c-store: a DICOM archive."""
    ae_title: AETitle = "ARCHIVE"
    """AE title of the archive."""
    transfer_syntaxes: Annotated[tuple[TransferSyntax, ...], AfterValidator(not_empty)] = (
        "explicit_vr_little_endian",
        "implicit_vr_little_endian",
    )
    """Transfer syntaxes, the preferred one first. One that the archive does not accept, or that does not fit the
    object, is skipped; rle_lossless fits only images of 8 or more bits."""
    storage_commitment: bool = False
    """Request storage commitment, and send again the results that the archive does not commit. The archive must also
    be a peer, so that it can answer."""

    @property
    def title(self) -> str:
        """AE title of the archive."""
        return f"{self.ae_title} at"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @model_validator(mode="after")
    def _has_a_transfer_syntax_for_reports(self) -> Self:
        if self.transfer_syntaxes == ("rle_lossless",):
            raise contradiction("transfer_syntaxes", "needs another one, since rle_lossless is for images only")
        return self


class StowSettings(ServerSettings):
    """[destinations.NAME]: a DICOMweb server that results are sent to by STOW-RS."""

    kind: Literal["stow-rs"]
    """stow-rs: a DICOMweb server."""
    service_path: ServicePath = "/dicom-web"
    """Path of the DICOMweb service; results are posted to `studies` below it."""
    authorization: File | None = None
    """File that contains the value of the Authorization header, such as Bearer or Basic with the credentials; unset: no
    header."""

    @property
    def title(self) -> str:
        """Kind of the server."""
        return "DICOMweb at"

    @property
    def address(self) -> str:
        """Host, port and path."""
        return f"{self.host}:{self.port}{self.service_path}"


class FolderSettings(DestinationBase):
    """[destinations.NAME]: a directory that results are written to, for trials without an archive."""

    kind: Literal["folder"]
    """folder: files in a directory."""
    path: Directory
    """Directory to which results are written."""

    @property
    def title(self) -> str:
        """Kind of the destination."""
        return "Folder"

    @property
    def address(self) -> str:
        """Path of the directory."""
        return str(self.path)


AnyDestination = CStoreSettings | StowSettings | FolderSettings
"""Every kind of destination; all other lists of kinds are derived from this one."""

DESTINATIONS_BY_KIND: Mapping[str, type[DestinationBase]] = by_kind(AnyDestination)

# One destination; `kind` decides its class.
if TYPE_CHECKING:
    DestinationSettings = AnyDestination
else:
    DestinationSettings = one_of_kinds(DESTINATIONS_BY_KIND, "c-store")


def without_idle_keys(destination: dict[str, Any]) -> dict[str, Any]:
    """Return a destination without the keys of other kinds that are empty or at their default.

    Files that older versions wrote with every setting, such as those in backups, have the keys of all kinds.
    """
    own = DESTINATIONS_BY_KIND.get(str(destination.get("kind", "c-store")))
    defaults = {
        name: field.default for each in DESTINATIONS_BY_KIND.values() for name, field in each.model_fields.items()
    }
    return {
        key: value
        for key, value in destination.items()
        if own is None or key in own.model_fields or key not in defaults or not _is_idle(value, defaults[key])
    }


def _is_idle(value: Any, default: Any) -> bool:
    return not value or value == (list(default) if isinstance(default, tuple) else default)
