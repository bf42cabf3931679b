"""Tests of CSV files as spreadsheets and archives write them."""

from pathlib import Path

import pytest

from glam_node.research.datasets.problems import DatasetError, Problems
from glam_node.research.datasets.tables import Row, read_breast_density, read_laterality, read_table, read_truth


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_usual_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    (row,) = read_table(written(tmp_path, delimiter.join("abc") + "\n" + delimiter.join("123"))).rows
    assert [row.get(column) for column in "abc"] == ["1", "2", "3"]


def test_columns_are_found_however_they_are_written(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "File Name,Bi-Rads , breast_density\n1,2,3\n"), ["file_name", "BI-RADS"])
    assert [table.rows[0].get(name) for name in ("file_name", "Bi-Rads", "breast density")] == ["1", "2", "3"]
    assert table.has("FILE NAME")


def test_a_byte_order_mark_and_blanks_are_ignored(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "\ufeffa,b\r\n 1 ,2\r\n")).rows[0].get("a") == "1"


def test_a_table_of_an_old_spreadsheet_is_read(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a,b\nKöln,2\n".encode("latin-1"))).rows[0].get("b") == "2"


def test_rows_are_counted_as_in_a_spreadsheet_whatever_line_breaks_are_in_them(tmp_path: Path) -> None:
    rows = read_table(written(tmp_path, 'a,b\n1,"x\n"\n,\n3,"y"\n')).rows
    assert [(row.number, row.get("a"), row.get("b")) for row in rows] == [(2, "1", "x"), (4, "3", "y")]


def test_missing_cells_of_a_short_row_are_empty(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a,b\n1\n")).rows[0].get("b") == ""


def test_missing_columns_are_listed(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_table(written(tmp_path, "a,b\n1,2\n"), ["b", "c", "d"])
    assert [problem.column for problem in caught.value.problems] == ["c", "d"]


@pytest.mark.parametrize("text", ["", 'a\n"' + "x" * 200_000])
def test_a_file_that_is_not_a_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetError, match="not a CSV file"):
        read_table(written(tmp_path, text))


def test_the_error_for_a_missing_table_gives_advice(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"table\.csv cannot be read: No such file or directory\. Save it as CSV\."):
        read_table(tmp_path / "table.csv", advice="Save it as CSV.")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("YES", True), ("False", False), ("0", False)])
def test_booleans_are_read(text: str, value: bool) -> None:
    assert read_truth(Row(2, {"a": text}), "a", Problems("t")) is value


@pytest.mark.parametrize("text", ["", "B", "2"])
def test_an_unknown_laterality_is_a_problem(text: str) -> None:
    problems = Problems("t")
    assert read_laterality(Row(2, {"a": text}), "a", problems) is None
    assert [(problem.row, problem.column) for problem in problems.found] == [(2, "a")]


def test_problems_are_listed_in_the_order_of_the_rows() -> None:
    problems = Problems("table.csv")
    problems.add(7, "b", "is wrong")
    problems.add(3, "", "is twice there")
    with pytest.raises(DatasetError) as caught:
        problems.raise_if_any()
    assert str(caught.value).splitlines() == [
        "table.csv cannot be used, 2 problems:",
        "  row 3: is twice there",
        "  row 7, column 'b': is wrong",
    ]


@pytest.mark.parametrize(
    ("written_as", "density"),
    [("3", "C"), ("1.0", "A"), ("b", "B"), ("DENSITY D", "D"), (" ", ""), ("5", ""), ("dense", "")],
)
def test_a_density_is_read_in_every_spelling_of_the_data_sets(tmp_path: Path, written_as: str, density: str) -> None:
    (row,) = read_table(written(tmp_path, f"id,breast density\n1,{written_as}\n")).rows
    assert read_breast_density(row, "breast_density") == density
