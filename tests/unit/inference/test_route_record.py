"""Tests of the record of measured routes and of the choice by it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glam_node.inference.route_record import GLOBAL, LOCAL, RouteMeasurement, RouteRecord, RouteTime

KEY = {"processor": "one", "threads": "2"}
MEASUREMENT = RouteMeasurement(
    "2026-11-30T12:00:00+00:00",
    1.5,
    2,
    False,
    (
        RouteTime(GLOBAL, "torch", "float32", 0.2),
        RouteTime(GLOBAL, "openvino", "float32", 0.1, 1e-7),
        RouteTime(LOCAL, "torch", "float32", 1.0),
        RouteTime(LOCAL, "openvino", "bfloat16", 0.5, 0.1, "It differs from torch by 1.0e-01, more than 2.5e-02."),
        RouteTime(LOCAL, "ncnn", "float32", None, 0.0, "It failed: MemoryError: no memory."),
    ),
)


def local_times(**seconds: float) -> RouteMeasurement:
    """Return a measurement of the local network by these runtimes, in the order of their memory."""
    return replace(MEASUREMENT, times=tuple(RouteTime(LOCAL, name, "float32", each) for name, each in seconds.items()))


def test_the_record_returns_what_it_kept(tmp_path: Path) -> None:
    RouteRecord(tmp_path / "record", KEY).keep(MEASUREMENT)
    assert RouteRecord(tmp_path / "record", KEY).measurement() == MEASUREMENT
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_a_record_without_a_path_keeps_nothing() -> None:
    record = RouteRecord(None, KEY)
    record.begin()
    record.keep(MEASUREMENT)
    assert record.measurement() is None


@pytest.mark.parametrize("name", KEY)
def test_a_measurement_counts_only_for_its_key(name: str, tmp_path: Path) -> None:
    RouteRecord(tmp_path / "record", KEY).keep(MEASUREMENT)
    other = RouteRecord(tmp_path / "record", KEY | {name: "other"})
    assert other.measurement() is None
    other.keep(local_times(torch=1.0))
    assert RouteRecord(tmp_path / "record", KEY).measurement() == MEASUREMENT


def test_the_record_keeps_the_newest_sixteen_measurements(tmp_path: Path) -> None:
    for number in range(20):
        RouteRecord(tmp_path / "record", KEY | {"threads": str(number)}).keep(MEASUREMENT)
    kept = [n for n in range(20) if RouteRecord(tmp_path / "record", KEY | {"threads": str(n)}).measurement()]
    assert kept == list(range(4, 20))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        "null",
        '{"version": 2, "entries": []}',
        '{"version": 1}',
        '{"version": 1, "entries": [1, null]}',
        '{"version": 1, "entries": 5}',
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_record_counts_as_empty_and_is_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "record").write_text(content, encoding="latin-1")
    record = RouteRecord(tmp_path / "record", KEY)
    assert record.measurement() is None
    record.keep(MEASUREMENT)
    assert record.measurement() == MEASUREMENT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", "1"),
        ("seconds", -1.0),
        ("seconds", float("nan")),
        ("error", None),
        ("failure", 1),
        ("unknown", 1),
        ("failure", "It failed."),
        ("seconds", None),
    ],
)
def test_a_damaged_measurement_counts_as_none(name: str, value: object, tmp_path: Path) -> None:
    RouteRecord(tmp_path / "record", KEY).keep(local_times(torch=1.0))
    content = json.loads((tmp_path / "record").read_text())
    content["entries"][0]["measurement"]["times"][0][name] = value
    (tmp_path / "record").write_text(json.dumps(content))
    assert RouteRecord(tmp_path / "record", KEY).measurement() is None


def test_a_record_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "record", tmp_path / "missing" / "record"):
        RouteRecord(path, KEY).keep(MEASUREMENT)
        assert RouteRecord(path, KEY).measurement() is None


def test_attempts_count_until_a_measurement_is_kept(tmp_path: Path) -> None:
    record = RouteRecord(tmp_path / "record", KEY)
    record.begin()
    record.begin()
    assert record.failed_attempts() == 2
    record.keep(None)
    assert record.failed_attempts() == 0
    record.begin()
    record.keep(MEASUREMENT)
    assert record.failed_attempts() == 0


def chosen(measurement: RouteMeasurement, network: str = LOCAL) -> str:
    best = measurement.chosen(network)
    assert best is not None
    return best.runtime


def test_the_fastest_route_within_tolerance_is_chosen() -> None:
    assert chosen(MEASUREMENT, GLOBAL) == "openvino"
    assert chosen(MEASUREMENT) == "torch", "the faster ones failed"


@pytest.mark.parametrize(("torch", "ncnn", "route"), [(1.0, 0.98, "torch"), (1.0, 0.96, "ncnn"), (0.98, 1.0, "torch")])
def test_routes_within_three_percent_are_equal_and_the_one_with_less_memory_is_chosen(
    torch: float, ncnn: float, route: str
) -> None:
    assert chosen(local_times(torch=torch, ncnn=ncnn)) == route


def test_a_measurement_states_every_time() -> None:
    assert str(MEASUREMENT) == (
        "measured on 2026-11-30 at 12:00 UTC with 2 threads: global network: torch 0.2 s, openvino 0.1 s; "
        "local network: torch 1 s, openvino in bfloat16 0.5 s, ncnn failed"
    )
