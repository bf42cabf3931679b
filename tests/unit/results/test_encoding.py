"""Comparison of encoded files with those of pydicom, byte for byte."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from glam_node import result_kinds
from glam_node.node.results.encoding import encoded_file
from glam_node.node.storage.files import write_durably, write_sparsely
from tests.unit.results.analysed import analysed_exam, encoded, stored

ALPHABETS = [
    ("ISO_IR 192", "Wang^XiaoDong=王^小東", "乳房攝影 – Überweisung"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "乳房撮影"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "ﾏﾝﾓ"),
    ("GB18030", "Wang^XiaoDong=王^小东", "乳腺钼靶"),
    ("ISO_IR 127", "قباني^لنزار", "تصوير الثدي"),
    (None, "PLAIN^NAME", "Plain"),
]


@pytest.mark.parametrize(("terms", "name", "text"), ALPHABETS)
def test_every_kind_is_encoded_as_pydicom_encodes_it(
    tmp_path: Path, terms: str | list[str] | None, name: str, text: str
) -> None:
    exam = analysed_exam(65, 50).with_source_elements(
        SpecificCharacterSet=terms, PatientName=name, StudyDescription=text
    )
    made = exam.only("L CC").every_kind()
    assert {one.kind for one in made} == set(result_kinds.ANALYSIS_KINDS)
    for one in made:
        assert b"".join(one.parts) == encoded(one.dataset), one.kind


def test_read_and_deflated_data_sets_are_written() -> None:
    read = stored(analysed_exam().only("L CC").report())
    assert b"".join(encoded_file(read)) == encoded(read)
    read.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    again = pydicom.dcmread(BytesIO(b"".join(encoded_file(read))))
    assert again.SOPInstanceUID == read.SOPInstanceUID


def test_a_value_too_long_for_its_representation_is_written_as_pydicom_does() -> None:
    report = stored(analysed_exam().only("L CC").report())
    report.add_new("SelectorFLValue", "FL", [0.5] * 20000)
    with pytest.warns(UserWarning, match="64 kByte"):
        ours, theirs = b"".join(encoded_file(report)), encoded(report)
    assert ours == theirs


def test_zeros_are_holes_and_read_as_zeros(tmp_path: Path) -> None:
    data = bytes(10_000_000) + b"end" + bytes(2**20)
    write_durably(tmp_path / "sparse", lambda file: write_sparsely(file, [b"head", data]))
    assert (tmp_path / "sparse").read_bytes() == b"head" + data
    assert (tmp_path / "sparse").stat().st_blocks * 512 < 2_000_000
    noise = np.random.default_rng(1).bytes(200_001)
    write_durably(tmp_path / "dense", lambda file: write_sparsely(file, [noise, b"", noise]))
    assert (tmp_path / "dense").read_bytes() == noise + noise
