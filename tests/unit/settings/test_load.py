"""Tests of loading settings, and of the report of every mistake at once."""

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.schema import Settings


def problems_of(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Return the message for each wrong key of settings that cannot be used."""
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ or {})
    return {problem.key: problem.message for problem in caught.value.problems}


# (text of the file, key in the message, words in the message)
MISTAKES = [
    ("porr = 1", "porr", "unknown"),
    ("port = 1", "port", "did you mean node.port"),
    ("[nod]", "nod", "did you mean node?"),
    ("[node]\nae_titel = 'X'", "node.ae_titel", "did you mean node.ae_title?"),
    ("[node]\nae_title = ''", "node.ae_title", "1 to 16 printable ASCII"),
    ("[node]\nae_title = 'SEVENTEEN LETTERS'", "node.ae_title", '"SEVENTEEN LETTERS" is not allowed'),
    ("[node]\nae_title = 'A\\B'", "node.ae_title", "without a backslash"),
    ("[node]\nport = 65536", "node.port", "65536 is not allowed: an integer, 0 to 65535"),
    ("[node]\nport = '11112'", "node.port", '"11112" is not allowed: an integer'),
    ("[node]\nport = true", "node.port", "true is not allowed: an integer"),
    ("[node]\nport = 104.5", "node.port", "104.5 is not allowed: an integer"),
    ("[node]\nhost = 'http://10.0.0.5'", "node.host", "without a port"),
    ("[node]\nrequire_called_ae_title = 'yes'", "node.require_called_ae_title", "true or false"),
    ("[node]\nmaximum_associations = 0", "node.maximum_associations", "1 to 1024"),
    ("[node]\nadditional_storage_sop_classes = 'all'", "node.additional_storage_sop_classes", "a list"),
    ("[node]\nadditional_storage_sop_classes = ['MG']", "node.additional_storage_sop_classes[0]", "SOP Class UID"),
    ("node = 5", "node", "a section, [node]"),
    ("[peers.p1]\nhosts = []", "peers.p1.ae_title", "is missing"),
    ("[peers.p2]\nae_title = 'P2'\nhosts = '10.0.0.5'", "peers.p2.hosts", "a list, each an address"),
    ("[peers.p3]\nae_title = 'P3'\nhosts = ['::1', 'pacs.local']", "peers.p3.hosts[1]", '"pacs.local" is not allowed'),
    ("[peers.p4]\nae_title = 'P4'\nhosts = ['10.0.0.0/33']", "peers.p4.hosts[0]", "10.0.0.0/24"),
    ("[peers.p5]\nae_title = 'P5'\nport = 104", "peers.p5.port", "did you mean"),
    ("[peers.'a b']\nae_title = 'P'", "peers.a b", "is not a name"),
    ("peers = ['PACS']", "peers", "a section"),
    ("[destinations.a6]\nkind = 'stow'", "destinations.a6.kind", '"c-store" or "stow-rs" or "folder"'),
    ("[destinations.a7]\nkind = 'folder'", "destinations.a7.path", 'kind = "folder" needs a path'),
    ("[destinations.a8]\nkind = 'folder'\npath = ''", "destinations.a8.path", "a path"),
    (
        "[destinations.c1]\nkind = 'stow-rs'\nstorage_commitment = true",
        "destinations.c1.storage_commitment",
        'is for kind = "c-store"',
    ),
    (
        "[destinations.c2]\nkind = 'folder'\npath = 'x'\ntls = true",
        "destinations.c2.tls",
        'is for kind = "c-store" or "stow-rs"',
    ),
    ("[destinations.a9]\nport = 0", "destinations.a9.port", "1 to 65535"),
    ("[destinations.a11]\nresults = ['sr']", "destinations.a11.results[0]", '"sr" is not allowed: "segmentation"'),
    (
        "[destinations.b1.fallbacks]\nsecondary_capture = 'segmentation'",
        "destinations.b1.fallbacks.secondary_capture",
        "unknown",
    ),
    (
        "[destinations.b2.fallbacks]\nmammography_cad_sr = 'comprehensive_sr'",
        "destinations.b2.fallbacks.mammography_cad_sr",
        "that kind is not in results",
    ),
    (
        "[destinations.b3.fallbacks]\nsegmentation = 'not_analysed_report'",
        "destinations.b3.fallbacks.segmentation",
        "cannot replace it",
    ),
    (
        "[destinations.b6.fallbacks]\nsegmentation = 'fractional_segmentation'",
        "destinations.b6.fallbacks.segmentation",
        '"fractional_segmentation" is of the same SOP class',
    ),
    ("[destinations.b4]\ntransfer_syntaxes = ['rle_lossless']", "destinations.b4.transfer_syntaxes", "images only"),
    (
        "[destinations.b5]\ntransfer_syntaxes = ['jpeg']",
        "destinations.b5.transfer_syntaxes[0]",
        '"jpeg" is not allowed',
    ),
    ("[destinations.a12]\ntimeout = 0", "destinations.a12.timeout", "0 is not allowed"),
    ("[assembly]\nsettle_time = -1", "assembly.settle_time", "-1 is not allowed: a number, 0 to"),
    ("[assembly]\nsettle_time = nan", "assembly.settle_time", "nan is not allowed"),
    ("[assembly]\nquiet_time = 1", "assembly.quiet_time", "1 is less than settle_time (10)"),
    ("[assembly]\nmaximum_age = 20", "assembly.maximum_age", "20 is less than quiet_time (300)"),
    ("[assembly]\nquiet_time = 1979-05-27", "assembly.quiet_time", "1979-05-27"),
    ("[eligibility]\nminimum_views = 5", "eligibility.minimum_views", "1 to 4"),
    ("[storage]\nroot = ''", "storage.root", "a path"),
    ("[storage]\nroot = 3", "storage.root", "3 is not allowed: a path"),
    ("[inference]\npredictor = 'glam'", "inference.predictor", '"module:Class"'),
    ("[inference]\ndevice = 'gpu'", "inference.device", '"cuda:N"'),
    ("[inference]\nlease_time = inf", "inference.lease_time", "inf is not allowed"),
    ("[inference.operating_points.bening]", "inference.operating_points.bening", "operating_points.benign?"),
    (
        "[inference.operating_points.benign]\nimage_score_threshold = 2",
        "inference.operating_points.benign.image_score_threshold",
        "0 to 1",
    ),
    ("[results]\nstation_name = 'MORE THAN SIXTEEN LETTERS'", "results.station_name", "at most 16 characters"),
    ("[results]\nmanufacturer = 'a\\b'", "results.manufacturer", "without a backslash"),
    ("[alerts]\nscore_drift = 0", "alerts.score_drift", "0 is not allowed: a number, more than 0 and at most 1"),
    ("[log]\nlevel = 'loud'", "log.level", '"debug"'),
    ("database_url = 'mysql://host/glam'", "database_url", "postgresql+psycopg"),
    ("broker_url = 'amqp://host'", "broker_url", "redis://host:6379/0"),
    ("[log]\nlevel = loud", "", "(at line 2, column 9)"),
]


# Mistakes in settings whose keys are valid one by one
CONTRADICTIONS = [
    ("[tls]\nport = 2762", "tls.certificate", "is missing: tls.port needs a certificate"),
    ("[tls]\nport = 2762\ncertificate = 'a'", "tls.key", "needs the certificate's private key"),
    ("[tls]\nport = 2762\ncertificate = 'a'\nkey = 'b'", "tls.ca", 'client_certificate = "required" needs authorities'),
    (
        "tls = { port = 104, certificate = 'a', key = 'b', ca = 'c' }\nnode.port = 104",
        "tls.port",
        "104 is already node.port",
    ),
    ("node.port = 8114\nconsole.port = 8114", "console.port", "8114 is already node.port"),
    *[
        (
            f"node = {{ host = '{host}', port = 8114 }}\nconsole = {{ host = '{other}', port = 8114 }}",
            "console.port",
            "8114 is already node.port; choose another, or another console.host",
        )
        for host, other in (
            ("10.0.0.5", "0.0.0.0"),
            ("::", "127.0.0.1"),
            ("localhost", "127.0.0.1"),
            ("::1", "localhost"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
            ("pacs.example", "PACS.example"),
        )
    ],
    ("[peers.x]\nae_title = 'X'\ncertificates = ['pacs']", "peers.x.certificates", "tls.port is unset"),
    (
        "tls = { port = 1, certificate = 'a', key = 'b', client_certificate = 'none' }\n"
        "peers.x = { ae_title = 'X', certificates = ['pacs'] }",
        "peers.x.certificates",
        "no certificate is requested",
    ),
    ("[peers.x]\nae_title = 'X'\ncertificates = ['sha256:12']", "peers.x.certificates[0]", "64 hexadecimal digits"),
    ("[destinations.x]\nca = 'a'", "destinations.x.ca", "is for TLS: set tls = true"),
    ("[destinations.x]\ntls = true\ncertificate = 'a'", "destinations.x.key", "go together"),
]


@pytest.mark.parametrize(("text", "key", "message"), [*MISTAKES, *CONTRADICTIONS])
def test_a_mistake_is_named_with_its_key_and_what_is_allowed(text: str, key: str, message: str, tmp_path: Path) -> None:
    found = problems_of(text, tmp_path)
    assert message in found[key]


def merged(into: dict[str, Any], tree: dict[str, Any]) -> bool:
    """Add `tree` to the settings and return whether no key of another row was in the way."""
    for key, value in tree.items():
        if isinstance(value, dict) and value and isinstance(into.setdefault(key, {}), dict):
            if not merged(into[key], value):
                return False
        elif key in into:
            return False
        else:
            into[key] = value
    return True


def test_all_mistakes_are_reported_at_once() -> None:
    """Contradictions aside, which need a section that is right by itself."""
    tree: dict[str, Any] = {}
    rows = [(text, key) for text, key, message in MISTAKES if key and "is less than" not in message]
    expected = {key for text, key in rows if merged(tree, tomllib.loads(text))}
    environ = {f"GLAM_NODE__{key}": _as_toml(value) for key, value in tree.items()}
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ)
    assert {problem.key for problem in caught.value.problems} == expected
    assert len(expected) > 35


def _as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {_as_toml(content)}' for key, content in value.items()) + "}"
    return str(value) if isinstance(value, float | date) else json.dumps(value)


def test_a_section_that_appears_twice_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = "[console]\nport = 0\n[console]\nport = 8114"
    assert "add keys below the section that is there" in problems_of(text, tmp_path)[""]


def test_a_byte_order_mark_at_the_beginning_of_a_file_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("node.port = 11113", encoding="utf-8-sig")
    assert load_settings(path, {}).node.port == 11113


def test_mistakes_in_different_sections_do_not_hide_each_other(tmp_path: Path) -> None:
    text = "[node]\nport = -1\nx = 1\n[assembly]\nquiet_time = 1\n[destinations.a]\nkind = 'folder'\n[log]\nlevel = 'x'"
    expected = {"node.port", "node.x", "assembly.quiet_time", "destinations.a.path", "log.level"}
    assert set(problems_of(text, tmp_path)) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [("[]", "['10.0.0.5']"), ("['10.0.0.0/24']", "['10.0.0.5']"), ("['10.0.0.5', '::1']", "['::1']")],
)
def test_two_peers_that_one_caller_could_be_are_refused(first: str, second: str, tmp_path: Path) -> None:
    text = f"peers.a = {{ ae_title = 'PACS', hosts = {first} }}\npeers.b = {{ ae_title = 'PACS', hosts = {second} }}"
    assert "is already peers.a" in problems_of(text, tmp_path)["peers.b.ae_title"]


@pytest.mark.parametrize(("host", "other"), [("10.0.0.5", "127.0.0.1"), ("127.0.0.1", "::1"), ("pacs", "localhost")])
def test_listeners_on_different_addresses_may_have_one_port(host: str, other: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(f"node = {{ host = '{host}', port = 104 }}\nconsole = {{ host = '{other}', port = 104 }}")
    settings = load_settings(path, {})
    assert settings.node.port == settings.console.port == 104


def test_peers_with_one_title_and_different_hosts_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        "peers.a = { ae_title = 'PACS', hosts = ['10.0.0.1', '::1'] }\n"
        "peers.b = { ae_title = 'PACS', hosts = ['10.0.0.2'] }"
    )
    assert set(load_settings(path, {}).peers) == {"a", "b"}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://glam:hunter2@host/x",
        "mysql://host/x?password=hunter2",
        "hunter2@host",
        "x:hunter2@host",
        "mysql:/u:hunter2@h",
    ],
)
@pytest.mark.parametrize("key", ["database_url", "broker_url"])
def test_passwords_are_not_shown(key: str, url: str, tmp_path: Path) -> None:
    message = problems_of(f"{key} = '{url}'", tmp_path)[key]
    assert "is not allowed" in message
    assert "hunter2" not in message


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.toml", {})


def test_a_settings_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path / "node.toml", {})


def test_settings_without_a_file_are_the_defaults() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[node]\nport = 5")
    assert load_settings(None, {"GLAM_NODE_SETTINGS": str(tmp_path / "node.toml")}).node.port == 5


def test_a_path_may_start_with_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/it")
    (tmp_path / "node.toml").write_text("[storage]\nroot = '~/glam'")
    assert load_settings(tmp_path / "node.toml", {}).storage.root == Path("/home/it/glam")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a." * 3000 + "b = 1", "[" + "a." * 3000 + "b]\nc = 1"])
def test_settings_that_nest_too_deeply_are_a_mistake(text: str, tmp_path: Path) -> None:
    assert "nest lists or sections" in problems_of(text, tmp_path)[""]


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 5000])
def test_a_variable_that_cannot_be_read_is_a_mistake(text: str, tmp_path: Path) -> None:
    assert problems_of("", tmp_path, {"GLAM_NODE__NODE__PORT": text})
