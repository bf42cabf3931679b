"""Tests that passwords and tokens in URLs and files are checked and never shown."""

import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.command_line import glam_node
from tests.integration.node_directory import write_node
from tests.integration.redis_server import wait_for_broker
from tests.peers import PEERS
from tests.ports import free_port
from tests.preloaded import run_command
from tests.system.node_process import GLAM_NODE
from tests.waiting import wait_until

PARTS = ("SuperSecret", "Tail2026")
ENCODED = {"#": "%23", "/": "%2F", "?": "%3F", "[": "%5B", "]": "%5D", "@": "%40", ":": "%3A", "%": "%25", " ": "%20"}
URLS = {
    "broker_url": "redis://:{}@127.0.0.1:1/0",
    "database_url": "postgresql+psycopg://glam:{}@127.0.0.1:1/glam",
    "telemetry.otlp_endpoint": "http://glam:{}@127.0.0.1:1",
}
WRONG = [(key, url.format(mark.join(PARTS))) for key, url in URLS.items() for mark in ENCODED]
WRONG += [
    ("alerts.webhook_url", f"https://chat.example/hooks/{PARTS[0]}#{PARTS[1]}"),
    ("alerts.webhook_url", f"https://{PARTS[0]}:{PARTS[1]}@chat.example/hooks"),
    ("alerts.webhook_url", f"https://chat.example/{PARTS[0]} {PARTS[1]}"),
    ("alerts.webhook_url", f"https://chat.example:{PARTS[0]}/{PARTS[1]}"),
    ("broker_url", f"redis://{PARTS[0]}@127.0.0.1:1/0"),
    ("broker_url", f"redis://127.0.0.1:1/0?password={PARTS[0]}"),
    ("broker_url", f"redis+socket://:{PARTS[0]}#{PARTS[1]}@/run/redis.sock"),
    ("database_url", f"postgresql+psycopg://127.0.0.1/glam?user=glam&password={PARTS[0]}"),
    ("database_url", f"postgresql+psycopg://glam:{PARTS[0]}\uff03{PARTS[1]}@127.0.0.1:1/glam"),
]


def written(directory: Path, key: str, value: str) -> Path:
    """Write a settings file with one value."""
    path = directory / "node.toml"
    path.write_text(f"{key} = '{value}'\nstorage.root = '{directory / 'storage'}'\n")
    return path


def assert_hidden(text: str) -> None:
    """Assert that no part of the password stands in the text."""
    assert [part for part in PARTS if part in text] == [], text


@pytest.mark.parametrize(("key", "url"), WRONG, ids=[f"{key} {url[-44:]}" for key, url in WRONG])
def test_a_url_with_an_ambiguous_password_is_refused_and_not_shown(key: str, url: str, tmp_path: Path) -> None:
    checked = glam_node("settings", "check", "--settings", written(tmp_path, key, url), expect=1)
    assert f'{key}: "***" is not allowed' in checked.stderr
    assert_hidden(checked.output)


@pytest.mark.parametrize(("mark", "encoded"), ENCODED.items())
def test_the_refusal_of_a_password_says_how_to_write_it(mark: str, encoded: str, tmp_path: Path) -> None:
    raw, said = (URLS["broker_url"].format(between.join(PARTS)) for between in (mark, encoded))
    refused = glam_node("settings", "check", "--settings", written(tmp_path, "broker_url", raw), expect=1)
    assert f"{'a space' if mark == ' ' else mark} as {encoded}" in refused.stderr
    glam_node("settings", "check", "--settings", written(tmp_path, "broker_url", said))


def test_serve_and_doctor_refuse_an_ambiguous_password_without_showing_it(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    environment = node.environment() | {"GLAM_NODE__BROKER_URL": URLS["broker_url"].format("#".join(PARTS))}
    for command, code in (("serve", 2), ("worker", 2), ("doctor", 1), ("status", 2)):
        done = run_command([GLAM_NODE, command], environment, 120)
        assert done.returncode == code, done.stderr
        assert "%23" in done.stdout + done.stderr
        assert_hidden(done.stdout + done.stderr)


@pytest.mark.peer("redis-server")
def test_a_password_with_every_ambiguous_character_is_sent_and_not_shown(tmp_path: Path) -> None:
    password = "".join(mark.join(PARTS) for mark in ENCODED)
    port = free_port()
    url = f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"
    wrong = f"redis://:{quote(password + 'x', safe='')}@127.0.0.1:{port}/0"
    (tmp_path / "redis.conf").write_text(f'port {port}\nbind 127.0.0.1\nsave ""\nrequirepass "{password}"\n')
    with subprocess.Popen([PEERS["redis-server"].program, tmp_path / "redis.conf"], stdout=subprocess.DEVNULL) as redis:
        try:
            wait_for_broker(url)
            told = glam_node("doctor", "--settings", written(tmp_path, "broker_url", url), "--without", "model").stdout
            assert f"redis://:***@127.0.0.1:{port}/0 answers" in told
            refused = glam_node(
                "doctor", "--settings", written(tmp_path, "broker_url", wrong), "--without", "model", expect=1
            ).stdout
            assert "rejects the user or password" in refused
            log = _log_of_serve(tmp_path / "node", wrong)
        finally:
            redis.terminate()
    assert_hidden(told + refused + log)


def _log_of_serve(directory: Path, broker_url: str) -> str:
    """Return the log of a node whose broker rejects it."""
    node = write_node(directory, broker_url=broker_url)
    log_path = directory / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([GLAM_NODE, "serve"], env=node.environment(), stdout=log, stderr=log)
    with process:
        try:
            wait_until(lambda: "does not answer" in log_path.read_text() or "did not accept" in log_path.read_text())
            assert (directory / "storage" / "in-force.json").is_file()
            assert_hidden((directory / "storage" / "in-force.json").read_text())
        finally:
            process.terminate()
    return log_path.read_text()


SECRET_FILES = {
    "alerts.smtp_password_path": "alerts = { smtp_host = 'h', sender = 'a@b.c', recipients = ['a@b.c'], "
    "smtp_user = 'a', smtp_password_path = '%s' }",
    "destinations.web.authorization": "destinations.web = { kind = 'stow-rs', authorization = '%s' }",
    "console.oidc.client_secret_path": "console = { port = 1, oidc = { issuer = 'https://h', client_id = 'a', "
    "public_url = 'https://h', viewers = ['a'], client_secret_path = '%s' } }",
}


@pytest.mark.parametrize(("key", "text"), SECRET_FILES.items())
def test_a_secret_file_that_cannot_be_sent_is_refused_without_its_content(key: str, text: str, tmp_path: Path) -> None:
    secret, settings = tmp_path / "secret", tmp_path / "node.toml"
    secret.touch(0o600)
    for content in ("\n".join(PARTS), "\u2013".join(PARTS), "\x01".join(PARTS)):
        secret.write_text(content)
        settings.write_text(text % secret)
        refused = glam_node("settings", "check", "--settings", settings, expect=1)
        assert f"{key}: {secret} must contain one line of printable ASCII characters" in refused.stderr
        assert_hidden(refused.output)
    settings.write_text(text % " ".join(PARTS))  # the secret itself in place of its path
    assert_hidden(glam_node("settings", "check", "--settings", settings, expect=1).output)
