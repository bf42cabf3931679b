"""The form of the HL7 messages for one destination; free of highdicom, since processes that write no results use it."""

from dataclasses import dataclass
from pathlib import Path

BUILT_IN_TEMPLATE = Path(__file__).with_name("oru_r01.hl7.j2")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """The form of the messages for one destination, from its settings."""

    destination: str
    """NAME of the [destinations.NAME] section."""
    template: Path | None = None
    """The site's template; None for the built-in one."""
    character_set: str = "utf-8"
    sending_application: str = "GLAMNODE"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    result_status: str = "P"
    """OBR-25 and OBX-11 of a first message: P, R or F (HL7 table 0123)."""
    enhanced: bool = False
    """Whether an accept acknowledgement is requested (enhanced mode)."""
