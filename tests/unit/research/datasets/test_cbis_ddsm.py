"""Tests with an imitation of CBIS-DDSM of 2017-09-14: films, masks and crops in case folders."""

from pathlib import Path

import numpy as np
import pytest

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.findings import FindingKind
from glam_node.research.datasets.cbis_ddsm import open_cbis_ddsm
from glam_node.research.datasets.listed import ListedDataset
from glam_node.research.datasets.problems import DatasetError
from tests.unit.research.datasets.imitated import MASS_TRAIN, cbis_row
from tests.unit.research.datasets.tiny import SHAPE, box, film, secondary_capture, square, write, write_csv

MASS_TEST = "mass_case_description_test_set.csv"
CALC_TRAIN = "calc_case_description_train_set.csv"
DATE, FILM, ROI = "07-20-2016-DDSM-96009", "1-full mammogram images-63992", "1-ROI mask images-26184"


def write_case(images: Path, case: str = "Mass-Training_P_00001_LEFT_CC") -> None:
    write(images / case / DATE / FILM / "1-1.dcm", film())


def write_lesion(
    images: Path, case: str = "Mass-Training_P_00001_LEFT_CC_1", top: int = 20, swap: bool = False
) -> None:
    mask, crop = secondary_capture(square(top, 8)), film((16, 16))
    for number, dataset in enumerate((crop, mask) if swap else (mask, crop), start=1):
        write(images / case / DATE / ROI / f"1-{number}.dcm", dataset)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "manifest-1657064287305" / "CBIS-DDSM"
    write_case(folder)
    write_lesion(folder)
    return folder


def opened(folder: Path, **tables: list[dict[str, str]]) -> ListedDataset:
    for name, rows in (tables or {"mass_train": [cbis_row()]}).items():
        abnormality, part = name.split("_")
        write_csv(folder / f"{abnormality}_case_description_{part}_set.csv", rows)
    return open_cbis_ddsm(folder)


@pytest.mark.parametrize(
    ("pathology", "labels"),
    [("MALIGNANT", (False, True)), ("BENIGN", (True, False)), ("BENIGN_WITHOUT_CALLBACK", (True, False))],
)
def test_pathology_decides_the_label(tmp_path: Path, images: Path, pathology: str, labels: tuple[bool, bool]) -> None:
    assert opened(tmp_path, mass_train=[cbis_row(pathology=pathology)]).views[0].labels == labels


def test_benign_without_callback_may_count_as_normal(tmp_path: Path, images: Path) -> None:
    opened(tmp_path, mass_train=[cbis_row(pathology="BENIGN_WITHOUT_CALLBACK")])
    dataset = open_cbis_ddsm(tmp_path, without_callback_is_benign=False)
    assert dataset.views[0].labels == (False, False)
    assert dataset.masks(dataset.views[0]) is None


def test_a_film_is_read_as_the_view_that_the_table_says(tmp_path: Path, images: Path) -> None:
    dataset = opened(tmp_path)
    mammogram = dataset.read(dataset.views[0])
    assert (mammogram.image_laterality, mammogram.view_position) == ("L", "CC")
    assert mammogram.pixels.dtype == np.uint16
    assert not mammogram.pixels[:, -1].any()


@pytest.mark.parametrize("swap", [False, True])
def test_the_mask_is_found_whichever_of_the_two_files_it_is(tmp_path: Path, images: Path, swap: bool) -> None:
    write_lesion(images, swap=swap)
    dataset = opened(tmp_path)
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert box(masks[FindingKind.MALIGNANT]) == (20, 23, 8, 11)


def test_a_film_that_is_stored_mirrored_is_mirrored_back_with_its_mask(tmp_path: Path) -> None:
    right = "Mass-Training_P_00001_RIGHT_CC"  # `film` draws a breast that points right, as a left one does
    folder = tmp_path / "CBIS-DDSM"
    write_case(folder, right)
    write_lesion(folder, f"{right}_1")
    dataset = opened(tmp_path, mass_train=[cbis_row(right)])
    mammogram, masks = dataset.read(dataset.views[0]), dataset.masks(dataset.views[0])
    assert masks is not None
    assert not mammogram.pixels[:, 0].any()
    assert box(masks[FindingKind.MALIGNANT]) == (20, 23, SHAPE[1] - 12, SHAPE[1] - 9)
    assert any("mirrored back" in remark for remark in mammogram.remarks)


