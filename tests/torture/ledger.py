"""A record of all sent files and the answers to them, with which the node's data are compared."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.filereader import read_file_meta_info

from glam_node.inference.phantom import make_exam

PREAMBLE_BYTES = 132
GROUP_LENGTH_BYTES = 12


@dataclass(frozen=True, slots=True)
class Sent:
    """One file that is sent until it is answered with success."""

    path: Path
    study_instance_uid: str
    sop_instance_uid: str


@dataclass
class Ledger:
    """All instances, and the number of 0x0000 answers for each; safe for use by several threads."""

    instances: dict[str, Sent] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """Number of other answers, in the words of DCMTK."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, exam: list[Sent]) -> None:
        """Add instances that are about to be sent."""
        with self._lock:
            self.instances.update({one.sop_instance_uid: one for one in exam})

    def answered(self, one: Sent) -> None:
        """Record the answer 0x0000."""
        with self._lock:
            self.answers[one.sop_instance_uid] += 1

    def refused(self, words: str) -> None:
        """Record another answer, or a missing one."""
        with self._lock:
            self.refusals[words] += 1

    def unanswered(self, exam: list[Sent]) -> list[Sent]:
        """Return the instances that must be sent again."""
        with self._lock:
            return [one for one in exam if not self.answers[one.sop_instance_uid]]

    def studies(self) -> set[str]:
        """Return the studies of which every instance was answered 0x0000."""
        with self._lock:
            some = {one.study_instance_uid for one in self.instances.values()}
            return some - {one.study_instance_uid for uid, one in self.instances.items() if not self.answers[uid]}


def write_exam(directory: Path, seed: int) -> list[Sent]:
    """Write the four views of one small phantom exam as files; they result in four SEG and one SR."""
    directory.mkdir(parents=True, exist_ok=True)
    exam = []
    for view in make_exam(seed, rows=256, columns=192):
        path = directory / f"{view.dataset.SOPInstanceUID}.dcm"
        view.dataset.save_as(path, enforce_file_format=True)
        exam.append(Sent(path, str(view.dataset.StudyInstanceUID), str(view.dataset.SOPInstanceUID)))
    return exam


def data_set_bytes(path: Path) -> bytes:
    """Return the bytes that an association transfers: the file without preamble and meta information (PS3.10 7.1)."""
    group_length = int(read_file_meta_info(path).FileMetaInformationGroupLength)
    return path.read_bytes()[PREAMBLE_BYTES + GROUP_LENGTH_BYTES + group_length :]


def transfer_syntax_uid(path: Path) -> str:
    """Return the transfer syntax of the file."""
    return str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
