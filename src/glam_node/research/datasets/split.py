"""Division of a data set into parts that share no study and, if patients are identified, no patient."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from glam_node.research.datasets.labelled import LabelledView

TRAINING, VALIDATION, TEST = "training", "validation", "test"


def split_views(
    views: Sequence[LabelledView], fractions: Mapping[str, float], seed: int = 0
) -> dict[str, tuple[LabelledView, ...]]:
    """Divide `views` into named parts with about these `fractions` of all studies; the fractions must add up to 1.

    A hash of `seed` and the study (the first of the patient's studies) decides, so the parts are the same on every
    machine, and adding studies of other patients moves none. Views keep their order.
    """
    _check(fractions)
    group_of = _groups(views)
    part_of = {group: _part(group, fractions, seed) for group in set(group_of.values())}
    return _sorted_out(views, group_of, part_of, fractions)


def assigned_parts(
    views: Sequence[LabelledView], fractions: Mapping[str, float], seed: int = 0
) -> dict[str, tuple[LabelledView, ...]]:
    """Divide `views` into the parts that the data set assigns, and views without one as `split_views` does.

    A study with views in several parts goes to the last of them in the order of `fractions`. If no view is assigned to
    "validation", that part is taken from "training" in proportion, so that "test" stays as published. Views assigned
    to a part that `fractions` does not name are left out.
    """
    _check(fractions)
    group_of, order = _groups(views), list(fractions)
    part_of: dict[str, str] = {}
    for view in views:
        if view.split:
            group = group_of[view.study_id]
            said = [part for part in (view.split, part_of.get(group, "")) if part in order]
            part_of[group] = max(said, key=order.index) if said else view.split
    if VALIDATION in order and VALIDATION not in part_of.values():
        inner = {name: share for name, share in fractions.items() if name in (TRAINING, VALIDATION)}
        part_of |= {group: _part(group, inner, seed) for group, part in part_of.items() if part == TRAINING}
    rest = {group: _part(group, fractions, seed) for group in group_of.values() if group not in part_of}
    return _sorted_out(views, group_of, part_of | rest, order)


def _check(fractions: Mapping[str, float]) -> None:
    if not fractions or min(fractions.values()) < 0 or not math.isclose(sum(fractions.values()), 1):
        raise ValueError(f"The fractions of a split must not be negative and add up to 1, not {dict(fractions)}.")


def _sorted_out(
    views: Sequence[LabelledView], group_of: Mapping[str, str], part_of: Mapping[str, str], names: Iterable[str]
) -> dict[str, tuple[LabelledView, ...]]:
    return {name: tuple(view for view in views if part_of[group_of[view.study_id]] == name) for name in names}


def _part(group: str, shares: Mapping[str, float], seed: int) -> str:
    digest = hashlib.sha256(f"{seed}/{group}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64 * sum(shares.values())
    wanted = [name for name, share in shares.items() if share]
    for name in wanted[:-1]:
        place -= shares[name]
        if place < 0:
            return name
    return wanted[-1]


def _groups(views: Iterable[LabelledView]) -> dict[str, str]:
    """Return for each study the smallest study id among all studies connected with it by patients."""
    group_of: dict[str, str] = {}
    leader_of_patient: dict[str, str] = {}

    def leader(study_id: str) -> str:
        while group_of[study_id] != study_id:
            study_id = group_of[study_id]
        return study_id

    for view in views:
        group_of.setdefault(view.study_id, view.study_id)
        if view.patient_key:
            first, second = sorted(
                (leader(leader_of_patient.setdefault(view.patient_key, view.study_id)), leader(view.study_id))
            )
            group_of[second] = first
    return {study_id: leader(study_id) for study_id in group_of}
