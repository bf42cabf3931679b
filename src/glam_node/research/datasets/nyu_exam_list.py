"""Exam lists of the NYU screening protocol, read from JSON or plain pickles and written as JSON.

An exam list has one dictionary per exam: "L-CC", "R-CC", "L-MLO", "R-MLO" hold lists of file stems (empty or missing if
there is no such view), "horizontal_flip" is "NO" or "YES", "cancer_label" holds left_benign, right_benign,
left_malignant and right_malignant (0 or 1; the benign ones may be missing), "<view>_benign_seg" and
"<view>_malignant_seg" hold stems of masks. Other keys are ignored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from glam_node.inference.findings import FindingKind
from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.plain_pickle import load_plain_pickle
from glam_node.research.datasets.problems import DatasetError, Problems

View = tuple[Laterality, ViewPosition]
VIEWS: tuple[View, ...] = tuple((side, position) for position in ViewPosition for side in Laterality)
_SIDES = {Laterality.LEFT: "left", Laterality.RIGHT: "right"}
_FLIPS = {"NO": False, "YES": True}


@dataclass(frozen=True, slots=True)
class NyuExam:
    """One exam; stems are paths without suffix, relative to the folder of images or of masks."""

    images: Mapping[View, tuple[str, ...]]
    horizontal_flip: bool
    """Whether the images are mirrored, so that left breasts point left."""
    findings: frozenset[tuple[Laterality, FindingKind]] = frozenset()
    """The breasts with findings, and their kinds."""
    labelled: bool = True
    """Whether the labels of the exam are known."""
    masks: Mapping[tuple[Laterality, ViewPosition, FindingKind], tuple[str, ...]] = field(default_factory=dict)


def read_exam_list(path: Path) -> list[NyuExam]:
    """Read the exams of a JSON file or of a pickle of plain data; no code of a pickle is executed.

    Raises:
        DatasetError: The file is neither, or exams have errors; the message lists every one of them (the first exam is
            row 1).
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}.") from None
    exams = _parse(path.name, encoded)
    if not isinstance(exams, list):
        raise DatasetError(f"{path.name} is not an exam list: it holds {type(exams).__name__}, not a list.")
    problems = Problems(path.name)
    read = [_read_exam(number, exam, problems) for number, exam in enumerate(exams, start=1)]
    problems.raise_if_any()
    return read


def write_exam_list(path: Path, exams: Sequence[NyuExam]) -> None:
    """Write the exams as JSON, in the form that `read_exam_list` reads."""
    path.write_text(json.dumps([_plain(exam) for exam in exams], indent=1), encoding="utf-8")


def _parse(name: str, encoded: bytes) -> object:
    if not encoded.lstrip().startswith((b"[", b"{")):
        return load_plain_pickle(encoded)
    try:
        return json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{name} is neither JSON nor a pickle ({type(error).__name__}).") from error


def _plain(exam: NyuExam) -> dict[str, object]:
    labels = {
        f"{_SIDES[side]}_{kind}": int((side, kind) in exam.findings) for side in Laterality for kind in FindingKind
    }
    return {
        **{_view_key(view): list(exam.images.get(view, ())) for view in VIEWS},
        "horizontal_flip": "YES" if exam.horizontal_flip else "NO",
        "cancer_label": labels if exam.labelled else labels | {"unknown": 1},
        **{
            f"{_view_key((side, position))}_{kind}_seg": list(stems)
            for (side, position, kind), stems in exam.masks.items()
        },
    }


def _view_key(view: View) -> str:
    side, position = view
    return f"{side}-{position}"


def _read_exam(number: int, exam: object, problems: Problems) -> NyuExam:
    if isinstance(exam, dict):
        return _ExamReader(number, exam, problems).read()
    problems.add(number, "", "must be a dictionary")
    return NyuExam({}, False)


@dataclass(frozen=True, slots=True)
class _ExamReader:
    """Reader of one exam's dictionary; errors are added to `problems`."""

    number: int
    exam: Mapping[object, object]
    problems: Problems

    def read(self) -> NyuExam:
        images = {view: self._stems(_view_key(view)) for view in VIEWS}
        masks = {
            (side, position, kind): self._stems(f"{_view_key((side, position))}_{kind}_seg")
            for side, position in VIEWS
            for kind in FindingKind
        }
        flip = str(self.exam.get("horizontal_flip"))
        if flip not in _FLIPS:
            self.problems.add(self.number, "horizontal_flip", 'must be "NO" or "YES"')
        labels = self._labels()
        return NyuExam(
            {view: stems for view, stems in images.items() if stems},
            _FLIPS.get(flip, False),
            frozenset((s, kind) for s in Laterality for kind in FindingKind if labels.get(f"{_SIDES[s]}_{kind}")),
            not labels.get("unknown"),
            {key: stems for key, stems in masks.items() if stems},
        )

    def _stems(self, key: str) -> tuple[str, ...]:
        stems = self.exam.get(key, [])
        if not isinstance(stems, (list, tuple)) or not all(map(_is_stem, stems)):
            self.problems.add(self.number, key, "must be a list of file names within the folder, without suffix")
            return ()
        return tuple(stems)

    def _labels(self) -> Mapping[str, bool]:
        labels = self.exam.get("cancer_label")
        if not isinstance(labels, dict):
            self.problems.add(self.number, "cancer_label", "must be a dictionary")
            return {}
        known = ("unknown", *(f"{side}_{kind}" for side in _SIDES.values() for kind in FindingKind))
        for key in known:
            if labels.get(key, 0) not in (0, 1):
                self.problems.add(self.number, f"cancer_label, {key}", "must be 0 or 1")
        missing = [key for key in known if key.endswith("_malignant") and key not in labels]
        for key in missing if not labels.get("unknown") else ():
            self.problems.add(self.number, f"cancer_label, {key}", "is missing")
        return {key: labels.get(key, 0) == 1 for key in known}


def _is_stem(stem: object) -> bool:
    if not isinstance(stem, str) or not stem or "\\" in stem or "\0" in stem:
        return False
    path = PurePosixPath(stem)
    return not path.is_absolute() and ".." not in path.parts
