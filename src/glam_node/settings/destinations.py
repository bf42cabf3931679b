"""[destinations.NAME]: where results go, which, and in which form."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from glam_node.settings.section import Section, contradiction
from glam_node.settings.values import (
    AETitle,
    Banner,
    CodeScheme,
    Directory,
    File,
    Host,
    Patience,
    Port,
    ScoreScale,
    SeriesDescription,
    SeriesNumber,
    ServicePath,
    not_empty,
)

ResultKind = Literal[
    "segmentation",
    "fractional_segmentation",
    "labelmap_segmentation",
    "parametric_map",
    "mammography_cad_sr",
    "presentation_state",
    "secondary_capture",
    "measurement_report",
    "key_object_selection",
    "comprehensive_sr",
    "not_analysed_report",
]

_SAME_CLASS = {"segmentation": ("fractional_segmentation",)}
"""Kinds that are of one SOP class: an archive that refuses the one refuses the other."""

TransferSyntax = Literal[
    "explicit_vr_little_endian", "implicit_vr_little_endian", "deflated_explicit_vr_little_endian", "rle_lossless"
]


class FallbackSettings(Section):
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


class PresentationSettings(Section):
    """[destinations.NAME.presentation]: how results look there, where not as in [results]; objects of their own."""

    banner: Banner | None = None
    """In place of results.banner."""
    series_description: SeriesDescription | None = None
    """In place of results.series_description."""
    series_number: SeriesNumber | None = None
    """In place of results.series_number."""
    score_scale: ScoreScale | None = None
    """In place of results.score_scale."""
    code_scheme: CodeScheme | None = None
    """In place of results.code_scheme."""

    @property
    def chosen(self) -> dict[str, object]:
        """What is other than in [results]."""
        values: dict[str, object] = self.model_dump(exclude_none=True)
        return values


class DestinationSettings(Section):
    """[destinations.NAME]: one archive that results go to."""

    mode: Literal["live", "shadow", "dry_run"] = "live"
    """live; shadow: results for it are made and kept, and not sent; dry_run: it is written down which they would be."""
    kind: Literal["c-store", "stow-rs", "folder"] = "c-store"
    """c-store: a DICOM archive; stow-rs: a DICOMweb server; folder: files in a directory, for trials without an
    archive."""
    ae_title: AETitle = "ARCHIVE"
    """c-store: AE title of the archive."""
    host: Host = "127.0.0.1"
    """c-store, stow-rs: its address or name."""
    port: Port = 104
    """c-store, stow-rs: its port."""
    service_path: ServicePath = "/dicom-web"
    """stow-rs: the path of its DICOMweb service; results are posted to studies below it."""
    authorization: File | None = None
    """stow-rs: a file with what the Authorization header says, as Bearer or Basic with the credentials; unset: none."""
    tls: bool = False
    """c-store, stow-rs: speak TLS to it."""
    ca: File | None = None
    """tls: the authorities that sign its certificate, PEM; unset: those of the operating system."""
    certificate: File | None = None
    """tls: the certificate that this node shows it, PEM; unset: none."""
    key: File | None = None
    """tls: the private key of that certificate, PEM, unencrypted."""
    server_name: Host | None = None
    """tls: the name that must stand in its certificate; unset: host."""
    path: Directory | None = None
    """folder: the directory."""
    results: tuple[ResultKind, ...] = ("segmentation", "measurement_report")
    """Which objects it gets, if any; what no destination asks for is not made."""
    transfer_syntaxes: Annotated[tuple[TransferSyntax, ...], AfterValidator(not_empty)] = (
        "explicit_vr_little_endian",
        "implicit_vr_little_endian",
    )
    """c-store: how objects are sent, the preferred first; what it does not accept, or does not fit an object
    (rle_lossless: images of 8 bits and more), is passed over."""
    storage_commitment: bool = False
    """c-store: ask it to take responsibility for what it stored, and send again what it does not; it must be a peer
    too, to answer."""
    timeout: Patience = 30.0
    """Seconds to wait for the archive to connect, answer or take more of an object; ten times as long for what it says
    of an object that it has."""
    fallbacks: FallbackSettings = FallbackSettings()
    presentation: PresentationSettings = PresentationSettings()

    @property
    def folder(self) -> Path:
        """The directory of a destination of kind folder."""
        return self.path or Path()

    @model_validator(mode="after")
    def _fall_back_from_what_is_sent(self) -> Self:
        for kind, instead in self.fallbacks.by_kind.items():
            if kind not in self.results:
                raise contradiction(f"fallbacks.{kind}", "stands in for nothing: it is not in results")
            if instead in _SAME_CLASS.get(kind, ()):
                raise contradiction(
                    f"fallbacks.{kind}", f'"{instead}" is of the same SOP class: an archive refuses both or none'
                )
            if instead in (kind, "not_analysed_report"):
                raise contradiction(f"fallbacks.{kind}", f'"{instead}" cannot stand in for it')
        return self

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.kind == "folder" and self.path is None:
            raise contradiction("path", 'is missing: kind = "folder" needs a directory')
        if self.transfer_syntaxes == ("rle_lossless",):
            raise contradiction("transfer_syntaxes", "needs one for objects that are no images, beside rle_lossless")
        if self.kind != "folder" and self.port == 0:
            raise contradiction("port", "0 is not allowed: the port that the archive listens on, 1 to 65535")
        if self.storage_commitment and self.kind != "c-store":
            raise contradiction("storage_commitment", 'is for kind = "c-store"')
        if self.authorization is not None and self.kind != "stow-rs":
            raise contradiction("authorization", 'is for kind = "stow-rs"')
        if self.storage_commitment and self.kind != "c-store":
            raise contradiction("storage_commitment", 'is for kind = "c-store"')
        if self.tls and self.kind == "folder":
            raise contradiction("tls", "is not for a folder")
        return self

    @model_validator(mode="after")
    def _speaks_tls_or_needs_no_files(self) -> Self:
        for key in ("ca", "certificate", "key", "server_name"):
            if getattr(self, key) is not None and not self.tls:
                raise contradiction(key, "is for tls = true, which is not set")
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            raise contradiction(missing, "is missing: a certificate and its key go together")
        return self
