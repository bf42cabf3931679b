"""Tests with an imitation of CMMD: one folder per patient, laterality and view in the headers."""

from pathlib import Path

import pytest

from glam_node.research.datasets.cmmd import TABLE, open_cmmd
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from tests.unit.research.datasets.imitated import CMMD_ROW
from tests.unit.research.datasets.tiny import count_headers, mammogram, write, write_csv


def write_patient(folder: Path, patient: str = "D1-0001", sides: str = "RL") -> None:
    series = folder / "manifest-1616439774456" / "CMMD" / patient / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244"
    views = [(side, view) for side in sides for view in ("CC", "MLO")]
    for number, (side, view) in enumerate(views, start=1):
        write(series / f"1-{number}.dcm", mammogram(side, view, seed=int(patient[-1]), PatientID=patient))


def opened(folder: Path, *rows: dict[str, str], delimiter: str = ",") -> ListedDataset:
    write_csv(folder / TABLE, [CMMD_ROW | row for row in rows or ({},)], delimiter)
    return open_cmmd(folder)


def test_the_breast_in_the_table_has_its_label_in_both_views(tmp_path: Path) -> None:
    write_patient(tmp_path)
    views = opened(tmp_path).views
    assert {(view.image_laterality, view.view_position, view.labels) for view in views} == {
        ("R", "CC", (True, False)),
        ("R", "MLO", (True, False)),
    }


def test_two_rows_about_one_breast_add_up(tmp_path: Path) -> None:
    write_patient(tmp_path)
    views = opened(tmp_path, {}, {"classification": "Malignant"}).views
    assert {view.labels for view in views} == {(True, True)}


def test_the_other_breast_may_count_as_normal(tmp_path: Path) -> None:
    write_patient(tmp_path)
    opened(tmp_path)
    labels = {view.image_laterality: view.labels for view in open_cmmd(tmp_path, others_are_normal=True).views}
    assert labels == {"R": (True, False), "L": (False, False)}


def test_patients_that_the_table_does_not_name_are_left_out(tmp_path: Path) -> None:
    write_patient(tmp_path)
    write_patient(tmp_path, "D1-0002")
    opened(tmp_path)
    assert {view.study_id for view in open_cmmd(tmp_path, others_are_normal=True).views} == {"D1-0001"}


def test_the_image_of_each_view_is_read(tmp_path: Path) -> None:
    write_patient(tmp_path)
    dataset = opened(tmp_path)
    for view in dataset.views:
        read = dataset.read(view)
        assert (read.sop_instance_uid, read.view_position) == (view.image_id, view.view_position)


def test_files_that_are_not_views_are_left_out(tmp_path: Path) -> None:
    write_patient(tmp_path)
    folder = tmp_path / "manifest-1616439774456" / "CMMD" / "D1-0001"
    (folder / "damaged.dcm").write_bytes(b"no DICOM")
    write(folder / "ml.dcm", mammogram("R", ViewCodeSequence=None, ViewPosition="ML", PatientID="D1-0001"))
    assert len(opened(tmp_path).views) == 2


def test_masks_are_none_since_no_lesion_is_outlined(tmp_path: Path) -> None:
    write_patient(tmp_path)
    dataset = opened(tmp_path)
    assert dataset.masks(dataset.views[0]) is None


def test_the_table_may_be_separated_by_semicolons(tmp_path: Path) -> None:
    write_patient(tmp_path)
    assert len(opened(tmp_path, delimiter=";").views) == 2


def test_every_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_patient(tmp_path)
    read = count_headers("cmmd", monkeypatch)
    dataset = opened(tmp_path)
    assert read == []
    assert dataset.views == dataset.views
    assert len(read) == len(set(read)) == 4


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    write_patient(tmp_path)
    with pytest.raises(DatasetError) as caught:
        _ = opened(tmp_path, {"classification": "?"}, {"LeftRight": "B"}, {"ID1": "D1-0002"}).views
    found = [(problem.row, problem.column) for problem in caught.value.problems]
    assert found == [(2, "classification"), (3, "LeftRight"), (4, "ID1")]


def test_rows_without_images_are_left_out_of_an_incomplete_copy(tmp_path: Path) -> None:
    write_patient(tmp_path)
    opened(tmp_path, {}, {"ID1": "D1-0002"})
    assert len(open_cmmd(tmp_path, incomplete=True).views) == 2
