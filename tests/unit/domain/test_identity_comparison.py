"""Tests of the decision whether images are of one person: symmetric, independent of the order, and cautious."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from glam_node.node.domain.identity import ImageIdentity, identity_from_json, identity_of
from glam_node.node.domain.identity_comparison import difference_among

STUDY = "1.2.3"
JANE = {"PatientID": "12345", "PatientName": "DOE^JANE", "PatientBirthDate": "19600101", "PatientSex": "F"}
NOTHING: dict[str, Any] = {"PatientID": "", "PatientName": "", "PatientBirthDate": "", "PatientSex": ""}


def stated(**facts: Any) -> ImageIdentity:
    """Return the identity of an image of Jane that states these facts instead of hers."""
    return identity_of({**JANE, **facts}, STUDY)


def qualified(universal_id: str) -> list[dict[str, str]]:
    return [{"UniversalEntityID": universal_id, "UniversalEntityIDType": "ISO"}]


def other_ids(number: str, issuer: str = "") -> list[dict[str, str]]:
    return [{"PatientID": number, "IssuerOfPatientID": issuer}]


ONE_PERSON: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the very same": ({}, {}),
    "nothing at all on both": (NOTHING, NOTHING),
    "padding, case and empty components": ({"PatientName": "Doe^Jane^^^"}, {"PatientID": "12345 "}),
    "padding with NUL": ({"PatientID": "12345\0"}, {}),
    "a middle name and a title more": ({"PatientName": "DOE^JANE^MARY^DR"}, {"PatientID": ""}),
    "a married name": ({"PatientName": "SMITH^JANE"}, {}),
    "names divided differently": (
        {"PatientName": "VAN DER BERG^ANNA"},
        {"PatientName": "VANDERBERG^ANNA", "PatientID": ""},
    ),
    "a name in one component": ({"PatientName": "DOE JANE"}, {"PatientID": ""}),
    "umlauts written out": ({"PatientName": "MÜLLER^JÖRG"}, {"PatientName": "Mueller^Joerg", "PatientID": ""}),
    "umlauts left out": ({"PatientName": "MÜLLER^JÖRG"}, {"PatientName": "Muller^Jorg", "PatientID": ""}),
    "Japanese groups and the romanized one alone": (
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"PatientName": "YAMADA^TAROU", "PatientID": ""},
    ),
    "Hiragana and Katakana of half width": (
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"PatientName": "ﾔﾏﾀﾞ^ﾀﾛｳ", "PatientID": ""},
    ),
    "another script with the same ID": ({"PatientName": "Иванова^Ольга"}, {"PatientName": "IVANOVA^OLGA"}),
    "a garbled name with the same ID": ({"PatientName": "M?LLER^JANE"}, {"PatientName": "MÜLLER^JANE"}),
    "two issuers of one person": (
        {"PatientID": "1", "IssuerOfPatientID": "HOSP_A"},
        {"PatientID": "2", "IssuerOfPatientID": "HOSP_B"},
    ),
    "an issuer on one side": ({"IssuerOfPatientID": "HOSP_A"}, {"PatientBirthDate": ""}),
    "one universal issuer under two names": (
        {"IssuerOfPatientID": "A", "IssuerOfPatientIDQualifiersSequence": qualified("1.2"), "PatientName": ""},
        {"IssuerOfPatientID": "B", "IssuerOfPatientIDQualifiersSequence": qualified("1.2")},
    ),
    "one ID missing and all else equal": ({"PatientID": ""}, {}),
    "a merge that names the other ID": ({"PatientID": "9", "OtherPatientIDs": "12345"}, {}),
    "a merge that names the other ID and its issuer": (
        {"PatientID": "9", "OtherPatientIDsSequence": other_ids("12345", "A"), "PatientName": "SMITH^JANE"},
        {"IssuerOfPatientID": "A"},
    ),
    "a partial birth date": ({"PatientBirthDate": "1960"}, {}),
    "a birth date with separators": ({"PatientBirthDate": "1960.01.01", "PatientID": ""}, {}),
    "sex other": ({"PatientSex": "O"}, {}),
    "a study over midnight": ({"StudyDate": "20260101"}, {"StudyDate": "20260102"}),
    "a recall under the same order": (
        {"StudyDate": "20260101", "AccessionNumber": "A"},
        {"StudyDate": "20260120", "AccessionNumber": "A"},
    ),
    "two orders on one day": ({"AccessionNumber": "A"}, {"AccessionNumber": "B"}),
}

APART: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a placeholder for an ID on both": (
        {**NOTHING, "PatientID": "ANONYMOUS"},
        {"PatientID": "ANONYMOUS"},
        "no Patient ID from the same issuer connects them",
    ),
    "zeros for an ID on both": (
        {**NOTHING, "PatientID": "0000"},
        {"PatientID": "0000", "PatientBirthDate": ""},
        "no Patient ID from the same issuer connects them",
    ),
    "a placeholder for an ID and a name": (
        {"PatientID": "", "PatientName": "Unknown^", "PatientSex": ""},
        {"PatientID": "", "PatientName": "UNKNOWN"},
        "no Patient ID from the same issuer connects them",
    ),
    "another birth date": ({"PatientBirthDate": "19750505"}, {}, "birth date differs"),
    "another partial birth date": ({"PatientBirthDate": "1961"}, {}, "birth date differs"),
    "another sex": ({"PatientSex": "M"}, {}, "sex differs"),
    "another Patient ID": ({"PatientID": "54321"}, {}, "Patient ID differs"),
    "another Patient ID of the same issuer": (
        {"PatientID": "54321", "IssuerOfPatientID": "A"},
        {"IssuerOfPatientID": "A "},
        "Patient ID differs",
    ),
    "another name throughout": ({"PatientName": "SMITH^MARY"}, {}, "name differs"),
    "the same ID of two issuers, another person": (
        {"IssuerOfPatientID": "HOSP_A"},
        {"IssuerOfPatientID": "HOSP_B", "PatientName": "SMITH^MARY", "PatientBirthDate": "19750505"},
        "birth date and name differ",
    ),
    "the same ID of two issuers, and no birth date": (
        {"IssuerOfPatientID": "HOSP_A", "PatientBirthDate": ""},
        {"IssuerOfPatientID": "HOSP_B", "PatientBirthDate": ""},
        "do not agree in birth date",
    ),
    "no IDs, another person": (
        {"PatientID": ""},
        {"PatientID": "", "PatientName": "SMITH^MARY", "PatientBirthDate": "19750505"},
        "birth date and name differ",
    ),
    "one ID missing, another person": ({}, {"PatientID": "", "PatientBirthDate": "19750505"}, "birth date differs"),
    "one ID missing, and no birth date": ({"PatientBirthDate": ""}, {"PatientID": "", "PatientBirthDate": ""}, "birth"),
    "somebody, and nothing stated": ({}, NOTHING, "do not agree in name and birth date"),
    "a part of the name, and no birth date": ({"PatientName": "SMITH^JANE", "PatientBirthDate": ""}, {}, "in part"),
    "a homonym without ID": (
        {"PatientName": "Yamada^Hanako=山田^花子", "PatientID": ""},
        {"PatientName": "Yamada^Hanako=山本^華子", "PatientID": ""},
        "name",
    ),
    "two studies": ({"StudyDate": "20250101"}, {"StudyDate": "20260101"}, "more than a day apart"),
}


@pytest.mark.parametrize(("one", "other"), ONE_PERSON.values(), ids=ONE_PERSON.keys())
def test_two_images_are_of_one_person(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert difference_among([stated(**one), stated(**other)]) is None


@pytest.mark.parametrize(("one", "other", "reason"), APART.values(), ids=APART.keys())
def test_two_images_are_not_of_one_person_or_study(one: dict[str, Any], other: dict[str, Any], reason: str) -> None:
    apart = difference_among([stated(**one), stated(**other)])
    assert apart is not None
    assert reason in apart.reason
    assert apart.rule == ("two_studies" if "StudyDate" in one else "two_patients")


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings for a busy machine, on which generation and comparison may take long."""

