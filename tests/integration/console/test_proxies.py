"""The console behind reverse proxies, and with clients that pretend to be one."""

import http.client
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from glam_node.node.console.sessions import ATTEMPTS_OF_ADDRESS
from glam_node.node.db import audit
from glam_node.node.domain.event import EventKind
from tests.certificates import Authority, Signed
from tests.command_line import glam_node
from tests.integration.console.console_process import PASSWORD, console, plain, sign_in
from tests.integration.node_directory import REPOSITORY, NodeDirectory, write_node
from tests.peers import PEERS
from tests.ports import free_port
from tests.waiting import wait_for_listener

NAME = "glam.hospital.example"
EXAMPLE = re.search(r"```nginx\n(.*?)```", (REPOSITORY / "docs" / "console.md").read_text(encoding="utf-8"), re.DOTALL)


def addresses(node: NodeDirectory, event: str) -> set[str]:
    """Return the recorded addresses."""
    with node.build().sessions() as session:
        return {str(one.detail["address"]) for one in audit.recent(session, EventKind(event), 100)}


def test_forged_forwarded_addresses_do_not_escape_the_limit_on_wrong_passwords(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    with console(node) as port:
        statuses = [
            sign_in(plain(port), f"user{number}", "wrong", X_Forwarded_For=forged)[0]
            for number, forged in enumerate(
                (*(f"10.9.8.{last}" for last in range(ATTEMPTS_OF_ADDRESS)), "no address at all")
            )
        ]
    assert statuses == [401] * ATTEMPTS_OF_ADDRESS + [429]
    assert addresses(node, "sign_in_refused") | addresses(node, "sign_in_limited") == {"127.0.0.1"}


FORWARDED = {
    "10.9.8.7": "10.9.8.7",
    "10.9.8.7:1234": "10.9.8.7",
    "[2001:db8::7]:1234": "2001:db8::7",
    "2001:DB8:0::7": "2001:db8::7",
    "::ffff:10.9.8.7": "10.9.8.7",
    "forged, 10.9.8.7": "10.9.8.7",
    "10.1.1.1, 10.9.8.7, 127.0.0.2": "10.9.8.7",
    "no address at all": "127.0.0.1",
    "<script>": "127.0.0.1",
}


def test_a_trusted_proxy_supplies_addresses_and_no_other_text(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    with console(node, 'trusted_proxies = ["127.0.0.0/30", "::1"]') as port:
        for number, (forwarded, address) in enumerate(FORWARDED.items()):
            name = f"user{number}"
            assert sign_in(plain(port), name, "wrong", X_Forwarded_For=forwarded)[0] == 401
            with node.build().sessions() as session:
                assert audit.recent(session, EventKind.SIGN_IN_REFUSED, 1)[0].detail["address"] == address, forwarded


def test_pages_behind_a_proxy_need_an_account(tmp_path: Path) -> None:
    node = write_node(tmp_path)
    with console(node, 'trusted_proxies = ["127.0.0.1"]') as port:
        glam_node("console", "user", "remove", "anna", "--settings", node.settings_path)
        with closing(plain(port)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 404


@contextmanager
def nginx(directory: Path, console_port: int, signed: Signed) -> Iterator[int]:
    """Run nginx with the example of the documentation."""
    assert EXAMPLE is not None
    port = free_port()
    server = EXAMPLE[1]
    for documented, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/glam.crt": str(signed.certificate),
        "/etc/nginx/glam.key": str(signed.key),
        "127.0.0.1:8114": f"127.0.0.1:{console_port}",
    }.items():
        assert documented in server
        server = server.replace(documented, here)
    temporary = "\n".join(
        f"{kind}_temp_path {directory / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {directory / 'pid'}; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{server}\n}}\n"
    )
    with subprocess.Popen([PEERS["nginx"].program, "-c", configuration, "-e", directory / "errors"]) as process:
        try:
            wait_for_listener(port)
            yield port
        finally:
            process.terminate()


@pytest.mark.peer("nginx")
def test_the_documented_nginx_supplies_addresses_and_keeps_cookies_secure(tmp_path: Path, authority: Authority) -> None:
    node = write_node(tmp_path / "node")
    signed = authority.sign("nginx")
    settings = f'trusted_proxies = ["127.0.0.1"]\nhost_names = ["{NAME}"]'
    with console(node, settings) as port, nginx(tmp_path, port, signed) as proxy:
        context = ssl.create_default_context(cafile=signed.ca)

        def browser() -> http.client.HTTPSConnection:
            away = ("127.0.0.5", 0)
            return http.client.HTTPSConnection("127.0.0.1", proxy, context=context, timeout=60, source_address=away)

        assert sign_in(browser(), "anna", "wrong", Host=NAME, X_Forwarded_For="10.1.1.1")[0] == 401
        status, cookies = sign_in(browser(), "anna", PASSWORD, Host=NAME)
        assert status == 303
        assert len(cookies) == 3
        assert all("; Secure" in cookie for cookie in cookies)
        assert sign_in(browser(), "anna", PASSWORD, Host="elsewhere.example")[0] == 400
    assert addresses(node, "sign_in_refused") | addresses(node, "signed_in") == {"127.0.0.5"}
