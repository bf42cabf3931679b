"""Report of a comparison with a golden file: the largest error of each quantity, and the quantities left out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class GoldenQuantity:
    """One kind of value, over all cases of the file."""

    name: str
    tolerance: float
    """The largest error allowed; 0 means that the values must be equal."""
    largest_error: float
    """The largest absolute error; infinite if shapes differ or a value is not a number."""
    worst_case: str
    """The case with the largest error."""
    cases: int
    """Number of cases compared."""

    @property
    def within_tolerance(self) -> bool:
        """Whether the largest error is within the tolerance."""
        return self.largest_error <= self.tolerance


@dataclass(frozen=True, slots=True)
class NotComputed:
    """A part of the file that was not compared, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """Result of `verify_golden`."""

    path: Path
    seed: int
    quantities: tuple[GoldenQuantity, ...]
    not_computed: tuple[NotComputed, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether at least one quantity was compared and all are within tolerance."""
        return bool(self.quantities) and all(quantity.within_tolerance for quantity in self.quantities)


@dataclass(slots=True)
class GoldenLedger:
    """Collector of comparisons that keeps the largest error of each quantity, in the order of the first case."""

    quantities: dict[str, GoldenQuantity] = field(default_factory=dict)
    not_computed: list[NotComputed] = field(default_factory=list)

    def compare(self, name: str, case: str, computed: Any, golden: Any, tolerance: float, scale: float = 1.0) -> None:
        """Record the largest absolute difference of two arrays, divided by `scale`."""
        self._note(name, case, _largest_difference(np.asarray(computed), np.asarray(golden)) / scale, tolerance)

    def same(self, name: str, case: str, computed: Any, golden: Any) -> None:
        """Record whether two values (digests, positions, words) are equal, as an error of 0 or 1."""
        self._note(name, case, 0.0 if np.array_equal(computed, golden) else 1.0, 0.0)

    def leave_out(self, name: str, reason: str) -> None:
        """Record that a part of the file could not be compared."""
        self.not_computed.append(NotComputed(name, reason))

    def _note(self, name: str, case: str, error: float, tolerance: float) -> None:
        before = self.quantities.get(name)
        worse = before is None or error > before.largest_error
        self.quantities[name] = GoldenQuantity(
            name=name,
            tolerance=tolerance,
            largest_error=error if before is None or worse else before.largest_error,
            worst_case=case if before is None or worse else before.worst_case,
            cases=1 if before is None else before.cases + 1,
        )


def _largest_difference(computed: np.ndarray[Any, Any], golden: np.ndarray[Any, Any]) -> float:
    if computed.shape != golden.shape:
        return float("inf")
    difference = np.abs(computed.astype(np.float64) - golden.astype(np.float64))
    largest = float(difference.max(initial=0.0))
    return largest if np.isfinite(largest) else float("inf")
