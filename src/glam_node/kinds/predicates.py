"""The predicates on an image that the table of kinds uses, by the defined terms of the standard."""

from glam_node.kinds.facts import CONTRAST_LOW_ENERGY, CONVENTIONAL, FILM, SYNTHESIZED, ImageFacts, KindPolicy

View = tuple[str, str]
"""Image Laterality and View Position."""

# In the order in which radiologists name and hang them
STANDARD_VIEWS: tuple[View, ...] = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))

IMPLANT_DISPLACED = "implant_displaced"
# PS3.16 CID 4015: with these modifiers a CC or MLO view still shows the whole breast, as in screening
STANDARD_VIEW_MODIFIERS = frozenset(
    {IMPLANT_DISPLACED, "nipple_in_profile", "infra_mammary_fold", "anterior_compression"}
)

# PS3.4 Table B.5-1. The empty SOP class is for programs that read a data set without a SOP class.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_TOMOSYNTHESIS_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.13.1.{number}" for number in (3, 4, 5))
_PROJECTION_CLASSES = frozenset(
    {
        "",
        "1.2.840.10008.5.1.4.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.2",
        "1.2.840.10008.5.1.4.1.1.1.2.1",
    }
)

# Defined terms of Image Type (0008,0008), values 3 to 5 (PS3.3 C.8.11.7.1.4 and C.8.21.6.1.1), by the kind of image;
# `ImageFacts.stereotactic` covers those of biopsies. Machines write terms at other positions than the standard, so any
# position from the third value on counts.
_SYNTHESIZED_TERMS = frozenset({"GENERATED_2D", "TOMO_2D"})
_LOW_ENERGY = "LOW_ENERGY"
_CONTRAST_TERMS = frozenset(
    {"SUBTRACTION", "ADDITION", "HIGH_ENERGY", "PRE_CONTRAST", "POST_CONTRAST", "RECOMBINED", "DUAL_ENERGY"}
)
_LAYER_TERMS = frozenset({"VOLUME", "MAXIMUM", "MEAN", "MINIMUM"})
_PHANTOM_TERMS = frozenset(
    {"PHANTOM", "QUALITY CONTROL", "QUALITY_CONTROL", "QC", "CALIBRATION", "FLAT_FIELD", "FLAT FIELD"}
)
# Terms that are not in the standard, but that machines write on ordinary views.
# fmt: off
_ORDINARY_TERMS = frozenset({
    "NONE", "NORMAL", "STANDARD", "DEFAULT", "AUTO", "MANUAL", "UNSPECIFIED", "UNKNOWN", "OTHER", "2D", "FFDM",
    "FULL_FIELD", "CONVENTIONAL", "CONTACT", "SCREENING", "DIAGNOSTIC", "DIGITAL", "MG", "MAMMO", "MAMMOGRAPHY",
    "MAMMOGRAM", "BREAST", "DX", "CR", "PROCESSED", "POST_PROCESSED", "PRESENTATION",
    "FOR_PRESENTATION", "COMPRESSED", "LOSSLESS", "LOSSY", "LEFT", "RIGHT", "L", "R", "BOTH", "B", "CC", "MLO", "LCC",
    "RCC", "LMLO", "RMLO", "PREMIUM_VIEW", "FINE_VIEW",
})
# fmt: on
_FILM_TERMS = frozenset({"FILM", "DIGITIZED"})
_LAST_DEFINED_VALUE = 5


def has_term(facts: ImageFacts, terms: frozenset[str]) -> bool:
    """Return whether a value of Image Type after the second is one of `terms`."""
    return not terms.isdisjoint(facts.image_type[2:])


def is_synthesized(facts: ImageFacts, policy: KindPolicy) -> bool:
    """Return whether the image was computed from a tomosynthesis to look like a mammogram."""
    return has_term(facts, _SYNTHESIZED_TERMS) or _is_described(facts, policy, SYNTHESIZED)


def is_low_energy(facts: ImageFacts, policy: KindPolicy) -> bool:
    """Return whether the image is the low-energy exposure of a contrast-enhanced mammography."""
    named = has_term(facts, frozenset({_LOW_ENERGY})) or _is_described(facts, policy, CONTRAST_LOW_ENERGY)
    return named and not has_term(facts, _CONTRAST_TERMS - {"POST_CONTRAST"})


