"""A console whose people sign in at an OpenID provider."""

from pathlib import Path
from typing import Any

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from glam_node.settings.console import ConsoleSettings, OIDCSettings
from glam_node.settings.schema import Settings, StorageSettings
from tests.integration.console.acts.provider import CLIENT_ID, CLIENT_SECRET

OPERATOR = {"sub": "4711", "preferred_username": "anna", "groups": ["staff", "mammography"]}


class Site:
    """A console whose people sign in at a provider."""

    def __init__(self, root: Path, port: int, issuer: str, **settings: Any) -> None:
        secret = root / "secret"
        secret.write_text(CLIENT_SECRET + "\n")
        stated = {
            "issuer": issuer,
            "client_id": CLIENT_ID,
            "client_secret_path": secret,
            "public_url": f"http://127.0.0.1:{port}/",
            "operators": ("mammography",),
            "viewers": ("staff",),
            "timeout": 30.0,
            **settings,
        }
        self.port = port
        self.node: Node = build_node(
            Settings(
                storage=StorageSettings(root=root / "root"),
                console=ConsoleSettings(port=port, oidc=OIDCSettings(**stated)),
            )
        )

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the details of the recorded events."""
        with self.node.sessions() as session:
            return [dict(one.detail) for one in audit.recent(session, EventKind(event), 100)]
