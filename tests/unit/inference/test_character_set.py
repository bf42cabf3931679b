"""Names are decoded by the character set that is meant, even if its term is misspelt."""

import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from glam_node.inference.bounded_dataset import read_bounded
from glam_node.node.results.encoding import encoded_file
from glam_node.node.results.sources import character_set, patient_name
from glam_node.node.storage.header import read_stored_header
from tests.data_sets import deflate

LATIN, JAPANESE, KOREAN, CYRILLIC = "Müller^Anna", "Yamada^Tarou=山田^太郎", "Hong^Gildong=洪^吉洞", "Петрова^Анна"
UTF_8 = LATIN.encode()
JIS = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
KS = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
MEANT = [
    ("ISO_IR_192", UTF_8, LATIN),
    ("ISO_IR192", UTF_8, LATIN),
    ("ISO-IR-192", UTF_8, LATIN),
    ("iso_ir 192", UTF_8, LATIN),
    ("ISO 2022 IR 192", UTF_8, LATIN),
    ("\\ISO_IR 192", UTF_8, LATIN),
    ("UTF-8", UTF_8, LATIN),
    ("UNICODE", UTF_8, LATIN),
    ("ISO_IR 87", JIS, JAPANESE),
    ("ISO 2022 IR 87", JIS, JAPANESE),
    ("\\ISO_IR 87", JIS, JAPANESE),
    ("ISO_IR 6\\ISO_IR 87", JIS, JAPANESE),
    ("ISO2022 IR 6\\ISO2022 IR 87", JIS, JAPANESE),
    ("ISO_2022_IR_6\\ISO_2022_IR_87", JIS, JAPANESE),
    ("\\ISO_IR 149", KS, KOREAN),
    ("ISO_IR144", CYRILLIC.encode("iso8859-5"), CYRILLIC),
    ("ISO 8859-5", CYRILLIC.encode("iso8859-5"), CYRILLIC),
    ("ISO_IR 8859-1", LATIN.encode("latin1"), LATIN),
    ("ISO_IR 192", LATIN.encode("latin1"), LATIN),
    ("UTF-8", LATIN.encode("latin1"), LATIN),
]
LEGAL = [
    ("ISO_IR 100", LATIN.encode("latin1"), LATIN),
    ("ISO_IR 192", UTF_8, LATIN),
    ("\\ISO 2022 IR 87", JIS, JAPANESE),
    ("ISO_IR 999", b"Doe^Jane", "Doe^Jane"),
]


def stored(directory: Path, terms: str, name: bytes, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set whose Specific Character Set and Patient's Name have these bytes, whatever they are."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = UID("1.2")
    file = DicomBytesIO(bytes(128) + b"DICM")
    file.seek(132)
    write_file_meta_info(file, meta)
    body = b""
    for tag, vr, value in ((0x00080005, b"CS", terms.encode()), (0x00100010, b"PN", name)):
        padded = value + b" " * (len(value) % 2)
        body += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(padded)) + padded
    path = directory / "image.dcm"
    path.write_bytes(file.getvalue() + (body if syntax == ExplicitVRLittleEndian else deflate(body)))
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("terms", "name", "meant"), [*MEANT, *LEGAL])
def test_a_name_is_decoded_by_the_character_set_that_is_meant(
    tmp_path: Path, terms: str, name: bytes, meant: str
) -> None:
    path = stored(tmp_path, terms, name)
    for read in (read_bounded(path, pixels=False), read_stored_header(path)):
        assert str(read.PatientName) == meant


@pytest.mark.filterwarnings("ignore")
def test_a_name_in_a_deflated_file_is_decoded_by_the_character_set_that_is_meant(tmp_path: Path) -> None:
    path = stored(tmp_path, "ISO_IR_192", UTF_8, DeflatedExplicitVRLittleEndian)
    assert {str(read.PatientName) for read in (read_bounded(path), read_stored_header(path))} == {LATIN}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("terms", "name", "meant"), MEANT)
def test_a_result_names_the_patient_of_an_image_with_a_misspelt_character_set(
    tmp_path: Path, terms: str, name: bytes, meant: str
) -> None:
    source = read_bounded(stored(tmp_path, terms, name), pixels=False)
    result = Dataset()
    result.SpecificCharacterSet, result.PatientName = character_set(source), patient_name(source)
    result.file_meta = source.file_meta
    written = tmp_path / "result.dcm"
    written.write_bytes(b"".join(encoded_file(result)))
    assert str(read_bounded(written).PatientName) == meant
