"""The summary of a study as an Encapsulated PDF."""

import logging
from dataclasses import replace
from io import BytesIO

import pytest
import time_machine
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pypdf import PageObject, PdfReader
from pypdf.generic import DictionaryObject, IndirectObject

from glam_node.inference.character_set import CHARACTER_SETS
from glam_node.inference.errors import UnsupportedMammogram
from glam_node.node.results.encapsulated_pdf import write_encapsulated_pdf
from glam_node.node.results.identity import ResultIdentity
from glam_node.node.results.pdf_text import SUBSTITUTE, TextPage
from glam_node.node.results.view_picture import ReducedView, reduced_view
from tests.unit.results.analysed import IDENTITY, Analysed, analysed_exam, encoded, failed
from tests.unit.results.presented import encapsulated_pdf


@pytest.fixture(scope="module")
def exam() -> Analysed:
    return analysed_exam()


def reader(result: Dataset) -> PdfReader:
    return PdfReader(BytesIO(result.EncapsulatedDocument[: result.EncapsulatedDocumentLength]), strict=True)


def only_page(result: Dataset) -> PageObject:
    (page,) = reader(result).pages
    return page


def text_of(result: Dataset) -> str:
    return " ".join(only_page(result).extract_text().split())


def test_the_object_says_what_it_is(exam: Analysed) -> None:
    result = encapsulated_pdf(exam)
    assert (result.Modality, result.SeriesNumber, result.InstanceNumber) == ("DOC", 9500 + 570, 1)
    assert (result.BurnedInAnnotation, result.ConversionType) == ("YES", "WSD")
    assert result.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert result.DocumentTitle.startswith("Mammography analysis: summary. For research use")
    assert result.ConceptNameCodeSequence[0].CodeValue == "126000"
    sources = [item.ReferencedSOPInstanceUID for item in result.SourceInstanceSequence]
    assert sources == [image.sop_instance_uid for image in exam.findings.images]


def test_the_document_is_padded_to_an_even_length_that_the_object_states(exam: Analysed) -> None:
    lengths = set()
    for patient_id in ("1", "12", "123", "1234"):
        result = encapsulated_pdf(exam.with_source_elements(PatientID=patient_id))
        document, length = result.EncapsulatedDocument, result.EncapsulatedDocumentLength
        assert len(document) % 2 == 0
        assert len(document) - length in (0, 1)
        assert document[:length].rstrip().endswith(b"%%EOF")
        lengths.add(length % 2)
    assert lengths == {0, 1}, "no document of an odd length was tried"


def test_another_reader_finds_one_page_with_every_fact(exam: Analysed) -> None:
    text = text_of(encapsulated_pdf(exam))
    source = exam.source("R CC")
    for fact in (
        "For research use, not for diagnosis. UNTRAINED weights",
        "PHANTOM, SEED 3",
        source.PatientID,
        source.AccessionNumber,
        "2026-01-02",
        "R CC: malignant 0 %, benign 0 %; no findings",
        "malignant 1: ",
        "Left breast",
        "All algorithms succeeded; with findings",
        "Remarks None.",
        exam.findings.algorithm.algorithm_name,
        f"glam-node {IDENTITY.software_version}",
        source.StudyInstanceUID,
        "Page 1 of 1",
    ):
        assert fact in text


def test_the_page_has_a_picture_of_each_analysed_view(exam: Analysed) -> None:
    assert len(only_page(encapsulated_pdf(exam)).images) == 4
    broken = exam.with_images(failed(exam.image("R CC"), "The image is black everywhere.")).only("R CC", "L CC")
    page = only_page(encapsulated_pdf(broken))
    assert len(page.images) == 1
    assert "R MLO: no image. No image of this view was received, or none that is analysed." in " ".join(
        page.extract_text().split()
    )


def test_a_view_that_cannot_be_drawn_is_replaced_by_the_reason(exam: Analysed) -> None:
    def read(uid: str, height: int) -> ReducedView:
        if uid == exam.image("L CC").sop_instance_uid:
            raise UnsupportedMammogram("The image cannot be decoded.")
        return reduced_view(exam.sources[uid], height)

    result = write_encapsulated_pdf(exam.findings, exam.sources, IDENTITY, read)
    assert len(only_page(result).images) == 3
    assert "The image cannot be decoded." in text_of(result)


def test_long_texts_stay_on_one_page_and_say_how_much_is_left_out(exam: Analysed) -> None:
    remarks = tuple(
        f"Remark {number} of a predictor that says much about little, in long sentences." for number in range(40)
    )
    image = exam.image("L CC")
    wordy = exam.with_images(
        replace(image, remarks=remarks, findings=image.findings * 20),
        failed(exam.image("R CC"), "The image is black everywhere, since the detector was not exposed. " * 30),
    )
    identity: ResultIdentity = replace(IDENTITY, institution_name="Institution with a long name " * 2)
    text = text_of(encapsulated_pdf(wordy, identity))
    assert "and 33 more findings" in text
    assert "more remarks" in text
    assert "Page 1 of 1" in text
    assert_nothing_is_outside_the_page(encapsulated_pdf(wordy, identity))


def assert_nothing_is_outside_the_page(result: Dataset) -> None:
    page = only_page(result)
    places: list[tuple[float, float]] = []
    page.extract_text(
        visitor_text=lambda text, _, matrix, *__: places.append((matrix[4], matrix[5])) if text.strip() else None
    )
    assert len(places) > 20
    assert all(0 <= x <= page.mediabox.width and 0 <= y <= page.mediabox.height for x, y in places)


