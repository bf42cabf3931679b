"""Tests of the number of usable cores."""

from pathlib import Path

import pytest

from glam_node.inference.cores import usable_cores


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
