"""Lossy compression of the source images, which every image derived from them must state (PS3.3 C.7.6.1.1.5)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import uid
from pydicom.dataset import Dataset

from glam_node.node.results.element_values import items_of, text_value, text_values, value_of

# Methods (PS3.3 C.7.6.1.1.5.1) by transfer syntax, for the syntaxes that are always lossy
_JPEG = "1.2.840.10008.1.2.4"
_METHODS: Mapping[str, str] = {
    # JPEG with a discrete cosine transform, also of retired processes; JPEG XL JPEG Recompression (111) contains it.
    **{f"{_JPEG}.{number}": "ISO_10918_1" for number in (*range(50, 57), *range(59, 65), 111)},
    uid.JPEGLSNearLossless: "ISO_14495_1",
    **{f"{_JPEG}.{number}{part}": "ISO_13818_2" for number in (100, 101) for part in ("", ".1")},
    **{f"{_JPEG}.{number}{part}": "ISO_14496_10" for number in range(102, 107) for part in ("", ".1")},
    **{f"{_JPEG}.{number}": "ISO_23008_2" for number in (107, 108)},
}
# Syntaxes that may be lossy: the header decides, and an image whose header states nothing counts as lossy.
_UNCERTAIN_METHODS: Mapping[str, str] = {
    uid.JPEG2000: "ISO_15444_1",
    uid.JPEG2000MC: "ISO_15444_2",
    uid.HTJ2K: "ISO_15444_15",
    # JPIP, by reference
    **{f"{_JPEG}.{number}": "ISO_15444_1" for number in (94, 95)},
    **{f"{_JPEG}.{number}": "ISO_15444_15" for number in (204, 205)},
    # JPEG XL; pydicom has no name for it.
    f"{_JPEG}.112": "ISO_18181_1",
}
_MAXIMUM_METHOD_LENGTH, _MAXIMUM_RATIO_LENGTH = 16, 16
# Code "Lossy Compression" of a derivation (PS3.16 CID 7203)
_LOSSY_COMPRESSION = "113040"


@dataclass(frozen=True, slots=True)
class LossyCompression:
    """The lossy compression of one image. Values are empty if neither the image nor its file reveals them."""

    ratios: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    """One method for each time that the image was compressed, in the order of the compressions."""


def lossy_compression(source: Dataset) -> LossyCompression | None:
    """Return the lossy compression that an image has undergone at any time, or None if there was none.

    An image counts as lossy if Lossy Image Compression says so, or if its transfer syntax is always lossy. Without a
    legal value of that attribute, it also counts as lossy if the header states a ratio, a method or a derivation by
    lossy compression, or if its transfer syntax may be lossy.
    """
    ratios, methods = _ratios(source), _methods(source)
    syntax = str(getattr(source, "file_meta", Dataset()).get("TransferSyntaxUID", ""))
    stated = text_value(source, "LossyImageCompression")
    certain = stated == "01" or syntax in _METHODS
    if not certain and (stated == "00" or not (ratios or methods or syntax in _UNCERTAIN_METHODS or _derived(source))):
        return None
    method = _METHODS.get(syntax) or _UNCERTAIN_METHODS.get(syntax)
    return LossyCompression(ratios or _present_ratio(source, method), methods or ((method,) if method else ()))


def state_lossy_compression(result: Dataset, sources: Sequence[Dataset]) -> None:
    """Set the three elements on lossy compression in a derived image, from its most compressed source image."""
    found = [lossy for source in sources if (lossy := lossy_compression(source)) is not None]
    result.LossyImageCompression = "01" if found else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        result.pop(keyword, None)
    if not found:
        return
    worst = max(found, key=lambda lossy: (bool(lossy.methods), math.prod(map(float, lossy.ratios))))
    if worst.ratios:
        result.LossyImageCompressionRatio = list(worst.ratios)
    if worst.methods:
        result.LossyImageCompressionMethod = list(worst.methods)


def _ratios(source: Dataset) -> tuple[str, ...]:
    """Return all ratios, or none if one is invalid, since their order assigns them to the methods."""
    values = text_values(source, "LossyImageCompressionRatio")
    return tuple(values) if values and all(map(_is_ratio, values)) else ()


def _is_ratio(value: str) -> bool:
    try:
        return len(value) <= _MAXIMUM_RATIO_LENGTH and 0 < float(value) < math.inf
    except ValueError:
        return False


def _methods(source: Dataset) -> tuple[str, ...]:
    values = [value.upper() for value in text_values(source, "LossyImageCompressionMethod")]
    return tuple(values) if values and all(map(_is_code_string, values)) else ()


def _is_code_string(value: str) -> bool:
    plain = value.replace("_", "").replace(" ", "")
    return len(value) <= _MAXIMUM_METHOD_LENGTH and plain.isascii() and plain.isalnum()


def _derived(source: Dataset) -> bool:
    return any(
        text_value(item, "CodeValue") == _LOSSY_COMPRESSION for item in items_of(source, "DerivationCodeSequence")
    )


def _present_ratio(source: Dataset, method: str | None) -> tuple[str, ...]:
    """Return the ratio of the sizes of pixels and file, if the image is compressed now and its file is available."""
    sizes = [value_of(source, keyword) for keyword in ("Rows", "Columns", "BitsAllocated")]
    name = getattr(source, "filename", None)
    path = Path(name) if isinstance(name, str | Path) else None
    if method is None or path is None or not path.is_file() or not all(isinstance(size, int) for size in sizes):
        return ()
    return (f"{max(1.0, math.prod(sizes) / 8 / path.stat().st_size):.2f}",)
