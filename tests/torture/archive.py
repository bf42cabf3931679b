"""The contents of the archive by study."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.system.orthanc import Orthanc

RESULTS_OF_AN_EXAM = {"SEG": 4, "SR": 1}
Contents = Mapping[str, Mapping[str, int]]


def contents(archive: Orthanc) -> Contents:
    """Return the number of instances of each modality by Study Instance UID."""
    every_series = archive.get("/series?expand")
    # Studies are requested second, so that they include the study of every series.
    studies = {entry["ID"]: str(entry["MainDicomTags"]["StudyInstanceUID"]) for entry in archive.get("/studies?expand")}
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for series in every_series:
        counted[studies[series["ParentStudy"]]][series["MainDicomTags"]["Modality"]] += len(series["Instances"])
    return counted


def incomplete(found: Contents, studies: set[str]) -> set[str]:
    """Return the studies of which some results are missing."""
    return {uid for uid in studies if any(_of(found, uid, kind) < n for kind, n in RESULTS_OF_AN_EXAM.items())}


def doubled(found: Contents) -> set[str]:
    """Return the studies with more results than one analysis writes."""
    return {uid for uid in found if any(_of(found, uid, kind) > n for kind, n in RESULTS_OF_AN_EXAM.items())}


def _of(found: Contents, uid: str, kind: str) -> int:
    return found.get(uid, {}).get(kind, 0)


@contextmanager
def orthanc_archive(directory: Path) -> Iterator[Orthanc]:
    """Run a real Orthanc with the AE title that the node sends to."""
    directory.mkdir(parents=True)
    archive = Orthanc(directory, free_port(), free_port(), ae_title="ARCHIVE")
    archive.start()
    try:
        yield archive
    finally:
        archive.kill()
