"""The console's own process, and signing in there without a browser."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlencode

from glam_node.node.run.supervisor import stop_together
from tests.command_line import glam_node
from tests.integration.node_directory import NodeDirectory, all_ready
from tests.ports import free_port
from tests.processes import Separate
from tests.waiting import wait_until

PASSWORD = "correct horse battery"


@contextmanager
def console(node: NodeDirectory, more: str = "") -> Iterator[int]:
    """Run the console of the node, with an account for anna."""
    with node.settings_path.open("a") as settings:
        settings.write(f"[console]\nport = {free_port()}\n{more}\n")
    node.build()
    glam_node("console", "user", "add", "anna", "--settings", node.settings_path, text=f"{PASSWORD}\n")
    child = Separate("console", node.environment())
    try:
        wait_until(lambda: all_ready([child]))
        yield int(child.word or 0)
    finally:
        stop_together([child])


def sign_in(connection: http.client.HTTPConnection, name: str, password: str, **headers: str) -> tuple[int, list[str]]:
    """Return the status and the cookies of the answer; the connection is closed."""
    with closing(connection):
        return _sign_in(connection, name, password, headers)


def _sign_in(
    connection: http.client.HTTPConnection, name: str, password: str, headers: dict[str, str]
) -> tuple[int, list[str]]:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request("GET", "/sign-in", headers=sent)
    form = connection.getresponse()
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', form.read().decode())
    if token is None:
        return form.status, []
    cookie = str(form.headers["Set-Cookie"]).partition(";")[0]
    body = urlencode({"name": name, "password": password, "form_token": token[1]})
    sent |= {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in", body, sent)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers.get_all("Set-Cookie") or []


def plain(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
