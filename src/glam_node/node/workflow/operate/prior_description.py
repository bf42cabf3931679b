"""Descriptions of the prior exams of a study as plain data, for commands and pages."""

from typing import Any

from sqlalchemy.orm import Session

from glam_node.inference.findings import Findings
from glam_node.node.db import priors
from glam_node.node.domain.job import InferenceJob
from glam_node.node.domain.prior import PriorSearch
from glam_node.node.domain.words import date
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.storage.findings import newest_analysis


def describe_priors(
    session: Session, study_instance_uid: str, its_jobs: list[InferenceJob], findings: Findings | None
) -> dict[str, Any] | None:
    """Return what is known about the prior exams of a study; None if no rule asked for them.

    Args:
        session: Database session.
        study_instance_uid: The study.
        its_jobs: The jobs of the study, the newest first.
        findings: The findings of its newest analysis, if they are stored.
    """
    search = priors.find(session, study_instance_uid)
    if search is None:
        return None
    analysis = newest_analysis(its_jobs)
    exams = () if analysis is None else analysis.priors or ()
    sentences: list[str] = []
    if exams and findings is not None:
        # The import loads the dictionary of codes, which takes longer than the rest of a command.
        from glam_node.node.results.prior_exams import prior_sentences

        sentences = list(prior_sentences(exams, findings, ResultIdentity()))
    return describe_search(search) | {
        "exams": [one.as_json() for one in exams],
        "sentences": sentences,
    }


def describe_search(search: PriorSearch) -> dict[str, Any]:
    """Return the state of a search for prior exams."""
    return {
        "study_instance_uid": search.study_instance_uid,
        "rule": search.plan.rule,
        "source": search.plan.source,
        "wanted": search.plan.count,
        "state": str(search.state),
        "until": search.until,
        "outcome": search.outcome(),
        "found": [
            {
                "study_instance_uid": one.study_instance_uid,
                "study_date": date(one.study_date),
                "state": str(one.state),
                "failure": one.failure,
            }
            for one in search.priors
        ],
    }
