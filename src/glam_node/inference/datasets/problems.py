"""Why a data set cannot be used: every bad row of a table at once, by number and column, never by what stands there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from glam_node.inference.errors import InferenceError


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One cell that cannot be used. `what` holds no value of the table: it might be a patient's name or ID."""

    row: int
    """As a spreadsheet counts: the header is row 1. 0: the problem is the whole column, or the whole table."""
    column: str
    what: str

    def __str__(self) -> str:
        place = (f"row {self.row}" if self.row else "", f"column {self.column!r}" if self.column else "")
        return ", ".join(part for part in place if part) + f": {self.what}"


class DatasetError(InferenceError):
    """A data set is not laid out as its loader expects, or a table in it has rows that cannot be used."""

    def __init__(self, message: str, problems: Sequence[RowProblem] = ()) -> None:
        super().__init__("\n".join((message, *(f"  {problem}" for problem in problems))))
        self.problems = tuple(problems)


@dataclass(slots=True)
class Problems:
    """The problems of one table as they are met."""

    source: str
    """The table's file name."""
    found: list[RowProblem] = field(default_factory=list)

    def add(self, row: int, column: str, what: str) -> None:
        """Remember one."""
        self.found.append(RowProblem(row, column, what))

    def raise_if_any(self) -> None:
        """Raise DatasetError that lists all of them in the order of the rows, or do nothing."""
        if self.found:
            count = f"{len(self.found)} problem{'s' if len(self.found) > 1 else ''}"
            raise DatasetError(f"{self.source} cannot be used, {count}:", sorted(self.found, key=_place))


def _place(problem: RowProblem) -> tuple[int, str]:
    return problem.row, problem.column
