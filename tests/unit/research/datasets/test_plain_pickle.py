"""Tests that pickles of plain data are read, and that all others are refused before any of their code runs."""

import collections
import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glam_node.research.datasets.plain_pickle import load_plain_pickle
from glam_node.research.datasets.problems import DatasetError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner), max_leaves=20
)


class Malicious:
    """An object that creates a file when it is unpickled in the ordinary way."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._trace,)


@settings(deadline=None, max_examples=50)
@given(plain, st.integers(2, 4))
def test_plain_data_are_read_unchanged(data: object, protocol: int) -> None:
    assert load_plain_pickle(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", range(5))
def test_an_exam_list_is_read_from_any_pickle_protocol(protocol: int) -> None:
    exams = [{"L-CC": ["0_L_CC"], "horizontal_flip": "NO", "cancer_label": {"left_malignant": 1}}]
    assert load_plain_pickle(pickle.dumps(exams, protocol)) == exams


@pytest.mark.parametrize("protocol", range(5))
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "executed"
    attack = pickle.dumps([Malicious(trace)], protocol)
    with pytest.raises(DatasetError, match="imports code"):
        load_plain_pickle(attack)
    assert not trace.exists()
    pickle.loads(attack)
    assert trace.exists()


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), date(2026, 1, 2), collections.OrderedDict(a=1)])
def test_objects_are_refused_with_advice(value: object) -> None:
    with pytest.raises(DatasetError, match="save it as JSON"):
        load_plain_pickle(pickle.dumps([value]))


@pytest.mark.parametrize(
    "program", [b"cos\nsystem\n(S'true'\ntR.", b"(S'true'\nios\nsystem\n.", b"\x82\x01.", b"Pid\n."]
)
def test_every_instruction_that_makes_objects_is_refused(program: bytes) -> None:
    with pytest.raises(DatasetError, match="is refused"):
        load_plain_pickle(program)


def test_a_pickle_that_requests_a_gigantic_memo_is_refused() -> None:
    with pytest.raises(DatasetError, match="more values than it can hold"):
        load_plain_pickle(b"\x80\x02]r\xff\xff\xff\x7f.")


@pytest.mark.parametrize("damaged", [b"", b"\x80", b"\x80\x04]", b".", b"a.", b"no pickle", b"\x80\x63N."])
def test_a_damaged_pickle_is_refused(damaged: bytes) -> None:
    with pytest.raises(DatasetError):
        load_plain_pickle(damaged)
