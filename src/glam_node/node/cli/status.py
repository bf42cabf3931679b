"""The command `glam-node status`, which shows the work that waits and the work that needs a person."""

import textwrap
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    command_settings,
    print_json,
    reading_sessions,
)
from glam_node.node.domain.event import EventKind
from glam_node.node.domain.words import counted

if TYPE_CHECKING:
    from glam_node.node.db.engine import SessionFactory
    from glam_node.node.domain.canary import CanaryRun
    from glam_node.node.domain.event import Event
    from glam_node.settings.schema import Settings

REFUSALS = (
    *(EventKind.ASSOCIATION_REJECTED, EventKind.ASSOCIATION_ABORTED, EventKind.INSTANCE_REFUSED),
    EventKind.MESSAGE_REFUSED,
)
REFUSED_SHOWN, LOOKED_AT = 5, 100
"""Number of refusals of each kind to show, and number of the newest events to search for them."""
GIVEN_UP_SHOWN = LATE_SHOWN = 5
IN_DOUBT_SHOWN = INCOMPLETE_SHOWN = HELD_SHOWN = 20
ANALYSES = 1000
"""Number of the newest analyses to search for views that were not analysed."""


def status(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Show what is waiting and what needs a person. Exit with 1 if something was given up or is in doubt."""
    configured = command_settings(ctx, settings)
    state = _state(reading_sessions(ctx, configured), configured)
    if as_json:
        print_json(state)
    else:
        _print(state)
    given_up = state["jobs"].get("FAILED") or any(row.get("ABANDONED") for row in state["destinations"].values())
    if given_up or any(doubt["is_grave"] for doubt in state["in_doubt"]):
        raise typer.Exit(EXIT_FINDING)


def _state(sessions: "SessionFactory", settings: "Settings") -> dict[str, Any]:
    from glam_node.node.db import (
        audit,
        backlog,
        canary,
        conflicts,
        deliveries,
        imaging_orders,
        jobs,
        priors,
        standing,
        studies,
    )
    from glam_node.node.db.destinations import calls
    from glam_node.node.domain.alert import LEFT_OUT_WITHIN, REMEDIES
    from glam_node.node.domain.delivery import DeliveryState

    since = datetime.now(UTC) - LEFT_OUT_WITHIN
    with sessions() as session:
        destinations: dict[str, dict[str, Any]] = {name: {} for name in settings.destinations}
        for (name, delivery_state), count in deliveries.counts(session).items():
            destinations.setdefault(name, {})[str(delivery_state)] = count
        for name, pending in backlog.pending_deliveries(session).items():
            destinations[name]["oldest_pending_at"] = pending.oldest
        for name, call in calls(session).items():
            if name in destinations and (call.attempt or destinations[name].get(DeliveryState.ABANDONED)):
                destinations[name]["last_failure"] = call.failure
        return {
            "studies": {str(state): count for state, count in studies.counts_by_state(session).items()},
            "jobs": {str(state): count for state, count in jobs.counts_by_state(session).items()},
            "oldest_unfinished_job_at": backlog.oldest_unfinished_job(session),
            "destinations": destinations,
            "held": standing.held(session),
            "orders": imaging_orders.counts(session),
            "orders_given_up": [one.failure for one in imaging_orders.given_up(session, GIVEN_UP_SHOWN)],
            "priors": {
                "waiting": priors.count_open(session),
                "late": {one.study_instance_uid: one.awaited for one in priors.late_since(session, since)},
            },
            "left_out": backlog.left_out(session, REMEDIES, since),
            "incomplete": _incomplete(audit.recent(session, EventKind.JOB_SUCCEEDED, ANALYSES)),
            "in_doubt": [{**asdict(one), "is_grave": one.is_grave} for one in conflicts.in_doubt(session)],
            "canary": _canary(canary.last_judged(session), canary.unfinished(session)),
            "refused": {event: _refused(audit.recent(session, event, LOOKED_AT), settings) for event in REFUSALS},
        }


def _canary(judged: "CanaryRun | None", unfinished: "CanaryRun | None") -> dict[str, Any]:
    """Return the last verdict about a canary, and the state of the one under way."""
    state: dict[str, Any] = {"under_way": str(unfinished.state) if unfinished is not None else ""}
    if judged is None:
        return state
    stated = {key: getattr(judged, key) for key in ("finished_at", "failure", "remark", "seconds", "present")}
    return {**state, "verdict": str(judged.state), "study_instance_uid": judged.study_instance_uid, **stated}


def _incomplete(analyses: "list[Event]") -> dict[str, str]:
    """Return how many views the latest analysis of each study of the last day lacks, by Study Instance UID."""
    from glam_node.node.domain.alert import LEFT_OUT_WITHIN
    from glam_node.node.workflow.operate.study_description import incomplete

    since = datetime.now(UTC) - LEFT_OUT_WITHIN
    latest = {event.study_instance_uid: event for event in reversed(analyses) if event.at >= since}
    return {uid: lacks for uid, event in latest.items() if (lacks := incomplete(event))}


def _refused(events: "list[Event]", settings: "Settings") -> list[dict[str, Any]]:
    """Return the newest refusals, without those of peers that the current settings admit."""
    from glam_node.node.scp.access import is_settled

    open_ones = [event for event in events if not is_settled(event.detail, settings.node, settings.peers)]
    return [{"at": event.at, **event.detail} for event in open_ones[:REFUSED_SHOWN]]


def _print(state: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    typer.echo(f"studies       {_counts(state['studies'])}")
    waiting = state["oldest_unfinished_job_at"]
    typer.echo(f"jobs          {_counts(state['jobs'])}{_since(waiting, now)}")
    for name, row in state["destinations"].items():
        counts = {key: value for key, value in row.items() if isinstance(value, int)}
        typer.echo(f"destinations.{name}  {_counts(counts)}{_since(row.get('oldest_pending_at'), now)}")
        if row.get("last_failure"):
            typer.echo(f"    last delivery failed: {row['last_failure']}")
    _print_canary(state["canary"])
    _print_orders(state["orders"], state["orders_given_up"])
    _print_priors(state["priors"])
    _print_held(state["held"])
    _print_left_out(state["left_out"])
    _print_incomplete(state["incomplete"])
    _print_in_doubt(state["in_doubt"])
    for event, refusals in state["refused"].items():
        for refused in refusals:
            _print_refused(event, refused)


def _print_canary(canary: dict[str, Any]) -> None:
    """Print the canary under way and the last verdict about one; nothing if there was none."""
    if canary["under_way"]:
        typer.echo(f"canary        under way ({canary['under_way']})")
    if "verdict" not in canary:
        return
    took = "" if canary["seconds"] is None else f", {canary['seconds']:.1f} s from the last C-STORE to the last result"
    typer.echo(f"canary        {canary['verdict']} at {canary['finished_at']:%Y-%m-%d %H:%M:%S} UTC{took}")
    if canary["failure"]:
        steps = f" `glam-node study show {canary['study_instance_uid']}` shows its steps." if canary["present"] else ""
        typer.echo(f"    {canary['failure']}{steps}")
    if canary["remark"]:
        typer.echo(f"    {canary['remark']}")


def _print_orders(counts: dict[str, int], given_up: list[str]) -> None:
    """Print the orders by the state of fetching, and why the studies of some were not fetched."""
    if counts:
        typer.echo(f"orders  {_counts(counts)}")
    for failure in dict.fromkeys(given_up):
        typer.echo(f"    not fetched: {failure}")
    if given_up:
        typer.echo(
            "    what to do: `glam-node archive fetch SOURCE --accession NUMBER` fetches one; a new message of the RIS"
        )
        typer.echo(
            "    about the order (NW or XO) makes the node look again. The console's page Queue lists the orders."
        )


def _print_priors(priors: dict[str, Any]) -> None:
    """Print how many studies wait for prior exams, and why those of others came too late in the last day."""
    if priors["waiting"]:
        typer.echo(f"prior exams  {counted(priors['waiting'], 'study')} waiting for them")
    if priors["late"]:
        told = counted(len(priors["late"]), "study")
        typer.echo(f"prior exams  too late for {told} in the last day; `glam-node study show UID` has the details")
    for cause, count in Counter(priors["late"].values()).most_common(LATE_SHOWN):
        typer.echo(f"    {counted(count, 'study')}: {cause}")


def _print_held(studies: dict[str, str]) -> None:
    """Print the studies that wait for their release."""
    if not studies:
        return
    typer.echo(f"held  {counted(len(studies), 'study')}; `glam-node study release UID` releases one")
    for uid, reason in list(studies.items())[:HELD_SHOWN]:
        typer.echo(f"    {uid}: {reason or 'a person holds it'}")


def _print_left_out(left_out: dict[str, int]) -> None:
    """Print how many studies were left out in the last day for a reason that the site can change."""
    from glam_node.node.domain.alert import REMEDIES

    for rule, count in left_out.items():
        fact, remedy = REMEDIES[rule]
        typer.echo(f"not analysed  {counted(count, 'study')} in the last day by {rule}: such studies {fact}")
        typer.echo(f"    what to do: {remedy}")


def _print_incomplete(studies: dict[str, str]) -> None:
    """Print the studies of the last day that were analysed without some of their views."""
    if not studies:
        return
    told = f"{counted(len(studies), 'study')} in the last day; `glam-node study show UID` has the reasons"
    typer.echo(f"views not analysed  {told}")
    for uid, lacks in list(studies.items())[:INCOMPLETE_SHOWN]:
        typer.echo(f"    {uid}: {lacks}")


def _print_in_doubt(doubts: list[dict[str, Any]]) -> None:
    """Print the studies whose images need a person's decision, the most serious first."""
    if not doubts:
        return
    typer.echo(f"images in doubt  {counted(len(doubts), 'study')}; `glam-node study show UID` shows what you can do")
    for doubt in doubts[:IN_DOUBT_SHOWN]:
        typer.echo(f"    {doubt['study_instance_uid']}: {doubt['reason']}")


def _print_refused(event: str, refused: dict[str, Any]) -> None:
    """Print the caller, the reason, and the remedy, for example the settings that would admit the peer."""
    caller = " at ".join(str(refused[key]) for key in ("calling_ae_title", "address") if refused.get(key))
    reason = f"{caller}: {refused.get('reason', '')}" if caller else refused.get("reason", "")
    typer.echo(f"{event} {refused['at']:%Y-%m-%d %H:%M:%S} UTC: {reason}")
    if refused.get("remedy"):
        heading = "to admit it:" if event == "association_rejected" else "what to do:"
        typer.echo(textwrap.indent(f"{heading}{_separator(refused['remedy'])}{refused['remedy']}", "    "))


def _separator(remedy: str) -> str:
    """Return a line break if the remedy has several lines, so that people can copy it as a block; otherwise a space."""
    return "\n" if "\n" in remedy else " "


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _since(then: datetime | None, now: datetime) -> str:
    return "" if then is None else f"; the oldest has been waiting for {(now - then).total_seconds():.0f} s"
