"""The command `glam-node console`, which manages the accounts of the web console."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from glam_node.node.cli.application import (
    JsonOption,
    SettingsOption,
    command_node,
    command_settings,
    print_json,
    reading_sessions,
)
from glam_node.node.cli.study_actions import current_user
from glam_node.node.domain.account import Role

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Manage the accounts of the web console.")
user = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Add, list and remove local accounts.")
app.add_typer(user, name="user")

NameArgument = Annotated[str, typer.Argument(help="Name of the account.")]


@user.command()
def add(
    ctx: typer.Context,
    name: NameArgument,
    role: Annotated[
        Role,
        typer.Option(help="Give the account this role: a viewer sees the pages, an operator may also act on studies."),
    ] = Role.VIEWER,
    identity: Annotated[
        bool,
        typer.Option("--identity", help="Allow the account to see patient names and IDs; each access is recorded."),
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Create an account, or change its role and password. The password is prompted for, or read from standard input."""
    from glam_node.node.console.app import refuse_plain_text
    from glam_node.node.workflow.operate.accounts import new_account, set_account

    configured = command_settings(ctx, settings)
    refuse_plain_text(configured.console.host, configured.console.certificate is not None)
    sessions = command_node(ctx, configured).sessions
    account = new_account(name, role, _password(), may_see_identity=identity)
    with sessions.begin() as session:
        set_account(session, account, datetime.now(UTC), current_user())
    also = ", and may see patient names and IDs" if identity else ""
    typer.echo(f"{name} may sign in to the console as {role}{also}.")


@user.command("list")
def list_(ctx: typer.Context, settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """List the local accounts with their roles and rights."""
    from glam_node.node.db import accounts

    with reading_sessions(ctx, command_settings(ctx, settings))() as session:
        found = accounts.list_all(session)
    rows = [
        {"name": one.name, "role": str(one.role), "identity": one.may_see_identity, "changed_at": changed_at}
        for one, changed_at in found
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        sees = "sees patients" if row["identity"] else ""
        typer.echo(f"{row['name']:24} {row['role']:10} {row['changed_at']:%Y-%m-%d %H:%M} UTC  {sees}".rstrip())
    if not rows:
        typer.echo("There is no account. `glam-node console user add NAME` creates one.")


@user.command()
def remove(ctx: typer.Context, name: NameArgument, settings: SettingsOption = None) -> None:
    """Remove an account and end its sessions."""
    from glam_node.node.workflow.operate.accounts import remove_account

    with command_node(ctx, command_settings(ctx, settings)).sessions.begin() as session:
        remove_account(session, name, datetime.now(UTC), current_user())
    typer.echo(f"{name} may no longer sign in to the console.")


def _password() -> str:
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")
