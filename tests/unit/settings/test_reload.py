"""Tests of the differences between new settings and those in force."""

import re
from pathlib import Path
from typing import Any

import pytest

import glam_node.node
from glam_node.settings.digest import ORDER_OF_RULES, section_digests
from glam_node.settings.keys import keys
from glam_node.settings.load import SettingsError, validated
from glam_node.settings.reload import EFFECTS, NODE, PROCESSES, changes, concerned, reloaded, restart_of
from glam_node.settings.schema import Settings

PACS = {"ae_title": "PACS"}


def settings(**tree: Any) -> Settings:
    return validated(tree)


def test_every_setting_states_whether_it_needs_a_restart() -> None:
    assert [key.dotted for key in keys().values() if key.path[:1] not in EFFECTS] == []
    assert [path for path in EFFECTS if not any(key[: len(path)] == path for key in keys())] == []


def test_an_unknown_key_needs_a_restart() -> None:
    assert restart_of(("new", "key")) == NODE


@pytest.mark.parametrize(
    ("tree", "key", "at_once"),
    [
        ({"peers": {"pacs": PACS}}, "peers.pacs", True),
        ({"alerts": {"webhook_url": "https://host/hook"}}, "alerts.webhook_url", True),
        ({"telemetry": {"otlp_endpoint": "http://host:4318"}}, "telemetry.otlp_endpoint", True),
        ({"assembly": {"settle_time": 1.0}}, "assembly.settle_time", True),
        ({"log": {"level": "debug"}}, "log.level", True),
        ({"node": {"maximum_associations": 3}}, "node.maximum_associations", True),
        ({"node": {"port": 104}}, "node.port", False),
        ({"storage": {"minimum_free_bytes": 0}}, "storage.minimum_free_bytes", True),
        ({"storage": {"root": "elsewhere"}}, "storage.root", False),
        ({"inference": {"device": "cpu"}}, "inference.device", False),
        ({"broker_url": "redis://host/0"}, "broker_url", False),
    ],
)
def test_a_change_states_when_it_takes_effect(tree: dict[str, Any], key: str, at_once: bool) -> None:
    (change,) = changes(Settings(), settings(**tree))
    assert (change.key, not change.restart) == (key, at_once)
    assert (changes(Settings(), reloaded(Settings(), settings(**tree))) == (change,)) is at_once


def test_a_reload_restarts_only_the_processes_that_a_change_concerns() -> None:
    def restarted(**tree: Any) -> tuple[str, ...]:
        return concerned(changes(Settings(), settings(**tree)))

    assert restarted(retention={"days": 9}) == ("dispatcher",)
    assert restarted(results={"banner": "Trial"}) == ("dispatcher", "worker", "console")
    assert restarted(peers={"pacs": PACS}, log={"level": "debug"}) == PROCESSES
    assert restarted(node={"port": 104}, inference={"device": "cpu"}) == ()


NODE_SOURCES = Path(glam_node.node.__file__).parent
SOURCES = {
    "sender": ["run/sender.py"],
    "worker": ["run/worker.py", "run/worker_registry.py"],
    "console": [str(path.relative_to(NODE_SOURCES)) for path in NODE_SOURCES.glob("console/*.py")],
    "receiver": ["run/receiver.py", "bootstrap/receiving.py", "bootstrap/commitment.py", "scp/association_context.py"],
}
"""The modules in which a process reads settings itself; the dispatcher restarts for every section."""


@pytest.mark.parametrize("process", SOURCES)
def test_a_reload_restarts_a_process_for_every_section_that_it_reads(process: str) -> None:
    texts = [(NODE_SOURCES / name).read_text() for name in SOURCES[process]]
    read = {
        name for text in texts for name in re.findall(r"[_.]?settings\.(\w+)", text) if name in Settings.model_fields
    }
    lacking = [name for name in read if process not in (effect := EFFECTS[name,]) and not isinstance(effect, str)]
    assert (bool(read), lacking) == (True, [])


def test_every_section_restarts_the_dispatcher_which_records_them() -> None:
    assert [
        path for path, effect in EFFECTS.items() if not isinstance(effect, str) and "dispatcher" not in effect
    ] == []


def test_added_and_removed_peers_are_reported_as_a_whole() -> None:
    before, after = settings(peers={"pacs": PACS}), settings(peers={"ct": {"ae_title": "CT"}})
    assert [str(change) for change in changes(before, after)] == [
        "peers.pacs: is removed; takes effect at once",
        "peers.ct: is new; takes effect at once",
    ]


def rules(*names: str, **more: str) -> Settings:
    return settings(rules={name: {"when": more.get(name, f"StudyDescription contains '{name}'")} for name in names})


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        ("a b c", "a b c", ""),
        ("a b c", "c a b", "a, b, c -> c, a, b"),
        ("a b", "a b new", ""),
        ("a b", "new a b", "a, b -> new, a, b"),
        ("a b c", "a c", ""),
        ("a b c", "c a", "a, b, c -> c, a"),
    ],
)
def test_a_new_order_of_rules_is_a_change(before: str, after: str, order: str) -> None:
    told = [str(change) for change in changes(rules(*before.split()), rules(*after.split()))]
    expected = f"rules: their order is {order}; the first rule that holds decides; takes effect at once"
    assert [words for words in told if words.startswith("rules: ")] == ([expected] if order else [])


def test_a_reload_takes_over_the_order_of_rules() -> None:
    merged = reloaded(rules("a", "b"), rules("b", "a"))
    assert list(merged.rules) == ["b", "a"]
    assert changes(merged, rules("b", "a")) == ()


def test_the_order_of_rules_has_a_digest() -> None:
    one, other = section_digests(rules("a", "b")), section_digests(rules("b", "a"))
    assert {name for name in one if one[name] != other[name]} == {ORDER_OF_RULES}
    assert ORDER_OF_RULES not in section_digests(rules("a"))


def test_changes_never_show_a_password() -> None:
    before = settings(database_url="postgresql+psycopg://glam:hunter2@host/glam")
    after = settings(database_url="postgresql+psycopg://glam:hunter3@host/glam")
    (change,) = changes(before, after)
    assert "another password" in str(change)
    assert "hunter" not in repr(change)


def test_settings_that_contradict_those_in_force_before_a_restart_are_refused() -> None:
    files = {name: f"/etc/glam-node/{name}" for name in ("certificate", "key", "ca")}
    new = settings(tls={"port": 2762, **files}, peers={"pacs": {**PACS, "certificates": ["pacs.example"]}})
    with pytest.raises(SettingsError, match="needs a restart"):
        reloaded(Settings(), new)
