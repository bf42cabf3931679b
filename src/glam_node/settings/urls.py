"""URLs that may contain a password or a token: their validation, and their form without the secret."""

import re
import unicodedata
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, Field

from glam_node.settings.section import contradiction

SECRET_KEYS = frozenset({"database_url", "broker_url", "webhook_url", "otlp_endpoint"})
"""The last parts of the keys whose values are such URLs."""

_DATABASE_URL = 'empty, "sqlite:///FILE" or "postgresql+psycopg://user:password@host/name"'
_BROKER_URL = 'empty, "redis://host:6379/0", "rediss://..." or "redis+socket:///FILE"'
_WEB_URL = 'empty, "https://host/path" or "http://host/path"'
_ENCODE = (
    "In a user name or password, write # as %23, / as %2F, ? as %3F, [ as %5B, ] as %5D, @ as %40, : as %3A, "
    "% as %25 and a space as %20"
)
_ENCODE_PATH = "In a path, write # as %23, ? as %3F, [ as %5B, ] as %5D, % as %25 and a space as %20"

# RFC 3986 3.2, with letters of any language. A character that separates parts of a URL is allowed only in places in
# which every program reads it in the same way.
_CHARACTER = r"(?:[\w!\"$&'()*+,;<=>^`{|}~.\\-]|%[0-9A-Fa-f]{2})"
_ASCII = r"(?:[A-Za-z0-9_!$&'()*+,;=~./:@-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+_]*)://(?:(?P<user>{_CHARACTER}*)(?::(?P<password>{_CHARACTER}*))?@)?"
    rf"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)?(?::(?P<port>\d{{1,5}}))?"
    rf"(?P<path>/{_ASCII}*)?(?:\?(?P<query>(?:{_ASCII}|\?)*))?"
)
_PASSWORD_IN_QUERY = re.compile(r"(^|&)[^=&]*(password|secret|token)[^=&]*=", re.IGNORECASE)


def _parsed(url: str) -> re.Match[str] | None:
    """Return the parts of the URL; None if another program could split the URL differently."""
    found = _URL.fullmatch(url)
    if found is None or int(found["port"] or 0) > 65535 or not _URL.fullmatch(unicodedata.normalize("NFKC", url)):
        return None
    after = (found["path"] or "") + (found["query"] or "")
    return None if "@" in after and not found["scheme"].startswith("http") else found


def secrets_of(url: str) -> set[str]:
    """Return the secret parts of the URL, both as they are written and with their %-codes decoded."""
    found = _parsed(url)
    if found is None:
        return set()
    secrets = {found["password"] or ""}
    if found["scheme"].startswith("http"):
        secrets |= {(found["path"] or "").strip("/"), found["query"] or ""}
    return {text for one in secrets for text in (one, unquote(one)) if text}


def without_password(url: str) -> str:
    """Return the URL with *** instead of its password; a string that is not a URL may be a secret, and becomes ***."""
    if not url or url.startswith("sqlite:///"):
        return url
    found = _parsed(url)
    if found is None or _PASSWORD_IN_QUERY.search(found["query"] or ""):
        return "***"
    if found["scheme"] in ("http", "https"):
        port = f":{found['port']}" if found["port"] else ""
        more = "/***" if found["path"] not in (None, "/") or found["query"] or found["user"] is not None else ""
        return f"{found['scheme']}://{found['host'] or ''}{port}{more or found['path'] or ''}"
    if found["scheme"].startswith("redis") and found["user"] is not None:
        return f"{found['scheme']}://:***@{url[found.start('host') if found['host'] else url.index('@') + 1 :]}"
    if found["password"] is None:
        return url
    return f"{url[: found.start('password')]}***{url[found.end('password') :]}"


def _refused(allowed: str) -> Exception:
    return contradiction("", f'"***" is not allowed: {allowed}')


def _database(value: str) -> str:
    if re.fullmatch(r"|sqlite:///[^?]+", value):
        return value
    if not re.match(r"postgresql(\+\w+)?://", value):
        raise ValueError(_DATABASE_URL)
    found = _parsed(value)
    if found is None:
        raise _refused(f"{_DATABASE_URL}. {_ENCODE}")
    if _PASSWORD_IN_QUERY.search(found["query"] or ""):
        raise _refused("write the password before the host, as in postgresql+psycopg://user:password@host/name")
    return value


def _broker(value: str) -> str:
    if not value:
        return value
    if not re.match(r"(rediss?|redis\+socket)://", value):
        raise ValueError(_BROKER_URL)
    found = _parsed(value)
    is_socket = value.startswith("redis+socket")
    has_place = found is not None and (
        not found["host"] and not found["port"] and found["path"]
        if is_socket
        else found["host"] and re.fullmatch(r"(/\d*)?", found["path"] or "")
    )
    if found is None or not has_place:
        raise _refused(f"{_BROKER_URL}. {_ENCODE}")
    if _PASSWORD_IN_QUERY.search(found["query"] or "") or (found["user"] and found["password"] is None):
        raise _refused("write the password after a colon and before the host, as in redis://:password@host:6379/0")
    return value


def _web(value: str) -> re.Match[str] | None:
    if not value:
        return None
    if not re.match(r"https?://", value):
        raise ValueError(_WEB_URL)
    found = _parsed(value)
    if found is None or not found["host"]:
        words = _ENCODE if "@" in value else _ENCODE_PATH
        raise _refused(f"{_WEB_URL}. {words}")
    return found


def _webhook(value: str) -> str:
    found = _web(value)
    if found is not None and found["user"] is not None:
        raise _refused("a user name and password are not sent to a webhook. Take the URL that its server gave you")
    return value


def _collector(value: str) -> str:
    found = _web(value)
    if found is not None and found["query"] is not None:
        raise _refused("/v1/traces is added to the URL of a collector, so it must not contain a query (?)")
    return value


def _type(check: Any, allowed: str) -> Any:
    return AfterValidator(check), Field(json_schema_extra={"allowed": allowed}, repr=False)


DatabaseURL = Annotated[str, *_type(_database, _DATABASE_URL)]
BrokerURL = Annotated[str, *_type(_broker, _BROKER_URL)]
WebhookURL = Annotated[str, *_type(_webhook, _WEB_URL)]
CollectorURL = Annotated[str, *_type(_collector, _WEB_URL)]
