"""Views on a screen as radiologists hang them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PLACES = ("R CC", "L CC", "R MLO", "L MLO")
"""By rows: the right breast is on the left, as if the woman stood before the reader; chest walls meet in the middle."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the four places, and the images that belong there; retakes share a place."""

    view: str
    images: Sequence[dict[str, Any]]


def hang(described: dict[str, Any]) -> list[Place]:
    """The images that were analysed, each with its scores; those that may be, where nothing was."""
    analysed = {image["sop_instance_uid"]: image for image in described["scores"]}
    chosen = [
        {**instance, **analysed.get(instance["sop_instance_uid"], {}), "analysed": bool(analysed)}
        for instance in described["instances"]
        if (instance["sop_instance_uid"] in analysed if analysed else not instance["excluded"])
    ]
    return [Place(view, [image for image in chosen if image["view"] == view]) for view in PLACES]