numbers = st.sampled_from(["", "1", "2", "0001", "A-7 "])
issuers = st.sampled_from(["", "HOSP_A", "hosp_a", "HOSP_B"])
# Latin with and without accents, Han, Kana of both kinds and widths, separators, and characters no name should have
words = st.text(st.sampled_from("abcdeéüöñßØŁ'- 山田太郎花子やまだﾔﾏﾀﾞヤマ?\ufffd\0\ud800\u0301=^"), max_size=6)
names = st.one_of(
    st.sampled_from(
        ["", "DOE^JANE", "Doe^Jane^^^", "SMITH^JANE", "SMITH^MARY", "Yamada^Tarou=山田^太郎=やまだ^たろう"]
    ),
    st.lists(st.lists(words, max_size=5).map("^".join), max_size=3).map("=".join),
)
dates = st.one_of(
    st.sampled_from(["", "1960", "196001", "19600101", "19600102", "19750505", "1960.01.01", "00000000", "19600100"]),
    st.text("0129.-x", max_size=9),
)
facts = st.fixed_dictionaries(
    {
        "PatientID": numbers,
        "IssuerOfPatientID": issuers,
        "PatientName": names,
        "PatientBirthDate": dates,
        "PatientSex": st.sampled_from(["", "F", "M", "O", "f ", "X"]),
        "OtherPatientIDs": st.lists(numbers, max_size=2),
        "OtherPatientIDsSequence": st.lists(
            st.fixed_dictionaries({"PatientID": numbers, "IssuerOfPatientID": issuers}), max_size=2
        ),
        "AccessionNumber": st.sampled_from(["", "A", "B"]),
        "StudyDate": st.sampled_from(["", "20260101", "20260102", "20270101", "20260230"]),
    }
)


