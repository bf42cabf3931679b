"""Measured times of the routes, the choice by them, and the record that keeps them between starts of a worker.

The record is one JSON file in the storage root. Several machines may share it, so it holds one measurement for each
kind of machine, package and set of versions.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECORD_FILE = "inference-routes.json"
"""Name of the record in the storage root."""
GLOBAL, LOCAL = "global", "local"
"""Names of the two networks."""
NEAR_TIE = 1.03
"""Routes within this factor of the fastest one count as equally fast; the rest up to 5 % is left to the noise."""
MAXIMUM_ATTEMPTS = 5
"""Number of measurements that may have ended with their process before none is tried any more."""
_VERSION = 1
_MAXIMUM_ENTRIES = 16
_MAXIMUM_BYTES = 1_000_000
_PRIVATE_MODE = 0o600

Key = Mapping[str, str]
"""Facts that a measurement depends on, such as the processor and the digest of the package."""


@dataclass(frozen=True, slots=True)
class RouteTime:
    """The measurement of one network on one route."""

    network: str
    """GLOBAL or LOCAL."""
    runtime: str
    number_format: str
    seconds: float | None
    """Shortest time of one call; None if the route did not complete one."""
    error: float = 0.0
    """Largest difference from torch's scores or saliency."""
    failure: str = ""
    """The reason why the route is never chosen, as a sentence; empty if it may be."""

    def __str__(self) -> str:
        name = self.runtime if self.number_format == "float32" else f"{self.runtime} in {self.number_format}"
        return f"{name} {'failed' if self.seconds is None else f'{self.seconds:.3g} s'}"


@dataclass(frozen=True, slots=True)
class RouteMeasurement:
    """The times of all routes that the settings leave open, those with the least memory first."""

    measured_at: str
    """ISO 8601, in UTC."""
    took_s: float
    threads: int
    disturbed: bool
    """Whether the times varied more than the routes differ, so that other programs must have disturbed them."""
    times: tuple[RouteTime, ...]

    def chosen(self, network: str) -> RouteTime | None:
        """Return the route of `network` with the least memory among the fastest; None if only one route was open."""
        timed = [(one, one.seconds) for one in self.of(network) if one.seconds is not None and not one.failure]
        if not timed:
            return None
        limit = NEAR_TIE * min(seconds for _, seconds in timed)
        return next(one for one, seconds in timed if seconds <= limit)

    def of(self, network: str) -> Sequence[RouteTime]:
        """Return the times of one network."""
        return [one for one in self.times if one.network == network]

    def __str__(self) -> str:
        parts = [f"{name} network: {', '.join(map(str, self.of(name)))}" for name in (GLOBAL, LOCAL) if self.of(name)]
        date, time = self.measured_at[:10], self.measured_at[11:16]
        return f"measured on {date} at {time} UTC with {self.threads} threads: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """The reason for the route in force."""

    reason: str
    measurement: RouteMeasurement | None = None
    problem: str = ""
    """A failure that kept the fastest route from being found, as a sentence; empty if there was none."""


class RouteRecord:
    """The file of measurements; without a path, nothing is kept. A file that cannot be read counts as empty."""

    def __init__(self, path: Path | None, key: Key, may_write: Callable[[], bool] | None = None) -> None:
        self._path = path
        self._key = dict(key)
        self._may_write = may_write

    def measurement(self) -> RouteMeasurement | None:
        """Return the measurement for the key; None if there is none."""
        kept = self._entry().get("measurement")
        return None if kept is None else _measurement_from(kept)

    def failed_attempts(self) -> int:
        """Return how many measurements for the key were begun since the last one that was kept."""
        count = self._entry().get("attempts", 0)
        return count if isinstance(count, int) else 0

    def begin(self) -> None:
        """Count an attempt, so that a measurement that ends its process, by a crash for example, is noticed."""
        self._write({"attempts": self.failed_attempts() + 1})

    def keep(self, measurement: RouteMeasurement | None) -> None:
        """Keep a measurement, or only forget that it was begun. A disk that cannot be written is no error."""
        self._write({} if measurement is None else {"measurement": asdict(measurement)})

    def _entry(self) -> dict[str, Any]:
        return next((one for one in self._entries() if one.get("key") == self._key), {})

    def _entries(self) -> list[dict[str, Any]]:
        if self._path is None:
            return []
        try:
            with self._path.open(encoding="utf-8") as file:
                content = json.loads(file.read(_MAXIMUM_BYTES))
            entries = content["entries"] if content["version"] == _VERSION else []
            return [one for one in entries if isinstance(one, dict)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def _write(self, values: dict[str, Any]) -> None:
        if self._path is None or (self._may_write is not None and not self._may_write()):
            return
        others = [one for one in self._entries() if one.get("key") != self._key]
        content = {"version": _VERSION, "entries": [{"key": self._key, **values}, *others][:_MAXIMUM_ENTRIES]}
        part = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")
        with suppress(OSError):
            try:
                part.touch(_PRIVATE_MODE)
                part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
                part.replace(self._path)
            finally:
                part.unlink(missing_ok=True)


def _measurement_from(kept: Any) -> RouteMeasurement | None:
    """Return the measurement of an entry; None if a value is missing or not of its type."""
    try:
        times = tuple(RouteTime(**one) for one in kept["times"])
        measurement = RouteMeasurement(**{**kept, "times": times})
        return measurement if _is_sound(measurement) else None
    except (KeyError, TypeError, ValueError):
        return None


def _is_sound(measurement: RouteMeasurement) -> bool:
    times = measurement.times
    texts = [
        measurement.measured_at,
        *(text for one in times for text in (one.runtime, one.number_format, one.failure)),
    ]
    numbers = [measurement.took_s, *(one.error for one in times), *(one.seconds for one in times if one.seconds)]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, float | int) and number >= 0 for number in numbers)
        and all(measurement.chosen(name) is not None for name in {one.network for one in measurement.times})
    )
