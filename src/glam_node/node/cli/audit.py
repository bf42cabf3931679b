"""The command `glam-node audit`, which shows and verifies the audit messages."""

from typing import Annotated, Any
from xml.etree import ElementTree

import typer

from glam_node.node.cli.application import (
    EXIT_FINDING,
    JsonOption,
    SettingsOption,
    command_settings,
    folding_table,
    print_json,
    reading_sessions,
    text_output,
)
from glam_node.node.domain.words import counted

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show the audit messages and verify that they are unchanged.",
)


@app.command()
def show(
    ctx: typer.Context,
    settings: SettingsOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Show this number of messages, newest first.")] = 50,
    xml: Annotated[bool, typer.Option("--xml", help="Print the messages as XML, one per line.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List audit messages, newest first."""
    configured = command_settings(ctx, settings)
    from glam_node.node.db import audit_messages

    with reading_sessions(ctx, configured)() as session:
        messages = audit_messages.recent(session, limit)
        total, waiting = audit_messages.counts(session)
    if xml:
        for message in messages:
            typer.echo(message.message.decode().replace("\n", ""))
        return
    rows = [
        {"sequence": one.sequence, "at": one.event_at, **_told(one.message), "sent_at": one.sent_at, "hash": one.hash}
        for one in messages
    ]
    if as_json:
        print_json(rows)
        return
    table = folding_table(("sequence", "at (UTC)", "event", "outcome", "by", "subject", "what", "sent"))
    for row in rows:
        at = f"{row['at']:%Y-%m-%d %H:%M:%S}"
        sent = "waits" if row["sent_at"] is None else "yes"
        words = (row[key] for key in ("event", "outcome", "by", "subject", "what"))
        table.add_row(str(row["sequence"]), at, *words, sent)
    text_output().print(table)
    typer.echo(f"{counted(total, 'message')}, {waiting} of them {_wait(configured.audit.host)}")


@app.command()
def verify(ctx: typer.Context, settings: SettingsOption = None) -> None:
    """Verify the hash chain of the audit messages. Exit with 1 and name the first broken link if it does not hold."""
    configured = command_settings(ctx, settings)
    from glam_node.node.db import audit_messages

    with reading_sessions(ctx, configured)() as session:
        fault = audit_messages.first_fault(session)
        total, _ = audit_messages.counts(session)
        last = audit_messages.recent(session, 1)
    if fault is not None:
        typer.echo(f"Audit message {fault.sequence} is not as it was written: {fault.reason}.")
        raise typer.Exit(EXIT_FINDING)
    typer.echo(f"{total} audit messages, all unchanged" + (f"; last hash {last[0].hash}" if last else ""))


def _told(message: bytes) -> dict[str, Any]:
    """Return the fields of an audit message (PS3.15 A.5) that people look for first.

    Args:
        message: The message as XML.
    """
    root = ElementTree.fromstring(message)  # noqa: S314 - this node wrote the message
    event = root.find("EventIdentification")
    codes = [element.get("originalText", "") for element in event or () if element.tag in ("EventID", "EventTypeCode")]
    described = root.find("ParticipantObjectIdentification")
    participants = list(root.iter("ActiveParticipant"))
    names = [one.get("UserName") or one.get("UserID") or "" for one in participants]
    asked = [one.get("UserIsRequestor") == "true" for one in participants]
    return {
        "event": ", ".join(codes),
        "outcome": event.get("EventOutcomeIndicator", "") if event is not None else "",
        "participants": names,
        "by": next((name for name, asks in zip(names, asked, strict=True) if asks), ""),
        "what": event.findtext("EventOutcomeDescription", "") if event is not None else "",
        "subject": described.get("ParticipantObjectID", "") if described is not None else names[0],
    }


def _wait(host: str | None) -> str:
    return f"wait for {host}" if host else "were not sent: audit.host is unset"
