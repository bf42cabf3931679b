"""A fast sender that can violate the protocol: pre-built PDUs over a plain socket."""

import socket
import struct
from dataclasses import dataclass, field

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from tests.data_sets import MG

VERIFICATION = "1.2.840.10008.1.1"


def associate_rq(
    calling: str = "DCMTK",
    called: str = "GLAMNODE",
    abstract_syntaxes: tuple[str, ...] = (MG,),
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> bytes:
    """Encode an A-ASSOCIATE-RQ with one context (ids 1, 3 ...) per abstract syntax."""
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, called
    contexts = [build_context(uid, transfer_syntax) for uid in abstract_syntaxes]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length, class_uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, class_uid.implementation_class_uid = 16384, "1.2.3"
    request.user_information = [length, class_uid]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    encoded: bytes = pdu.encode()
    return encoded


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def even(text: str) -> bytes:
    value = text.encode()
    return value + b"\0" * (len(value) % 2)


def command(
    field: int,
    sop_class_uid: str,
    sop_instance_uid: str = "",
    *,
    message_id: int = 1,
    has_data_set: bool = True,
    action: int = 0,
) -> bytes:
    """Encode the command set of a request."""
    body = element(0x0002, even(sop_class_uid)) + element(0x0100, struct.pack("<H", field))
    body += element(0x1008, struct.pack("<H", action)) if action else b""
    body += element(0x0110, struct.pack("<H", message_id)) + element(0x0700, b"\0\0")
    body += element(0x0800, b"\0\0" if has_data_set else b"\1\1")
    body += element(0x1000, even(sop_instance_uid)) if sop_instance_uid else b""
    return element(0x0000, struct.pack("<I", len(body))) + body


def store_rq(sop_instance_uid: str, sop_class_uid: str = MG, message_id: int = 1, command_field: int = 1) -> bytes:
    """Encode a C-STORE-RQ command set (or another command with a data set)."""
    return command(command_field, sop_class_uid, sop_instance_uid, message_id=message_id)


def echo_rq() -> bytes:
    """Encode a C-ECHO-RQ command set."""
    return command(0x0030, VERIFICATION, has_data_set=False)


def pdv(data: bytes, *, command: bool, last: bool, context_id: int = 1) -> bytes:
    """Encode a presentation data value."""
    return struct.pack(">IBB", len(data) + 2, context_id, command | last << 1) + data


def p_data(*values: bytes) -> bytes:
    """Encode a P-DATA-TF PDU."""
    body = b"".join(values)
    return struct.pack(">BBI", 4, 0, len(body)) + body


@dataclass
class Sender:
    """A connection to the receiver."""

    port: int
    connection: socket.socket = field(init=False)
    longest_pdu: int = 0
    """Length in bytes of the longest P-DATA-TF received, without its header."""

    def __post_init__(self) -> None:
        self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def associate(self, **request: object) -> int:
        """Request an association; return the type of the answer (2: accepted, 3: rejected)."""
        self.send(associate_rq(**request))  # type: ignore[arg-type]
        return self.read()[0]

    def read(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; type 0 if the peer closed the connection."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        pdu_type, _, length = struct.unpack(">BBI", head)
        return pdu_type, self._exactly(length)

    def status(self) -> int:
        """Return the status in the next response, which may take several PDUs."""
        command, control = b"", 0
        while not control & 2:
            pdu_type, body = self.read()
            assert pdu_type == 4, f"PDU type {pdu_type}"
            self.longest_pdu = max(self.longest_pdu, len(body))
            control = body[5]
            command += body[6:]
        at = command.index(struct.pack("<HHI", 0, 0x0900, 2))
        return int.from_bytes(command[at + 8 : at + 10], "little")

    def store(self, uid: str, data: bytes, **request: object) -> int:
        """Send a C-STORE and return the status of its response."""
        self.send(p_data(pdv(store_rq(uid, **request), command=True, last=True)))  # type: ignore[arg-type]
        for start in range(0, max(len(data), 1), 16000):
            piece = data[start : start + 16000]
            self.send(p_data(pdv(piece, command=False, last=start + 16000 >= len(data))))
        return self.status()

    def is_closed_within(self, seconds: float) -> bool:
        """Return whether the peer ends the connection in time (an A-ABORT may come first)."""
        self.connection.settimeout(seconds)
        try:
            while self.connection.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                return data
            data += piece
        return data
