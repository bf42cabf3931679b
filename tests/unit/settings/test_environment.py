"""Settings from the environment: they win over the file, and their mistakes are told like its mistakes."""

from pathlib import Path

import pytest

from glam_node.settings.load import SettingsError, load_settings


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[node]\nport = 1\nae_title = 'A'")
    settings = load_settings(tmp_path / "node.toml", {"GLAM_NODE__NODE__PORT": "2"})
    assert (settings.node.port, settings.node.ae_title) == (2, "A")


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


def test_a_section_is_found_however_the_file_spells_it(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[destinations.Archive]\nport = 104")
    settings = load_settings(tmp_path / "node.toml", {"GLAM_NODE__DESTINATIONS__ARCHIVE__PORT": "105"})
    assert {name: destination.port for name, destination in settings.destinations.items()} == {"Archive": 105}


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
def test_a_mistake_names_the_variable(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(None, {name: text})
    assert f"(environment variable {name})" in str(caught.value)


def test_other_variables_are_left_alone() -> None:
    load_settings(None, {"GLAM_NODE_PARENT": "1", "GLAM_NODE_READY_FD": "3", "PATH": "/bin"})
