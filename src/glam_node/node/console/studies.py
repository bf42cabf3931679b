"""The list of studies: what is looked for, a page at a time."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Screens
from glam_node.node.db import audit, conflicts, search, studies
from glam_node.node.db.search import Leaf, Place, Wanted
from glam_node.node.domain.eligibility import EligibilityRules
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.description import summary

SHOWN = 50
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the form, as they were typed."""

    uid: str = ""
    accession: str = ""
    state: str = ""
    rule: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, query: QueryParams) -> "Asked":
        """What an address asks for."""
        return cls(**{name: query.get(name, "").strip()[:LONGEST] for name in cls.__dataclass_fields__})

    @property
    def wanted(self) -> Wanted:
        """The same as the database understands it. Raises HTTPException for a day that is none."""
        until = _day(self.until, "Received until")
        return Wanted(
            self.uid,
            self.accession,
            self.state,
            self.rule,
            _day(self.since, "Received from"),
            None if until is None else until + timedelta(days=1),
        )

    def address(self, **place: str) -> str:
        """Of the page that shows this."""
        chosen = {name: value for name, value in (asdict(self) | place).items() if value}
        return f"/?{urlencode(chosen)}" if chosen else "/"


def page(screens: Screens, request: Request) -> Response:
    """The studies that are looked for; all of them where nothing is, those that received something last first."""
    asked = Asked.of(request.query_params)
    identities = may_see_identities(request)
    if not identities:
        asked = replace(asked, accession="")
    place = _place(request.query_params)
    with screens.sessions() as session:
        leaf = search.find(session, asked.wanted, place, SHOWN)
        rows = _rows(session, leaf, screens.node.submission_rules.eligibility)
        counts = {str(state): count for state, count in studies.counts_by_state(session).items()}
        found = search.count(session, asked.wanted, leaf)
        rules = search.rules(session)
        in_doubt = [doubt for doubt in conflicts.in_doubt(session) if doubt.is_grave]
    if identities:
        screens.looks.record(request, [study.study_instance_uid for study in leaf.studies])
    return screens.render(
        request,
        "studies",
        studies=rows,
        counts=counts,
        found=found,
        counted=search.COUNTED,
        asked=asked,
        identities=identities,
        states=[str(state) for state in StudyState],
        rules=rules,
        in_doubt=in_doubt,
        address=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        newer=_address(asked, leaf, newer=True) if leaf.has_newer else "",
        older=_address(asked, leaf, newer=False) if leaf.has_older else "",
    )


def may_see_identities(request: Request) -> bool:
    """Whether accession numbers and the like are shown to whoever asks."""
    return bool(request.state.visitor.may("see_patients"))


def _rows(session: Session, leaf: Leaf, rules: EligibilityRules) -> list[dict[str, Any]]:
    analysed = audit.newest_of_studies(session, "job_succeeded", [one.study_instance_uid for one in leaf.studies])
    return [
        {
            **summary(study, rules),
            "accession_number": study.attributes.accession_number,
            "scores": _scores(analysed.get(study.study_instance_uid)),
        }
        for study in leaf.studies
    ]


def _scores(event: audit.Event | None) -> dict[str, float]:
    """Of the last analysis; none where it analysed nothing, or was of a version that did not record them."""
    return {} if event is None else dict(event.detail.get("study_scores", {}))


def _address(asked: Asked, leaf: Leaf, *, newer: bool) -> str:
    """Of the page beside this one; of the first where nothing is left to be beside."""
    if not leaf.studies:
        return asked.address()
    edge = leaf.studies[0 if newer else -1]
    place = f"{edge.last_received_at.astimezone(UTC).isoformat()}~{edge.study_instance_uid}"
    return asked.address(**{"newer" if newer else "older": place})


def _place(query: QueryParams) -> Place | None:
    for name in ("newer", "older"):
        if query.get(name):
            at, _, uid = query[name].partition("~")
            try:
                return Place(datetime.fromisoformat(at).astimezone(UTC), uid, newer=name == "newer")
            except ValueError:
                raise HTTPException(400, f"{name} is no place in the list. Start at the first page: /") from None
    return None


def _day(text: str, field: str) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, f"{field} is {text!r}, which is no day. Write it as 2026-01-31.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
