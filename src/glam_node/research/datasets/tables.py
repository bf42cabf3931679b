"""Reading of CSV files from spreadsheets and archives, with any usual delimiter, byte order mark and stray blanks."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from glam_node.inference.mammogram import Laterality, ViewPosition
from glam_node.research.datasets.problems import DatasetError, Problems, RowProblem

_DELIMITERS = ",;\t"
TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_LATERALITIES = {"l": Laterality.LEFT, "left": Laterality.LEFT, "r": Laterality.RIGHT, "right": Laterality.RIGHT}
_VIEW_POSITIONS = {position.value.lower(): position for position in ViewPosition}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Row:
    """One row; column names match regardless of case and of blanks, - or _ between words."""

    number: int
    """Row number as in a spreadsheet, whose header is row 1."""
    values: Mapping[str, str]

    def get(self, column: str) -> str:
        """Return the cell without surrounding blanks; "" for an empty cell or a missing column."""
        return self.values.get(_normalised(column), "")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one CSV file."""

    name: str
    columns: frozenset[str]
    """Normalised column names: lower case, words joined by _."""
    rows: tuple[Row, ...]

    def has(self, column: str) -> bool:
        """Return whether the table has the column."""
        return _normalised(column) in self.columns


def read_table(path: Path, required: Sequence[str] = (), advice: str = "Check the path of the data set.") -> Table:
    """Read the CSV file at `path`; rows without any value are left out.

    Raises:
        DatasetError: There is no such file (the message ends with `advice`), it is not a table, or it lacks one of the
            `required` columns.
    """
    text = _text(path, advice)
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    try:
        header, *records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"{path.name} is not a CSV file with a header.") from error
    names = [_normalised(name) for name in header]
    missing = [name for name in required if _normalised(name) not in names]
    if missing:
        raise DatasetError(
            f"{path.name} cannot be used, it lacks columns:", [RowProblem(0, name, "missing") for name in missing]
        )
    rows = tuple(
        Row(number, dict(zip(names, map(str.strip, record), strict=False)))
        for number, record in enumerate(records, start=2)
        if any(map(str.strip, record))
    )
    return Table(path.name, frozenset(names), rows)


def _text(path: Path, advice: str) -> str:
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}. {advice}") from None
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _normalised(column: str) -> str:
    return re.sub(r"[\s_-]+", "_", column.strip().lower())


def _one_of(known: Mapping[str, Value], wanted: str) -> Callable[[Row, str, Problems], Value | None]:
    def read(row: Row, column: str, problems: Problems) -> Value | None:
        value = known.get(row.get(column).lower())
        if value is None:
            problems.add(row.number, column, f"must be {wanted}" if row.get(column) else f"is empty, must be {wanted}")
        return value

    return read


_DENSITIES = dict(zip("1234", "ABCD", strict=True)) | {letter: letter for letter in "ABCD"}


def read_breast_density(row: Row, column: str) -> str:
    """Return the density A to D that is written as 1 to 4, A to D or "DENSITY C"; "" for anything else."""
    return _DENSITIES.get(row.get(column).upper().removeprefix("DENSITY").strip().partition(".")[0], "")


read_truth = _one_of(TRUTH, "0 or 1 (or yes, no, true, false)")
read_laterality = _one_of(_LATERALITIES, "L or R (or LEFT, RIGHT)")
read_view_position = _one_of(_VIEW_POSITIONS, "CC or MLO")
