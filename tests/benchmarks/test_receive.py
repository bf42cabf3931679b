"""How fast the receiver keeps mammograms of 17 MB: ratios against named peers, in one run.

Ours hashes, synchronises file and directory and commits a row before it answers; the others do none of that. In memory
the receivers are compared; on the disk ours is compared with what the disk itself takes when it has to synchronise.
"""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from glam_node.inference.phantom import make_exam
from tests.benchmarks.receiving.comparing import (
    compared,
    disk_megabytes_per_second,
    image,
    ratios,
    room,
    seconds,
    tell,
)
from tests.benchmarks.receiving.sending import Load, blast, dcmsend

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.peer("dcmtk"),
    pytest.mark.peer("orthanc"),
    pytest.mark.timeout(1200),
]

IMAGES = 24
PIXEL_BYTES = 17_000_000
FORKING = "storescp +B -pdu 131072 --fork"
# With DCMTK's own sender
LEAST_DCMSEND_RATIO = {"storescp": 2.0, "Orthanc": 2.5}
# With the raw sender, by number of senders
LEAST_RATIO = {1: {"pynetdicom": 2.3}, 8: {"pynetdicom": 5.0, FORKING: 0.5}}
# Of the speed of one sender
LEAST_SHARE_OF_ONE = {4: 1.0, 8: 0.9, 16: 0.8}
LEAST_SHARE_OF_DISK = 0.5
"""Or of what the fastest that synchronises nothing writes there: a fast disk is not what bounds anybody."""


@pytest.fixture(scope="module", params=["in memory", "on the disk"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bool, Path]]:
    in_memory = request.param == "in memory"
    with room(in_memory, tmp_path_factory.mktemp("benchmark")) as directory:
        yield in_memory, directory


@pytest.fixture(scope="module")
def mammograms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """So many 17 MB mammograms under names of their own, four to a study."""
    directory = tmp_path_factory.mktemp("mammograms")
    dataset = make_exam(1)[0].dataset
    paths = []
    for number in range(IMAGES):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.30.{number}")
        dataset.StudyInstanceUID = UID(f"1.2.31.{number // 4}")
        paths.append(directory / f"{number}.dcm")
        pydicom.dcmwrite(paths[-1], dataset, enforce_file_format=True)
    return paths


def test_from_dcmsend(place: tuple[bool, Path], mammograms: list[Path]) -> None:
    in_memory, directory = place
    names = ["ours", "storescp", "storescp +B -pdu 131072", "Orthanc", "pynetdicom"]
    took = compared(names, directory, lambda server: dcmsend(server, mammograms))
    megabytes = sum(path.stat().st_size for path in mammograms) / 1e6
    tell(f"\ndcmsend, {'memory' if in_memory else 'disk'}:", took, megabytes)
    if in_memory:
        assert {name: ratio for name, ratio in ratios(took).items() if ratio < LEAST_DCMSEND_RATIO.get(name, 0)} == {}


@pytest.mark.parametrize("senders", LEAST_RATIO)
def test_from_senders_that_cost_nothing(place: tuple[bool, Path], senders: int) -> None:
    in_memory, directory = place
    load = Load(image(directory, PIXEL_BYTES), senders, IMAGES // senders)
    disk = disk_megabytes_per_second(directory, PIXEL_BYTES, senders)
    took = compared(["ours", FORKING, "pynetdicom"], directory, lambda server: blast(server, load))
    tell(f"\n{senders} senders, {'memory' if in_memory else 'disk'}:", took, load.megabytes)
    share = load.megabytes / seconds(took["ours"]) / disk
    print(f"{senders} senders: {disk:.0f} MB/s are synchronised here at most, ours reaches {share:.2f} of that")
    if in_memory:
        assert {name: ratio for name, ratio in ratios(took).items() if ratio < LEAST_RATIO[senders].get(name, 0)} == {}
    else:
        assert max(share, ratios(took)[FORKING]) >= LEAST_SHARE_OF_DISK


def test_many_senders_do_not_make_it_collapse(tmp_path: Path) -> None:
    with room(True, tmp_path) as directory:
        path = image(directory, PIXEL_BYTES)
        speed = {}
        for senders in (1, *LEAST_SHARE_OF_ONE):
            load = Load(path, senders, max(IMAGES // senders, 3))
            took = compared(["ours"], directory, lambda server, load=load: blast(server, load))  # type: ignore[misc]
            speed[senders] = load.megabytes / seconds(took["ours"])
    shares = {senders: speed[senders] / speed[1] for senders in LEAST_SHARE_OF_ONE}
    print(f"\nMB/s by senders {speed}, of one {shares}")
    assert all(shares[senders] >= least for senders, least in LEAST_SHARE_OF_ONE.items())
