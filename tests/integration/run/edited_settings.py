"""Edits of a settings file, and their effect."""

from glam_node.node.scu.echo import echo
from glam_node.settings.destinations import CStoreSettings
from tests.integration.node_directory import NodeDirectory


def edit(node: NodeDirectory, *replacements: tuple[str, str], more: str = "") -> None:
    text = node.settings_path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    node.settings_path.write_text(text + more)


def is_admitted(port: int, calling_ae_title: str) -> bool:
    return echo("node", CStoreSettings(ae_title="GLAMNODE", port=port, results=()), calling_ae_title).ok
