"""Tests of the number of usable cores."""

from pathlib import Path

import pytest

from glam_node.inference.cores import processor_flags, processor_identity, processor_name, usable_cores


@pytest.fixture
def four_processors_on_two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0, 1, 2, 3}, raising=False)
    for number in range(4):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{number % 2},{number % 2 + 2}\n")
    return tmp_path


def test_each_physical_core_counts_once(four_processors_on_two_cores: Path) -> None:
    assert usable_cores(four_processors_on_two_cores, four_processors_on_two_cores) == 2


def test_each_processor_counts_where_the_topology_is_unknown(
    four_processors_on_two_cores: Path, tmp_path: Path
) -> None:
    assert usable_cores(tmp_path / "nothing", tmp_path / "nothing") == 4


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000", 2), ("100000 100000", 1), ("150000 100000", 2), ("5 10", 1)]
)
def test_the_quota_of_the_container_limits_the_count(
    four_processors_on_two_cores: Path, quota: str, count: int
) -> None:
    (four_processors_on_two_cores / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(four_processors_on_two_cores, four_processors_on_two_cores) == count


def test_the_quota_of_an_older_control_group_counts_too(four_processors_on_two_cores: Path) -> None:
    (four_processors_on_two_cores / "cpu").mkdir()
    (four_processors_on_two_cores / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (four_processors_on_two_cores / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(four_processors_on_two_cores, four_processors_on_two_cores) == 1


@pytest.mark.parametrize(
    ("own", "limited", "count"),
    [
        ("0::/system.slice/glam-node.service", "system.slice/glam-node.service", 1),
        ("0::/system.slice/glam-node.service", "system.slice", 1),
        ("0::/../../outside", "", 1),
        ("0::/other", "system.slice", 2),
        ("4:cpu,cpuacct:/docker/1\n3:memory:/docker/2", "cpu/docker/1", 1),
        ("4:memory:/docker/1", "cpu/docker/1", 2),
    ],
)
def test_the_quota_of_each_group_above_the_process_limits_the_count(
    own: str, limited: str, count: int, four_processors_on_two_cores: Path
) -> None:
    root = four_processors_on_two_cores
    (root / limited).mkdir(parents=True, exist_ok=True)
    if limited.startswith("cpu/"):
        (root / limited / "cpu.cfs_quota_us").write_text("100000\n")
        (root / limited / "cpu.cfs_period_us").write_text("100000\n")
    else:
        (root / limited / "cpu.max").write_text("100000 100000\n")
    (root / "own").write_text(f"{own}\n")
    assert usable_cores(root, root, root / "own") == count


def test_a_container_with_two_processors_on_a_large_host_uses_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: set(range(64)), raising=False)
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    (tmp_path / "own").write_text("0::/\n")
    assert usable_cores(tmp_path, tmp_path, tmp_path / "own") == 2


X86 = "processor : 0\nmodel : 7\nmodel name : A Processor\nflags : fpu avx2\n\nprocessor : 1\nmodel name : Another\n"
ARM = "processor : 0\nFeatures : fp asimd bf16\nCPU part : 0xd40\n"


def test_the_identity_of_a_processor_depends_on_its_model_and_flags(tmp_path: Path) -> None:
    files = []
    for number, text in enumerate([X86, X86.replace("avx2", "avx2 amx_bf16"), X86.replace("7", "8"), ARM, ""]):
        files.append(tmp_path / str(number))
        files[-1].write_text(text)
    assert processor_name(files[0]) == "A Processor"
    assert processor_flags(files[0]) == {"fpu", "avx2"}
    assert processor_flags(files[3]) == {"fp", "asimd", "bf16"}
    assert len({processor_identity(file) for file in (*files, tmp_path / "missing")}) == 5, "the last two are unknown"
