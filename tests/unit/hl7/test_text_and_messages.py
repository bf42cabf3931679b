"""Escaping, parsing, frames and templates of HL7 messages."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glam_node.node.hl7.message import NotHL7, acknowledgement_in, parse
from glam_node.node.hl7.mllp import FrameReader, TooLong, framed
from glam_node.node.hl7.template import TemplateProblem, read_template, render
from glam_node.node.hl7.text import Encoded, components, escape, unescape

HEAD = "MSH|^~\\&|"


@given(st.text())
def test_escaped_text_contains_no_separator_or_control_character_and_can_be_read_again(text: str) -> None:
    escaped = escape(text)
    assert not set("|^~&\r\n\x0b\x1c").intersection(escaped)
    assert unescape(escaped) == text
    assert escape(escaped) is escaped


def test_components_keep_their_place_and_drop_empty_ends() -> None:
    assert components("a|b", "", Encoded("x&y"), "") == "a\\F\\b^^x&y"


@given(
    st.lists(st.binary(max_size=20).filter(lambda one: b"\x1c" not in one and b"\x0b" not in one)), st.integers(1, 7)
)
def test_frames_are_found_whatever_the_pieces(messages: list[bytes], size: int) -> None:
    reader, found = FrameReader(1000), []
    sent = b"noise".join(framed(message) for message in messages)
    for start in range(0, len(sent), size):
        reader.add(sent[start : start + size])
        while (message := reader.next()) is not None:
            found.append(message)
    assert found == messages


def test_a_frame_without_an_end_is_refused_and_noise_is_not_kept() -> None:
    reader = FrameReader(100)
    for _ in range(10):
        reader.add(b"noise" * 30)
    reader.add(b"\x0b" + b"x" * 102)
    with pytest.raises(TooLong):
        reader.next()


def test_a_frame_of_the_longest_length_is_read_whatever_comes_with_it() -> None:
    reader, longest = FrameReader(100), b"x" * 100
    reader.add(framed(longest)[:-1])
    assert reader.next() is None
    reader.add(framed(longest)[-1:] + framed(longest) + framed(b"y" * 101))
    assert [reader.next(), reader.next()] == [longest, longest]
    with pytest.raises(TooLong):
        reader.next()


def test_a_frame_may_end_with_lf_and_the_bytes_between_frames_do_not_add_up() -> None:
    reader = FrameReader(100)
    for _ in range(3):
        reader.add(b"\x0bmessage\x1c\r\n\x0bmessage\x1c\n")
        assert [reader.next(), reader.next(), reader.next()] == [b"message", b"message", None]
    assert reader.ignored <= 1


@given(st.binary())
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for text in (data, b"MSH|^~\\&|" + data):
        try:
            assert parse(text).header.name == "MSH"
        except NotHL7:
            assert acknowledgement_in(text) is None


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_fields_components_and_repetitions_are_read(ending: str) -> None:
    lines = [f"{HEAD}A|B|||2026||ADT^A08|ID\\T\\1|P|2.5", "PID|1||P1^^^H1~P2^^^H2||Bür\\F\\ger^Ann"]
    message = parse(ending.join(lines).encode())
    assert (message.header.component(9), message.header.component(9, 2)) == ("ADT", "A08")
    assert message.control_id == "ID&1"
    patient = message.first("PID")
    assert patient is not None
    assert patient.repetitions(3) == ["P1^^^H1", "P2^^^H2"]
    assert (patient.component(5), patient.component(5, 2), patient.component(5, 9)) == ("Bür|ger", "Ann", "")


def test_the_declared_character_set_counts_and_another_is_refused() -> None:
    text = f"{HEAD}A|||||| ADT^A08|1|P|2.5||||||8859/1\rPID|||||Bürger"
    patient = parse(text.encode("latin-1")).first("PID")
    assert patient is not None
    assert patient.field(5) == "Bürger"
    for declared in ("UNICODE UTF-8", "KLINGON"):
        with pytest.raises(NotHL7, match="character set"):
            parse(text.replace("8859/1", declared).encode("latin-1"))


@pytest.mark.parametrize("data", [b"", b"MSH", b"GET / HTTP/1.1", b"MSHAAAAAA", b"MSH||||||"])
def test_other_protocols_are_no_message(data: bytes) -> None:
    with pytest.raises(NotHL7):
        parse(data)


def test_an_acknowledgement_states_code_error_and_place() -> None:
    error = "ERR||PID^1^3|204^Unknown key identifier^HL70357|E||||no such patient"
    found = acknowledgement_in(f"{HEAD}|||||ACK|9|P|2.5\rMSA|ae|ID1|text\r{error}\r".encode())
    assert found is not None
    assert (found.code, found.control_id, found.error, found.place) == ("AE", "ID1", "204", "PID-3")
    assert found.text == "no such patient"


def test_each_line_becomes_a_segment_and_values_cannot_add_segments_or_fields() -> None:
    template = f"{{# a comment #}}\n{HEAD}x\n{{% for one in names %}}\n  NTE|{{{{ one }}}}|\n{{% endfor %}}\n\n"
    assert render(template, {"names": ["a|b\rPID|1", Encoded("c^d"), None, 1.5]}) == [
        f"{HEAD}x",
        "NTE|a\\F\\b\\X0D\\PID\\F\\1|",
        "NTE|c^d|",
        "NTE||",
        "NTE|1.5|",
    ]


@pytest.mark.parametrize(
    ("template", "line", "cause"),
    [
        ("{HEAD}x\nPID|{{% if %}}", "line 2", "Expected an expression"),
        ("{HEAD}x\n\nPID|{{{{ nobody.name }}}}", "line 3", "'nobody' is undefined"),
        ("{HEAD}x\nPID|{{{{ name | round }}}}", "line 2", "while it is filled in"),
        ("{HEAD}x\nPID|{{{{ ''.__class__.__mro__ }}}}", "line 2", "unsafe"),
        ("{HEAD}x\nnot a segment", "segment 2", "'not'"),
        ("{HEAD}x\nNTE|\x07", "segment 2", "control character"),
        ("PID|1", "first segment", "MSH"),
        ("", "first segment", "MSH"),
    ],
)
def test_a_broken_template_is_refused_with_line_and_cause_and_without_values(
    template: str, line: str, cause: str
) -> None:
    with pytest.raises(TemplateProblem) as caught:
        render(template.format(HEAD=HEAD), {"name": "Muster"})
    assert line in str(caught.value)
    assert cause in str(caught.value)
    assert "Muster" not in str(caught.value)


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateProblem, match="cannot be read"):
        read_template(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"MSH|\xff")
    with pytest.raises(TemplateProblem, match="UTF-8"):
        read_template(tmp_path / "latin")
