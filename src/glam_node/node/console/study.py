"""The page of one study, its pictures, its results as a ZIP archive, and its patient."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.inference.errors import InferenceError
from glam_node.node.bootstrap import Node
from glam_node.node.console.authentication import Fields
from glam_node.node.console.pictures import LARGE_HEIGHT, SHOWN_HEIGHT, edition, find_picture
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.studies import delivery_state, may_see_identities
from glam_node.node.console.timeline import steps
from glam_node.node.console.zip_stream import ZipResponse
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.domain.account import Right
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.study import Study
from glam_node.node.storage.identity import Identity, read_identity
from glam_node.node.workflow.operate.study_description import describe

_NO_PICTURE = (
    "There is no picture of this image: it is not known to this node, its file was removed, or it cannot be decoded. "
    "The page of its study shows what happened to it."
)

PLACES = ("R CC", "L CC", "R MLO", "L MLO")
"""The places, row by row. The right breast is on the left, as if the patient faced the reader; chest walls meet."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the four places with its images; retakes of a view share a place."""

    view: str
    images: Sequence[dict[str, Any]]


def page(renderer: Renderer, request: Request) -> Response:
    """Show everything about one study.

    Raises:
        HTTPException: The study is not known (404), or its findings file cannot be read (500).
    """
    study = _study(renderer, request.path_params["study_instance_uid"])
    try:
        described = describe(
            study, renderer.node.submission_policy.eligibility, renderer.sessions, renderer.node.store.root
        )
    except InferenceError as error:
        raise HTTPException(500, f"The findings of study {study.study_instance_uid} cannot be read: {error}") from error
    if may_see_identities(request):
        renderer.access_log.record(request, [study.study_instance_uid])
    return renderer.render(
        request,
        "study",
        study=described | {"delivery": delivery_state(Counter(one["state"] for one in described["deliveries"]))},
        places=arrange(described),
        study_scores=_scores(described["timeline"]) if described["scores"] else {},
        steps=steps(described["timeline"], described["jobs"]),
        edition=_edition(renderer, study.study_instance_uid),
        identity=study.attributes if may_see_identities(request) else None,
        has_segments=any(one["kind"] == "SEG" for one in described["deliveries"]),
    )


def view(renderer: Renderer, request: Request) -> Response:
    """Return one layer of one view as PNG.

    A browser may cache a picture whose address names the current edition, for as long as a session may be idle.

    Raises:
        HTTPException: There is no such picture (404).
    """
    uids = request.path_params["study_instance_uid"], request.path_params["sop_instance_uid"]
    height = LARGE_HEIGHT if "large" in request.query_params else SHOWN_HEIGHT
    picture = find_picture(renderer.node, uids, request.path_params["layer"], height)
    if picture is None:
        raise HTTPException(404, _NO_PICTURE)
    seconds = int(renderer.node.settings.console.idle_timeout)
    of = request.query_params.get("of")
    lasting = of is not None and of == _edition(renderer, uids[0])
    headers = {
        "ETag": f'"{picture.etag}"',
        "Cache-Control": f"private, max-age={seconds}" if lasting else "private, no-cache",
        "Vary": "Cookie",
    }
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    png = picture.png()
    if png is None:
        raise HTTPException(404, _NO_PICTURE)
    return Response(png, media_type="image/png", headers=headers)


def results(renderer: Renderer, request: Request) -> Response:
    """Return the result objects of a study as a ZIP archive, after auditing the access.

    Raises:
        HTTPException: The visitor may not see patients (403), or the study or its files do not exist (404).
    """
    request.state.visitor.require(Right.SEE_PATIENTS)
    study = _study(renderer, request.path_params["study_instance_uid"])
    with renderer.sessions() as session:
        paths = {one.path for one in deliveries.of_study(session, study.study_instance_uid)}
    files = [path for path in map(renderer.node.store.resolve, sorted(paths)) if path.is_file()]
    if not files:
        raise HTTPException(404, "This study has no result files: none was made yet, or retention removed them.")
    renderer.access_log.record(request, [study.study_instance_uid], again=True)
    return ZipResponse(files, f"{study.study_instance_uid}.zip")


def patient(renderer: Renderer, request: Request, _: Fields) -> Response:
    """Audit the access, and show the patient's name, IDs and birth date.

    Raises:
        HTTPException: The study is not known (404).
    """
    study = _study(renderer, request.path_params["study_instance_uid"])
    identity = _identity(renderer.node, study)
    renderer.access_log.record(request, [study.study_instance_uid], again=True)
    return renderer.render(request, "patient", study=study, identity=identity)


def _edition(renderer: Renderer, uid: str) -> str:
    with renderer.sessions() as session:
        return edition(renderer.node, jobs.of_study(session, uid), deliveries.of_study(session, uid))


def _scores(timeline: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the study's scores from the last analysis that recorded them; empty if none did."""
    analyses = [event["detail"] for event in timeline if event["event"] == EventKind.JOB_SUCCEEDED]
    recorded = [detail["study_scores"] for detail in analyses if detail.get("study_scores")]
    return dict(recorded[-1]) if recorded else {}


def _study(renderer: Renderer, uid: str) -> Study:
    with renderer.sessions() as session:
        study = studies.get(session, uid)
    if study is None:
        raise HTTPException(
            404,
            f"Study {uid[:64]} is not known to this node. Compare the UID with that in the PACS. If its images never "
            "arrived, look under Refusals for the sender.",
        )
    return study


def arrange(described: dict[str, Any]) -> list[Place]:
    """Arrange the analysed images with their scores; if none was analysed, all images that are not excluded."""
    analysed = {image["sop_instance_uid"]: image for image in described["scores"]}
    chosen = [
        {**instance, **analysed.get(instance["sop_instance_uid"], {}), "analysed": bool(analysed)}
        for instance in described["instances"]
        if (instance["sop_instance_uid"] in analysed if analysed else not instance["excluded"])
    ]
    return [Place(view, [image for image in chosen if image["view"] == view]) for view in PLACES]


def _identity(node: Node, study: Study) -> Identity:
    """Return the identity from the first readable image, or, if no file is left, from the database."""
    for instance in study.instances:
        try:
            return read_identity(node.store.resolve(instance.path))
        except OSError:
            continue
    kept = study.attributes
    return Identity(patient_id=kept.patient_id, accession_number=kept.accession_number, study_date=kept.study_date)
