"""Types of setting values that are narrower than numbers and strings, each with words for the allowed values."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

T = TypeVar("T")

_AE_TITLE = "an AE title: 1 to 16 printable ASCII characters without a backslash"
_NETWORK = "an address such as 10.0.0.5 or a network such as 10.0.0.0/24"
_HOST = "an address or a host name, without a port or brackets"
_NAME = "a name of letters, digits, - and _"
_DESTINATION = "the NAME of a [destinations.NAME], or empty"
_NAME_OF_SYSTEM = "a string of at most 180 characters, without control characters"
_SOURCE = "the NAME of a [sources.NAME], or empty"
_ARCHIVE = "the NAME of a [destinations.NAME] or [sources.NAME], or empty"
_TEXT = "a string without a backslash or control characters"
_CODE_STRING = "1 to 16 capital letters, digits, blanks and _"
_SOP_CLASS = 'a SOP Class UID or "all"'
_PATH = "a path"
_PREDICTOR = '"module:Class"'
_DEVICE = '"auto", "cpu", "cuda" or "cuda:N"'


def _ae_title(value: str) -> str:
    """Return an AE title without surrounding spaces (PS3.5 Table 6.2-1, VR AE); raise ValueError otherwise."""
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= character <= "~" and character != "\\" for character in title):
        raise ValueError(_AE_TITLE)
    return title


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError(_NETWORK) from error
    return value


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})", value):
            raise ValueError(_HOST) from error
    return value


def local_host(host: str) -> str:
    """Return the address at which this machine reaches a listener on `host`: loopback for one on every address."""
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared only


def share_an_address(host: str, other: str) -> bool:
    """Return whether listeners on two hosts would listen on the same address of this machine.

    A name other than localhost is not looked up: it shares an address only with itself and with every address.
    """
    ours, theirs = _addresses(host), _addresses(other)
    return "" in ours | theirs or not ours.isdisjoint(theirs)


def _addresses(host: str) -> set[str]:
    """Return the addresses of a host, or an empty text for every address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return {"127.0.0.1", "::1"} if host.lower() == "localhost" else {host.lower()}
    plain = getattr(address, "ipv4_mapped", None) or address
    return {"" if plain.is_unspecified else str(plain)}


def _path(value: Any) -> Any:
    if value == "":
        raise ValueError(_PATH)
    return value


def not_empty(values: tuple[T, ...]) -> tuple[T, ...]:
    """Return `values` unchanged; raise ValueError if there are none."""
    if not values:
        raise ValueError("at least one")
    return values


def _matching(pattern: str, allowed: str) -> Any:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


def _words(allowed: str) -> Any:
    return Field(json_schema_extra={"allowed": allowed})


AETitle = Annotated[str, AfterValidator(_ae_title), _words(_AE_TITLE)]
Network = Annotated[str, AfterValidator(_network), _words(_NETWORK)]
Host = Annotated[str, AfterValidator(_host), _words(_HOST)]
Name = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9_-]*", _NAME)]
DestinationName = Annotated[str, _matching(r"([A-Za-z0-9][A-Za-z0-9_-]*)?", _DESTINATION), _words(_DESTINATION)]
HL7Name = Annotated[str, _matching(r"[^\x00-\x1f\x7f]{0,180}", _NAME_OF_SYSTEM), _words(_NAME_OF_SYSTEM)]
"""The name of an application or facility in MSH."""
ArchiveName = Annotated[str, _matching(r"([A-Za-z0-9][A-Za-z0-9_-]*)?", _ARCHIVE), _words(_ARCHIVE)]
SourceName = Annotated[str, _matching(r"([A-Za-z0-9][A-Za-z0-9_-]*)?", _SOURCE), _words(_SOURCE)]
Text = Annotated[str, _matching(r"[^\\\x00-\x1f\x7f]*", _TEXT), _words(_TEXT)]
"""A text for the VRs LO and SH (PS3.5 Table 6.2-1)."""
ImageTypeTerm = Annotated[str, _matching(r"[A-Z0-9_ ]{1,16}", _CODE_STRING), _words(_CODE_STRING)]
SOPClass = Annotated[str, _matching(r"all|(0|[1-9]\d*)(\.(0|[1-9]\d*)){1,31}", _SOP_CLASS), _words(_SOP_CLASS)]
Directory = Annotated[Path, BeforeValidator(_path), AfterValidator(Path.expanduser), _words(_PATH)]
ServicePath = Annotated[
    str, _matching(r"/[A-Za-z0-9._~/-]{0,200}", "a path that begins with /"), _words("a path that begins with /")
]
File = Annotated[Path, BeforeValidator(_path), AfterValidator(Path.expanduser), _words("a file")]
Predictor = Annotated[str, _matching(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", _PREDICTOR), _words(_PREDICTOR)]
Device = Annotated[str, _matching(r"auto|cpu|cuda(:\d+)?", _DEVICE), _words(_DEVICE)]
Port = Annotated[int, Field(ge=0, le=65535)]
RemotePort = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
"""A number of seconds, up to a year."""
Timeout = Annotated[float, Field(ge=0.1, le=31_536_000, allow_inf_nan=False)]
"""A number of seconds to wait, at least 0.1."""

# Appearance of results, in [results] and [destinations.NAME.presentation]
Banner = Annotated[Text, Field(min_length=1, max_length=48)]
SeriesDescription = Annotated[Text, Field(pattern=r"\{subject\}", max_length=48)]
SeriesNumber = Annotated[int, Field(ge=1, le=2_000_000_000)]
ScoreScale = Literal["percent", "raw", "ten"]
CodeScheme = Literal["SCT", "SRT"]
