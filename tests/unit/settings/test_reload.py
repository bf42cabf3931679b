"""New settings beside those in force."""

from typing import Any

import pytest

from glam_node.settings.digest import ORDER_OF_RULES, section_digests
from glam_node.settings.keys import keys
from glam_node.settings.load import SettingsError, validated
from glam_node.settings.reload import NODE, RESTARTS, changes, reloaded, restart_of
from glam_node.settings.schema import Settings

PACS = {"ae_title": "PACS"}


def settings(**tree: Any) -> Settings:
    return validated(tree)


def test_every_setting_is_known_to_need_a_restart_or_none() -> None:
    assert [key.dotted for key in keys().values() if key.path[:1] not in RESTARTS] == []
    assert [path for path in RESTARTS if not any(key[: len(path)] == path for key in keys())] == []


def test_a_key_that_nobody_thought_of_needs_a_restart() -> None:
    assert restart_of(("new", "key")) == NODE


@pytest.mark.parametrize(
    ("tree", "key", "at_once"),
    [
        ({"peers": {"pacs": PACS}}, "peers.pacs", True),
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
def test_a_change_says_when_it_is_in_force(tree: dict[str, Any], key: str, at_once: bool) -> None:
    (change,) = changes(Settings(), settings(**tree))
    assert (change.key, not change.restart) == (key, at_once)
    assert (changes(Settings(), reloaded(Settings(), settings(**tree))) == (change,)) is at_once


def test_peers_that_come_and_go_are_told_as_a_whole() -> None:
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
def test_another_order_of_rules_is_a_change_since_the_first_that_holds_decides(
    before: str, after: str, order: str
) -> None:
    told = [str(change) for change in changes(rules(*before.split()), rules(*after.split()))]
    expected = f"rules: their order is {order}; the first rule that holds decides; takes effect at once"
    assert [words for words in told if words.startswith("rules: ")] == ([expected] if order else [])


def test_rules_that_are_in_another_order_are_in_force_in_it() -> None:
    merged = reloaded(rules("a", "b"), rules("b", "a"))
    assert list(merged.rules) == ["b", "a"]
    assert changes(merged, rules("b", "a")) == ()


def test_the_digests_of_the_audit_trail_know_the_order_of_rules() -> None:
    one, other = section_digests(rules("a", "b")), section_digests(rules("b", "a"))
    assert {name for name in one if one[name] != other[name]} == {ORDER_OF_RULES}
    assert ORDER_OF_RULES not in section_digests(rules("a"))


def test_no_password_is_told() -> None:
    before = settings(database_url="postgresql+psycopg://glam:hunter2@host/glam")
    after = settings(database_url="postgresql+psycopg://glam:hunter3@host/glam")
    (change,) = changes(before, after)
    assert "another password" in str(change)
    assert "hunter" not in repr(change)


def test_what_does_not_go_together_before_a_restart_is_refused_whole() -> None:
    files = {name: f"/etc/glam-node/{name}" for name in ("certificate", "key", "ca")}
    new = settings(tls={"port": 2762, **files}, peers={"pacs": {**PACS, "certificates": ["pacs.example"]}})
    with pytest.raises(SettingsError, match="needs a restart"):
        reloaded(Settings(), new)
