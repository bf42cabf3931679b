"""A listening console, and a client that keeps cookies like a browser."""

import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from types import MappingProxyType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from tests.ports import free_port


@contextmanager
def listening(app: Starlette, port: int = 0, **options: Any) -> Iterator[int]:
    """Serve the application on this machine, and yield the port."""
    config = uvicorn.Config(app, port=port or free_port(), log_config=None, proxy_headers=False, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        yield server.config.port
    finally:
        server.should_exit = True
        thread.join()


class _Staying(urllib.request.HTTPErrorProcessor):
    """A handler that returns redirections instead of following them."""

    def http_response(self, _: urllib.request.Request, response: Any) -> Any:
        return response

    https_response = http_response  # type: ignore[assignment]


class Browser:
    """A client that follows redirections, keeps cookies and sends the forms of pages."""

    def __init__(self, port: int, ca: Path | None = None) -> None:
        self.url = f"{'https' if ca else 'http'}://127.0.0.1:{port}"
        self.jar = CookieJar()
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPCookieProcessor(self.jar)]
        if ca is not None:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
        self._opener = urllib.request.build_opener(*handlers)

    @property
    def cookie(self) -> Cookie:
        """The only cookie."""
        (cookie,) = self.jar
        return cookie

    def ask(
        self, path: str, fields: dict[str, str] | None = None, *, accept: str = "*/*", live: bool = False
    ) -> tuple[int, str]:
        """Return status and body of a GET, or of a POST with `fields`; with `live`, of the live part of a page."""
        body = None if fields is None else urllib.parse.urlencode(fields).encode()
        headers = {"Accept": accept, **({"HX-Request": "true"} if live else {})}
        try:
            with self.open(path, body, headers) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def open(self, path: str, body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
        """Return the response. Raises HTTPError for an error status."""
        return self._opener.open(urllib.request.Request(self.url + path, body, dict(headers)), timeout=30)

    def redirected(self, path: str) -> str:
        """Return the address to which a page of the console redirects."""
        return self.redirected_from(self.url + path)

    def redirected_from(self, url: str, fields: dict[str, str] | None = None) -> str:
        """Return the address to which any page redirects."""
        body = None if fields is None else urllib.parse.urlencode(fields).encode()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), _Staying())
        with opener.open(urllib.request.Request(url, body), timeout=30) as answer:
            return str(answer.headers["Location"])

    def form_token(self, path: str) -> str:
        """Return the form token of the form on a page."""
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.ask(path)[1])
        assert found, f"{path} has no form"
        return found[1]

    def sign_in(self, name: str, password: str) -> tuple[int, str]:
        """Sign in by the form, and return status and body."""
        fields = {"name": name, "password": password, "form_token": self.form_token("/sign-in")}
        return self.ask("/sign-in", fields)
