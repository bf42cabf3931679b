"""Tests of the public surface of `inference`, with which a few lines read a DICOM file and show its findings."""

import inspect
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

import glam_node.inference as public
from glam_node.inference.errors import PackageMismatch
from glam_node.inference.loading import load_model, read_file, read_mammogram_file
from glam_node.inference.package import write_package
from glam_node.inference.phantom import make_view
from glam_node.inference.threshold import ThresholdPredictor, threshold_package
from tests.unit.inference.glam.tiny_package import tiny_package

SOURCES = Path(inspect.getfile(public)).parents[1]
NODE_LIBRARIES = {"celery", "kombu", "redis", "sqlalchemy", "alembic", "pynetdicom", "pydantic", "highdicom", "typer"}


def modules_after(program: str, directory: Path) -> set[str]:
    """Return the modules that are imported after `program` has run alone in `directory`."""
    told = "\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + told],
        cwd=directory,
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


def example() -> str:
    """Return the indented lines of the package's docstring."""
    lines = inspect.getsource(public).split('"""')[1].splitlines()
    return textwrap.dedent("\n".join(line for line in lines if line.startswith("    ") or not line))


@pytest.fixture
def view(tmp_path: Path) -> Path:
    """Write a phantom that is large enough for a plausible pixel spacing."""
    dataset = make_view(1, public.Laterality.LEFT, public.ViewPosition.CC, rows=1280, columns=960).dataset
    pydicom.dcmwrite(tmp_path / "view.dcm", dataset, enforce_file_format=True)
    return tmp_path / "view.dcm"


def package_without_positives(path: Path) -> Path:
    """Write a package whose operating points no image reaches; return its directory."""
    package = tiny_package(path)
    points = {kind: replace(point, image_score_threshold=1.0) for kind, point in package.operating_points.items()}
    write_package(replace(package, operating_points=points))
    return package.path


def test_the_example_has_five_lines() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) == 5


def test_the_readme_shows_the_same_example() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block.strip() == example().strip()


def test_the_example_shows_the_findings_of_a_file_and_imports_nothing_of_a_node(view: Path) -> None:
    imported = modules_after(example() + "\nassert image.failure is None", view.parent)
    assert "torch" in imported
    assert {name.partition(".")[0] for name in imported} & NODE_LIBRARIES == set()
    assert not any(name.startswith(("glam_node.node", "glam_node.settings")) for name in imported)


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    imported = modules_after("import glam_node.inference", tmp_path)
    assert {name for name in imported if name.startswith("glam_node")} == {"glam_node", "glam_node.inference"}
    assert imported & {"torch", "numpy", "pydicom", "cv2"} == set()


def test_reading_a_file_does_not_import_torch(view: Path) -> None:
    program = (
        "from glam_node.inference import read_mammogram_file as read; assert read('view.dcm').shape == (1280, 960)"
    )
    assert "torch" not in modules_after(program, view.parent)


def test_the_node_imports_from_the_defining_modules() -> None:
    sources = [path for folder in ("node", "settings") for path in (SOURCES / folder).rglob("*.py")]
    careless = [str(path) for path in sources if "from glam_node.inference import" in path.read_text(encoding="utf-8")]
    assert careless == []


@pytest.mark.parametrize("name", public.__all__)
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(public, name))


def test_a_private_name_raises_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        public.nothing  # noqa: B018
    assert dir(public) == sorted(public.__all__)


def test_a_model_is_chosen_by_the_architecture_of_its_package(tmp_path: Path) -> None:
    threshold_package(tmp_path / "threshold")
    assert isinstance(load_model(tmp_path / "threshold"), ThresholdPredictor)
    assert load_model(str(tiny_package(tmp_path / "glam").path), "cpu").algorithm.algorithm_name == "GLAM (UNTRAINED)"


def test_a_package_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    path = threshold_package(tmp_path).path / "package.toml"
    path.write_text(path.read_text().replace('architecture = "threshold"', 'architecture = "other"'))
    with pytest.raises(PackageMismatch, match="has the architecture other; known are glam and threshold"):
        load_model(tmp_path)


def test_a_file_may_be_given_as_text_or_path(view: Path) -> None:
    assert read_mammogram_file(str(view)).sop_instance_uid == read_mammogram_file(view).sop_instance_uid


def test_read_file_is_an_alias_of_read_mammogram_file() -> None:
    assert public.read_file is public.read_mammogram_file is read_file


def test_load_model_runs_the_model_with_the_options(view: Path, tmp_path: Path) -> None:
    mammogram, package = read_mammogram_file(view), package_without_positives(tmp_path)
    everything = public.RunOptions(segment=public.Segment.ALWAYS)
    (scored,) = load_model(package, "cpu").segment([mammogram])
    (segmented,) = load_model(package, "cpu", everything).segment([mammogram])
    assert scored.saliency is None
    assert segmented.saliency is not None


def test_load_model_measures_the_routes_when_the_options_ask_for_it(tmp_path: Path) -> None:
    record = tmp_path / "routes.json"
    options = public.RunOptions(runtime=public.Runtime.AUTO, route_record=record)
    load_model(package_without_positives(tmp_path), "cpu", options)
    assert not record.exists()
    load_model(package_without_positives(tmp_path), "cpu", replace(options, measure=public.Measure.ONCE))
    assert "measured_at" in record.read_text()
