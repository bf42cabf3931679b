"""Whether the header says that an image shows something else than a patient's breast."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

# SNOMED CT and retired SNOMED-RT values of the breast, both breasts, the right and the left one (PS3.3 C.8.11.7)
_BREAST_REGIONS = frozenset(
    {"76752008", "T-04000", "63762007", "T-04080", "73056007", "T-04020", "80248007", "T-04030"}
)
# PS3.16 Annex L, defined terms of Body Part Examined for what is taken with X-rays; sites also write words of their own
# fmt: off
_OTHER_BODY_PARTS = frozenset({
    "ABDOMEN", "ANKLE", "ARM", "CHEST", "CLAVICLE", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY", "FOOT", "HAND",
    "HEAD", "HEART", "HIP", "JAW", "KNEE", "LEG", "LSPINE", "LUNG", "NECK", "PELVIS", "SHOULDER", "SKULL",
    "SPINE", "SSPINE", "TSPINE", "WRIST",
})
# fmt: on


def subject_refusals(dataset: Dataset) -> Iterator[str]:
    """Reasons not to take `dataset` for an image of a breast; none when its header is silent."""
    if _text(dataset, "QualityControlImage") in ("YES", "BOTH"):
        yield "The image shows a quality control phantom (Quality Control Image)."
    body_part = _text(dataset, "BodyPartExamined")
    if body_part in _OTHER_BODY_PARTS:
        yield f"The image does not show a breast: Body Part Examined is {body_part}."
    regions = {str(item.get("CodeValue") or "") for item in dataset.get("AnatomicRegionSequence") or ()} - {""}
    if regions and not regions & _BREAST_REGIONS:
        yield f"The image does not show a breast: its anatomic region is {', '.join(sorted(regions))}."


def subject_remarks(dataset: Dataset) -> Iterator[str]:
    """What a reader of the findings should know of the image (PS3.3 C.7.6.1.1.2, C.8.11.7)."""
    if _text(dataset, "PartialView") == "YES":
        yield "The image is a partial view: it shows a part of the breast."
    if _text(dataset, "BurnedInAnnotation") == "YES":
        yield "The image has burned-in annotation; where it covers the breast, the model sees it as tissue."


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()
