"""Tests that grey-scale elements without a value count as absent, for readers and writers alike."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from glam_node.inference.errors import UnsupportedMammogram
from glam_node.inference.grey_scale import displayed_values, presented_values, stated_grey_scale
from glam_node.inference.phantom import make_exam
from glam_node.inference.reading import read_mammogram
from glam_node.node.results.grey_scale import copy_grey_scale

Change = Callable[[Dataset], None]
_WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
_RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")


def view() -> Dataset:
    dataset = make_exam(1, rows=64, columns=48)[0].dataset
    dataset.WindowCenter, dataset.WindowWidth = 1800, 1000
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "US"
    return dataset


def raw(**values: bytes) -> Change:
    """Return a change that sets elements to bytes as they are in a file."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            tag = Tag(keyword)
            vr = pydicom.datadict.dictionary_VR(tag).split(" ")[0]
            dataset._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return change


def item(descriptor: Any = None, data: Any = None, vr: str = "OW") -> Dataset:
    table = Dataset()
    table.LUTExplanation = "NORMAL"
    table.add_new("LUTDescriptor", "SS", descriptor)
    table.add_new("LUTData", vr, data)
    return table


def sequence(keyword: str, *items: Dataset) -> Change:
    return lambda dataset: setattr(dataset, keyword, list(items))


def without(*keywords: str) -> Change:
    def change(dataset: Dataset) -> None:
        for keyword in keywords:
            dataset.pop(keyword, None)

    return change


# (a change to the image, another change with the same result)
EMPTY: dict[str, tuple[Change, Change]] = {
    "empty VOI LUT Function": (raw(VOILUTFunction=b""), without()),
    "blank VOI LUT Function": (raw(VOILUTFunction=b"  "), without()),
    "lower case VOI LUT Function": (raw(VOILUTFunction=b" linear "), raw(VOILUTFunction=b"LINEAR")),
    "empty rescale": (raw(RescaleSlope=b"", RescaleIntercept=b"", RescaleType=b""), without(*_RESCALE)),
    "blank rescale": (raw(RescaleSlope=b"  ", RescaleIntercept=b"  "), without(*_RESCALE)),
    "empty slope": (raw(RescaleSlope=b""), without()),
    "empty intercept": (raw(RescaleIntercept=b""), without()),
    "empty window": (raw(WindowCenter=b"", WindowWidth=b""), without(*_WINDOW)),
    "blank window": (raw(WindowCenter=b"  ", WindowWidth=b"  "), without(*_WINDOW)),
    "empty width": (raw(WindowWidth=b""), without(*_WINDOW)),
    "empty centre": (raw(WindowCenter=b""), without(*_WINDOW)),
    "centre alone": (without("WindowWidth"), without(*_WINDOW)),
    "width alone": (without("WindowCenter"), without(*_WINDOW)),
    "two centres and one width": (raw(WindowCenter=b"1800\\7 "), without()),
    "one centre and three widths": (raw(WindowWidth=b"1000\\7\\9 "), without()),
    "first pair empty": (raw(WindowCenter=b"\\1800 ", WindowWidth=b"\\1000 "), without()),
    "first pair half": (raw(WindowCenter=b"5\\1800 ", WindowWidth=b"\\1000 "), without()),
    "VOI LUT without items": (sequence("VOILUTSequence"), without()),
    "VOI LUT item without values": (sequence("VOILUTSequence", item()), without()),
    "VOI LUT item without elements": (sequence("VOILUTSequence", Dataset()), without()),
    "VOI LUT item without data": (sequence("VOILUTSequence", item([3, 0, 12], b"")), without()),
    "VOI LUT second item": (
        sequence("VOILUTSequence", item(), item([3, 0, 12], [0, 7, 4095], "US")),
        sequence("VOILUTSequence", item([3, 0, 12], [0, 7, 4095], "US")),
    ),
    "Modality LUT without items": (sequence("ModalityLUTSequence"), without()),
    "Modality LUT item without values": (sequence("ModalityLUTSequence", item()), without()),
    "empty Presentation LUT Shape": (raw(PresentationLUTShape=b""), without()),
    "empty padding": (raw(PixelPaddingValue=b"", PixelPaddingRangeLimit=b""), without()),
    "empty intensity relationship": (raw(PixelIntensityRelationship=b""), without()),
    "empty High Bit": (raw(HighBit=b""), without()),
    "empty Number of Frames": (raw(NumberOfFrames=b""), without()),
    "empty spacing": (raw(ImagerPixelSpacing=b""), without("ImagerPixelSpacing")),
    "empty anatomic region": (sequence("AnatomicRegionSequence"), without()),
}


def changed(change: Change) -> Dataset:
    dataset = view()
    change(dataset)
    return dataset


def state_of(dataset: Dataset) -> str:
    state = Dataset()
    copy_grey_scale(dataset, state)
    return str(state)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("case", EMPTY)
def test_an_element_without_a_value_counts_as_absent(case: str) -> None:
    change, expected = EMPTY[case]
    odd, plain = changed(change), changed(expected)
    assert (read_mammogram(odd).pixels == read_mammogram(plain).pixels).all()
    stored = np.frombuffer(plain.PixelData, "<u2").reshape(plain.Rows, plain.Columns)
    assert (displayed_values(odd, stored, 2) == displayed_values(plain, stored, 2)).all()
    assert state_of(odd) == state_of(plain)


def test_an_empty_element_is_read_from_a_file_like_an_absent_one() -> None:
    dataset = view()
    dataset.add_new("VOILUTFunction", "CS", "")
    dataset.VOILUTSequence = [item()]
    file = BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    read = read_mammogram(pydicom.dcmread(BytesIO(file.getvalue())))
    assert (read.pixels == read_mammogram(view()).pixels).all()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "change",
    [
        raw(VOILUTFunction=b"SQUARE"),
        raw(WindowWidth=b"wide"),
        raw(WindowWidth=b"inf "),
        raw(RescaleSlope=b"nan "),
        sequence("VOILUTSequence", item([300, 0, 12], b"\0\0\1\1")),
        sequence("VOILUTSequence", item([2, 0, 12], [0, 1, 2, 3], "US"), item([2], [0, 1], "US")),
        sequence("ModalityLUTSequence", item([2, 0], [0, 1], "US")),
    ],
    ids=["function", "width", "infinite", "slope", "too few entries", "not used", "short descriptor"],
)
def test_reader_and_writer_both_refuse_an_invalid_grey_scale(change: Change) -> None:
    dataset = changed(change)
    try:
        presented_values(dataset, np.zeros((2, 2), dtype=np.uint16))
    except UnsupportedMammogram:
        with pytest.raises(UnsupportedMammogram):
            copy_grey_scale(dataset, Dataset())
    else:
        copy_grey_scale(dataset, Dataset())


@pytest.mark.parametrize(("big_endian", "order"), [(False, "<u2"), (True, ">u2")])
def test_table_entries_have_the_byte_order_of_the_file(big_endian: bool, order: str) -> None:
    dataset = view()
    dataset.VOILUTSequence = [item([3, 0, 12], np.array([0, 7, 4095]).astype(order).tobytes())]
    if big_endian:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    table = stated_grey_scale(dataset).VOILUTSequence[0]
    assert np.frombuffer(table.LUTData, "<u2").tolist() == [0, 7, 4095]
