"""Decoding of stored pixel values, after a check of the sizes in the header, before memory is allocated for them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from glam_node.inference.codestream import check_codestream, essential_jpeg
from glam_node.inference.errors import UnsupportedMammogram

# The largest detectors and film digitisers stay under 30 million.
MAXIMUM_PIXELS = 64 * 2**20
# Lossless compression makes a mammogram 2 to 10 times smaller, lossy compression perhaps 50 times.
_MAXIMUM_PIXELS_PER_ENCODED_BYTE = 2000

# GDCM crashes the process on some damaged images, and pylibjpeg's RLE decoder raises errors that are not Exceptions:
# neither decodes a transfer syntax that another decoder can read.
_PLUGINS = {
    JPEGBaseline8Bit: "pillow",
    JPEG2000Lossless: "pillow",
    JPEG2000: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    RLELossless: "pydicom",
}
_ITEM, _ITEM_HEADER = b"\xfe\xff\x00\xe0", 8
_DECODED_BY_GDCM = frozenset({JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1})


def stored_values(dataset: Dataset) -> NDArray[np.uint16]:
    """Return the frame of a single-frame image as the bit patterns that were stored.

    Returns:
        Rows x Columns; sign bits and unused bits are left as they are. The array may be read-only.

    Raises:
        UnsupportedMammogram: The image is not one grey frame of 8 or 16 bits, or it cannot be decoded.
    """
    rows, columns = _declared_size(dataset)
    _check_grey(dataset)
    transfer_syntax = _transfer_syntax(dataset)
    encoded = dataset.get("PixelData")
    if not isinstance(encoded, bytes) or not encoded:
        raise UnsupportedMammogram("The image has no pixel data.")
    if transfer_syntax.is_encapsulated:
        dataset = _without_offset_tables(dataset)
        frame = _encoded_frame(dataset.PixelData, rows, columns)
        check_codestream(frame, rows, columns, dataset.BitsAllocated)
        values = _decode(dataset, transfer_syntax, frame)
    else:
        _check_native_length(dataset, len(encoded), rows, columns)
        values = _decode(dataset, transfer_syntax, None)
    if values.shape != (rows, columns) or values.dtype.itemsize > 2:
        raise UnsupportedMammogram(
            f"The decoded image has the shape {values.shape}; the header states {(rows, columns)}."
        )
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return native.view(f"u{native.dtype.itemsize}").astype(np.uint16, copy=False)


def _declared_size(dataset: Dataset) -> tuple[int, int]:
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not (isinstance(rows, int) and isinstance(columns, int) and rows > 0 and columns > 0):
        raise UnsupportedMammogram("The image has no size: Rows or Columns is missing or zero.")
    if rows * columns > MAXIMUM_PIXELS:
        raise UnsupportedMammogram(f"The image claims {rows} x {columns} pixels; no mammogram is that large.")
    return rows, columns


def _check_grey(dataset: Dataset) -> None:
    photometric_interpretation = dataset.get("PhotometricInterpretation")
    if photometric_interpretation not in ("MONOCHROME1", "MONOCHROME2") or dataset.get("SamplesPerPixel", 1) != 1:
        raise UnsupportedMammogram(
            f"The image is not a grey-scale image but {photometric_interpretation or 'unknown'}."
        )
    allocated, stored = dataset.get("BitsAllocated"), dataset.get("BitsStored")
    if allocated not in (8, 16) or not isinstance(stored, int) or not 1 <= stored <= allocated:
        raise UnsupportedMammogram(f"The image has {stored} of {allocated} bits per pixel; 8 and 16 can be read.")
    high_bit = dataset.get("HighBit")
    if high_bit not in (None, "", stored - 1) or dataset.get("PixelRepresentation") not in (0, 1):
        raise UnsupportedMammogram("The image's High Bit or Pixel Representation is missing or illegal.")


def _transfer_syntax(dataset: Dataset) -> UID:
    transfer_syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID")
    if not transfer_syntax:
        raise UnsupportedMammogram("The file does not state its transfer syntax.")
    return UID(transfer_syntax)


def _check_native_length(dataset: Dataset, byte_count: int, rows: int, columns: int) -> None:
    expected = rows * columns * dataset.BitsAllocated // 8
    if byte_count < expected:
        raise UnsupportedMammogram(
            f"The pixel data is cut short: {byte_count} bytes for {rows} x {columns} pixels, which need {expected}."
        )


def _without_offset_tables(dataset: Dataset) -> Dataset:
    """Return the elements that describe the pixels, with empty offset tables.

    Some senders write wrong tables, and a single frame needs none.
    """
    encoded: bytes = dataset.PixelData
    is_item = encoded[:4] == _ITEM and len(encoded) >= _ITEM_HEADER
    length = int.from_bytes(encoded[4:_ITEM_HEADER], "little") if is_item else 0
    if "ExtendedOffsetTable" not in dataset and not any(encoded[_ITEM_HEADER : _ITEM_HEADER + length]):
        return dataset
    plain = dataset.group_dataset(0x0028)
    plain.file_meta = dataset.file_meta
    plain.PixelData = _ITEM + bytes(4) + encoded[_ITEM_HEADER + length :]
    return plain


def _encoded_frame(encoded: bytes, rows: int, columns: int) -> bytes:
    """Return the encoded frame; refuse one that is too short for the pixels that the header claims."""
    if rows * columns > _MAXIMUM_PIXELS_PER_ENCODED_BYTE * len(encoded):
        raise UnsupportedMammogram(f"{len(encoded)} bytes cannot hold the {rows} x {columns} pixels that are claimed.")
    try:
        frame: bytes = get_frame(encoded, 0, number_of_frames=1)
    except Exception as error:  # damaged fragments make pydicom raise struct, index and value errors
        raise UnsupportedMammogram(f"The encapsulated pixel data is damaged: {error}") from error
    return frame


def _decode(dataset: Dataset, transfer_syntax: UID, frame: bytes | None) -> NDArray[Any]:
    try:
        if frame is not None and transfer_syntax in _DECODED_BY_GDCM:
            return _decode_by_gdcm(dataset, transfer_syntax, essential_jpeg(frame))
        # No copy is made of native pixels, and bits above High Bit stay as they are: readers ignore them.
        return pixel_array(
            dataset,
            raw=True,
            decoding_plugin=_PLUGINS.get(transfer_syntax, ""),
            view_only=True,
            correct_unused_bits=False,
        )
    except Exception as error:  # every plug-in raises its own types; all mean that the pixels cannot be decoded
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedMammogram(
            f"The pixel data ({transfer_syntax.name}) cannot be decoded: {reason[-1]}"
        ) from error


def _decode_by_gdcm(dataset: Dataset, transfer_syntax: UID, frame: bytes) -> NDArray[Any]:
    """Decode a frame of JPEG Lossless or JPEG Extended with GDCM.

    pydicom does not let GDCM decode JPEG Extended with 12 bits, although its output equals that of DCMTK bit by bit.
    """
    import gdcm

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(transfer_syntax))))
    stored = dataset.BitsStored
    allocated = dataset.BitsAllocated
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, dataset.PixelRepresentation))
    buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(buffer, f"<u{allocated // 8}").reshape(dataset.Rows, dataset.Columns)
