"""Decision whether images belong to one person and one study.

Images are compared in pairs, so the decision does not depend on the order in which they arrived:

- Birth dates or sexes that contradict each other prove two people, whatever else agrees. A partial birth date (year,
  or year and month) contradicts no date that starts with it, and confirms none. Sex "O" contradicts nothing, because
  it is also used for "not known".
- Patient IDs are compared only if their issuers may be the same. IDs of two known issuers prove nothing: one person
  can have IDs of two issuers, and two people can have the same ID of different issuers. A Patient ID that is also
  among the Other Patient IDs of the other image connects both.
- Names are compared script by script, ignoring case, accents, punctuation, order and empty components. One common
  part is enough if Patient ID and birth date agree, since a person may have married.
- An empty value agrees with nothing. If no Patient IDs agree, both name and birth date must agree.
- Images that state exactly the same facts, or none, are of one person, because they share a Study Instance UID.
- Study dates more than a day apart are two studies unless an accession number connects them.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from glam_node.node.domain.identity import ImageIdentity, NamePart, PatientNumber

TWO_PATIENTS, TWO_STUDIES = "two_patients", "two_studies"
_WHOLE_DATE = 3
"""Number of digests of a whole birth date: year; year and month; year, month and day."""


class Answer(Enum):
    """Result of comparing one fact of two images."""

    AGREES = "agrees"
    PARTLY = "agrees in part"
    SILENT = "says nothing"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Difference:
    """Reason why images belong to two patients or to two studies."""

    rule: str
    """TWO_PATIENTS or TWO_STUDIES."""
    reason: str
    """Explanation that names the facts that differ, never their values."""


def difference_among(images: Iterable[ImageIdentity]) -> Difference | None:
    """Return why the images are not of one person and one study; None if they are."""
    stated = list(images)
    people = sorted({one.person for one in stated})
    reason = next((found for pair in itertools.combinations(people, 2) if (found := _two_people(*pair))), "")
    if reason:
        return Difference(TWO_PATIENTS, reason)
    studies = sorted({(one.study_date, one.accession_number) for one in stated})
    if any(_are_two_studies(*pair) for pair in itertools.combinations(studies, 2)):
        return Difference(TWO_STUDIES, "study dates are more than a day apart, and no accession number connects them")
    return None


def surely_one_person(images: Iterable[ImageIdentity], others: Iterable[ImageIdentity]) -> str:
    """Return why images of two studies are not surely of one person; empty if they are.

    More is asked than of the images of one study, which share a Study Instance UID: each pair must have the same
    Patient ID, of issuers that may be the same, and the same whole birth date, and nothing may contradict.
    """
    pairs = itertools.product({one.person for one in images}, {one.person for one in others})
    return next((reason for pair in pairs if (reason := _not_surely_one_person(*pair))), "")


def _not_surely_one_person(one: ImageIdentity, other: ImageIdentity) -> str:
    first, second = one.patient_number, other.patient_number
    if not first.value or first.value != second.value or first.issuer.is_another(second.issuer):
        return "Patient ID or its issuer differs, or is not stated"
    if _birth_dates(one.birth_date, other.birth_date) is not Answer.AGREES:
        return "birth date differs, or is not stated"
    return _two_people(one, other)


def compared(one: ImageIdentity, other: ImageIdentity) -> dict[str, Answer]:
    """Return how the facts about the patient compare, by the name of the fact. The comparison is symmetric."""
    return {
        "birth date": _birth_dates(one.birth_date, other.birth_date),
        "sex": _sexes(one.sex, other.sex),
        "Patient ID": _numbers(one, other),
        "name": _names(one, other),
    }


def _two_people(one: ImageIdentity, other: ImageIdentity) -> str:
    """Return why two images may be of two people; empty if they are of one. The comparison is symmetric."""
    answers = compared(one, other)
    contradicting = [fact for fact, answer in answers.items() if answer is Answer.CONTRADICTS]
    if contradicting:
        return f"{_listed(contradicting)} differ" if len(contradicting) > 1 else f"{contradicting[0]} differs"
    number, name, born = answers["Patient ID"], answers["name"], answers["birth date"]
    if number is Answer.AGREES:
        if name is Answer.PARTLY and born is not Answer.AGREES:
            return "the names differ in part, and no common birth date shows that it is one person"
        return ""
    if name is Answer.AGREES and born is Answer.AGREES:
        return ""
    lacking = [fact for fact in ("name", "birth date") if answers[fact] is not Answer.AGREES]
    return f"no Patient ID from the same issuer connects them, and they do not agree in {_listed(lacking)}"


def _listed(facts: Sequence[str]) -> str:
    return facts[0] if len(facts) == 1 else f"{', '.join(facts[:-1])} and {facts[-1]}"


def _birth_dates(one: tuple[str, ...], other: tuple[str, ...]) -> Answer:
    common = min(len(one), len(other))
    if one[:common] != other[:common]:
        return Answer.CONTRADICTS
    return Answer.AGREES if common == _WHOLE_DATE else Answer.SILENT


def _sexes(one: str, other: str) -> Answer:
    if not one or not other:
        return Answer.SILENT
    if one == other:
        return Answer.AGREES
    return Answer.SILENT if "O" in (one, other) else Answer.CONTRADICTS


def _numbers(one: ImageIdentity, other: ImageIdentity) -> Answer:
    first, second = one.patient_number, other.patient_number
    linked = [*_links(first, other.other_numbers), *_links(second, one.other_numbers)]
    if any(linked):
        return Answer.AGREES
    if not first.value or not second.value or first.issuer.is_another(second.issuer):
        return Answer.SILENT
    if first.value == second.value:
        return Answer.AGREES
    return Answer.SILENT if linked else Answer.CONTRADICTS


def _links(number: PatientNumber, others: Iterable[PatientNumber]) -> Iterator[bool]:
    """Yield, for each other number with the same value, whether a common issuer proves it is the same number."""
    for other in others:
        if number.value and number.value == other.value and not number.issuer.is_another(other.issuer):
            yield number.issuer.is_the_same(other.issuer)


def _names(one: ImageIdentity, other: ImageIdentity) -> Answer:
    scripts = {part.script for part in one.name_parts} & {part.script for part in other.name_parts}
    answers = {_names_in(script, one, other) for script in scripts}
    if len(answers) == 1:
        return answers.pop()
    return Answer.PARTLY if answers else Answer.SILENT


def _names_in(script: str, one: ImageIdentity, other: ImageIdentity) -> Answer:
    if any(_alike(*pair) for pair in itertools.product(*(_of(script, each.joined_names) for each in (one, other)))):
        return Answer.AGREES
    fewer, more = sorted((_of(script, one.name_parts), _of(script, other.name_parts)), key=len)
    common = sum(any(_alike(part, known) for known in more) for part in fewer)
    if common == len(fewer) and (common > 1 or len(more) == 1):
        return Answer.AGREES
    return Answer.PARTLY if common else Answer.CONTRADICTS


def _of(script: str, parts: Iterable[NamePart]) -> list[NamePart]:
    return [part for part in parts if part.script == script]


def _alike(one: NamePart, other: NamePart) -> bool:
    return not set(one.forms).isdisjoint(other.forms)


def _are_two_studies(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether two pairs of study date and accession number cannot belong to the same study.

    Dates one day apart are the same study, which may have lasted past midnight.
    """
    (date_of_one, accession_of_one), (date_of_other, accession_of_other) = one, other
    if not date_of_one or not date_of_other or (accession_of_one and accession_of_one == accession_of_other):
        return False
    return abs((date.fromisoformat(date_of_one) - date.fromisoformat(date_of_other)).days) > 1
