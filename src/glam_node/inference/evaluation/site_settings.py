"""Operating points and calibration chosen on a site's own images, as settings for its file."""

from collections.abc import Iterator
from dataclasses import asdict

from glam_node.inference.evaluation.tuning import ClassTuning, Tuning

_HEAD = """\
# Chosen by glam-node evaluate on {views} validation images. Put what you want to use into the node's settings: it
# takes the place of the package's own, and results say that the site calibrated. It is right for women like those.
"""


def site_settings(tuning: Tuning) -> str:
    """Return the operating points and calibration of each class that has some, as TOML."""
    head = _HEAD.format(views=tuning.view_count)
    return head + "".join(line for each in tuning.classes for line in _of_class(each))


def _of_class(each: ClassTuning) -> Iterator[str]:
    if each.point is not None:
        yield _table(f"inference.operating_points.{each.kind}", asdict(each.point))
    if each.platt is not None and each.platt.slope >= 0:
        yield _table(f"inference.calibration.{each.kind}", asdict(each.platt))
    elif each.platt is not None:
        yield f"\n# No scale for {each.kind}: scores fell as labels rose.\n"


def _table(name: str, values: dict[str, float]) -> str:
    lines = (f"{key} = {value!r}\n" for key, value in values.items())
    return f"\n[{name}]\n{''.join(lines)}"
