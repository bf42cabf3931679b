"""The check of `doctor` for rules that fetch prior exams: the source, the limit of the wait, and what became of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.domain.prior import SearchState
from glam_node.node.domain.words import counted
from glam_node.node.errors import NodeError
from glam_node.settings.rules import RuleSettings
from glam_node.settings.schema import Settings

PERIOD = timedelta(days=7)


def check_priors(settings: Settings) -> Iterator[Check]:
    """Check each rule that fetches prior exams, and say how often the time to wait was enough."""
    rules = {name: rule for name, rule in settings.rules.items() if rule.priors}
    if not rules:
        return
    for name, rule in rules.items():
        yield _check_rule(name, rule, settings)
    try:
        counts = _counts(settings)
    except NodeError:
        return  # The check of the database says why.
    done, late = counts.get(SearchState.DONE, 0), counts.get(SearchState.EXPIRED, 0)
    waiting = counts.get(SearchState.OPEN, 0)
    fact = f"in {PERIOD.days} days: {done} in time, {late} too late, {waiting} waiting"
    if late > done:
        remedy = (
            "`glam-node study show UID` says what was late. Raise priors_wait, or check the source and the workers."
        )
        yield Check("prior exams", Verdict.WARN, fact, remedy)
    else:
        yield Check("prior exams", Verdict.OK, fact)


def _check_rule(name: str, rule: RuleSettings, settings: Settings) -> Check:
    source = settings.sources[rule.priors_from]
    line = f"rules.{name}.priors"
    fact = (
        f"{counted(rule.priors, 'prior exam')} from sources.{rule.priors_from}, waiting {rule.priors_wait:g} s at most"
    )
    if "MG" not in source.modalities and source.modalities:
        fact = f"{fact}; mammograms are fetched although sources.{rule.priors_from}.modalities lacks MG"
    if source.timeout > rule.priors_wait:
        remedy = f"Set sources.{rule.priors_from}.timeout lower, or rules.{name}.priors_wait higher."
        why = f"one request to it may take {source.timeout:g} s (timeout)"
        return Check(line, Verdict.WARN, f"{fact}, but {why}", remedy)
    return Check(line, Verdict.OK, fact)


def _counts(settings: Settings) -> dict[SearchState, int]:
    from glam_node.node.bootstrap import database_trouble
    from glam_node.node.bootstrap.base_node import brief_sessions
    from glam_node.node.db import migrate, priors
    from glam_node.node.db.engine import database_url, reading

    url = database_url(settings.database_url, settings.storage.root)
    if url.startswith("sqlite") and not Path(url.partition("///")[2]).is_file():
        return {}
    with database_trouble(settings):
        if not migrate.is_current(url):
            return {}
    with brief_sessions(settings) as sessions, reading(sessions)() as session:
        return priors.counts_since(session, datetime.now(UTC) - PERIOD)
