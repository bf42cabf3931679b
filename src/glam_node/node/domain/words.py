"""Phrases for numbers, dates and names of people, shared by messages, commands, pages and results."""


def unstopped(message: object) -> str:
    """Return the message of an error without a full stop at its end, for use within a sentence."""
    return str(message).rstrip(". ")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `count` with its noun: "1 study", "2 studies", "0 results".

    Args:
        count: The number of things.
        noun: The singular, such as "result" or "study".
        plural: The plural, if it is not the regular one.
    """
    if count == 1:
        return f"1 {noun}"
    regular = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count} {plural or regular}"


def by_number(count: int, singular: str, plural: str) -> str:
    """Return the singular for 1 and the plural for any other count, such as "is" and "are"."""
    return singular if count == 1 else plural


def date(stated: str) -> str:
    """Return a DICOM date (DA) as "1970-01-01"; any other text unchanged."""
    return f"{stated[:4]}-{stated[4:6]}-{stated[6:]}" if len(stated) == 8 and stated.isdecimal() else stated


def person_name(stated: str) -> str:
    """Return a DICOM person name (PN) as "Testfrau, Anna"; ideographic and phonetic groups follow in brackets."""
    groups = [_name_group(group) for group in stated.split("=")]
    written = [group for group in groups if group]
    return written[0] + "".join(f" ({group})" for group in written[1:]) if written else ""


def _name_group(group: str) -> str:
    """Return one component group as "family, prefix given middle suffix" (PS3.5 6.2.1.1)."""
    family, given, middle, prefix, suffix = (part.strip() for part in (group.split("^") + [""] * 5)[:5])
    rest = " ".join(part for part in (prefix, given, middle, suffix) if part)
    return ", ".join(part for part in (family, rest) if part)
