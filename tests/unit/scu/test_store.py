"""The contexts that are proposed to an archive, and the meaning of its answers."""

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from glam_node.node.domain.ports import OutgoingInstance
from glam_node.node.scu.store import STATUS_MEANINGS, contexts_for
from glam_node.node.scu.transfer_syntaxes import UNCOMPRESSED

SR, SEG = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.66.4"


def proposed(*kinds: tuple[str, str]) -> list[tuple[str, str]]:
    """Return (SOP class, transfer syntax) of the contexts for instances of these kinds."""
    instances = [OutgoingInstance(sop_class, "1.2.3", syntax, Path("x.dcm")) for sop_class, syntax in kinds]
    return [
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in contexts_for(instances, UNCOMPRESSED)
    ]


def test_uncompressed_instances_propose_the_preferred_syntaxes_in_order() -> None:
    assert proposed((SR, ImplicitVRLittleEndian)) == [(SR, ExplicitVRLittleEndian), (SR, ImplicitVRLittleEndian)]


def test_a_compressed_instance_proposes_its_own_syntax_alone() -> None:
    assert proposed((SEG, JPEGLosslessSV1)) == [(SEG, JPEGLosslessSV1)]


def test_a_class_is_proposed_once_however_many_instances_it_has() -> None:
    assert (
        len(proposed((SEG, ExplicitVRLittleEndian), (SEG, ExplicitVRLittleEndian), (SR, ExplicitVRLittleEndian))) == 4
    )


@pytest.mark.parametrize("status", [0x0000, 0x0001, 0x0110, 0x0122, 0x02FF, 0xA700, 0xA801, 0xB123, 0xC999, 0xFFFF])
def test_every_status_has_an_answer_that_says_what_to_do(status: int) -> None:
    answer = next(answer for answer in STATUS_MEANINGS if answer.first <= status <= answer.last)
    assert answer.stored or answer.remedy


def test_a_file_that_is_not_dicom_is_not_proposed_in_rle(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(b"not DICOM")
    instance = OutgoingInstance(SEG, "1.2.3", ExplicitVRLittleEndian, path)
    [context] = contexts_for([instance], [RLELossless, ExplicitVRLittleEndian])
    assert context.transfer_syntax == [ExplicitVRLittleEndian]
