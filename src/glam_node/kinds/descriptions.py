"""The words in descriptions that name a kind of image, since some machines state the kind nowhere else.

Only words that never describe an ordinary screening view are listed. A site can switch this off with
`eligibility.read_descriptions = false`.
"""

import re
import unicodedata
from collections.abc import Iterable

_VIEW = r"[LR]? ?(CC|MLO)"
PHRASES = {
    "secondary": r"SCREEN ?(SHOT|CAPTURE|SAVE)S?|SECONDARY CAPTURE",
    # C-View and Intelligent 2D (Hologic), V-Preview (GE), Insight 2D (Siemens), S-View (Fujifilm), G-View (IMS Giotto)
    "synthesized": r"[CGS] ?VIEW|V ?PREVIEW|(INSIGHT|INTELLIGENT|CLARITY|GENERATED|VOLUMETRIC) ?2D|I2D|S2D"
    r"|(?<!TOMO )(SYNTH|SINTET|SYNTET)\w*|2D ?SYN|(TOMO|TOMOSYNTHESIS|DBT) ?2D|2D (FROM|OF|AUS|DE|DA) (TOMO\w*|DBT)",
    "tomosynthesis": r"(TOMO|TOMOSYNTHES[EI]S?|DBT) (SLI|SLAB|PROJ|PLANE|RECON|VOL|MIP|SCHICHT|COUPE|STRAT|CORTE)\w*"
    rf"|SMART ?SLICES?|SLICES?|SLABS?|MIP|CLARITY HD|{_VIEW} (TOMO\w*|DBT|3D)|(TOMO\w*|DBT|3D) {_VIEW}",
    "contrast": r"CESM|CEDM|CEM|CONTRAST ENHANCED|RECOMBINED|SUBTRACTED|SUBTRACTION|DUAL ENERGY|SENOBRIGHT|TICEM"
    r"|I VIEW|((HIGH|HOHE|HAUTE|ALTA) ENERG|HOCHENERG|KONTRASTM|ANGIO ?MAMMO|GALA[CK]TOGR|DU[CK]TOGR)\w*|^CONTRAST$"
    r"|KM MAMMO\w*|(PRE|POST|IV|CON|COM|WITH|MIT|AVEC) (DE )?[CK]ONTRAST\w*|[CK]ONTRASTE? MAMMO\w*|IODINE|DUCTOGRAM"
    rf"|(PRODUIT|MEZZO|MEDIO) DE? ?CONTRAST\w*|{_VIEW} ([CK]ONTRAST\w*|CE|HE|SUB)",
    "contrast_low_energy": rf"((LOW|BASSE|BASSA|BAJA|BAIXA) ENERG|NIEDERENERG|NIEDRIGENERG)\w*|{_VIEW} LE",
    "stereotactic": r"(STEREO|BIOPS|SCOUT|DRAHT|HARPON|HOOK ?WIRE|PERFORAT|LOKALIS|LOCALIZZ)\w*|STX|ARPON|REPERAGE"
    r"|NEEDLE|WIRE LOC\w*|^WIRE$|LOCALI[SZ]A[TC]ION|(PRE|POST) ?(FIRE|CLIP)",
    "specimen": r"(E?SPECIM|PREPARAAT|PRAE?PARAT)\w*|PI(ECE|EZA|ECA) (OPERATO|QUIRURG|ANATOM)\w*|PEZZO OPERATORIO"
    r"|PECA CIRURGICA",
    "phantom": r"(PH|F)ANT[OA]M\w*|CDMAM|TORMAM|FLAT ?FIELD\w*|QUALITY CONTROL|^(QC|ACR|CALIBRATION|KALIBRIERUNG)$"
    r"|(QC|AEC|CNR|SNR|MTF|CONSTANCY|ARTI?E?FACT) (TEST|EVALUATION|IMAGE|CHECK)S?|QUALITATSSICHERUNG|KONSTANZPRUFUNG",
    "spot": r"SPOT\w*|ZIEL(AUFN|KOMPR)\w*|CONED?( DOWN)?|COMPRES\w* (FOCAL|LOCALI|MIRAT)\w*|FOCAL COMPRES\w*"
    r"|CLICHE (LOCALI|CENTRE)\w*|FRAMELESS|(7 5|10|15) ?CM CONTACT|QUAD(RANT)?",
    "magnified": r"(SPOT|[LR])?MAG|(MAGNIF|AGRANDI|INGRANDI|AMPLIA[CD]|(UIT)?VERGR|FORSTOR)\w*|[LR]M ?(CC|MLO|ML)",
    "implant_displaced": r"IMPLANTS? DISPL\w*|EKLUND|PUSH ?BACK|[LR]?(CC|MLO) ?ID|ID [LR]?(CC|MLO)",
}
"""The words that name each kind, as patterns for text in upper case without accents or other signs."""

_PHRASES = {kind: re.compile(rf"(?<![A-Z0-9])({phrase})(?![A-Z0-9])") for kind, phrase in PHRASES.items()}
_AND = re.compile(r"[+&/]")
_SIGNS = re.compile(r"[^A-Z0-9']+")
_LONGEST = 1024
_DRAWN = "(phantom)"
"""The text that this software appends to descriptions of its own phantoms; `ImageFacts.drawn` already marks them."""


def described_kinds(descriptions: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that at least one of the descriptions names, in the order of PHRASES."""
    texts = [_plain(text) for text in descriptions]
    return tuple(kind for kind, phrase in _PHRASES.items() if any(phrase.search(text) for text in texts))


def _plain(text: str) -> str:
    several = _AND.sub(" AND ", text[:_LONGEST].replace(_DRAWN, ""))
    letters = unicodedata.normalize("NFKD", several)
    return _SIGNS.sub(" ", "".join(one for one in letters if not unicodedata.combining(one)).upper()).strip()
