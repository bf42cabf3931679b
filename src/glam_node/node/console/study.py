"""The page of one study."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.pages import picture
from glam_node.node.console.rendering import Screens
from glam_node.node.db import studies
from glam_node.node.workflow.description import describe

_THUMBNAIL, _LARGE = 480, 1600


def page(screens: Screens, request: Request) -> Response:
    """All about one study."""
    uid = request.path_params["study_instance_uid"]
    with screens.sessions() as session:
        study = studies.get(session, uid)
    if study is None:
        raise HTTPException(
            404,
            f"Study {uid[:64]} is not on record here. Compare the UID with what the PACS sent; if its images never "
            "arrived, Refusals says whether somebody was not let in.",
        )
    described = describe(study, screens.sessions, screens.node.store.root)
    return screens.render(request, "study", study=described)


def view(screens: Screens, request: Request) -> Response:
    """One of its views with what was found on it."""
    uids = request.path_params["study_instance_uid"], request.path_params["sop_instance_uid"]
    png = picture(screens.node, *uids, _LARGE if "large" in request.query_params else _THUMBNAIL)
    if png is None:
        raise HTTPException(404, "There is no picture of this image.")
    return Response(png, media_type="image/png")
