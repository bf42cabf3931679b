"""Logs have one line per event, without patient data from any source."""

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from pydicom.dataset import Dataset

from glam_node.node.domain.instance import StudyAttributes
from glam_node.node.errors import TransientError
from glam_node.node.observe import logs

SECRET = "DOE"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Restore the logging configuration after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return the written lines, decoded from JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_line_with_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("glam_node.x").info("study_complete", study_instance_uid="1.2", instances=4)
    (line,) = lines(capsys)
    assert (line["event"], line["study_instance_uid"], line["instances"]) == ("study_complete", "1.2", 4)


def test_less_severe_events_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    structlog.get_logger("glam_node.x").info("study_complete")
    assert lines(capsys) == []


def test_bound_context_appears_in_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.contextvars.bind_contextvars(process="receiver")
    structlog.get_logger("glam_node.x").info("listening")
    assert lines(capsys)[0]["process"] == "receiver"


def person() -> Dataset:
    """Return a data set with the name of a patient."""
    dataset = Dataset()
    dataset.PatientName = SECRET
    return dataset


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize(
    "detail",
    [
        {"patient_name": SECRET},
        {"PatientName": SECRET},
        {"patient_id": SECRET},
        {"issuer_of_patient_id": SECRET},
        {"patient_birth_date": SECRET},
        {"other_patient_ids": [SECRET]},
        {"accession_number": SECRET},
        {"study_description": SECRET},
        {"referring_physician_name": SECRET},
        {"request": {"patient_id": SECRET}},
        {"requests": [{"patient_id": SECRET}]},
        {"dataset": person()},
        {"datasets": [person()]},
        {"attributes": StudyAttributes(patient_id=SECRET)},
        {"database_password": SECRET},
    ],
    ids=str,
)
def test_patients_are_not_written(
    detail: dict[str, object], format: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("debug", format)
    structlog.get_logger("glam_node.x").info("event", **detail)
    written = capsys.readouterr().err
    assert "event" in written
    assert SECRET not in written


@pytest.mark.parametrize("library", ["pynetdicom", "pynetdicom.assoc", "sqlalchemy.engine.Engine", "celery", "pydicom"])
def test_libraries_do_not_dump_their_data(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    logger = logging.getLogger(library)
    logger.setLevel(logging.DEBUG)
    logger.info("(0010,0010) PN [%s]", SECRET)
    logger.setLevel(logging.NOTSET)
    assert lines(capsys) == []


def test_a_warning_of_a_library_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("celery.worker").error("broker %s is away", "redis")
    assert lines(capsys)[0]["event"] == "broker redis is away"


@pytest.mark.filterwarnings("default")
def test_pydicom_warnings_do_not_show_the_invalid_value(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure("debug", "json")
        Dataset().PatientBirthDate = f"{SECRET}^JANE"
        logging.captureWarnings(False)
    assert lines(capsys) == []


def test_a_traceback_is_written_without_the_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    name = SECRET
    try:
        raise ValueError(len(name))
    except ValueError:
        structlog.get_logger("glam_node.x").exception("failed")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert SECRET not in written.replace("name = SECRET", "")


@pytest.mark.parametrize(
    "of_a_library", [ValueError(f"no date: {SECRET}"), OSError(f"cannot decode {SECRET}")], ids=repr
)
@pytest.mark.parametrize("written_as", ["console", "json"])
def test_a_traceback_has_no_message_of_a_library(
    written_as: logs.Format, of_a_library: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", written_as)
    try:
        try:
            raise of_a_library
        except (ValueError, OSError) as error:
            raise TransientError("The archive does not answer.") from error
    except TransientError:
        structlog.get_logger("glam_node.x").exception("failed")
    written = capsys.readouterr().err
    assert SECRET not in written
    assert written.index(type(of_a_library).__name__) < written.index("TransientError: The archive does not answer.")


def test_an_error_among_the_values_of_a_line_is_written_as_its_type(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.get_logger("glam_node.x").warning("failed", failure=ValueError(SECRET))
    assert lines(capsys)[0]["failure"] == "<ValueError>"


def test_a_secret_of_the_settings_is_masked_in_any_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json", {"hunter2000"})
    try:
        raise RuntimeError("http://u:hunter2000@host")
    except RuntimeError:
        structlog.get_logger("glam_node.x").exception("failed", failure="hunter2000")
    logging.getLogger("urllib3").warning("Retrying after http://host/hunter2000")
    assert "hunter2000" not in capsys.readouterr().err
