"""The checks of `doctor` for the HL7 port: a message is sent to it and acknowledged, and orders have a source."""

import socket
import ssl
from collections.abc import Iterator

from glam_node.node.cli.checks import Check, Verdict, serving_process
from glam_node.node.domain.words import counted
from glam_node.node.hl7.message import Acknowledgement, acknowledgement_in
from glam_node.node.hl7.mllp import FrameReader, TooLong, framed
from glam_node.node.workflow.operate.hospital_messages import STATUS
from glam_node.settings.hl7 import HL7ListenerSettings
from glam_node.settings.rules import RuleSettings
from glam_node.settings.schema import Settings

NAME = "HL7 port answers"
ORDERS = "orders"
_TIMEOUT_S = 10.0
_MOST_BYTES = 65_536
_CONTROL_ID = "DOCTOR"


def check_hl7(settings: Settings) -> Iterator[Check]:
    """Check that the running node acknowledges a message that asks for nothing, and that the settings fit together."""
    chosen = settings.hl7
    if not chosen.port:
        return
    if serving_process(settings.storage.root):
        yield _acknowledged(chosen)
    yield _orders(settings)


def _acknowledged(chosen: HL7ListenerSettings) -> Check:
    where = f"{chosen.local_host}:{chosen.port}"
    remedy = "See the log of the node, and check hl7.host, hl7.hosts, hl7.senders and hl7.certificate."
    if chosen.ca is not None:
        return Check(NAME, Verdict.OK, f"{where} asks senders for a certificate, so that no message was tried")
    try:
        answer = _exchange(chosen)
    except (OSError, TooLong) as error:
        return Check(NAME, Verdict.FAIL, f"{where} does not answer a message: {error}", remedy)
    if answer is not None and answer.code in ("AA", "CA"):
        return Check(NAME, Verdict.OK, f"{where} acknowledged a message ({STATUS}) with {answer.code}")
    said = "no acknowledgement" if answer is None else f"{answer.code}: {answer.text}"
    return Check(NAME, Verdict.FAIL, f"{where} answered a message ({STATUS}) with {said}", remedy)


def _exchange(chosen: HL7ListenerSettings) -> Acknowledgement | None:
    """Send the message of the first sender in the settings, and return the answer."""
    application, _, facility = chosen.senders[0].partition("|")
    receiver = chosen.application
    message = f"MSH|^~\\&|{application}|{facility}|{receiver}||20260101||{STATUS}|{_CONTROL_ID}|P|2.5.1\r"
    with socket.create_connection((chosen.local_host, chosen.port), timeout=_TIMEOUT_S) as plain:
        if chosen.certificate is None:
            return _answer_on(plain, message)
        context = ssl.create_default_context(cafile=str(chosen.certificate))
        # The check is whether the node answers; `certificates` checks the certificate itself.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as secured:
            return _answer_on(secured, message)


def _answer_on(connection: socket.socket, message: str) -> Acknowledgement | None:
    connection.sendall(framed(message.encode()))
    reader = FrameReader(_MOST_BYTES)
    while (frame := reader.next()) is None:
        received = connection.recv(_MOST_BYTES)
        if not received:
            return None
        reader.add(received)
    return acknowledgement_in(frame)


def _orders(settings: Settings) -> Check:
    """Check that orders have an effect, and that messages that release studies have studies to release."""
    chosen = settings.hl7
    holding = [name for name, rule in settings.rules.items() if _holds(rule)]
    if chosen.release_on and not holding:
        fact = "hl7.release_on is set, and no rule holds studies, so no message releases one"
        return Check(ORDERS, Verdict.WARN, fact, 'Add a rule with then = "hold", or empty hl7.release_on.')
    fetched = f"studies of orders are fetched from sources.{chosen.fetch_from}" if chosen.fetch_from else ""
    released = f"{', '.join(chosen.release_on)} releases what {', '.join(holding)} holds" if chosen.release_on else ""
    facts = [one for one in (fetched, released) if one] or ["orders give their studies a priority, and nothing else"]
    return Check(ORDERS, Verdict.OK, f"{'; '.join(facts)} ({counted(len(chosen.senders), 'sender')})")


def _holds(rule: RuleSettings) -> bool:
    return rule.then == "hold"
