"""Arrangement of the views on the page, in the order in which radiologists hang them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PLACES = ("R CC", "L CC", "R MLO", "L MLO")
"""The places, row by row. The right breast is on the left, as if the woman faced the reader; chest walls meet."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the four places with its images; retakes of a view share a place."""

    view: str
    images: Sequence[dict[str, Any]]


def hang(described: dict[str, Any]) -> list[Place]:
    """Arrange the analysed images with their scores; where none was analysed, all that are not excluded."""
    analysed = {image["sop_instance_uid"]: image for image in described["scores"]}
    chosen = [
        {**instance, **analysed.get(instance["sop_instance_uid"], {}), "analysed": bool(analysed)}
        for instance in described["instances"]
        if (instance["sop_instance_uid"] in analysed if analysed else not instance["excluded"])
    ]
    return [Place(view, [image for image in chosen if image["view"] == view]) for view in PLACES]
