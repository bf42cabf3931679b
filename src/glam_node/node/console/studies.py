"""The list of studies: the search form, its pages, and the download as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from glam_node.node.console.rendering import Renderer
from glam_node.node.console.sessions import page_address
from glam_node.node.db import audit, conflicts, search, studies
from glam_node.node.db.search import Attention, SortKey, StudyFilter, StudyPage, StudyPosition
from glam_node.node.domain.delivery import DeliveryState
from glam_node.node.domain.eligibility import EligibilityPolicy
from glam_node.node.domain.event import Event, EventKind
from glam_node.node.domain.study import StudyState
from glam_node.node.workflow.operate.study_description import summary

SHOWN = 50
LONGEST = 64
ATTENTION = {
    Attention.GIVEN_UP: "given up",
    Attention.NOT_DELIVERED: "not delivered yet",
    Attention.HELD: "held",
    Attention.SET_ASIDE: "set aside",
}
"""The name of each reason to look at a study."""
ORDERS = {
    "": "newest first",
    "oldest": "oldest first",
    "state": "by state",
    "-state": "by state, last first",
    "patient": "by Patient ID",
    "-patient": "by Patient ID, last first",
    "-study_date": "by study date, newest first",
    "study_date": "by study date, oldest first",
}
"""The name of each order of the list."""
OF_IDENTITIES = frozenset({SortKey.PATIENT_ID, SortKey.STUDY_DATE})
"""Orders that reveal data of patients; only visitors who may see patients can use them."""
MOST_ROWS = 10_000
"""The largest number of studies in a downloaded table."""
_WORST_FIRST = (
    DeliveryState.ABANDONED,
    DeliveryState.PENDING,
    DeliveryState.STORED,
    DeliveryState.COMMITTED,
    DeliveryState.WITHHELD,
)
_ABOUT = ("study_instance_uid", "state", "delivery", "standing", "rule", "reason")
_COLUMNS = (*_ABOUT, "views", "incomplete", "instance_count")
_TIMES = ("first_received_at", "last_received_at")
_IDENTITY = ("patient_id", "accession_number", "study_date")


@dataclass(frozen=True, slots=True)
class SearchForm:
    """The fields of the search form, as they were typed."""

    uid: str = ""
    accession: str = ""
    state: str = ""
    rule: str = ""
    since: str = ""
    until: str = ""
    attention: str = ""
    patient: str = ""
    study_date: str = ""
    order: str = ""

    @classmethod
    def of(cls, query: QueryParams, *, identities: bool) -> "SearchForm":
        """Return the fields of a query, without those on identities unless `identities` is set."""
        form = cls(**{name: query.get(name, "").strip()[:LONGEST] for name in cls.__dataclass_fields__})
        if identities:
            return form
        order = "" if form.sort_key in OF_IDENTITIES else form.order
        return replace(form, accession="", patient="", study_date="", order=order)

    @property
    def oldest_first(self) -> bool:
        """Whether the smallest sort key comes first; the default sort key is the time of the last image."""
        return self.order == "oldest" or (self.sort_key is not SortKey.RECEIVED and self.order == self.sort_key)

    @property
    def sort_key(self) -> SortKey:
        """The column by which the list is sorted; an unknown order sorts by the time of the last image."""
        return next((key for key in SortKey if key == self.order.removeprefix("-")), SortKey.RECEIVED)

    def turned(self, name: str) -> str:
        """Return the address of the list sorted by the column, reversed if that column already sorts the list."""
        ascending, descending = ("oldest", "") if name == SortKey.RECEIVED else (name, f"-{name}")
        if self.sort_key != name:
            return replace(self, order="" if name == SortKey.RECEIVED else ascending).address()
        return replace(self, order=descending if self.oldest_first else ascending).address()

    def sorted_by(self, name: str) -> str:
        """Return the value of aria-sort for the column; empty if the list is sorted by another column."""
        if self.sort_key != name:
            return ""
        return "ascending" if self.oldest_first else "descending"

    @property
    def searches(self) -> bool:
        """Whether any condition is set."""
        return replace(self, order="") != SearchForm()

    @property
    def wanted(self) -> StudyFilter:
        """The conditions for the database; a value that is not allowed raises HTTPException (400)."""
        until = _day(self.until, "Received until")
        study_date = _day(self.study_date, "Study date")
        return StudyFilter(
            self.uid,
            self.accession,
            self.state,
            self.rule,
            _day(self.since, "Received from"),
            None if until is None else until + timedelta(days=1),
            _attention(self.attention),
            self.patient,
            "" if study_date is None else f"{study_date:%Y%m%d}",
        )

    def address(self, *, path: str = "/", **place: str) -> str:
        """Return the address of the list with these fields, or the address of `path` with these fields."""
        chosen = {name: value for name, value in (asdict(self) | place).items() if value}
        return f"{path}?{urlencode(chosen)}" if chosen else path


def page(renderer: Renderer, request: Request) -> Response:
    """Show one page of the studies that match the search; by default all, the latest received first."""
    identities = may_see_identities(request)
    form = SearchForm.of(request.query_params, identities=identities)
    place = _place(request.query_params)
    with renderer.sessions() as session:
        leaf = _found(session, form, place, SHOWN)
        rows = _rows(session, leaf, renderer.node.submission_policy.eligibility)
        attention = search.attention_counts(session)
        counts = {str(state): count for state, count in studies.counts_by_state(session).items()}
        found = search.count(session, form.wanted, leaf)
        rules = search.rules(session)
        in_doubt = [doubt for doubt in conflicts.in_doubt(session) if doubt.is_grave]
    if identities:
        renderer.access_log.record(request, [study.study_instance_uid for study in leaf.studies])
    return renderer.render(
        request,
        "studies",
        studies=rows,
        counts=counts,
        found=found,
        counted=search.COUNTED,
        form=form,
        identities=identities,
        states=[str(state) for state in StudyState],
        rules=rules,
        in_doubt=in_doubt,
        attention=[_link(form, one, count) for one, count in attention.items()],
        reasons=ATTENTION,
        orders={key: name for key, name in ORDERS.items() if identities or key.removeprefix("-") not in OF_IDENTITIES},
        pager=_pager(form),
        address=page_address(request),
        newer=_neighbour_address(form, leaf, newer=True) if leaf.has_newer else "",
        older=_neighbour_address(form, leaf, newer=False) if leaf.has_older else "",
        download=form.address(path="/studies.csv"),
    )


def table(renderer: Renderer, request: Request) -> Response:
    """Return all pages of the list as CSV, with identities only for visitors who may see them."""
    identities = may_see_identities(request)
    form = SearchForm.of(request.query_params, identities=identities)
    with renderer.sessions() as session:
        leaf = _found(session, form, None, MOST_ROWS)
        rows = _rows(session, leaf, renderer.node.submission_policy.eligibility)
    if identities:
        renderer.access_log.record(request, [study.study_instance_uid for study in leaf.studies])
    text = io.StringIO()
    writer = csv.writer(text)
    shown = (*_COLUMNS, *(_IDENTITY if identities else ()))
    writer.writerow([*shown, "malignant_score", "benign_score", *_TIMES])
    for study, row in zip(leaf.studies, rows, strict=True):
        row = row | asdict(study.attributes)
        scores = [row["scores"].get(kind, "") for kind in ("malignant", "benign")]
        cells = [*(row[name] for name in shown), *scores, *(row[name].isoformat() for name in _TIMES)]
        writer.writerow([_harmless(cell) for cell in cells])
    headers = {"Content-Disposition": 'attachment; filename="studies.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _found(session: Session, form: SearchForm, place: StudyPosition | None, limit: int) -> StudyPage:
    first = form.oldest_first
    return search.find(session, form.wanted, place, limit, oldest_first=first, sort_key=form.sort_key)


def _harmless(cell: object) -> object:
    """Return the cell; text that a spreadsheet would treat as a formula is quoted."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def may_see_identities(request: Request) -> bool:
    """Return whether the visitor may see identities, such as accession numbers."""
    return bool(request.state.visitor.may("see_patients"))


