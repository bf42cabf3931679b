"""Whether a study may go on, by a person's word; beside its state, which stays what it is."""

from enum import StrEnum


class Standing(StrEnum):
    """What a person has said of a study."""

    FREE = "FREE"
    """It goes its way."""
    HELD = "HELD"
    """It waits: no job is made or begun, no result is sent, and nothing is removed, until it is released."""
    SET_ASIDE = "SET_ASIDE"
    """Nobody works on it any more; it goes with its age. Released, it is taken up again."""


LEGAL_STANDINGS: dict[Standing, frozenset[Standing]] = {
    Standing.FREE: frozenset({Standing.HELD, Standing.SET_ASIDE}),
    Standing.HELD: frozenset({Standing.FREE, Standing.SET_ASIDE}),
    Standing.SET_ASIDE: frozenset({Standing.FREE}),
}
