"""The page of one study, its pictures and its results as a ZIP archive."""

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.inference.errors import InferenceError
from glam_node.node.console.hanging import hang
from glam_node.node.console.pictures import LARGE_HEIGHT, SHOWN_HEIGHT, edition, find_picture
from glam_node.node.console.rendering import Screens
from glam_node.node.console.studies import delivery_state, may_see_identities
from glam_node.node.console.timeline import steps
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.domain.study import Study
from glam_node.node.workflow.operate.study_description import describe

_NO_PICTURE = (
    "There is no picture of this image: it is not known to this node, its file was removed, or it cannot be decoded. "
    "The page of its study shows what happened to it."
)


def page(screens: Screens, request: Request) -> Response:
    """Show everything about one study.

    Raises:
        HTTPException: The study is not known (404), or its findings file cannot be read (500).
    """
    study = _study(screens, request.path_params["study_instance_uid"])
    try:
        described = describe(
            study, screens.node.submission_rules.eligibility, screens.sessions, screens.node.store.root
        )
    except InferenceError as error:
        raise HTTPException(500, f"The findings of study {study.study_instance_uid} cannot be read: {error}") from error
    if may_see_identities(request):
        screens.looks.record(request, [study.study_instance_uid])
    return screens.render(
        request,
        "study",
        study=described | {"delivery": delivery_state(Counter(one["state"] for one in described["deliveries"]))},
        places=hang(described),
        study_scores=_scores(described["timeline"]) if described["scores"] else {},
        steps=steps(described["timeline"], described["jobs"]),
        edition=_edition(screens, study.study_instance_uid),
        identity=study.attributes if may_see_identities(request) else None,
        has_segments=any(one["kind"] == "SEG" for one in described["deliveries"]),
    )


def view(screens: Screens, request: Request) -> Response:
    """Return one layer of one view as PNG.

    A browser may cache a picture whose address names the present edition, for as long as a session may be idle.

    Raises:
        HTTPException: There is no such picture (404).
    """
    uids = request.path_params["study_instance_uid"], request.path_params["sop_instance_uid"]
    height = LARGE_HEIGHT if "large" in request.query_params else SHOWN_HEIGHT
    picture = find_picture(screens.node, uids, request.path_params["layer"], height)
    if picture is None:
        raise HTTPException(404, _NO_PICTURE)
    seconds = int(screens.node.settings.console.idle_timeout)
    of = request.query_params.get("of")
    lasting = of is not None and of == _edition(screens, uids[0])
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


def results(screens: Screens, request: Request) -> Response:
    """Return the result objects of a study as a ZIP archive, after auditing the access.

    Raises:
        HTTPException: The visitor may not see patients (403), or the study or its files are not there (404).
    """
    if not may_see_identities(request):
        raise HTTPException(403, "Results name the patient. Downloading them requires an account with --identity.")
    study = _study(screens, request.path_params["study_instance_uid"])
    with screens.sessions() as session:
        paths = {one.path for one in deliveries.of_study(session, study.study_instance_uid)}
    files = [path for path in map(screens.node.store.resolve, sorted(paths)) if path.is_file()]
    if not files:
        raise HTTPException(404, "This study has no result files: none was made yet, or retention removed them.")
    screens.looks.record(request, [study.study_instance_uid], again=True)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in files:
            zipped.write(path, path.name)
    headers = {"Content-Disposition": f'attachment; filename="{study.study_instance_uid}.zip"'}
    return Response(archive.getvalue(), media_type="application/zip", headers=headers)


def _edition(screens: Screens, uid: str) -> str:
    with screens.sessions() as session:
        return edition(screens.node, jobs.of_study(session, uid), deliveries.of_study(session, uid))


def _scores(timeline: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the study's scores from the last analysis that recorded them; empty if none did."""
    analyses = [event["detail"] for event in timeline if event["event"] == "job_succeeded"]
    told = [detail["study_scores"] for detail in analyses if detail.get("study_scores")]
    return dict(told[-1]) if told else {}


def _study(screens: Screens, uid: str) -> Study:
    with screens.sessions() as session:
        study = studies.get(session, uid)
    if study is None:
        raise HTTPException(
            404,
            f"Study {uid[:64]} is not known to this node. Compare the UID with that in the PACS. If its images never "
            "arrived, look under Refusals for the sender.",
        )
    return study
