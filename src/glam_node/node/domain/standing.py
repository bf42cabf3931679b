"""Standing of a study: a person's decision whether it may proceed, independent of its state."""

from enum import StrEnum


class Standing(StrEnum):
    """Standing of a study, as a person has decided."""

    FREE = "FREE"
    """The study proceeds."""
    HELD = "HELD"
    """The study waits for its release: no job is created or started, no result is sent, and no file is removed."""
    SET_ASIDE = "SET_ASIDE"
    """All work on the study has stopped and its files are removed with age; a release resumes the work."""


LEGAL_STANDINGS: dict[Standing, frozenset[Standing]] = {
    Standing.FREE: frozenset({Standing.HELD, Standing.SET_ASIDE}),
    Standing.HELD: frozenset({Standing.FREE, Standing.SET_ASIDE}),
    Standing.SET_ASIDE: frozenset({Standing.FREE}),
}