def test_lesions_of_one_film_are_one_view(tmp_path: Path, images: Path) -> None:
    write_lesion(images, "Mass-Training_P_00001_LEFT_CC_2", top=40)
    dataset = opened(tmp_path, mass_train=[cbis_row(), cbis_row(lesion=2, pathology="BENIGN")])
    (view,) = dataset.views
    masks = dataset.masks(view)
    assert view.labels == (True, True)
    assert masks is not None
    assert (box(masks[FindingKind.MALIGNANT])[0], box(masks[FindingKind.BENIGN])[0]) == (20, 40)


def test_a_mass_and_a_calcification_on_one_film_are_one_view(tmp_path: Path, images: Path) -> None:
    case = "Calc-Training_P_00001_LEFT_CC"
    write_case(images, case)
    write_lesion(images, f"{case}_1", top=40)
    dataset = opened(tmp_path, mass_train=[cbis_row()], calc_train=[cbis_row(case, pathology="BENIGN")])
    assert [view.labels for view in dataset.views] == [(True, True)]


def test_a_film_has_the_density_that_the_table_states(tmp_path: Path, images: Path) -> None:
    rows = [cbis_row(breast_density=""), cbis_row()]
    assert [opened(tmp_path, mass_train=[row]).views[0].breast_density for row in rows] == ["", "C"]


def test_both_views_have_the_labels_of_their_breast(tmp_path: Path, images: Path) -> None:
    case = "Mass-Training_P_00001_LEFT_MLO"
    write_case(images, case)
    write_lesion(images, f"{case}_1")
    dataset = opened(tmp_path, mass_train=[cbis_row(), cbis_row(case, pathology="BENIGN")])
    assert [view.labels for view in dataset.views] == [(True, True), (True, True)]


def test_a_patient_in_any_test_set_is_never_trained_on(tmp_path: Path, images: Path) -> None:
    case = "Calc-Test_P_00001_RIGHT_CC"
    write_case(images, case)
    write_lesion(images, f"{case}_1")
    dataset = opened(tmp_path, mass_train=[cbis_row()], calc_test=[cbis_row(case)])
    assert [view.split for view in dataset.views] == ["test", "test"]


def test_one_kind_of_abnormality_may_be_selected(tmp_path: Path, images: Path) -> None:
    opened(tmp_path, mass_train=[cbis_row()], calc_test=[cbis_row("Calc-Test_P_00001_RIGHT_CC")])
    assert [view.split for view in open_cbis_ddsm(tmp_path, abnormalities=("mass",)).views] == ["training"]


def test_a_mask_of_a_slightly_other_size_is_fitted_to_the_film(tmp_path: Path, images: Path) -> None:
    larger = square(20, 8, shape=(SHAPE[0] + 2, SHAPE[1] + 1))
    write(images / "Mass-Training_P_00001_LEFT_CC_1" / DATE / ROI / "1-1.dcm", secondary_capture(larger))
    dataset = opened(tmp_path)
    masks = dataset.masks(dataset.views[0])
    assert masks is not None
    assert masks[FindingKind.MALIGNANT].shape == SHAPE


def test_a_lesion_without_a_mask_of_the_films_size_is_refused(tmp_path: Path, images: Path) -> None:
    (images / "Mass-Training_P_00001_LEFT_CC_1" / DATE / ROI / "1-1.dcm").unlink()
    dataset = opened(tmp_path)
    with pytest.raises(UnsupportedMammogram, match="no mask of about 64 x 48"):
        dataset.masks(dataset.views[0])


def test_every_bad_row_is_listed(tmp_path: Path, images: Path) -> None:
    rows = [cbis_row(pathology="MAYBE"), cbis_row() | {"image view": "ML"}, cbis_row("Mass-Training_P_00009_LEFT_CC")]
    with pytest.raises(DatasetError) as caught:
        _ = opened(tmp_path, mass_train=rows).views
    found = [(problem.row, problem.column) for problem in caught.value.problems]
    assert found == [(2, "pathology"), (3, "image view"), (4, "ROI mask file path"), (4, "image file path")]


def test_rows_without_images_are_left_out_of_an_incomplete_copy(tmp_path: Path, images: Path) -> None:
    opened(tmp_path, mass_train=[cbis_row(), cbis_row("Mass-Training_P_00009_LEFT_CC")])
    assert len(open_cbis_ddsm(tmp_path, incomplete=True).views) == 1


def test_the_error_for_a_folder_without_tables_lists_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=MASS_TRAIN):
        _ = open_cbis_ddsm(tmp_path).views


def test_tables_may_lie_in_a_folder_of_their_own(tmp_path: Path, images: Path) -> None:
    (tmp_path / "csv").mkdir()
    opened(tmp_path / "csv")
    assert len(open_cbis_ddsm(tmp_path).views) == 1
