"""Names and texts in any alphabet, which return from an archive as they are in the mammogram."""

import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.integration.results.written import written
from tests.peers import PEERS
from tests.system.orthanc import running_orthanc
from tests.unit.results.analysed import Analysed, analysed_exam, stored
from tests.unit.results.cad_reports import cad_report
from tests.unit.results.presented import encapsulated_pdf, key_object_selection, presentation_states, secondary_captures

# PS3.5 Annexes H, I, J and K; PS3.3 C.12.1.1.2
ALPHABETS = {
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "乳房撮影"),
    "Japanese, half-width": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "ﾏﾝﾓ"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "유방 촬영"),
    "GB18030": ("GB18030", "Wang^XiaoDong=王^小东", "乳腺钼靶"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار", "تصوير الثدي"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小東", "乳房攝影 – Überweisung"),
    "Latin": ("ISO_IR 100", "Äneas^Rüdiger", "Mammographie à gauche"),
}
# Debian's build of DCMTK cannot convert "ISO 2022 IR 87" in any file.
KNOWN_TO_DCMTK = [alphabet for alphabet in ALPHABETS if not alphabet.startswith("Japanese")]
MODALITIES = ("SEG", "SR", "PR", "OT", "DOC", "KO")


def everything(exam: Analysed) -> list[Dataset]:
    results = [*exam.segmentations(), exam.report(), cad_report(exam)]
    results += [*presentation_states(exam), *secondary_captures(exam), encapsulated_pdf(exam)]
    selection = key_object_selection(exam, *results)
    assert selection is not None
    return [*results, selection]


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_names_survive_the_archive(tmp_path: Path, alphabet: str) -> None:
    terms, name, text = ALPHABETS[alphabet]
    exam = analysed_exam().with_source_elements(
        SpecificCharacterSet=terms, PatientName=name, StudyDescription=text, InstitutionName=text
    )
    exam.sources.update({uid: stored(source) for uid, source in exam.sources.items()})
    results = everything(exam)
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        peer = ["-aec", orthanc.ae_title, "127.0.0.1", str(orthanc.dicom_port)]
        files = [written(result, tmp_path) for result in results]
        subprocess.run([PEERS["dcmtk"].program, *peer, *files], check=True, capture_output=True)
        (document,) = orthanc.instances("DOC")
        page = orthanc.get_bytes(f"/instances/{document}/pdf")
        fetched = [path for modality in MODALITIES for path in orthanc.fetch(modality, tmp_path / modality)]
    returned = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, fetched)}
    assert returned.keys() == {str(result.SOPInstanceUID) for result in results}
    summary = next(one for one in returned.values() if one.Modality == "DOC")
    assert page.rstrip(b"\0") == summary.EncapsulatedDocument.rstrip(b"\0")
    said = {(str(one.PatientName), one.StudyDescription) for one in returned.values()}
    assert said == {(name, text)}


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("alphabet", KNOWN_TO_DCMTK)
def test_dcmtk_reads_the_names(tmp_path: Path, alphabet: str) -> None:
    terms, name, text = ALPHABETS[alphabet]
    exam = analysed_exam().with_source_elements(SpecificCharacterSet=terms, PatientName=name, StudyDescription=text)
    exam.sources.update({uid: stored(source) for uid, source in exam.sources.items()})
    program = PEERS["dcmtk"].program.with_name("dcmdump")
    for result in everything(exam):
        command: list[str | Path] = [
            program,
            "+U8",
            "+L",
            "+P",
            "PatientName",
            "+P",
            "StudyDescription",
            written(result, tmp_path),
        ]
        printed = subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8")
        assert f"[{name}]" in printed
        assert f"[{text}]" in printed
