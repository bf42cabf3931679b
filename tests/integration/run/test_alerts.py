"""Delivery of alerts to a real webhook and a real mail server, once, also after outages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import pytest

from glam_node.node.bootstrap import Node, build_node
from glam_node.node.db import alerts, deliveries
from glam_node.node.errors import TransientError
from glam_node.node.run.dispatcher import check_alerts
from glam_node.node.scu.mail import MailServer, check_mail_server
from glam_node.node.workflow.record.alerts import StorageLoss
from glam_node.settings.load import SettingsError, load_settings
from glam_node.settings.reference import in_force
from tests.builders import NOW, sop_instance
from tests.certificates import Authority
from tests.command_line import glam_node
from tests.integration.mail_server import PASSWORD, Mailbox, mail_server
from tests.ports import free_port
from tests.posts import Posts
from tests.rows import add_waiting_result

SECRET_PATH = "/services/T00/very-secret"


class Webhook(Posts):
    """A webhook with a secret path, which keeps the posted bodies."""

    def __init__(self) -> None:
        super().__init__(SECRET_PATH, ill_status=503)
        self.url += SECRET_PATH

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    with hook.listening():
        yield hook


def node_with(root: Path, told: str, database: str = "") -> Node:
    path = root / "node.toml"
    archive = '[destinations.archive]\nae_title = "ARCHIVE"\nport = 104\n'
    path.write_text(f'{database}\nstorage.root = "{root / "storage"}"\n{archive}[alerts]\n{told}')
    return build_node(load_settings(path, {}))


def waits_for_the_archive(node: Node) -> None:
    """Add a result that has been waiting since NOW, of a patient with the ID "SECRET-ID"."""
    with node.sessions.begin() as session:
        add_waiting_result(session, patient_id="SECRET-ID")


def is_delivered(node: Node) -> None:
    with node.sessions.begin() as session:
        for one in deliveries.of_study(session, sop_instance().study_instance_uid):
            deliveries.mark_stored(session, one, NOW)


def look(node: Node, minutes: float, loss: StorageLoss | None = None) -> None:
    check_alerts(node, NOW + timedelta(minutes=minutes), loss or StorageLoss())


def test_a_webhook_gets_one_message_when_an_alert_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    with webhook() as hook:
        node = node_with(tmp_path, f'webhook_url = "{hook.url}"\nwhich = ["archive_down"]')
        waits_for_the_archive(node)
        for minutes in (14, 16, 17):
            look(node, minutes)
        assert [one["state"] for one in hook.posted] == ["begins"]
        node = node_with(tmp_path, f'webhook_url = "{hook.url}"\nwhich = ["archive_down"]')
        look(node, 18)
        is_delivered(node)
        look(node, 19)
        look(node, 20)
        begins, over = hook.posted
    assert (begins["alert"], begins["subject"], begins["node"]) == ("archive_down", "archive", "GLAMNODE")
    assert begins["fact"] == "Results have been waiting for archive for 16 minutes."
    assert begins["text"].startswith("GLAMNODE: archive_down (archive) begins. Results have been waiting")
    assert over["text"] == (
        f'GLAMNODE: archive_down (archive) is over. It said: "{begins["fact"]}" Nothing has to be done.'
    )
    assert "SECRET" not in json.dumps(hook.posted)
    assert "2.25." not in json.dumps(hook.posted)


def test_a_channel_that_is_added_later_gets_the_problems_that_are_there(tmp_path: Path) -> None:
    with webhook() as hook:
        node = node_with(tmp_path, 'which = ["archive_down"]')
        waits_for_the_archive(node)
        look(node, 16)
        node = node_with(tmp_path, f'webhook_url = "{hook.url}"\nwhich = ["archive_down"]')
        for minutes in (17, 18, 100_000, 200_000):
            look(node, minutes)
        assert [one["state"] for one in hook.posted] == ["begins"]
        is_delivered(node)
        look(node, 200_001)
        assert [one["state"] for one in hook.posted] == ["begins", "over"]


def test_a_webhook_gets_missed_messages_in_order_after_its_outage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with webhook() as hook:
        node = node_with(tmp_path, f'webhook_url = "{hook.url}"\nwhich = ["archive_down"]')
        waits_for_the_archive(node)
        hook.ill = True
        look(node, 16)
        is_delivered(node)
        look(node, 17)
        assert hook.posted == []
        hook.ill = False
        look(node, 60)
        assert [one["state"] for one in hook.posted] == ["begins", "over"]
    assert "very-secret" not in "".join(capfd.readouterr())


def test_a_webhook_that_does_not_listen_is_named_without_its_path(tmp_path: Path) -> None:
    node = node_with(tmp_path, f'webhook_url = "http://127.0.0.1:{free_port()}{SECRET_PATH}"\nwhich = ["archive_down"]')
    waits_for_the_archive(node)
    look(node, 16)
    (channel,) = node.alert_channels.values()
    with node.sessions() as session:
        message = alerts.next_message(session, "webhook", NOW + timedelta(hours=1))
    assert message is not None
    with pytest.raises(TransientError, match=r"^Webhook at 127.0.0.1 does not answer: .*refused") as caught:
        channel(message)
    assert "secret" not in str(caught.value)


def test_a_command_sends_a_test_alert(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    with webhook() as hook:
        path.write_text(f'[alerts]\nwebhook_url = "{hook.url}"')
        assert glam_node("alerts", "test", "--settings", path).stdout == "ok    webhook\n"
        hook.ill = True
        told = glam_node("alerts", "test", "--settings", path, expect=1).stdout
    assert told.startswith("FAIL  webhook: Webhook at 127.0.0.1 answered an alert with HTTP status 503.")
    assert hook.posted[0]["text"] == "GLAMNODE: test begins. This is a test. Nothing has to be done."
    path.write_text("")
    assert "Set alerts.webhook_url" in glam_node("alerts", "test", "--settings", path, expect=1).stdout


def test_mails_are_sent_over_tls_after_authentication(tmp_path: Path) -> None:
    authority, mailbox = Authority(tmp_path / "authority"), Mailbox()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    with mail_server(mailbox, authority) as port:
        ca = authority.sign("any").ca
        mail = (
            f'smtp_host = "localhost"\nsmtp_port = {port}\nsmtp_ca = "{ca}"\nsmtp_user = "node"\n'
            f'smtp_password_path = "{tmp_path / "password"}"\nsender = "node@hospital.example"\n'
            'recipients = ["it@hospital.example", "pacs@hospital.example"]\nwhich = ["archive_down"]'
        )
        node = node_with(tmp_path, mail)
        waits_for_the_archive(node)
        look(node, 16)
        look(node, 17)
        is_delivered(node)
        look(node, 18)
    begins, over = mailbox.mails
    assert begins["Subject"] == "[glam-node GLAMNODE] archive_down (archive) begins"
    assert over["Subject"] == "[glam-node GLAMNODE] archive_down (archive) is over"
    assert begins["Message-ID"] != over["Message-ID"]
    assert mailbox.recipients[0] == ["it@hospital.example", "pacs@hospital.example"]
    assert "Results have been waiting for archive for 16 minutes." in begins.get_payload()
    assert "Nothing has to be done." in over.get_payload()
    assert "glam-node echo" not in over.get_payload()
    assert "SECRET" not in begins.as_string()


def test_a_mail_server_of_another_authority_gets_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox, Authority(tmp_path / "theirs")) as port:
        ca = Authority(tmp_path / "ours").sign("any").ca
        mail = (
            f'smtp_host = "localhost"\nsmtp_port = {port}\nsmtp_ca = "{ca}"\nsender = "node@hospital.example"\n'
            'recipients = ["it@hospital.example"]\nwhich = ["archive_down"]'
        )
        node = node_with(tmp_path, mail)
        waits_for_the_archive(node)
        look(node, 16)
    assert mailbox.mails == []


def test_the_connection_to_a_mail_server_without_starttls_is_closed() -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        ended: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.settimeout(10)
                connection.sendall(b"220 mail\r\n")
                lines.readline()
                connection.sendall(b"250 mail\r\n")
                ended.append(lines.readline())

        thread = Thread(target=serve)
        thread.start()
        server = MailServer(
            "127.0.0.1", listener.getsockname()[1], "starttls", None, None, None, "a@b.example", ("c@d.example",), 5
        )
        with pytest.raises(TransientError) as caught:
            check_mail_server(server)
        thread.join()
        assert ended == [b""], f"the connection is open while {caught.type.__name__} is handled"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('webhook_url = "ftp://host/x"', 'alerts.webhook_url: "ftp://host/x" is not allowed'),
        ('smtp_host = "mail"', "alerts.sender: is missing"),
        ('recipients = ["it@hospital.example"]', "alerts.recipients: is for mail: alerts.smtp_host is unset"),
        (
            'smtp_host = "mail"\nsender = "a@b"\nrecipients = ["c@d"]\nsmtp_user = "u"',
            "alerts.smtp_password_path: is missing: user and password go together",
        ),
        ('which = ["archive_gone"]', 'alerts.which[0]: "archive_gone" is not allowed'),
    ],
)
def test_wrong_alert_settings_are_reported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "node.toml").write_text(f"[alerts]\n{text}")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "node.toml", {})
    assert message in str(caught.value)


def test_the_path_of_a_webhook_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(f'[alerts]\nwebhook_url = "https://chat.example{SECRET_PATH}"')
    shown = in_force(load_settings(tmp_path / "node.toml", {}))
    assert 'webhook_url = "https://chat.example/***"' in shown


@pytest.mark.parametrize("database", ["", "database_url = 'sqlite:///{root}/database.sqlite'"])
def test_an_alert_is_sent_once_while_the_storage_root_is_away(database: str, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    root, away, loss = tmp_path / "node" / "storage", tmp_path / "away", StorageLoss()
    with webhook() as hook:
        told = f'webhook_url = "{hook.url}"\nwhich = ["disk_low"]'
        node = node_with(tmp_path / "node", told, database.format(root=tmp_path))
        look(node, 0, loss)
        assert hook.posted == []
        node.sessions.kw["bind"].dispose()
        root.rename(away)
        for minutes in (1, 2):
            with nullcontext() if database else pytest.raises(TransientError, match="unable to open database file"):
                look(node, minutes, loss)
        away.rename(root)
        for minutes in (3, 4):
            look(node, minutes, loss)
        begins, over = hook.posted
    assert (begins["state"], over["state"]) == ("begins", "over")
    assert (begins["alert"], begins["subject"]) == ("disk_low", "storage.root")
    assert begins["fact"] == "storage.root is away: no image is received and no study is analysed."


def test_the_alert_of_a_full_disk_stays_while_the_free_space_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    root, away = tmp_path / "node" / "storage", tmp_path / "away"
    with webhook() as hook:
        told = f'webhook_url = "{hook.url}"\nwhich = ["disk_low"]'
        database = f"database_url = 'sqlite:///{tmp_path}/database.sqlite'\nstorage.minimum_free_bytes = {2**62}"
        node = node_with(tmp_path / "node", told, database)
        look(node, 0)
        root.rename(away)
        look(node, 1)
        look(node, 2)
        away.rename(root)
        look(node, 3)
        states = [(one["subject"], one["state"]) for one in hook.posted]
    assert states == [("", "begins"), ("storage.root", "begins"), ("storage.root", "over")]


def test_a_channel_that_was_down_gets_the_alert_of_the_lost_storage_later(tmp_path: Path) -> None:
    loss = StorageLoss()
    with webhook() as hook:
        node = node_with(tmp_path, f'webhook_url = "{hook.url}"\nwhich = ["disk_low"]')
        node.sessions.kw["bind"].dispose()
        (tmp_path / "storage").rename(tmp_path / "away")
        for ill in (True, False, False):
            hook.ill = ill
            with pytest.raises(TransientError):
                look(node, 1, loss)
        assert [one["state"] for one in hook.posted] == ["begins"]
