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
    r"|(?<!TOMO )(SYNTH|SINTET|SYNTET)\w*|2D ?SYN|(TOMO|TOMOSYNTHESIS|DBT) ?2D|2D (FROM|OF|AUS|DE|DA) (TOMO\w*|DBT)"
    r"|INSIGHT ?3D|合成|합성|(?<!ТОМО)СИНТЕЗ\w*",
    "tomosynthesis": r"(TOMO|TOMOSYNTHES[EI]S?|DBT) (SLI|SLAB|PROJ|PLANE|RECON|VOL|MIP|SCHICHT|COUPE|STRAT|CORTE)\w*"
    r"|トモシンセシス|断层|斷層|단층|ТОМОСИНТЕЗ\w*"
    rf"|(SMART|INTELLI) ?SLICES?|SLICES?|SLABS?|MIP|CLARITY HD|{_VIEW} (TOMO\w*|DBT|3D)|(TOMO\w*|DBT|3D) {_VIEW}",
    "contrast": r"CESM|CEDM|CEM|CONTRAST ENHANCED|RECOMBINED|SUBTRACTED|SUBTRACTION|DUAL ENERGY|SENOBRIGHT|TICEM"
    r"|I VIEW|((HIGH|HOHE|HAUTE|ALTA) ENERG|HOCHENERG|KONTRASTM|ANGIO ?MAMMO|GALA[CK]TOGR|DU[CK]TOGR)\w*|^CONTRAST$"
    r"|KM MAMMO\w*|(PRE|POST|IV|CON|COM|WITH|MIT|AVEC) (DE )?[CK]ONTRAST\w*|[CK]ONTRASTE? MAMMO\w*|IODINE|DUCTOGRAM"
    rf"|(PRODUIT|MEZZO|MEDIO) DE? ?CONTRAST\w*|{_VIEW} ([CK]ONTRAST\w*|CE|HE|SUB)"
    rf"|HE {_VIEW}|ENERGI[EA] (HAUTE|ALTA)|(?<!非)造影(?!なし)|조영|С КОНТРАСТ\w*",
    "contrast_low_energy": rf"((LOW|BASSE|BASSA|BAJA|BAIXA) ENERG|NIEDERENERG|NIEDRIGENERG)\w*|{_VIEW} LE"
    rf"|LE {_VIEW}|ENERGI[EA] (BASSE|BASSA|BAJA|BAIXA)",
    "stereotactic": r"(STEREO|BIOPS|SCOUT|DRAHT|HARPON|HOOK ?WIRE|PERFORAT|LOKALIS|LOCALIZZ)\w*|STX|ARPON|REPERAGE"
    r"|NEEDLE|WIRE LOC\w*|^WIRE$|LOCALI[SZ]A[TC]ION|(PRE|POST) ?(FIRE|CLIP)"
    r"|生検|活检|活檢|穿刺|생검|БИОПСИ\w*",
    "specimen": r"(E?SPECIM|PREPARAAT|PRAE?PARAT)\w*|PI(ECE|EZA|ECA) (OPERATO|QUIRURG|ANATOM)\w*|PEZZO OPERATORIO"
    r"|PECA CIRURGICA|標本|标本|표본",
    "phantom": r"(PH|F)ANT(OO|[OA])M\w*|CDMAM|TORMAM|FLAT ?FIELD\w*|QUALITY CONTROL|^(QC|ACR|CALIBRATION|KALIBRIERUNG)$"
    r"|(QC|AEC|CNR|SNR|MTF|CONSTANCY|ARTI?E?FACT) (TEST|EVALUATION|IMAGE|CHECK)S?|QUALITATSSICHERUNG|KONSTANZPRUFUNG"
    r"|ファントム|体模|體模|팬텀|ФАНТОМ\w*",
    "spot": r"SPOT\w*|ZIEL(AUFN|KOMPR)\w*|CONED?( DOWN)?|COMPRES\w* (FOCAL|LOCALI|MIRAT)\w*|FOCAL COMPRES\w*"
    r"|CLICHE (LOCALI|CENTRE)\w*|LOCALISEE?S?|FRAMELESS|(7 5|10|15) ?CM CONTACT|QUAD(RANT)?"
    r"|スポット|点压|點壓|ПРИЦЕЛЬН\w*",
    "magnified": r"(SPOT|[LR])?MAG|(MAGNIF|AGRANDI|INGRANDI|AMPLIA[CD]|(UIT)?VERGR|FORSTOR)\w*|[LR]M ?(CC|MLO|ML)"
    r"|拡大|放大|확대|УВЕЛИЧ\w*",
    "implant_displaced": r"IMPLANTS? DISPL\w*|EKLUND|PUSH ?BACK|[LR]?(CC|MLO) ?ID|ID [LR]?(CC|MLO)",
}
"""The words that name each kind, as patterns for text in upper case without accents or other signs."""


def _letters(text: str) -> str:
    """Return the text without accents, and without the voicing marks of kana."""
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


_PHRASES = {kind: re.compile(rf"(?<![A-Z0-9])({_letters(phrase)})(?![A-Z0-9])") for kind, phrase in PHRASES.items()}
_AND = re.compile(r"[+&/]")
_SIGNS = re.compile(r"[^\w']+|_+")
_BETWEEN_SCRIPTS = re.compile(r"(?<=[A-Z0-9])(?=[^\W\dA-Z])|(?<=[^\W\dA-Z])(?=[A-Z0-9])")
_LONGEST = 1024
_DRAWN = "(phantom)"
"""The text that this software appends to descriptions of its own phantoms; `ImageFacts.drawn` already marks them."""


def described_kinds(descriptions: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that at least one of the descriptions names, in the order of PHRASES."""
    texts = [_plain(text) for text in descriptions]
    return tuple(kind for kind, phrase in _PHRASES.items() if any(phrase.search(text) for text in texts))


def _plain(text: str) -> str:
    several = _AND.sub(" AND ", text[:_LONGEST].replace(_DRAWN, ""))
    return _BETWEEN_SCRIPTS.sub(" ", _SIGNS.sub(" ", _letters(several).upper())).strip()
