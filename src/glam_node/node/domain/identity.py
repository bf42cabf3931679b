"""Digests of the patient and study facts in an image's header: comparable, but not readable."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Protocol

_DIGEST_LENGTH = 12
_LONGEST_NAME_PARTS, _MOST_OTHER_IDS = 32, 32
# Letters that Unicode does not decompose into a base letter and an accent
_LATIN = str.maketrans({"ß": "ss", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_SCRIPTS = {"HIRAGANA": "KANA", "KATAKANA": "KANA"}
_HIRAGANA_BELOW_KATAKANA = 0x60
# Texts that software writes in place of an unknown value: two images with the same such text do not agree
_PLACEHOLDER = re.compile(
    r"[\W_0x]*|(anonym\w*|anon|deidentified|unknown|unbekannt|inconnu|none|null|nil|n/?a|undefined"
    r"|not (known|available)|patient|test)( ?id|\W)*",
    re.IGNORECASE,
)


class Header(Protocol):
    """Header to read facts from, such as a pydicom Dataset."""

    def get(self, key: str, /) -> Any:
        """Return the value of the element with this keyword; None if there is none."""


@dataclass(frozen=True, slots=True, order=True)
class Issuer:
    """Digests of the authority that issued a Patient ID; empty if the header does not name it."""

    name: str = ""
    universal_id: str = ""

    def is_another(self, other: "Issuer") -> bool:
        """Return whether both issuers are named and differ."""
        if self.universal_id and other.universal_id:
            return self.universal_id != other.universal_id
        return bool(self.name and other.name) and self.name != other.name

    def is_the_same(self, other: "Issuer") -> bool:
        """Return whether both issuers are named and do not differ."""
        named = (self.universal_id and other.universal_id) or (self.name and other.name)
        return bool(named) and not self.is_another(other)


@dataclass(frozen=True, slots=True, order=True)
class PatientNumber:
    """Digests of a Patient ID and its issuer."""

    value: str = ""
    issuer: Issuer = Issuer()


@dataclass(frozen=True, slots=True, order=True)
class NamePart:
    """Digests of the spellings of one part of a name, with its script."""

    script: str
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class ImageIdentity:
    """Digests of the facts that one image states about its patient and study."""

    patient_number: PatientNumber = PatientNumber()
    other_numbers: tuple[PatientNumber, ...] = ()
    name_parts: tuple[NamePart, ...] = ()
    joined_names: tuple[NamePart, ...] = ()
    """All parts of a name, joined per script, to compare names that are divided into different parts."""
    birth_date: tuple[str, ...] = ()
    """Digests of the year, of year and month, and of the whole date, as far as the header states them."""
    sex: str = ""
    """M, F, O or empty, in plain text."""
    accession_number: str = ""
    study_date: str = ""
    """YYYYMMDD or empty, in plain text."""

    @property
    def person(self) -> "ImageIdentity":
        """Identity reduced to the facts about the patient."""
        return ImageIdentity(
            self.patient_number, self.other_numbers, self.name_parts, self.joined_names, self.birth_date, self.sex
        )

    def as_json(self) -> dict[str, Any]:
        """Return the identity as plain lists and strings for a JSON column."""
        return asdict(self)


def identity_from_json(stored: dict[str, Any]) -> ImageIdentity:
    """Return the identity that `ImageIdentity.as_json` has turned into JSON."""
    return ImageIdentity(
        patient_number=_number_from_json(stored["patient_number"]),
        other_numbers=tuple(_number_from_json(one) for one in stored["other_numbers"]),
        name_parts=tuple(NamePart(one["script"], tuple(one["forms"])) for one in stored["name_parts"]),
        joined_names=tuple(NamePart(one["script"], tuple(one["forms"])) for one in stored["joined_names"]),
        birth_date=tuple(stored["birth_date"]),
        sex=stored["sex"],
        accession_number=stored["accession_number"],
        study_date=stored["study_date"],
    )


def _number_from_json(stored: dict[str, Any]) -> PatientNumber:
    return PatientNumber(stored["value"], Issuer(**stored["issuer"]))


def is_placeholder(patient_id: str) -> bool:
    """Return whether a Patient ID is empty, or a text that software writes in place of an unknown one."""
    return _PLACEHOLDER.fullmatch(patient_id.strip()) is not None


def identity_of(header: Header, study_instance_uid: str) -> ImageIdentity:
    """Return digests of the facts that the header states.

    Digests are salted with the Study Instance UID: only images of the same study can be compared. A malformed header
    raises no error; its unreadable elements count as empty.
    """

    def digest(text: str) -> str:
        return (
            hashlib.sha256(f"{study_instance_uid}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[
                :_DIGEST_LENGTH
            ]
            if text
            else ""
        )

    parts, joined = _name(_text(header, "PatientName"), digest)
    others = [_number(item, digest) for item in _items(header, "OtherPatientIDsSequence")]
    others += [PatientNumber(digest(one)) for one in _texts(header, "OtherPatientIDs")]
    sex = _text(header, "PatientSex").upper()
    return ImageIdentity(
        patient_number=_number(header, digest),
        other_numbers=tuple(sorted({one for one in others[:_MOST_OTHER_IDS] if one.value})),
        name_parts=parts,
        joined_names=joined,
        birth_date=_birth_date(_text(header, "PatientBirthDate"), digest),
        sex=sex if sex in ("M", "F", "O") else "",
        accession_number=digest(_text(header, "AccessionNumber")),
        study_date=_whole_date(_text(header, "StudyDate")),
    )


Digest = Callable[[str], str]


def _texts(header: Header, keyword: str) -> list[str]:
    try:
        value = header.get(keyword)
        if value is None:
            return []
        values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)
        return [" ".join(unicodedata.normalize("NFKC", str(one).replace("\0", " ")).split()) for one in values]
    except Exception:  # pydicom converts a value when it is read, and its converters raise many types
        return []


def _text(header: Header, keyword: str) -> str:
    return "\\".join(text for text in _texts(header, keyword) if text)


def _items(header: Header, keyword: str) -> list[Header]:
    try:
        return [item for item in header.get(keyword) or [] if hasattr(item, "get")]
    except Exception:  # as above
        return []


def _number(header: Header, digest: Digest) -> PatientNumber:
    qualifiers = next(iter(_items(header, "IssuerOfPatientIDQualifiersSequence")), None)
    universal = "" if qualifiers is None else _text(qualifiers, "UniversalEntityID").casefold()
    issuer = Issuer(digest(_text(header, "IssuerOfPatientID").casefold()), digest(universal))
    value = _text(header, "PatientID")
    return PatientNumber("" if _PLACEHOLDER.fullmatch(value) else digest(value), issuer)


def _birth_date(stated: str, digest: Digest) -> tuple[str, ...]:
    digits = re.sub(r"[.\-/ ]", "", stated)
    if not re.fullmatch(r"[0-9]{4}([0-9]{2}){0,2}", digits) or digits.startswith("0000"):
        return ()
    lengths = [4, *([6] if digits[4:6] not in ("", "00") else [])]
    lengths += [8] if len(lengths) == 2 and digits[6:8] not in ("", "00") else []
    return tuple(digest(digits[:length]) for length in lengths)


def _whole_date(stated: str) -> str:
    digits = re.sub(r"[.\-/ ]", "", stated)
    if not re.fullmatch(r"[0-9]{8}", digits):
        return ""
    try:
        date.fromisoformat(digits)
    except ValueError:
        return ""
    return digits


def _name(stated: str, digest: Digest) -> tuple[tuple[NamePart, ...], tuple[NamePart, ...]]:
    """Return the separate and the joined name parts of all component groups (PS3.5 6.2.1.2).

    Prefixes, suffixes, placeholders and groups with undecodable characters are ignored.
    """
    parts: set[NamePart] = set()
    joined: set[NamePart] = set()
    for group in stated.casefold().split("="):
        if "?" in group or "\ufffd" in group or _PLACEHOLDER.fullmatch(group):
            continue
        words = [word for component in group.split("^")[:3] for word in _words(component)][:_LONGEST_NAME_PARTS]
        by_script: dict[str, list[str]] = {}
        for word in words:
            by_script.setdefault(_script(word), []).append(word)
        for script, same in by_script.items():
            parts |= {NamePart(script, _forms(word, digest)) for word in same}
            joined.add(NamePart(script, _forms("".join(same), digest)))
    return tuple(sorted(parts)), tuple(sorted(joined))


def _words(component: str) -> list[str]:
    kept = "".join(one if unicodedata.category(one)[0] in "LMN" else " " for one in component)
    return kept.split()


def _script(word: str) -> str:
    letter = next((one for one in word if one.isalpha()), "")
    named = unicodedata.name(letter, "OTHER").split()[0] if letter else "OTHER"
    return _SCRIPTS.get(named, named)


def _forms(word: str, digest: Digest) -> tuple[str, ...]:
    """Return digests of a word without accents and with accents written out (ue for u with umlaut).

    Katakana is folded to Hiragana.
    """
    plain = (_without_marks(word.translate(table)) for table in (_LATIN, _WRITTEN_OUT))
    return tuple(sorted({digest(one.translate(_LATIN)) for one in plain}))


def _without_marks(word: str) -> str:
    hiragana = "".join(chr(ord(one) - _HIRAGANA_BELOW_KATAKANA) if "\u30a1" <= one <= "\u30f6" else one for one in word)
    if _script(word) != "LATIN":
        return hiragana
    return "".join(one for one in unicodedata.normalize("NFKD", hiragana) if not unicodedata.combining(one))