def test_the_longest_identity_is_shown_in_full() -> None:
    name = "=".join("^".join((letters * 16, letters * 15)) for letters in ("Ab", "山田", "やま"))
    exam = analysed_exam().with_source_elements(SpecificCharacterSet="ISO_IR 192", PatientName=name, PatientID="W" * 64)
    text = text_of(encapsulated_pdf(exam)).replace(" ", "")
    assert "W" * 64 in text
    assert "山田" * 16 in text
    assert "やま" * 15 in text
    assert SUBSTITUTE not in text


@pytest.mark.parametrize(
    ("terms", "name", "shown"),
    [
        ("ISO_IR 101", "Źdźbło^Łucja", "Źdźbło, Łucja"),
        ("ISO_IR 126", "Διονυσίου^Ελένη", "Διονυσίου, Ελένη"),
        ("ISO_IR 144", "Люксембург^Роза", "Люксембург, Роза"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎) (やまだ, たろう)"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "Hong, Gildong (洪, 吉洞) (홍, 길동)"),
        ("GB18030", "Wang^XiaoDong=王^小东", "Wang, XiaoDong (王, 小东)"),
    ],
)
def test_names_of_many_scripts_are_read_by_another_program(terms: object, name: str, shown: str) -> None:
    exam = analysed_exam().with_source_elements(SpecificCharacterSet=terms, PatientName=name)
    assert shown in text_of(encapsulated_pdf(exam))


@pytest.mark.parametrize("name", ["قباني^لنزار", "שרון^דבורה", "นามสกุล^ชื่อ"])
def test_names_that_are_shaped_or_run_from_right_to_left_are_shown(name: str) -> None:
    exam = analysed_exam().with_source_elements(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    text = text_of(encapsulated_pdf(exam))
    assert SUBSTITUTE not in text
    assert sum(letter in text for letter in set(name)) >= len(set(name)) - 2


def test_fonts_have_every_letter_of_the_character_sets_of_dicom() -> None:
    terms = [term for term in CHARACTER_SETS if not term.endswith(" 203")]  # pydicom does not know Latin-9
    codecs = {"iso8859_15", *(encoding for term in terms for encoding in convert_encodings(term))}
    sets = {codec: letters_of(codec) for codec in codecs}
    page = TextPage("", "", IDENTITY.created(None), map("".join, sets.values()))
    page.document()
    known = page._known
    for codec, letters in sets.items():
        lacking = [letter for letter in letters if ord(letter) not in known]
        assert len(lacking) <= len(letters) / 1000, (codec, lacking[:20])


def letters_of(codec: str) -> set[str]:
    """Return the letters of the Basic Multilingual Plane that DICOM uses and a codec can encode."""
    used = (*range(0x20, 0x600), *range(0xE00, 0xE60), *range(0x3040, 0x3100), *range(0x4E00, 0x9FA6))
    codes = (*used, *range(0xAC00, 0xD7A4), *range(0xFF66, 0xFFA0))
    if codec in ("utf8", "GB18030", "GBK"):
        return {chr(code) for code in codes if chr(code).isalpha() and code not in range(0x500, 0x600)}
    found = set()
    for code in codes:
        try:
            chr(code).encode(codec)
        except UnicodeEncodeError:
            continue
        if chr(code).isalpha():
            found.add(chr(code))
    return found


def test_a_letter_that_no_font_has_is_replaced_by_a_mark_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    exam = analysed_exam().with_source_elements(
        SpecificCharacterSet="ISO_IR 192", PatientName="Old^\U00012000Italic\x07"
    )
    with caplog.at_level(logging.WARNING):
        text = text_of(encapsulated_pdf(exam))
    assert f"Old, {SUBSTITUTE}Italic" in text
    assert f"The fonts lack characters that are shown as {SUBSTITUTE}" in " ".join(text.split())
    assert caplog.records == []


def test_the_same_input_gives_the_same_bytes_at_any_time(exam: Analysed) -> None:
    with time_machine.travel("2031-05-06T07:08:09Z"):
        at_another_time = encoded(encapsulated_pdf(exam))
    assert encoded(encapsulated_pdf(exam)) == at_another_time
    later = replace(IDENTITY, settings_digest="other")
    assert encapsulated_pdf(exam, later).SOPInstanceUID != encapsulated_pdf(exam).SOPInstanceUID


def test_the_document_runs_nothing_embeds_its_fonts_and_does_not_name_the_patient_in_its_metadata(
    exam: Analysed,
) -> None:
    read = reader(encapsulated_pdf(exam))
    names = keys_of(read)
    assert not names & {"/JavaScript", "/JS", "/AA", "/Launch", "/EmbeddedFiles", "/URI"}
    fonts = [one for one in objects_of(read) if one.get("/Type") == "/FontDescriptor"]
    assert fonts
    assert all("/FontFile2" in font for font in fonts)
    assert read.xmp_metadata is not None
    told = read.xmp_metadata.stream.get_data().decode()
    assert "PHANTOM" not in f"{read.metadata} {told}"
    assert "<pdfaid:part>2</pdfaid:part>" in told


def objects_of(read: PdfReader) -> list[DictionaryObject]:
    found = [read.get_object(IndirectObject(number, 0, read)) for number in range(1, len(read.xref[0]) + 1)]
    return [one for one in found if isinstance(one, DictionaryObject)]


def keys_of(read: PdfReader) -> set[str]:
    return {key for one in objects_of(read) for key in one}
