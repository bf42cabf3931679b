"""The reference of the rules language for people: fields, operators and examples."""

from collections.abc import Iterator

from glam_node.rules.fields import NODE_FIELDS, RESULT_FIELDS
from glam_node.rules.grammar import DEEPEST, LONGEST

OPERATORS = (
    ("==  !=", 'Manufacturer == "HOLOGIC, Inc."', "text, number, date, age"),
    ("<  <=  >  >=", "PatientAge >= 40Y", "number, date, age"),
    ("in  not in", 'StationName in ["MG1", "MG2"]', "text, number, date, age"),
    ("contains", 'ProtocolName contains "screening"', "text"),
    ("like", 'calling_ae_title like "MG?_*"', "text; ? is one character, * any number of them"),
    ("is missing  is present", "ViewCodeSequence.CodeValue is missing", "everything"),
    ("and  or  not  ( )", 'not (KVP > 40 or DetectorType == "SCINTILLATOR")', "expressions; and binds before or"),
)
EXAMPLES = (
    ('Manufacturer == "HOLOGIC, Inc." and ManufacturerModelName like "Selenia*"', "one vendor's older machines"),
    ("PatientAge < 40Y", "patients under 40"),
    ("StudyDate >= 2024-01-31 and standard_views == 4", "complete exams from this date on"),
    ('ViewCodeSequence.CodeValue == "399162004"', "views by their SNOMED code, in any item of the sequence"),
    ('InstitutionName contains "mobile unit"', "studies from one of several sites"),
    ("malignant_images > 0 or images_not_analysed > 0", "studies that a person should look at, after the analysis"),
)
SEMANTICS = (
    "Texts are compared without regard to case and surrounding spaces.",
    "Where an attribute has several values, or a sequence several items, one that matches is enough; with != and "
    "not in, none of them may be equal.",
    "The fields of results have the same values for all images of a study. Those that compare with a prior "
    "exam are missing without one by the same model. A score, or the number of images that reach "
    "an operating point, is missing if no image has a score, or if the model states no operating point.",
    "Where a value is missing, empty or unreadable, only `is missing` is true; even != is false.",
    "An age is compared in days (Y 365.25, M 30.4375, W 7).",
    f"An expression has at most {LONGEST} characters, and {DEEPEST} expressions inside each other.",
    "Names, IDs, birth dates, addresses and free text of more than one line cannot be used.",
)


def explanation() -> str:
    """Return the reference of the rules language as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "Fields are DICOM keywords, those inside sequences with a dot (ViewCodeSequence.CodeValue), and"
    yield from ("", "| field | kind | meaning |", "|---|---|---|")
    for name, (kind, meaning) in NODE_FIELDS.items():
        yield f"| `{name}` | {kind} | {meaning} |"
    yield from ("", "A rule that asks about results is evaluated after the analysis. Its fields are, in addition,")
    yield from ("", "| field | kind | meaning |", "|---|---|---|")
    for name, (kind, meaning) in RESULT_FIELDS.items():
        yield f"| `{name}` | {kind} | {meaning} |"
    yield from ("", "| operators | example | for |", "|---|---|---|")
    for operators, example, kinds in OPERATORS:
        yield f"| {operators} | `{example}` | {kinds} |"
    yield ""
    yield from (f"- {one}" for one in SEMANTICS)
    yield from ("", "| example | holds for |", "|---|---|")
    for example, meaning in EXAMPLES:
        yield f"| `{example}` | {meaning} |"
