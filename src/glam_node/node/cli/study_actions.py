"""The commands with which an operator acts on a study: `retry`, `resend`, `hold`, `release` and others."""

import getpass
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glam_node.node.cli.application import SettingsOption, command_node, command_settings
from glam_node.node.cli.study import StudyArgument, known_study
from glam_node.node.domain.account import Actor, Order

if TYPE_CHECKING:
    from glam_node.node.bootstrap import Node

ReasonOption = Annotated[str, typer.Option(help="Record this reason with the study; do not name the patient.")]


def retry(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption = "", settings: SettingsOption = None
) -> None:
    """Retry the failed job and the abandoned results of a study. If the settings have changed, analyse it again."""
    from glam_node.node.workflow.operate.retry import retry_study

    order = new_order(study_instance_uid, reason)
    act_on_study(ctx, settings, order, lambda session, node: str(retry_study(session, order, node.inference)))


def resend(
    ctx: typer.Context,
    study_instance_uid: StudyArgument,
    destination: Annotated[str, typer.Option(metavar="NAME", help="Send to this destination only.")] = "",
    stored: Annotated[
        bool, typer.Option("--stored", help="Also send results that the destination already stored.")
    ] = False,
    reason: ReasonOption = "",
    settings: SettingsOption = None,
) -> None:
    """Send results that a destination did not store, or that it lacks because it was added later."""
    from glam_node.node.workflow.operate.resend import Selection
    from glam_node.node.workflow.operate.resend import resend as act

    order, selection = new_order(study_instance_uid, reason), Selection(destination, stored)
    act_on_study(ctx, settings, order, lambda session, node: act(session, order, selection, node.inference))


def send_now(
    ctx: typer.Context,
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="NAME of [destinations.NAME].")],
    settings: SettingsOption = None,
) -> None:
    """Send all results that wait for a destination now. They do not wait for their next attempt."""
    from glam_node.node.workflow.operate.resend import send_now as act

    node = command_node(ctx, command_settings(ctx, settings))
    with node.sessions.begin() as session:
        done = act(session, destination, current_user(), node.inference, datetime.now(UTC))
    typer.echo(f"{done}.")


def hold(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption = "", settings: SettingsOption = None
) -> None:
    """Hold a study. It is not analysed and its results are not sent until `release`."""
    from glam_node.node.workflow.operate.standing import hold as act

    order = new_order(study_instance_uid, reason)
    act_on_study(ctx, settings, order, lambda session, _: act(session, order))


def release(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption = "", settings: SettingsOption = None
) -> None:
    """Resume work on a study that was held or set aside."""
    from glam_node.node.workflow.operate.standing import release as act

    order = new_order(study_instance_uid, reason)
    act_on_study(ctx, settings, order, lambda session, _: act(session, order))


def set_aside(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption, settings: SettingsOption = None
) -> None:
    """Stop all work on a study; `release` resumes it."""
    from glam_node.node.workflow.operate.standing import set_aside as act

    order = new_order(study_instance_uid, reason)
    act_on_study(ctx, settings, order, lambda session, _: act(session, order))


def take_newer(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption, settings: SettingsOption = None
) -> None:
    """Use the versions of a study's images that were sent again. The study is analysed again."""
    from glam_node.node.workflow.operate.versions import take_newer as act

    order = new_order(study_instance_uid, reason)
    _print_result(ctx, settings, order, lambda node: act(node.sessions, order, node.store))


def keep_first(
    ctx: typer.Context, study_instance_uid: StudyArgument, reason: ReasonOption, settings: SettingsOption = None
) -> None:
    """Keep the first versions of a study's images. The versions that were sent again are ignored."""
    from glam_node.node.workflow.operate.versions import keep_first as act

    order = new_order(study_instance_uid, reason)
    act_on_study(ctx, settings, order, lambda session, _: act(session, order))


def new_order(study_instance_uid: str, reason: str = "") -> Order:
    """Return the order of the current user for a study, with the current time."""
    return Order(study_instance_uid, current_user(), datetime.now(UTC), reason)


def current_user() -> Actor:
    """Return the current user and this host, for the record of an action."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # The user ID has no name, as in some containers.
        user = "unknown"
    return Actor(f"os:{user}", socket.gethostname())


def act_on_study(
    ctx: typer.Context, settings: SettingsOption, order: Order, change: Callable[[Any, "Node"], str]
) -> None:
    """Make a change to a study in one transaction and print what was done.

    Args:
        ctx: The context of the command.
        settings: The settings file given to the command, if any.
        order: The order, which names the study.
        change: A function that makes the change and describes it in a sentence, without capital letter and full stop.

    Raises:
        typer.BadParameter: The node has no such study.
    """

    def run(node: "Node") -> str:
        with node.sessions.begin() as session:
            return change(session, node)

    _print_result(ctx, settings, order, run)


def _print_result(ctx: typer.Context, settings: SettingsOption, order: Order, act: Callable[["Node"], str]) -> None:
    node = command_node(ctx, command_settings(ctx, settings))
    known_study(node.sessions, order.study_instance_uid)
    done = act(node)
    typer.echo(done[:1].upper() + done[1:] + ".")
