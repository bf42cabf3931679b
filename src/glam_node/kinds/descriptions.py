"""Kinds of image that descriptions name, since some machines state them nowhere else.

Only words that no description of an ordinary screening view has are listed. A site switches them off by
`eligibility.read_descriptions = false`.
"""

import re
from collections.abc import Iterable

PHRASES = {
    # C-View and Intelligent 2D (Hologic), V-Preview (GE), Insight 2D (Siemens), S-View (Fujifilm), G-View (IMS Giotto)
    "synthesized": r"[CGS] ?VIEW|V ?PREVIEW|(INSIGHT|INTELLIGENT|CLARITY|GENERATED) ?2D|(?<!TOMO )SYNTH\w*|SYN ?2D"
    r"|2D ?SYN",
    "tomosynthesis": r"(TOMO|TOMOSYNTHESIS|DBT) (SLICES?|SLABS?|PROJECTIONS?|PLANES?|RECON\w*)|SMART ?SLICES?",
    "contrast": r"CESM|CEDM|CEM|CONTRAST ENHANCED|RECOMBINED|SUBTRACTED|SUBTRACTION|DUAL ENERGY|HIGH ENERGY|SENOBRIGHT"
    r"|TICEM|I VIEW",
    "contrast_low_energy": r"LOW ENERGY",
    "stereotactic": r"STEREO\w*|BIOPS\w*|NEEDLE|WIRE LOC\w*|(NEEDLE )?LOCALI[SZ]ATION|(PRE|POST) ?FIRE",
    "specimen": r"SPECIMENS?",
    "phantom": r"(ACR|QC|CDMAM|TORMAM|ACCREDITATION|DAILY|WEEKLY) PHANTOM|PHANTOM QC|FLAT ?FIELD|QUALITY CONTROL",
    "spot": r"SPOT\w*",
    "magnified": r"(SPOT)?MAG|MAGNIF\w*",
    "implant_displaced": r"IMPLANTS? DISPL\w*|EKLUND|[LR]?(CC|MLO) ?ID|ID [LR]?(CC|MLO)",
}
"""By kind, the words that name it, between blanks; letters are in upper case, other signs are blanks."""

_PHRASES = {kind: re.compile(rf"(?<![A-Z0-9])({phrase})(?![A-Z0-9])") for kind, phrase in PHRASES.items()}
_SIGNS = re.compile(r"[^A-Z0-9']+")
_LONGEST = 1024


def described_kinds(descriptions: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that some of the descriptions name, in the order of PHRASES."""
    texts = [_SIGNS.sub(" ", text[:_LONGEST].upper()).strip() for text in descriptions]
    return tuple(kind for kind, phrase in _PHRASES.items() if any(phrase.search(text) for text in texts))
