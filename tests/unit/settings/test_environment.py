"""Tests of settings from the environment, which win over the file and whose mistakes are reported like those in it."""

from pathlib import Path

import pytest

from glam_node.settings.keys import keys
from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.reference import in_force


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[node]\nport = 1\nae_title = 'A'")
    settings = load_settings(tmp_path / "node.toml", {"GLAM_NODE__NODE__PORT": "2"})
    assert (settings.node.port, settings.node.ae_title) == (2, "A")


@pytest.mark.parametrize(
    ("name", "key", "meant"),
    [
        ("GLAM_NODE__NODE_PORT", "node_port", "GLAM_NODE__NODE__PORT"),
        ("GLAM_NODE__CONSOLE_OIDC__ISSUER", "console_oidc", "GLAM_NODE__CONSOLE__OIDC__ISSUER"),
    ],
)
def test_a_variable_with_an_underscore_too_few_is_refused_with_the_right_name(name: str, key: str, meant: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {name: "1"})
    assert [str(one) for one in refused.value.problems] == [
        f"{key}: unknown; did you mean {meant}? (environment variable {name})"
    ]


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("GLAM_NODE__NODE__PORT", "11113", "node.port", 11113),
        ("glam_node__node__port", "11113", "node.port", 11113),
        ("GLAM_NODE__NODE__REQUIRE_CALLED_AE_TITLE", "false", "node.require_called_ae_title", False),
        ("GLAM_NODE__ASSEMBLY__SETTLE_TIME", "2.5", "assembly.settle_time", 2.5),
        ("GLAM_NODE__ASSEMBLY__SETTLE_TIME", "2", "assembly.settle_time", 2.0),
        ("GLAM_NODE__NODE__ADDITIONAL_STORAGE_SOP_CLASSES", '["all"]', "node.additional_storage_sop_classes", ("all",)),
        ("GLAM_NODE__STORAGE__ROOT", "/srv/glam", "storage.root", Path("/srv/glam")),
        ("GLAM_NODE__NODE__AE_TITLE", "123", "node.ae_title", "123"),
        ("GLAM_NODE__RESULTS__DEVICE_SERIAL_NUMBER", "1e5", "results.device_serial_number", "1e5"),
        ("GLAM_NODE__RESULTS__STATION_NAME", "true", "results.station_name", "true"),
        ("GLAM_NODE__RESULTS__STATION_NAME", '"quoted"', "results.station_name", "quoted"),
        ("GLAM_NODE__STORAGE__ROOT", "2026", "storage.root", Path("2026")),
        ("GLAM_NODE__RESULTS__STATION_NAME", "1979-05-27", "results.station_name", "1979-05-27"),
        ("GLAM_NODE__RESULTS__STATION_NAME", "", "results.station_name", ""),
        ("GLAM_NODE__LOG", '{level = "error"}', "log.level", "error"),
    ],
)
def test_a_variable_is_typed_like_toml(name: str, text: str, path: str, value: object) -> None:
    found: object = load_settings(None, {name: text})
    for segment in path.split("."):
        found = getattr(found, segment)
    assert found == value


def test_a_variable_makes_a_section() -> None:
    environ = {"GLAM_NODE__PEERS__PACS__AE_TITLE": "PACS", "GLAM_NODE__PEERS__PACS__HOSTS": '["10.0.0.5"]'}
    assert load_settings(None, environ).peers["pacs"].hosts == ("10.0.0.5",)


def test_a_variable_finds_a_section_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[destinations.Archive]\nport = 104")
    settings = load_settings(tmp_path / "node.toml", {"GLAM_NODE__DESTINATIONS__ARCHIVE__PORT": "105"})
    assert {name: destination.port for name, destination in settings.archives.items()} == {"Archive": 105}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("GLAM_NODE__NODE__PORTT", "1", r"node\.portt: unknown; did you mean node\.port\?"),
        ("GLAM_NODE__NODE", "5", "node: 5 is not allowed: a section"),
        ("GLAM_NODE__NODE__PORT", "many", 'node.port: "many" is not allowed: an integer'),
        ("GLAM_NODE__NODE__PORT__X", "1", "node.port: a section is not allowed"),
        ("GLAM_NODE__PEERS__PACS__HOSTS", "10.0.0.5", "peers.pacs.ae_title: is missing"),
        ("GLAM_NODE__", "1", "unknown"),
        ("GLAM_NODE__NODE__", "1", "unknown"),
    ],
)
def test_a_mistake_is_reported_with_its_variable(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(None, {name: text})
    assert f"(environment variable {name})" in str(caught.value)


def test_variables_of_other_programs_are_ignored() -> None:
    load_settings(None, {"GLAM_NODE_PARENT": "1", "GLAM_NODE_READY_FD": "3", "PATH": "/bin"})


def test_a_secret_may_be_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "database_url"
    secret.write_text("postgresql+psycopg://glam:hunter2@host/glam\n")
    settings = load_settings(None, {"GLAM_NODE__DATABASE_URL_FILE": str(secret)})
    assert settings.database_url == "postgresql+psycopg://glam:hunter2@host/glam"
    assert "hunter2" not in in_force(settings)


def test_any_setting_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("11113\n")
    (tmp_path / "title").write_text("PACS")
    environ = {
        "GLAM_NODE__NODE__PORT_FILE": str(tmp_path / "port"),
        "glam_node__peers__pacs__ae_title_file": str(tmp_path / "title"),
    }
    settings = load_settings(None, environ)
    assert (settings.node.port, settings.peers["pacs"].ae_title) == (11113, "PACS")


def test_a_variable_wins_over_its_file_variable(tmp_path: Path) -> None:
    environ = {"GLAM_NODE__NODE__PORT": "2", "GLAM_NODE__NODE__PORT_FILE": str(tmp_path / "nowhere")}
    assert load_settings(None, environ).node.port == 2


def test_a_file_that_cannot_be_read_is_named_with_its_variable(tmp_path: Path) -> None:
    environ = {"GLAM_NODE__DATABASE_URL_FILE": str(tmp_path / "nowhere")}
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ)
    assert str(caught.value) == (
        f"{tmp_path / 'nowhere'} cannot be read: No such file or directory "
        "(environment variable GLAM_NODE__DATABASE_URL_FILE)"
    )


@pytest.mark.parametrize("content", ["hunter2", "postgresql://glam:hunter2@host:x y"])
def test_a_mistake_in_a_file_is_reported_without_the_content(content: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(content)
    with pytest.raises(SettingsError, match="database_url") as caught:
        load_settings(None, {"GLAM_NODE__DATABASE_URL_FILE": str(tmp_path / "secret")})
    assert "hunter2" not in str(caught.value)
    assert "GLAM_NODE__DATABASE_URL_FILE" in str(caught.value)


def test_no_key_ends_like_a_file_variable() -> None:
    assert [key.dotted for key in keys().values() if key.path[-1].endswith("_file")] == []
