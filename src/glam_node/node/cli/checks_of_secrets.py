"""The checks of `doctor` and `settings check` for files that hold a password."""

import stat
from collections.abc import Iterator
from pathlib import Path

from glam_node.node.cli.checks import Check, Verdict
from glam_node.settings.schema import Settings
from glam_node.settings.secret_files import SecretFileError, read_secret

FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
CLIENT_SECRET = "console.oidc.client_secret_path"  # noqa: S105 - the name of a setting


def check_secrets(settings: Settings) -> Iterator[Check]:
    """Check each password file that the settings use."""
    console, alerts = settings.console, settings.alerts
    if console.port and console.oidc.issuer is not None and console.oidc.client_secret_path is not None:
        yield check_secret(CLIENT_SECRET, console.oidc.client_secret_path)
    if alerts.smtp_host is not None and alerts.smtp_password_path is not None:
        yield check_secret("alerts.smtp_password_path", alerts.smtp_password_path)
    for name, destination in settings.destinations.items():
        if destination.kind == "stow-rs" and destination.authorization is not None:
            yield check_secret(f"destinations.{name}.authorization", destination.authorization)


def check_secret(key: str, path: Path) -> Check:
    """Check that the password file of one setting can be read, and only by its owner."""
    remedy = "Put what it should hold there, and nothing else, for the user that the node runs as."
    try:
        read_secret(path)
        mode = path.stat().st_mode
    except SecretFileError as error:
        return Check(key, Verdict.FAIL, str(error), remedy)
    if mode & FOR_OTHERS:
        return Check(key, Verdict.WARN, f"others may read {path}", f"chmod 600 {path}")
    return Check(key, Verdict.OK, f"{path} can be read, by its user alone")
