"""Tests of the rules language: valid and invalid expressions, and that no code is ever run."""

import builtins
import string
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glam_node.rules.expression import And, Comparison, Expression, Literal, Not, Or, ValueKind, operators_of
from glam_node.rules.grammar import DEEPEST, LONGEST, ExpressionError, parse
from glam_node.rules.reference import EXAMPLES, OPERATORS

FIELDS = {
    "Manufacturer": ValueKind.TEXT,
    "calling_ae_title": ValueKind.TEXT,
    "ViewCodeSequence.CodeValue": ValueKind.TEXT,
    "KVP": ValueKind.NUMBER,
    "standard_views": ValueKind.NUMBER,
    "StudyDate": ValueKind.DATE,
    "PatientAge": ValueKind.AGE,
}

MISTAKES = [
    ("", "position 1: the end where ( or a field or not was expected"),
    ('Manufacturer = "X"', "position 14: '='"),
    ("Manufacturer", "position 13: the end"),
    ('Manufacturer == "X" and', "position 24: the end where ( or a field or not was expected"),
    ("KVP == 28 28", 'position 11: "28" where and or or or the end was expected'),
    ("(KVP == 28", "position 11: the end"),
    ('Manufacurer == "X"', "position 1: Manufacurer is not a DICOM keyword; did you mean Manufacturer?"),
    ('PatientNam == "X"', "position 1: PatientNam is not a DICOM keyword; did you mean PatientSex?"),
    ('KVP > "28"', 'position 7: "28" is of kind text, but KVP of kind number'),
    ("PatientAge > 40", "position 14: 40 is of kind number, but PatientAge of kind age"),
    ('Manufacturer < "X"', "position 1: Manufacturer is of kind text: < is not for it, only == != in not in contains"),
    ("malignant_score > 50", "position 19: 50 is not a score: malignant_score is 0 to 1"),
    ("StudyDate == 2024-02-31", "position 14: 2024-02-31 is not a date"),
    ("KVP in []", "position 9: "),
    ('ViewCodeSequence == "X"', "position 1: ViewCodeSequence is a sequence: name what is inside it"),
    ('Manufacturer.CodeValue == "X"', "position 1: Manufacturer is not a sequence"),
    ("PixelData == 1", "position 1: PixelData has values"),
    ('__import__("os").system("true")', "position 1: '_'"),
    ('Manufacturer == "a\\x62"', "position 17:"),
    ("not " * (DEEPEST + 1) + "KVP == 28", f"has more than {DEEPEST} expressions inside each other"),
    ("(" * LONGEST + "KVP", f"is longer than {LONGEST} characters"),
]

OF_A_PERSON = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDsSequence.PatientID",
    "IssuerOfPatientID",
    "PatientAddress",
    "EthnicGroup",
    "AccessionNumber",
    "ReferringPhysicianName",
    "OperatorsName",
    "StudyID",
    "RequestAttributesSequence.RequestedProcedureID",
    "PerformingPhysicianIdentificationSequence.PersonTelephoneNumbers",
]


def literals(kind: ValueKind) -> st.SearchStrategy[Literal]:
    """Return literals of a kind as the language writes them."""
    texts = st.text(st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32), max_size=20)
    written: dict[ValueKind, st.SearchStrategy[str]] = {
        ValueKind.TEXT: texts,
        ValueKind.NUMBER: st.integers(-9999, 9999).map(str) | st.decimals(-99, 99, places=2).map(str),
        ValueKind.DATE: st.dates(date(1900, 1, 1)).map(date.isoformat),
        ValueKind.AGE: st.tuples(st.integers(0, 999), st.sampled_from("DWMY")).map(lambda age: f"{age[0]}{age[1]}"),
    }
    return st.builds(Literal, st.just(kind), written[kind])


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Draw any comparison that the language has."""
    field = draw(st.sampled_from(sorted(FIELDS)))
    operator = draw(st.sampled_from(operators_of(FIELDS[field])))
    least, most = (0, 0) if operator.startswith("is ") else (1, 3) if operator.endswith("in") else (1, 1)
    return Comparison(field, operator, tuple(draw(st.lists(literals(FIELDS[field]), min_size=least, max_size=most))))


def combined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Return expressions that combine several others."""
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, several) | st.builds(Or, several)


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(comparisons(), combined, max_leaves=6)


@given(EXPRESSIONS)
@settings(deadline=None)
def test_an_expression_survives_being_written_and_parsed(expression: Expression) -> None:
    assert len(str(expression)) > LONGEST or parse(str(expression)) == expression


PIECES = [
    *FIELDS,
    *OPERATORS[0][0].split(),
    "and",
    "or",
    "not",
    "in",
    "is",
    "missing",
    "(",
    ")",
    "[",
    "]",
    ",",
    '"',
    "'",
    "1",
]


@given(st.text() | st.lists(st.sampled_from([*PIECES, " "]), max_size=30).map(" ".join) | st.text(string.printable))
@settings(deadline=None)
def test_any_text_is_an_expression_or_a_mistake_with_a_message(text: str) -> None:
    try:
        parsed = parse(text)
    except ExpressionError as error:
        assert str(error)
    else:
        assert parse(str(parsed)) == parsed


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "__import__"])
def test_parsing_runs_no_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse("KVP == 1")

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError(name)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, name, refuse)
        for text in (example for example, _ in EXAMPLES):
            parse(text)
        with pytest.raises(ExpressionError):
            parse("__import__('os').system('true')")


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text[:30] for text, _ in MISTAKES])
def test_a_mistake_is_reported_with_its_position_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("field", OF_A_PERSON)
def test_an_attribute_that_identifies_a_person_is_refused(field: str) -> None:
    with pytest.raises(ExpressionError, match="may identify a person"):
        parse(f'{field} == "X"')


@pytest.mark.parametrize("text", [example for example, _ in EXAMPLES] + [example for _, example, _ in OPERATORS])
def test_every_example_of_the_reference_is_an_expression(text: str) -> None:
    assert str(parse(text))
