"""English phrases for numbers, shared by messages, commands and pages."""


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
