"""Errors of data sets: all bad rows of a table at once, by row and column, never by their content."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from glam_node.inference.errors import InferenceError


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A cell that cannot be used; `what` quotes no value of the table, which could be a patient's name or ID."""

    row: int
    """Row number as in a spreadsheet, whose header is row 1; 0 if the problem concerns the column or the table."""
    column: str
    what: str

    def __str__(self) -> str:
        place = (f"row {self.row}" if self.row else "", f"column {self.column!r}" if self.column else "")
        return ", ".join(part for part in place if part) + f": {self.what}"


class DatasetError(InferenceError):
    """Raised for a data set with another layout than its loader expects, or with table rows that cannot be used."""

    def __init__(self, message: str, problems: Sequence[RowProblem] = ()) -> None:
        super().__init__("\n".join((message, *(f"  {problem}" for problem in problems))))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Problems:
    """Collector of the problems of one table."""

    source: str
    """The table's file name."""
    found: list[RowProblem] = field(default_factory=list)

    def add(self, row: int, column: str, what: str) -> None:
        """Add a problem."""
        self.found.append(RowProblem(row, column, what))

    def raise_if_any(self) -> None:
        """Raise DatasetError with all problems in the order of the rows; do nothing if there are none."""
        if self.found:
            count = f"{len(self.found)} problem{'s' if len(self.found) > 1 else ''}"
            raise DatasetError(f"{self.source} cannot be used, {count}:", sorted(self.found, key=_place))


def _place(problem: RowProblem) -> tuple[int, str]:
    return problem.row, problem.column
