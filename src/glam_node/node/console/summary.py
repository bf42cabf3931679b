"""The one-page summary of a study's results, to read and to print: the facts of the Encapsulated PDF."""

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.inference.errors import InferenceError
from glam_node.node.bootstrap import Node
from glam_node.node.console.pictures import edition
from glam_node.node.console.rendering import Renderer
from glam_node.node.console.studies import may_see_identities
from glam_node.node.db import deliveries, jobs, studies
from glam_node.node.db.engine import reading
from glam_node.node.errors import PermanentError
from glam_node.node.storage.findings import latest_findings, newest_analysis
from glam_node.node.workflow.analyse.source_images import read_sources

if TYPE_CHECKING:
    from glam_node.node.results.summary_page import SummaryPage

_NO_SUMMARY = (
    "There is no summary of this study: it was not analysed, it is not known to this node, or its files were removed. "
    "The page of the study shows what happened to it."
)


def page(renderer: Renderer, request: Request) -> Response:
    """Show the summary; with the patient, after auditing the access, if the visitor may see patients.

    Raises:
        HTTPException: There is no summary (404), or its findings file cannot be read (500).
    """
    uid = request.path_params["study_instance_uid"]
    try:
        facts = _facts(renderer.node, uid)
    except InferenceError as error:
        raise HTTPException(500, f"The findings of study {uid[:64]} cannot be read: {error}") from error
    except (PermanentError, OSError) as error:
        raise HTTPException(404, _NO_SUMMARY) from error
    if facts is None:
        raise HTTPException(404, _NO_SUMMARY)
    identities = may_see_identities(request)
    if identities:
        renderer.access_log.record(request, [uid], again=True)
    with renderer.sessions() as session:
        of = edition(renderer.node, jobs.of_study(session, uid), deliveries.of_study(session, uid))
    return renderer.render(request, "summary", study_instance_uid=uid, facts=facts, identities=identities, edition=of)


def _facts(node: Node, uid: str) -> "SummaryPage | None":
    """Return the facts from the newest analysis, or None if its findings or its images are not stored any more."""
    with reading(node.sessions)() as session:
        its_jobs = jobs.of_study(session, uid)
        job = newest_analysis(its_jobs)
        instances = [] if job is None else studies.find_instances(session, job.sop_instance_uids)
    findings = latest_findings(node.store.root, its_jobs)
    if job is None or findings is None or not instances:
        return None
    # The import loads highdicom, which takes as long as half of the console.
    from glam_node.node.results.sources import refuse_different_people
    from glam_node.node.results.summary_page import summary_page

    sources = read_sources(instances, node.store.resolve)
    refuse_different_people(sources.values())
    identity = node.inference.identity.at(job.created_at, job.settings_digest)
    return summary_page(findings, sources, identity, job.priors or ())
