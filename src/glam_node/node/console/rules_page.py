"""The page that applies the rules to uploaded DICOM files and shows which rule decides; the files are not kept."""

import secrets
import threading
from dataclasses import asdict
from pathlib import Path, PurePath
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Any

from anyio import from_thread
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.bootstrap import rule_trial
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.sessions import form_token, is_form_token
from glam_node.node.workflow.assemble.rule_trial import RuleTrial, Tried, try_rules
from glam_node.rules.reference import EXAMPLES

COOKIE = "glam_node_rules"
MOST_FILES = 64
MOST_BYTES = 256 * 2**20
"""The largest size in bytes of one form with all its files."""
LONGEST_AE_TITLE = 16
_STALE = "This form has expired. Reload the page, and choose the files again."


class RulesPage:
    """The form and its outcome; one set of files is read at a time."""

    def __init__(self) -> None:
        self._reading = threading.Lock()

    def page(self, renderer: Renderer, request: Request) -> Response:
        """Show the rules in force and the form; if files were sent, also the outcome for them."""
        if request.method != "POST":
            return self._render(renderer, request, {})
        form = self._form(request)
        try:
            if not is_form_token(request.cookies.get(COOKIE, ""), str(form.get("form_token", ""))):
                raise HTTPException(403, _STALE)
            return self._render(renderer, request, self._tried(renderer, form))
        finally:
            from_thread.run(form.close)

    def _form(self, request: Request) -> FormData:
        """Return the uploaded form.

        Raises:
            HTTPException: The form has no length (411), is too large (413), or is not multipart/form-data (415).
        """
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise HTTPException(411, "The request must state the length of the form (Content-Length).")
        if int(length) > MOST_BYTES:
            raise HTTPException(
                413, f"The files are larger than {MOST_BYTES // 2**20} MB together. Choose fewer or smaller ones."
            )
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise HTTPException(415, "Files must be sent as multipart/form-data.")
        form: FormData = from_thread.run(lambda: _read(request))
        return form

    def _tried(self, renderer: Renderer, form: FormData) -> dict[str, Any]:
        files = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
        caller = str(form.get("calling_ae_title", "")).strip()[:LONGEST_AE_TITLE]
        if not files:
            return {"caller": caller, "trouble": "No file was chosen."}
        with self._reading, TemporaryDirectory() as directory:
            names = {path.name: _own_name(one) for one, path in _stored(files, Path(directory))}
            tried = try_rules(
                sorted(Path(directory).iterdir()), rule_trial(renderer.node.settings), caller, renderer.now()
            )
        return {"caller": caller, "tried": _with_own_names(tried, names)}

    def _render(self, renderer: Renderer, request: Request, found: dict[str, Any]) -> Response:
        token = request.cookies.get(COOKIE, "") or secrets.token_urlsafe(32)
        trial = rule_trial(renderer.node.settings)
        response = renderer.render(
            request,
            "rules",
            form_token=form_token(token),
            rules=[_described(trial, place) for place in range(len(trial.site))],
            modes=trial.modes,
            examples=EXAMPLES,
            most_files=MOST_FILES,
            most_megabytes=MOST_BYTES // 2**20,
            **found,
        )
        if COOKIE not in request.cookies:
            response.set_cookie(COOKIE, token, secure=request.url.scheme == "https", httponly=True, samesite="strict")
        return response


async def _read(request: Request) -> FormData:
    return await request.form(max_files=MOST_FILES, max_fields=4, max_part_size=4096)


def _stored(files: list[UploadFile], directory: Path) -> list[tuple[UploadFile, Path]]:
    """Store the files under safe names, since the uploaded names may be anything."""
    kept = []
    for number, one in enumerate(files):
        kept.append((one, directory / f"{number:03}"))
        with kept[-1][1].open("xb") as target:
            copyfileobj(one.file, target)
    return kept


def _own_name(one: UploadFile) -> str:
    return PurePath((one.filename or "").replace("\\", "/")).name


def _with_own_names(tried: Tried, names: dict[str, str]) -> dict[str, Any]:
    """Return the outcome with the uploaded names of the files."""
    shown = asdict(tried)
    for study in shown["studies"]:
        for image in study["images"]:
            image["file"] = names[image["file"]]
    shown["refused"] = [(names[file], reason) for file, reason in tried.refused]
    return shown


def _described(trial: RuleTrial, place: int) -> dict[str, str]:
    rule = trial.site[place]
    return {
        "name": rule.title,
        "when": str(rule.when),
        "then": "leave the image out" if rule.of_images else str(rule.action),
        "destinations": "all" if rule.destinations is None else ", ".join(rule.destinations),
    }
