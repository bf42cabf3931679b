"""The study of a canary: its images, the analysis of them, and their removal."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pydicom

from glam_node.inference.canary_exam import places_of_lesions
from glam_node.inference.findings import FindingKind, Findings, ImageFindings
from glam_node.node.db import canary
from glam_node.node.db.engine import SessionFactory
from glam_node.node.domain.canary import FOLDER, PATIENT_ID, CanaryRun, Observation
from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.errors import TransientError
from glam_node.node.results.identity import view_name
from glam_node.node.storage.findings import findings_path
from glam_node.node.storage.instances import InstanceStore
from glam_node.node.storage.pictures import DrawnPictures

OUTGOING = "outgoing"
MAKING_TIMEOUT_S = 600.0

Boxes = Mapping[str, tuple[int, int, int, int]]


def templates(root: Path) -> tuple[Path, Boxes]:
    """Return the directory with the images of every canary, and the places of their lesions; make them if needed.

    Raises:
        TransientError: They cannot be made.
    """
    folder = root / FOLDER
    boxes = places_of_lesions(folder)
    if boxes is None:
        command = (sys.executable, "-m", "glam_node.inference.canary_exam", str(folder))
        try:
            subprocess.run(command, check=True, timeout=MAKING_TIMEOUT_S, capture_output=True, stdin=subprocess.DEVNULL)
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise TransientError(f"The images of the canary cannot be made in {folder}: {lines[-1]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TransientError(f"The images of the canary cannot be made in {folder}: {error}") from error
        boxes = places_of_lesions(folder) or {}
    return folder, boxes


def make_images(run: CanaryRun, root: Path, issuer_of_patient_id: str) -> list[OutgoingInstance]:
    """Write the images of a canary, the same bytes whenever it is sent, and return them.

    Raises:
        TransientError: They cannot be made.
    """
    folder, _ = templates(root)
    out = folder / OUTGOING
    try:
        out.mkdir(mode=0o700, exist_ok=True)
        return [_image(run, path, out / path.name, issuer_of_patient_id) for path in sorted(folder.glob("*.dcm"))]
    except OSError as error:
        raise TransientError(f"The images of the canary cannot be written to {out}: {error.strerror}") from error


def remove_images(root: Path) -> None:
    """Remove the images that were written to be sent."""
    shutil.rmtree(root / FOLDER / OUTGOING, ignore_errors=True)


def _image(run: CanaryRun, template: Path, path: Path, issuer_of_patient_id: str) -> OutgoingInstance:
    image = pydicom.dcmread(template)
    at = run.requested_at.astimezone()
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        setattr(image, keyword, _uid(run.study_instance_uid, f"{template.stem}/{keyword}"))
    image.StudyInstanceUID = run.study_instance_uid
    image.PatientID, image.IssuerOfPatientID = PATIENT_ID, issuer_of_patient_id
    image.PatientName, image.AccessionNumber = "CANARY^GLAM-NODE", ""
    image.StudyDescription = "Canary of glam-node (phantom)"
    for event in ("Study", "Series", "Acquisition", "Content"):
        setattr(image, f"{event}Date", f"{at:%Y%m%d}")
        setattr(image, f"{event}Time", f"{at:%H%M%S}")
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(path, enforce_file_format=True)
    syntax = str(image.file_meta.TransferSyntaxUID)
    return OutgoingInstance(str(image.SOPClassUID), str(image.SOPInstanceUID), syntax, path.absolute())


def _uid(study_instance_uid: str, role: str) -> str:
    return f"2.25.{uuid5(NAMESPACE_OID, f'{study_instance_uid}/{role}').int}"


def observe(findings: Findings, boxes: Boxes) -> Observation:
    """Return the scores of the views, and the lesions that are outlined where they are planted."""
    algorithm = findings.algorithm
    scores = {view_name(image): _scores(image) for image in findings.images}
    found = [
        f"{view_name(image)} {kind}"
        for image in findings.images
        for kind in FindingKind
        if (box := boxes.get(f"{view_name(image)} {kind}")) is not None and _outlines(image, box)
    ]
    name = f"{algorithm.algorithm_name} {algorithm.algorithm_version} {algorithm.weights_sha256}"
    return Observation(name, scores, tuple(found))


def _scores(image: ImageFindings) -> dict[str, float]:
    stated = {FindingKind.BENIGN: image.benign_score, FindingKind.MALIGNANT: image.malignant_score}
    return {str(kind): round(float(score), 6) for kind, score in stated.items() if score is not None}


def _outlines(image: ImageFindings, box: tuple[int, int, int, int]) -> bool:
    first_row, first_column, last_row, last_column = box
    masks = (finding.full_mask(image.shape) for finding in image.findings)
    return any(bool(mask[first_row:last_row, first_column:last_column].any()) for mask in masks)


def remove_study(run: CanaryRun, sessions: SessionFactory, store: InstanceStore, remark: str) -> None:
    """Remove the records and the files of a canary's study; its events stay.

    The canary has a study until its last file is gone, so that a removal that is interrupted is done again.

    Raises:
        TransientError: The storage root is away.
        OSError: The disk failed.
    """
    store.require()
    uid, remark = run.study_instance_uid, remark or run.remark
    with sessions.begin() as session:
        # Once their jobs are deleted, nothing says which findings are the canary's.
        for job_id in canary.delete_study(session, run, remark):
            findings_path(store.root, job_id).unlink(missing_ok=True)
    for kind in ("instances", "results"):
        shutil.rmtree(store.root / kind / uid, ignore_errors=True)
    for path in (store.root / "conflicts").glob("*.dcm"):
        if path.name.partition("-")[0] in {_uid(uid, f"{name}/SOPInstanceUID") for name in _names(store.root)}:
            path.unlink(missing_ok=True)
    DrawnPictures(store.root).remove_study(uid)
    with sessions.begin() as session:
        canary.set_absent(session, run, remark)


def _names(root: Path) -> list[str]:
    return [path.stem for path in (root / FOLDER).glob("*.dcm")]