def is_film(facts: ImageFacts) -> bool:
    """Return whether the image is digitised film."""
    return facts.film or has_term(facts, _FILM_TERMS)


def is_implant_displaced(facts: ImageFacts, policy: KindPolicy) -> bool:
    """Return whether the implant was pushed back, so that the view shows the breast without it."""
    return IMPLANT_DISPLACED in facts.view_modifiers or _is_described(facts, policy, IMPLANT_DISPLACED)


def accepted_kind(facts: ImageFacts, policy: KindPolicy) -> str:
    """Return the kind among DECLARABLE_KINDS of an image to which no other kind of the table applies."""
    if is_synthesized(facts, policy):
        return SYNTHESIZED
    if is_low_energy(facts, policy):
        return CONTRAST_LOW_ENERGY
    return FILM if is_film(facts) else CONVENTIONAL


def _is_described(facts: ImageFacts, policy: KindPolicy, kind: str) -> bool:
    return policy.descriptions and kind in facts.described


def is_secondary(facts: ImageFacts, sop_class_uid: str, policy: KindPolicy) -> bool:
    """Return whether the image is a secondary capture: a picture of an image, not an exposure."""
    if _is_described(facts, policy, "secondary"):
        return True
    return f"{sop_class_uid}.".startswith(f"{_SECONDARY_CAPTURE}.") or "SECONDARY" in facts.image_type[1:2]


def is_of_another_class(_: ImageFacts, sop_class_uid: str, __: KindPolicy) -> bool:
    """Return whether the SOP class is neither one of projection radiography nor one of tomosynthesis."""
    return sop_class_uid not in _PROJECTION_CLASSES | _TOMOSYNTHESIS_CLASSES


def is_phantom(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the image is for quality control or calibration."""
    return facts.phantom or has_term(facts, _PHANTOM_TERMS) or _is_described(facts, policy, "phantom")


def is_specimen(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the image shows a tissue specimen."""
    return facts.specimen or _is_described(facts, policy, "specimen")


def is_stereotactic(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the image was made for a biopsy or a localisation."""
    return facts.stereotactic or _is_described(facts, policy, "stereotactic")


def is_contrast_enhanced(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the image is contrast-enhanced and is not the low-energy exposure."""
    stated = facts.contrast_agent or has_term(facts, _CONTRAST_TERMS) or _is_described(facts, policy, "contrast")
    return stated and not is_low_energy(facts, policy)


def is_of_tomosynthesis(facts: ImageFacts, sop_class_uid: str, policy: KindPolicy) -> bool:
    """Return whether the image is a slice, a layer or a projection of a tomosynthesis."""
    if sop_class_uid in _TOMOSYNTHESIS_CLASSES or facts.number_of_frames != 1:
        return True
    stated = facts.tomosynthesis or any("TOMO" in term for term in facts.image_type) or has_term(facts, _LAYER_TERMS)
    described = _is_described(facts, policy, "tomosynthesis")
    return (stated or described) and not is_synthesized(facts, policy)


def is_spot(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the view is a spot compression."""
    return "spot_compression" in facts.view_modifiers or _is_described(facts, policy, "spot")


def is_magnified(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether the view is magnified."""
    return "magnification" in facts.view_modifiers or _is_described(facts, policy, "magnified")


def is_of_another_view(facts: ImageFacts, _: str, __: KindPolicy) -> bool:
    """Return whether the header states a view other than a whole CC or MLO."""
    return facts.view_position not in ("", "CC", "MLO") or not STANDARD_VIEW_MODIFIERS.issuperset(facts.view_modifiers)


def is_of_unknown_type(facts: ImageFacts, _: str, policy: KindPolicy) -> bool:
    """Return whether one of the first five values of Image Type is known neither to this table nor to the site."""
    first, second, *others = (*facts.image_type, "", "")
    known = (
        _ORDINARY_TERMS
        | _SYNTHESIZED_TERMS
        | _LAYER_TERMS
        | _FILM_TERMS
        | {_LOW_ENERGY, "POST_CONTRAST"}
        | policy.image_types
    )
    unknown = {term for term in others[: _LAST_DEFINED_VALUE - 2] if not _is_number(term)} - known - {""}
    unknown = {term for term in unknown if "TOMO" not in term}
    return first not in ("", "ORIGINAL", "DERIVED") or second not in ("", "PRIMARY") or bool(unknown)


def _is_number(term: str) -> bool:
    return term.replace(".", "", 1).isdigit()
