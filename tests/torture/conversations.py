"""Recorded requests of real senders to a receiver."""

import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.data_sets import MG, mammogram
from tests.integration.modality import MODALITY
from tests.peers import PEERS

Conversation = list[bytes]
"""PDUs (PS3.8 section 9.3)."""

HEADER = struct.Struct(">BxI")


def small_image(directory: Path, sop_instance_uid: str) -> Path:
    """Write a small image that every sender accepts."""
    dataset: Dataset = mammogram(
        sop_instance_uid,
        Rows=16,
        Columns=16,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        pixel_bytes=512,
        PatientID="P1",
        PatientName="Phantom^Anna",
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UID(MG)
    path = directory / f"{sop_instance_uid}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def recorded_conversations(port: int, directory: Path) -> list[Conversation]:
    """Record what dcmsend, storescu and echoscu of DCMTK send to the receiver at `port`, which answers with success."""
    one, two = (str(small_image(directory, f"2.25.77{number}")) for number in range(2))
    commands = [
        ("dcmsend", "{port}", one, two),
        ("storescu", "+C", "{port}", one),
        ("storescu", "-xi", "-pdu", "4096", "{port}", one, two),
        ("echoscu", "--repeat", "3", "{port}"),
    ]
    return [_recorded(port, command) for command in commands]


def _recorded(port: int, command: Sequence[str]) -> Conversation:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = bytearray()
        relay = threading.Thread(target=_relay, args=(listener, port, said))
        relay.start()
        program, *arguments = command
        options = ["-aet", MODALITY, "-aec", "GLAMNODE"]
        at = arguments.index("{port}")
        arguments[at : at + 1] = ["127.0.0.1", str(listener.getsockname()[1])]
        path = PEERS["dcmtk"].program.with_name(program)
        done = subprocess.run([path, *options, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        relay.join(10)
    return pdus(bytes(said))


def _relay(listener: socket.socket, port: int, said: bytearray) -> None:
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        answers = threading.Thread(target=_copy, args=(server, client, bytearray()))
        answers.start()
        _copy(client, server, said)
        answers.join(10)


def _copy(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    try:
        while data := source.recv(65_536):
            kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def pdus(stream: bytes) -> Conversation:
    """Split `stream` into its PDUs; the last one may be incomplete."""
    cut, at = [], 0
    while at < len(stream):
        length = HEADER.unpack_from(stream, at)[1] if at + HEADER.size <= len(stream) else len(stream)
        cut.append(stream[at : at + HEADER.size + length])
        at += HEADER.size + length
    return cut
