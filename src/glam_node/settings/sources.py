"""Settings of [sources.NAME]."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from glam_node.settings.connection import ConnectionSettings
from glam_node.settings.kinds import by_kind, one_of_kinds
from glam_node.settings.section import Section
from glam_node.settings.values import AETitle, File, ImageTypeTerm, ServicePath


class _OwnKeys(Section):
    """The keys of every kind of source that do not concern the connection."""

    kind: str
    """The kind of source."""
    modalities: tuple[ImageTypeTerm, ...] = ("MG",)
    """Modalities of the series to fetch; empty: all series of a study."""


class SourceBase(ConnectionSettings, _OwnKeys):
    """The keys of every kind of source."""


class DicomSourceSettings(SourceBase):
    """The keys of sources that are DICOM archives."""

    ae_title: AETitle = "ARCHIVE"
    """AE title of the archive."""

    @property
    def address(self) -> str:
        """AE title, host and port for messages."""
        return f"{self.ae_title} at {self.host}:{self.port}"


class CMoveSettings(DicomSourceSettings):
    """[sources.NAME]: a DICOM archive that studies are fetched from by C-MOVE."""

    kind: Literal["c-move"] = "c-move"
    """c-move: a DICOM archive that sends the images to node.port on an association of its own. It must know
    node.ae_title with the address and port of this node, and be one of the [peers]."""


class CGetSettings(DicomSourceSettings):
    """[sources.NAME]: a DICOM archive that studies are fetched from by C-GET."""

    kind: Literal["c-get"]
    """c-get: a DICOM archive that sends the images on the association that asks for them."""


class DicomwebSettings(SourceBase):
    """[sources.NAME]: a DICOMweb server that studies are fetched from by QIDO-RS and WADO-RS."""

    kind: Literal["dicomweb"]
    """dicomweb: a DICOMweb server."""
    service_path: ServicePath = "/dicom-web"
    """Path of the DICOMweb service; studies are searched at `studies` below it."""
    authorization: File | None = None
    """File that contains the value of the Authorization header, such as Bearer or Basic with the credentials; unset: no
    header."""

    @property
    def address(self) -> str:
        """URL for messages."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}{self.service_path}"


AnySource = CMoveSettings | CGetSettings | DicomwebSettings
"""Every kind of source; all other lists of kinds are derived from this one."""

SOURCES_BY_KIND: Mapping[str, type[SourceBase]] = by_kind(AnySource)

# One source; `kind` decides its class.
if TYPE_CHECKING:
    SourceSettings = AnySource
else:
    SourceSettings = one_of_kinds(SOURCES_BY_KIND, "c-move")
