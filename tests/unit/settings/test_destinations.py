"""Tests that each kind of destination has its own keys, and that a key of another kind is reported with its kinds."""

from pathlib import Path
from typing import Any

import pytest

from glam_node.settings.destinations import DESTINATIONS_BY_KIND, CStoreSettings, FolderSettings, StowSettings
from glam_node.settings.keys import Key, keys
from glam_node.settings.load import SettingsError, load_settings, problems_of
from glam_node.settings.reference import in_force
from glam_node.settings.reload import changes
from glam_node.settings.schema import Settings

OWN = [key for key in keys().values() if key.path[:2] == ("destinations", "NAME") and len(key.path) == 3]
REQUIRED = {"path": "results"}
"""A value for each key that a kind of destination needs."""
KINDS: dict[str, dict[str, Any]] = {
    kind: {name: REQUIRED[name] for name, key in one.model_fields.items() if key.is_required() and name != "kind"}
    for kind, one in DESTINATIONS_BY_KIND.items()
}
"""The keys that a destination of each kind needs."""
OTHER_VALUES: dict[str, Any] = {"port": 105, "tls": True, "timeout": 5.0, "transfer_syntaxes": ["rle_lossless"]}
"""A value that is not the default, for the keys that are not strings."""
FOREIGN = [(kind, key) for kind in KINDS for key in OWN if kind not in key.kinds]


def test_each_kind_has_its_own_keys() -> None:
    server = {"host", "port", "tls", "ca", "certificate", "key", "server_name", "timeout"}
    own = {kind: {key.path[-1] for key in OWN if kind in key.kinds and set(key.kinds) != set(KINDS)} for kind in KINDS}
    assert own["c-store"] == {*server, "ae_title", "transfer_syntaxes", "storage_commitment"}
    assert own["stow-rs"] == {*server, "service_path", "authorization"}
    assert own["folder"] == {"path"}
    systems = {f"{side}_{what}" for side in ("sending", "receiving") for what in ("application", "facility")}
    assert own["hl7"] == {*server, *systems, "template", "character_set", "result_status", "acknowledgement"}


@pytest.mark.parametrize(
    ("kind", "result", "words"),
    [
        ("c-store", "result_message", 'is for kind = "hl7", and this destination has kind = "c-store"'),
        ("hl7", "segmentation", "is not one of result_message, not_analysed_report"),
    ],
)
def test_a_result_that_a_destination_cannot_get_is_refused(kind: str, result: str, words: str) -> None:
    (problem,) = problems_of({"destinations": {"x": {"kind": kind, "results": [result]}}})
    assert problem.key == "destinations.x.results"
    assert words in problem.message


@pytest.mark.parametrize(("kind", "key"), FOREIGN, ids=lambda one: one.path[-1] if isinstance(one, Key) else one)
def test_a_key_of_another_kind_is_reported_with_the_kinds_that_have_it(kind: str, key: Key) -> None:
    destination = {"kind": kind, **KINDS[kind], key.path[-1]: OTHER_VALUES.get(key.path[-1], "other")}
    (problem,) = problems_of({"destinations": {"x": destination}})
    assert problem.key == f"destinations.x.{key.path[-1]}"
    assert problem.message.startswith("is for kind = ")
    assert problem.message.endswith(f'and this destination has kind = "{kind}"')
    named = problem.message.partition(", and")[0]
    assert [one for one in KINDS if f'"{one}"' in named] == list(key.kinds)


@pytest.mark.parametrize(("kind", "key"), FOREIGN, ids=lambda one: one.path[-1] if isinstance(one, Key) else one)
def test_a_key_of_another_kind_that_is_empty_or_at_its_default_is_ignored(kind: str, key: Key) -> None:
    for value in (key.default, ""):
        assert problems_of({"destinations": {"x": {"kind": kind, **KINDS[kind], key.path[-1]: value}}}) == ()


def test_a_destination_without_a_kind_is_a_dicom_archive(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("destinations.a.host = 'h'\ndestinations.b = { kind = 'stow-rs' }\n[destinations.c]\npath = 'x'")
    settings = load_settings(path, {"GLAM_NODE__DESTINATIONS__C__KIND": "folder"})
    assert [type(one) for one in settings.destinations.values()] == [CStoreSettings, StowSettings, FolderSettings]
    assert list(settings.archives) == ["a"]


def test_a_variable_that_looks_like_a_number_may_be_an_ae_title() -> None:
    settings = load_settings(None, {"GLAM_NODE__DESTINATIONS__A__AE_TITLE": "1234"})
    assert settings.archives["a"].ae_title == "1234"


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [("KIND", "fax", "destinations.a.kind"), ("HOST", "h", "destinations.a.host"), ("PATH", "", "destinations.a.path")],
)
def test_a_wrong_variable_of_a_destination_is_named(variable: str, value: str, key: str) -> None:
    name = f"GLAM_NODE__DESTINATIONS__A__{variable}"
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"GLAM_NODE__DESTINATIONS__A__KIND": "folder", name: value})
    assert {one.key: name in one.message for one in caught.value.problems}[key]


def test_settings_in_force_of_every_kind_can_be_read_again(tmp_path: Path) -> None:
    settings = Settings.model_validate({"destinations": {kind: {"kind": kind, **KINDS[kind]} for kind in KINDS}})
    path = tmp_path / "node.toml"
    path.write_text(in_force(settings))
    assert load_settings(path, {}) == settings


def test_a_change_of_kind_takes_effect_at_once_and_names_the_keys_of_both_kinds() -> None:
    before = Settings(destinations={"x": CStoreSettings(host="10.0.0.5")})
    after = Settings(destinations={"x": FolderSettings(kind="folder", path=Path("results"))})
    found = {change.key: change for change in changes(before, after)}
    assert {"destinations.x.kind", "destinations.x.host", "destinations.x.path"} <= set(found)
    assert not any(change.restart for change in found.values())
