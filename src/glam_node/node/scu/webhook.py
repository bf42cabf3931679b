"""Alerts that are posted to a webhook, as JSON documents over HTTP."""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from glam_node.node.domain.alert import AlertMessage
from glam_node.node.domain.words import unstopped
from glam_node.node.errors import TransientError
from glam_node.node.scu.answer_timeouts import limit_answer_time

_REMEDY = "Check alerts.webhook_url. The node tries again."


def post_alert(url: str, node: str, timeout_s: float, message: AlertMessage) -> None:
    """Post an alert to a webhook.

    Raises:
        TransientError: The webhook did not answer with a 2xx status. The message never contains the path of the URL,
            which may be a secret.
    """
    parts = urlsplit(url)
    where = f"Webhook at {parts.hostname}"
    connection = web_connection(url, timeout_s)
    try:
        try:
            target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            headers = {"Content-Type": "application/json", "User-Agent": "glam-node"}
            connection.request("POST", target, json.dumps(_document(node, message)), headers)
            with limit_answer_time(connection, timeout_s):
                status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"{where} does not answer: {unstopped(error)}. {_REMEDY}") from error
    if not 200 <= status < 300:
        raise TransientError(f"{where} answered an alert with HTTP status {status}. {_REMEDY}")


def check_webhook(url: str, timeout_s: float) -> str:
    """Check that the server of the webhook accepts a connection.

    Returns:
        Words that confirm that the server can be reached.

    Raises:
        TransientError: The connection failed.
    """
    parts = urlsplit(url)
    connection = web_connection(url, timeout_s)
    try:
        connection.connect()
    except OSError as error:
        raise TransientError(f"Webhook at {parts.hostname} does not answer: {unstopped(error)}. {_REMEDY}") from error
    finally:
        connection.close()
    return f"{parts.hostname} can be reached"


def web_connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection to the server of the URL that is not open yet."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _document(node: str, message: AlertMessage) -> dict[str, str]:
    fact, action = message.sentences
    return {
        "text": f"{node}: {message.title}. {fact} {action}",
        "node": node,
        "alert": message.name,
        "subject": message.subject,
        "state": str(message.phase),
        "fact": message.fact,
        "action": action,
        "at": message.at.isoformat(),
        "message_id": f"{node}-{message.message_id}",
    }
