"""The one decision whether images belong to one person and one study.

Facts are compared in pairs, so the decision depends neither on the order of images nor on which came first:

- Birth dates and sexes that contradict each other prove two people, whatever else agrees. A partial birth date
  contradicts none that it begins, and confirms none. Sex "O" is used for "not known", too, and contradicts nothing.
- Patient IDs are compared where their issuers may be the same. IDs of two known issuers prove nothing either way: one
  person can have two issuers, and two people the same ID of two issuers. Other Patient IDs connect both.
- Names are compared script by script, without case, accents, punctuation, order or empty components. One common part
  is enough for a person who married, where Patient ID and birth date agree.
- An empty value agrees with nothing. Without Patient IDs that agree, both name and birth date have to.
- Images that state the very same, be it nothing, are of one person: their Study Instance UID says so.
- Study dates more than a day apart are two studies where no accession number connects them.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from glam_node.node.domain.identity import ImageIdentity, NamePart, PatientNumber

TWO_PATIENTS, TWO_STUDIES = "two_patients", "two_studies"
_WHOLE_DATE = 3
"""Year, month and day."""


class Answer(Enum):
    """What one fact says of two images."""

    AGREES = "agrees"
    PARTLY = "agrees in part"
    SILENT = "says nothing"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Difference:
    """Why images do not belong together; the reason has no value of any fact."""

    rule: str
    """two_patients or two_studies."""
    reason: str


def difference_among(images: Iterable[ImageIdentity]) -> Difference | None:
    """Return why the images are not of one person and one study; None where they are."""
    stated = list(images)
    people = sorted({one.person for one in stated})
    reason = next((found for pair in itertools.combinations(people, 2) if (found := _two_people(*pair))), "")
    if reason:
        return Difference(TWO_PATIENTS, reason)
    studies = sorted({(one.study_date, one.accession_number) for one in stated})
    if any(_are_two_studies(*pair) for pair in itertools.combinations(studies, 2)):
        return Difference(TWO_STUDIES, "study dates are more than a day apart, and no accession number connects them")
    return None


def _two_people(one: ImageIdentity, other: ImageIdentity) -> str:
    """Return what shows, or leaves open, that two images are of two people; empty where they are of one. Symmetric."""
    answers = {
        "birth date": _birth_dates(one.birth_date, other.birth_date),
        "sex": _sexes(one.sex, other.sex),
        "Patient ID": _numbers(one, other),
        "name": _names(one, other),
    }
    contradicting = [fact for fact, answer in answers.items() if answer is Answer.CONTRADICTS]
    if contradicting:
        return f"{_listed(contradicting)} differ" if len(contradicting) > 1 else f"{contradicting[0]} differs"
    number, name, born = answers["Patient ID"], answers["name"], answers["birth date"]
    if number is Answer.AGREES:
        if name is Answer.PARTLY and born is not Answer.AGREES:
            return "name differs in part, and no birth date shows that it is one person"
        return ""
    if name is Answer.AGREES and born is Answer.AGREES:
        return ""
    lacking = [fact for fact in ("name", "birth date") if answers[fact] is not Answer.AGREES]
    return f"no Patient ID of one issuer connects them, and they do not agree in {_listed(lacking)}"


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
    """Of each of the others that may be the number: whether it certainly is, by a common issuer."""
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
    """Return whether study date and accession number of two images exclude one study; midnight may be in between."""
    (date_of_one, accession_of_one), (date_of_other, accession_of_other) = one, other
    if not date_of_one or not date_of_other or (accession_of_one and accession_of_one == accession_of_other):
        return False
    return abs((date.fromisoformat(date_of_one) - date.fromisoformat(date_of_other)).days) > 1
