"""A sender that uses almost no CPU: pre-built PDUs in shared memory, sent by the kernel.

It runs as a separate process (`python -S raw_sender.py < plan.json`) and forks once per association. All associations
start sending together, once all are open. The result is printed as one line of JSON.
"""

import collections
import json
import os
import select
import socket
import struct
import sys
import time
from typing import Any

STATUS = struct.pack("<HHI", 0, 0x0900, 2)
RELEASE_RQ = bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0])


def main() -> None:
    """Run the plan on standard input."""
    plan = json.load(sys.stdin)
    go_read, go_write = os.pipe()
    work = {"store": Storing, "echo": echo, "associate": associate}[plan["kind"]](plan)
    pipes = []
    for number in range(plan["senders"]):
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(go_write)
            os.write(write, json.dumps(one_sender(plan, work, number, go_read, write)).encode())
            os._exit(0)
        os.close(write)
        pipes.append(read)
    for pipe in pipes:
        if os.read(pipe, 1) != b"r":
            sys.exit("an association was not opened")
    os.close(go_read)
    os.close(go_write)
    outcomes = [json.loads(everything(pipe)) for pipe in pipes]
    statuses: collections.Counter[str] = collections.Counter()
    for outcome in outcomes:
        statuses.update(outcome["statuses"])
    seconds = max(outcome["end"] for outcome in outcomes) - min(outcome["begin"] for outcome in outcomes)
    sys.stdout.write(json.dumps({"seconds": seconds, "statuses": statuses}))


def one_sender(plan: dict[str, Any], work: Any, number: int, go: int, ready: int) -> dict[str, Any]:
    """Run one association and return its times and statuses."""
    connection = None if plan["kind"] == "associate" else opened(plan)
    os.write(ready, b"r")
    select.select([go], [], [])
    begin = time.monotonic()
    statuses = collections.Counter(
        work(connection, number, count) for count in range(plan["first"], plan["first"] + plan["count"])
    )
    end = time.monotonic()
    if connection is not None:
        released(connection)
    return {"begin": begin, "end": end, "statuses": statuses}


def opened(plan: dict[str, Any]) -> socket.socket:
    """Open an association."""
    connection = socket.create_connection(("127.0.0.1", plan["port"]))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(bytes.fromhex(plan["request"]))
    if pdu(connection)[0] != 2:
        sys.exit("the association was rejected")
    return connection


def released(connection: socket.socket) -> None:
    """Release the association and close the connection."""
    connection.sendall(RELEASE_RQ)
    if pdu(connection)[0] != 6:
        sys.exit("the release was not answered")
    connection.close()


def associate(plan: dict[str, Any]) -> Any:
    """Return a function that opens and releases an association."""

    def once(_: None, number: int, count: int) -> str:
        released(opened(plan))
        return "0000"

    return once


def echo(plan: dict[str, Any]) -> Any:
    """Return a function that sends one C-ECHO."""
    request = bytes.fromhex(plan["command"])

    def once(connection: socket.socket, number: int, count: int) -> str:
        connection.sendall(request)
        return status(connection)

    return once


class Storing:
    """Sender of one data set by C-STORE, each time with new UIDs, four instances to a study."""

    def __init__(self, plan: dict[str, Any]) -> None:
        with open(plan["data_set"], "rb") as file:  # noqa: PTH123 - pathlib would be one import more
            data = file.read()
        self._marks = plan["marks"]
        length = plan["pdu_length"] - 6
        pdus = [p_data(data[at : at + length], at + length >= len(data)) for at in range(0, len(data), length)]
        self._head = bytes.fromhex(plan["command"]) + pdus[0]
        rest = b"".join(pdus[1:])
        self._rest_length = len(rest)
        self._rest = os.memfd_create("pdus")
        os.truncate(self._rest, self._rest_length)
        for at in range(0, self._rest_length, 1 << 30):
            os.pwrite(self._rest, rest[at : at + (1 << 30)], at)

    def __call__(self, connection: socket.socket, number: int, count: int) -> str:
        """Send one instance and return the status of the response."""
        head = self._head
        for mark, value in zip(self._marks, (count, count // 4), strict=True):
            head = head.replace(mark.encode(), f"{mark[:-9]}1{number:03}{10000 + value:05}".encode())
        connection.sendall(head, socket.MSG_MORE if self._rest_length else 0)
        at = 0
        while at < self._rest_length:
            at += os.sendfile(connection.fileno(), self._rest, at, self._rest_length - at)
        return status(connection)


def p_data(data: bytes, last: bool) -> bytes:
    """Encode a P-DATA-TF with one fragment of a data set."""
    return struct.pack(">BBIIBB", 4, 0, len(data) + 6, len(data) + 2, 1, 2 * last) + data


def status(connection: socket.socket) -> str:
    """Return the status of the next response in hex."""
    body = pdu(connection)[1]
    at = body.index(STATUS)
    return body[at + 9 : at + 7 : -1].hex()


def pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Return type and body of the next PDU; the peer never sends two before it is read."""
    data = connection.recv(65_536)
    while data and (len(data) < 6 or len(data) < 6 + int.from_bytes(data[2:6], "big")):
        # A peer that writes its answer in pieces, as storescp does, would otherwise wait 40 ms for an ACK.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data += connection.recv(65_536)
    if not data:
        sys.exit("the connection was closed")
    return data[0], data[6:]


def everything(pipe: int) -> bytes:
    """Read from the pipe until its other end is closed."""
    data = b""
    while piece := os.read(pipe, 65_536):
        data += piece
    return data


if __name__ == "__main__":
    main()