@unhurried
@given(st.lists(facts, max_size=4), st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_the_order(images: list[dict[str, Any]], chance: random.Random) -> None:
    identities = [identity_of(image, STUDY) for image in images]
    shuffled = chance.sample(identities, len(identities))
    assert difference_among(identities) == difference_among(shuffled) == difference_among(identities * 2)


@unhurried
@given(facts, facts)
def test_contradictory_birth_dates_or_sexes_are_never_of_one_person(one: dict[str, Any], other: dict[str, Any]) -> None:
    one_by_birth, other_by_birth = {**one, "PatientBirthDate": "19600101"}, {**other, "PatientBirthDate": "19600102"}
    one_by_sex, other_by_sex = {**one, "PatientSex": "F"}, {**other, "PatientSex": "M"}
    for pair in ((one_by_birth, other_by_birth), (one_by_sex, other_by_sex)):
        apart = difference_among(identity_of(image, STUDY) for image in pair)
        assert apart is not None
        assert apart.rule == "two_patients"


@unhurried
@given(facts, facts)
def test_empty_values_do_not_connect_images(one: dict[str, Any], other: dict[str, Any]) -> None:
    unnumbered = [{**image, "PatientID": "", "PatientName": "", "PatientBirthDate": ""} for image in (one, other)]
    first, second = (identity_of(image, STUDY) for image in unnumbered)
    assume(first.person != second.person)
    assert difference_among([first, second]) is not None


@unhurried
@given(facts, facts)
def test_a_third_image_never_reconciles_two_others(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second, third = (identity_of(image, STUDY) for image in (one, other, JANE))
    assume(difference_among([first, second]) is not None)
    assert difference_among([first, second, third]) is not None


@settings(unhurried, max_examples=200)
@given(facts)
def test_an_identity_survives_json_and_shows_no_value(image: dict[str, Any]) -> None:
    identity = identity_of({**image, "PatientID": "SECRET-ID", "PatientName": "SECRET^NAME"}, STUDY)
    stored = json.dumps(identity.as_json())
    assert identity_from_json(json.loads(stored)) == identity
    assert "SECRET" not in stored
    assert difference_among([identity, identity_from_json(json.loads(stored))]) is None


@unhurried
@given(st.lists(facts, min_size=2, max_size=4))
def test_a_reason_names_no_value(images: list[dict[str, Any]]) -> None:
    named = [{**image, "PatientName": f"SECRET{number}^X"} for number, image in enumerate(images)]
    apart = difference_among(identity_of(image, STUDY) for image in named)
    assert apart is None or "SECRET" not in apart.reason.upper()
