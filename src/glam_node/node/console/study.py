"""The page of one study, and its pictures."""

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.inference.errors import InferenceError
from glam_node.node.console.hanging import hang
from glam_node.node.console.pictures import LARGE_HEIGHT, SHOWN_HEIGHT, Draw, captioned, grey, picture, segments
from glam_node.node.console.rendering import Screens
from glam_node.node.console.studies import may_see_identities
from glam_node.node.console.timeline import steps
from glam_node.node.db import studies
from glam_node.node.domain.study import Study
from glam_node.node.workflow.description import describe

LAYERS: dict[str, Draw] = {"grey": grey, "segments": segments, "captioned": captioned}
"""What can be drawn of a view, by the name of its file."""


def page(screens: Screens, request: Request) -> Response:
    """All about one study."""
    study = _study(screens, request.path_params["study_instance_uid"])
    try:
        described = describe(study, screens.sessions, screens.node.store.root)
    except InferenceError as error:
        raise HTTPException(500, f"The findings of study {study.study_instance_uid} cannot be read: {error}") from error
    if may_see_identities(request):
        screens.looks.record(request, [study.study_instance_uid])
    return screens.render(
        request,
        "study",
        study=described,
        places=hang(described),
        study_scores=_scores(described["timeline"]) if described["scores"] else {},
        steps=steps(described["timeline"], described["jobs"]),
        identity=study.attributes if may_see_identities(request) else None,
        has_segments=any(one["kind"] == "SEG" for one in described["deliveries"]),
    )


def view(screens: Screens, request: Request) -> Response:
    """One layer of one of its views."""
    uids = request.path_params["study_instance_uid"], request.path_params["sop_instance_uid"]
    draw = LAYERS.get(request.path_params["layer"])
    height = LARGE_HEIGHT if "large" in request.query_params else SHOWN_HEIGHT
    png = picture(screens.node, uids, draw, height) if draw is not None else None
    if png is None:
        raise HTTPException(
            404,
            "There is no picture of this image: it is not on record, its files were removed, or it cannot be decoded. "
            "The page of its study says what happened to it.",
        )
    return Response(png, media_type="image/png")


def _scores(timeline: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of the study, by the last analysis; none where it was of a version that did not record them."""
    analyses = [event["detail"] for event in timeline if event["event"] == "job_succeeded"]
    told = [detail["study_scores"] for detail in analyses if detail.get("study_scores")]
    return dict(told[-1]) if told else {}


def _study(screens: Screens, uid: str) -> Study:
    with screens.sessions() as session:
        study = studies.get(session, uid)
    if study is None:
        raise HTTPException(
            404,
            f"Study {uid[:64]} is not on record here. Compare the UID with what the PACS sent; if its images never "
            "arrived, Refusals says whether somebody was not let in.",
        )
    return study
