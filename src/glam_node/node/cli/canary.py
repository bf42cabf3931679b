"""The command `glam-node canary`, which has the node send itself a synthetic study, and shows what became of it."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    command_node,
    command_settings,
    print_json,
)
from glam_node.node.cli.checks import serving_process
from glam_node.node.errors import PermanentError

if TYPE_CHECKING:
    from glam_node.node.bootstrap import Node
    from glam_node.node.domain.canary import CanaryRun

POLL_S = 0.2
BEGINS_WITHIN_S = 60.0
"""Seconds within which a running node begins a canary, unless another is under way."""
LOOKS_FOR_S = 5.0
"""The same if no node runs on this host; it may run on another one."""


def canary(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Have the running node send itself a synthetic study, wait for its results, and exit with 1 if it failed.

    The wait ends at the latest after canary.limit. Ctrl+C ends only the command; the node goes on with the canary.
    """
    node = command_node(ctx, command_settings(ctx, settings))
    run = _followed(node, say=not as_json)
    if as_json:
        print_json(_described(run))
    else:
        _print(run)
    from glam_node.node.domain.canary import CanaryState

    if run.state is not CanaryState.PASSED:
        raise typer.Exit(EXIT_FINDING)


def _followed(node: "Node", *, say: bool) -> "CanaryRun":
    """Ask for a canary, or take the one under way, and return it with its verdict.

    Raises:
        PermanentError: The node does not begin it.
    """
    from glam_node.node.db import canary as canaries
    from glam_node.node.db.engine import reading
    from glam_node.node.domain.canary import UNFINISHED, CanaryState

    with node.sessions.begin() as session:
        run = canaries.request(session, datetime.now(UTC), scheduled=False)
    steps: list[str] = []
    deadline = time.monotonic() + (BEGINS_WITHIN_S if serving_process(node.settings.storage.root) else LOOKS_FOR_S)
    while run.state in UNFINISHED or (run.present and run.state is not CanaryState.FAILED):
        step = _step(node, run)
        if say and step not in steps[-1:]:
            steps.append(step)
            typer.echo(f"  {step}")
        if run.state is CanaryState.REQUESTED and not run.failure and time.monotonic() > deadline:
            raise PermanentError(
                "The node does not begin the canary. Is `glam-node serve` running with these settings? It is sent as "
                "soon as the dispatcher runs."
            )
        time.sleep(POLL_S)
        with reading(node.sessions)() as session:
            run = canaries.get(session, run.run_id) or run
    return run


def _step(node: "Node", run: "CanaryRun") -> str:
    from glam_node.node.db.engine import reading
    from glam_node.node.domain.canary import CanaryState
    from glam_node.node.domain.delivery import DeliveryState
    from glam_node.node.workflow.operate.study_progress import progress_of

    if run.state is CanaryState.REQUESTED:
        return f"not sent yet: {run.failure}" if run.failure else "the dispatcher prepares the images"
    if run.state is CanaryState.SENDING:
        return "the images are being sent to the node's own port"
    progress = progress_of(reading(node.sessions), run.study_instance_uid)
    if progress is None:
        return "the results are being judged"
    failures = {one.failure for one in progress.deliveries if one.failure and one.state is DeliveryState.PENDING}
    return f"{progress.step}; not yet: {'; '.join(sorted(failures))}" if failures else progress.step


def _described(run: "CanaryRun") -> dict[str, Any]:
    return {
        "study_instance_uid": run.study_instance_uid,
        "verdict": str(run.state),
        "failure": run.failure,
        "remark": run.remark,
        "requested_at": run.requested_at,
        "sent_at": run.sent_at,
        "finished_at": run.finished_at,
        "stages": dict(run.stages),
        "algorithm": run.observation.algorithm,
        "scores": run.observation.scores,
        "lesions": list(run.observation.lesions),
    }


def _print(run: "CanaryRun") -> None:
    for stage, seconds in run.stages:
        typer.echo(f"{seconds:8.2f} s  {stage}")
    for view, scores in run.observation.scores.items():
        told = ", ".join(f"{kind} {score:.3f}" for kind, score in scores.items())
        outlined = [one.removeprefix(f"{view} ") for one in run.observation.lesions if one.startswith(f"{view} ")]
        typer.echo(f"{view:>10}  {told}{'; outlined: ' + ', '.join(outlined) if outlined else ''}")
    typer.echo(f"{run.state}  {run.failure or 'the canary came back as expected'}")
    if run.remark:
        typer.echo(f"    {run.remark}")
    if run.failure and run.present:
        typer.echo(f"    `glam-node study show {run.study_instance_uid}` shows its steps until the next canary.")
