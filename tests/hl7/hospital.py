"""Messages of a hospital, valid by hl7apy, and their sender, software of another maker (@medplum/hl7)."""

import itertools
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_segment

from glam_node.node.hl7.message import Message, parse
from tests.hl7.engine import validated
from tests.peers import PEERS

_PACKAGES = PEERS["hl7-engine"].program.parent.parent
_MODULES = [_PACKAGES / name / "dist" / "esm" / "index.mjs" for name in ("hl7", "core")]
_numbers = itertools.count(1)


def header(
    kind: str, sender: str = "RIS|HOSPITAL", version: str = "2.5.1", character_set: str = "UNICODE UTF-8"
) -> str:
    """Return an MSH with a control ID of its own."""
    name = kind.replace("^", "_")
    return (
        f"MSH|^~\\&|{sender}|GLAMNODE|NODE|20261201010203||{kind}^{name}|M{next(_numbers):05d}|P|{version}||||||"
        f"{character_set}"
    )


def patient(identity: str, name: str = "Muster^Anna", born: str = "19600131", sex: str = "F") -> str:
    """Return a PID."""
    return f"PID|1||{identity}||{name}||{born}|{sex}"


def message(*segments: str) -> str:
    """Return a message that hl7apy finds valid."""
    text = "".join(f"{segment}\r" for segment in segments)
    validated(text)
    return text


def corrected(pid: str, sender: str = "RIS|HOSPITAL") -> str:
    """Return an ADT^A08."""
    head = header("ADT^A08", sender).replace("ADT_A08", "ADT_A01")
    return message(head, "EVN||20261201010203", pid, "PV1|1|O")


def merged(pid: str, prior: str) -> str:
    """Return an ADT^A40."""
    head = header("ADT^A40").replace("ADT_A40", "ADT_A39")
    return message(head, "EVN||20261201010203", pid, f"MRG|{prior}")


def ordered(
    pid: str, accession: str, *, control: str = "NW", status: str = "", priority: str = "", when: str = "20261201010000"
) -> str:
    """Return an ORM^O01 with valid segments; hl7apy asks for every alternative of the whole message."""
    head = header("ORM^O01")
    quantity = f"1^^^{when}^^{priority}"
    common = f"ORC|{control}|P-{accession}|F-{accession}||{status}||{quantity}"
    request = [f"OBR|1|P-{accession}|F-{accession}|MG^Mammography^L", *[""] * 13, accession, *[""] * 8, quantity]
    lines = [head, pid, "PV1|1|O", common, "|".join([*request, "", "", "", "SCREEN^Screening"])]
    for line in lines:
        assert parse_segment(line, "2.5.1", validation_level=VALIDATION_LEVEL.STRICT).validate()
    return "".join(f"{line}\r" for line in lines)


def imaging_ordered(pid: str, accession: str, study: str, *, control: str = "NW", priority: str = "R") -> str:
    """Return an OMI^O23 with the Study Instance UID."""
    return message(
        header("OMI^O23"),
        pid,
        "PV1|1|O",
        f"ORC|{control}|P-{accession}|F-{accession}",
        f"TQ1|1||||||20261201010000||{priority}",
        f"OBR|1|P-{accession}|F-{accession}|MG^Mammography^L",
        f"IPC|{accession}|RP-1|{study}|SPS-1",
    )


def reported(pid: str, accession: str, status: str = "F", sender: str = "RIS|HOSPITAL") -> str:
    """Return an ORU^R01, the report of a reader."""
    request = f"OBR|1|P-{accession}|F-{accession}|MG^Mammography^L||||||||||||||{accession}|||||||{status}"
    return message(header("ORU^R01", sender), pid, request, f"OBX|1|TX|18782-3^Report^LN||Read once.||||||{status}")


def send_all(port: int, messages: Sequence[str], encoding: str = "utf-8") -> list[Message]:
    """Send messages one after the other on one connection, and return their acknowledgements."""
    command: list[str | Path] = [PEERS["node"].program, Path(__file__).with_name("sender.mjs"), *_MODULES]
    text = "".join(json.dumps(one) + "\n" for one in messages)
    done = subprocess.run(
        [*command, str(port), encoding], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(messages), done.stderr
    return [parse(answer.encode()) if answer.startswith("MSH") else _failed(answer) for answer in answers]


def _failed(answer: str) -> Message:
    raise AssertionError(answer)


def send(port: int, text: str) -> str:
    """Send one message, check that hl7apy finds the acknowledgement valid, and return its code, such as AA."""
    (answer,) = send_all(port, [text])
    validated("\r".join("|".join(_encoded(one.fields)) for one in answer.segments) + "\r")
    acknowledged = answer.first("MSA")
    assert acknowledged is not None
    assert acknowledged.component(2) == parse(text.encode()).control_id
    return acknowledged.field(1)


def _encoded(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields of a segment as they were sent: MSH-1 is the separator itself."""
    return (fields[0], *fields[2:]) if fields[0] == "MSH" else fields
