"""Many attackers at the same time, and one correct sender."""

import itertools
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.data_sets import data_set
from tests.integration.modality import MODALITY
from tests.integration.scp.raw import Sender
from tests.torture.conversations import HEADER, Conversation, pdus
from tests.torture.mutations import mutated

STORE_RSP = 0x8001
LONGEST_PAUSE_S = 0.3


@dataclass
class Tally:
    """Outcomes of all threads."""

    cases: int = 0
    not_closed: list[int] = field(default_factory=list)
    """Seeds of the cases in which the connection stayed open."""
    answered: set[str] = field(default_factory=set)
    """SOP Instance UIDs of instances that were answered 0x0000."""
    good_seconds: list[float] = field(default_factory=list)
    """Seconds from connecting to the C-STORE response, for each association of the correct sender."""
    good_failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def attack(port: int, captures: Sequence[Conversation], seeds: range, patience_s: float, tally: Tally) -> None:
    """Play the case of every seed; in one of fifty, wait for the node to close the connection.

    Every second says nothing more before its association request is answered: others than these are not associations.
    """
    for seed in seeds:
        rng = random.Random(seed)
        said = mutated(captures, rng)
        closed, answers = _play(port, said, rng, patience_s)
        with tally.lock:
            tally.cases += 1
            tally.answered |= _stored(answers)
            if not closed:
                tally.not_closed.append(seed)


def _play(port: int, said: Conversation, rng: random.Random, patience_s: float) -> tuple[bool, bytes]:
    """Play a case; return whether the node closed the connection in time, and its answers."""
    answers = bytearray()
    # Each case has another address, since the node limits the connections of one address.
    source = f"127.0.{rng.randrange(1, 250)}.{rng.randrange(1, 250)}"
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s, source_address=(source, 0)) as connection:
        deadline = time.monotonic() + patience_s
        try:
            if rng.random() < 0.5:
                connection.sendall(b"".join(said[:1]))
                answers += _heard(connection)
                said = said[1:]
            connection.sendall(b"".join(said))
            if rng.random() > 0.02:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65_536):
                answers += data
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            return False, bytes(answers)
        except OSError:  # a reset also closes the connection
            pass
    return True, bytes(answers)


def _heard(connection: socket.socket) -> bytes:
    """Return the first bytes from the node, or none if it waits for more data."""
    ready, _, _ = select.select([connection], [], [], LONGEST_PAUSE_S)
    return connection.recv(65_536) if ready else b""


def _stored(answers: bytes) -> set[str]:
    """Return the UIDs of the instances that C-STORE responses in `answers` report as stored."""
    stored = set()
    for pdu in pdus(answers):
        if pdu[:1] != b"\x04":
            continue
        elements = dict(_elements(pdu[HEADER.size + 6 :]))
        if elements.get(0x0100) == struct.pack("<H", STORE_RSP) and elements.get(0x0900) == b"\0\0":
            stored.add(elements.get(0x1000, b"").decode().rstrip("\0 "))
    return stored


def _elements(command: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 8 <= len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        found.append((number, command[at + 8 : at + 8 + length]))
        at += 8 + length
    return found


def send_good_images(port: int, stop: threading.Event, tally: Tally) -> None:
    """Send one image after the other, each over a new association, until `stop` is set."""
    for number in itertools.count():
        if stop.wait(0.2):
            return
        uid = f"2.25.88{number}"
        started = time.monotonic()
        try:
            with Sender(port) as sender:
                answer = sender.associate(calling=MODALITY)
                status = sender.store(uid, data_set(uid)) if answer == 2 else -answer
        except (OSError, AssertionError) as error:
            answer, status = 0, -1
            tally.good_failures.append(f"{uid}: {error}")
        tally.good_seconds.append(time.monotonic() - started)
        if status == 0:
            tally.answered.add(uid)
        else:
            tally.good_failures.append(f"{uid}: answer {answer}, status {status}")
