"""Settings of [destinations.NAME]: one class for each kind of destination."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator

from glam_node.result_kinds import NOT_ANALYSED_REPORT, RESULT_MESSAGE
from glam_node.settings.destination_base import DestinationBase, ResultKind, ServerSettings
from glam_node.settings.kinds import by_kind, one_of_kinds
from glam_node.settings.section import contradiction
from glam_node.settings.values import AETitle, Directory, File, HL7Name, RemotePort, ServicePath, Timeout, not_empty

TransferSyntax = Literal[
    "explicit_vr_little_endian", "implicit_vr_little_endian", "deflated_explicit_vr_little_endian", "rle_lossless"
]


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


class HL7Settings(ServerSettings):
    """[destinations.NAME]: an HL7 v2 engine or RIS that results are sent to as ORU^R01 messages over MLLP."""

    _takes: ClassVar[tuple[str, ...]] = (RESULT_MESSAGE, NOT_ANALYSED_REPORT)

    kind: Literal["hl7"]
    """hl7: an HL7 v2 engine or RIS."""
    port: RemotePort = 2575
    """Port of the HL7 engine."""
    timeout: Timeout = 30.0
    """Seconds to wait for the HL7 engine to connect, and to acknowledge a message."""
    results: tuple[ResultKind, ...] = (RESULT_MESSAGE,)
    """Kinds of result to send; a kind that no destination lists is not made. A destination of kind hl7 gets
    result_message and not_analysed_report; others get all kinds but result_message."""
    template: File | None = None
    """Template of the messages, a file in the language of Jinja2; unset: the one that `glam-node hl7 template` prints.
    A change of the file takes effect with the next message."""
    character_set: Literal[
        "utf-8", "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9", "iso-8859-15"
    ] = "utf-8"
    """Character set of the messages, which MSH-18 states."""
    sending_application: HL7Name = "GLAMNODE"
    """MSH-3 of the messages."""
    sending_facility: HL7Name = ""
    """MSH-4 of the messages."""
    receiving_application: HL7Name = ""
    """MSH-5 of the messages."""
    receiving_facility: HL7Name = ""
    """MSH-6 of the messages."""
    result_status: Literal["P", "R", "F"] = "P"
    """Status in OBR-25 and OBX-11: P (preliminary), R (stored, not yet verified) or F (final). With F, a later message
    on the same study has C (correction)."""
    acknowledgement: Literal["original", "enhanced"] = "original"
    """original: the engine answers AA, AE or AR; enhanced: the node asks in MSH-15 for CA, CE or CR. The node accepts
    both in either mode."""

    @property
    def title(self) -> str:
        """Kind of the server."""
        return "HL7 engine at"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


AnyDestination = CStoreSettings | StowSettings | FolderSettings | HL7Settings
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
        name: field.default
        for each in reversed(tuple(DESTINATIONS_BY_KIND.values()))
        for name, field in each.model_fields.items()
    }
    return {
        key: value
        for key, value in destination.items()
        if own is None or key in own.model_fields or key not in defaults or not _is_idle(value, defaults[key])
    }


def _is_idle(value: Any, default: Any) -> bool:
    return not value or value == (list(default) if isinstance(default, tuple) else default)