def _link(form: SearchForm, attention: Attention, count: int) -> dict[str, str]:
    """Return name, number and address of the studies that need attention for one reason."""
    number = f"more than {search.COUNTED}" if count > search.COUNTED else str(count)
    address = SearchForm(attention=attention, order=form.order).address()
    return {"reason": attention, "text": f"{number} {ATTENTION[attention]}", "address": address}


def _rows(session: Session, leaf: StudyPage, policy: EligibilityPolicy) -> list[dict[str, Any]]:
    uids = [one.study_instance_uid for one in leaf.studies]
    analysed = audit.newest_of_studies(session, EventKind.JOB_SUCCEEDED, uids)
    sent = search.delivery_counts(session, uids)
    return [
        {
            **summary(study, policy, analysed.get(study.study_instance_uid)),
            "accession_number": study.attributes.accession_number,
            "scores": _scores(analysed.get(study.study_instance_uid)),
            "delivery": delivery_state(sent.get(study.study_instance_uid, Counter())),
        }
        for study in leaf.studies
    ]


def delivery_state(counts: Mapping[DeliveryState, int]) -> str:
    """Return the worst state of all results of a study; empty if there are no results."""
    for state in _WORST_FIRST:
        if counts.get(state):
            return str(state)
    return ""


def _scores(event: Event | None) -> dict[str, float]:
    """Return the scores of the last analysis; empty if it analysed nothing or an older version did not record them."""
    return {} if event is None else dict(event.detail.get("study_scores", {}))


def _neighbour_address(form: SearchForm, leaf: StudyPage, *, newer: bool) -> str:
    """Return the address of the newer or older page; of the first page if this one is empty."""
    if not leaf.studies:
        return form.address()
    edge = leaf.studies[0 if newer != form.oldest_first else -1]
    place = f"{edge.last_received_at.astimezone(UTC).isoformat()}~{edge.study_instance_uid}"
    return form.address(**{"newer" if newer else "older": place})


def _pager(form: SearchForm) -> dict[str, str]:
    """Return the texts of the links to other pages: "Newer" and "Older", or in other orders "Next" and "Previous"."""
    if form.sort_key is SortKey.RECEIVED:
        return {"newer": "Newer", "older": "Older"}
    forward, back = ("newer", "older") if form.oldest_first else ("older", "newer")
    return {forward: "Next", back: "Previous"}


def _place(query: QueryParams) -> StudyPosition | None:
    for name in ("newer", "older"):
        if query.get(name):
            at, _, uid = query[name].partition("~")
            try:
                return StudyPosition(datetime.fromisoformat(at).astimezone(UTC), uid, newer=name == "newer")
            except ValueError:
                raise HTTPException(400, f"{name} is not a position in the list. Start at the first page: /") from None
    return None


def _attention(name: str) -> Attention | None:
    if not name:
        return None
    try:
        return Attention(name)
    except ValueError:
        raise HTTPException(400, f"attention is {name!r}. Choose one of: {', '.join(Attention)}.") from None


def _day(text: str, field: str) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, f"{field} is {text!r}, which is not a date. Write it as 2026-01-31.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
