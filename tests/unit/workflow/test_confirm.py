"""Confirmation by an archive: when it is asked how many images a study has, and when it is asked again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from glam_node.node.domain.study import Study
from glam_node.node.errors import TransientError
from glam_node.node.workflow.assemble.completion import ASKED_AT_ONCE, Confirmations, close_complete_studies
from tests.builders import STUDY_UID, after, four_views, sop_instance
from tests.unit.workflow.workbench import ASSEMBLY, Workbench

RULES = replace(ASSEMBLY, confirms=True)


@dataclass
class Pacs:
    """An archive that has a number of images of every study, or cannot be reached."""

    images: int | None = 4
    asked: list[str] = field(default_factory=list)

    def count(self, study_instance_uid: str) -> int:
        """Return the number as a C-FIND would."""
        self.asked.append(study_instance_uid)
        if self.images is None:
            raise TransientError("ARCHIVE at 127.0.0.1:104 cannot be reached: connection refused.")
        return self.images


def rounds(bench: Workbench, pacs: Pacs, seconds: Sequence[float]) -> list[Study]:
    """Return the studies that the dispatcher closed; the archive was asked before each of its rounds."""
    confirmations, closed = Confirmations(pacs.count, "pacs"), []
    for moment in map(after, seconds):
        confirmations.ask(bench.sessions, RULES, moment)
        closed += close(bench, moment, confirmations)
    return closed


def close(bench: Workbench, now: datetime, confirmations: Confirmations) -> list[Study]:
    with bench.sessions.begin() as session:
        return close_complete_studies(session, now, RULES, confirmations)


def test_a_partial_study_is_closed_as_soon_as_the_archive_has_no_more(bench: Workbench) -> None:
    bench.record(*four_views()[:2])
    (closed,) = rounds(bench, Pacs(2), [9, 10])
    assert (closed.rule, closed.reason) == ("confirmed", "R CC, L CC received, all 2 mammograms that pacs has")


def test_an_archive_is_not_asked_before_a_study_has_settled(bench: Workbench) -> None:
    bench.record(*four_views())
    pacs = Pacs()
    assert rounds(bench, pacs, [3, 9]) == []
    assert pacs.asked == []


def test_an_archive_that_has_more_is_asked_again_and_the_study_waits(bench: Workbench) -> None:
    bench.record(*four_views())
    pacs = Pacs(5)
    assert rounds(bench, pacs, [10, 11, 12, 26, 27]) == []
    assert pacs.asked == [STUDY_UID] * 2


def test_an_unreachable_archive_delays_nothing(bench: Workbench) -> None:
    bench.record(*four_views())
    (closed,) = rounds(bench, Pacs(None), [10])
    assert closed.rule == "settle_time"


def test_an_answer_from_before_the_last_image_does_not_count(bench: Workbench) -> None:
    views = four_views()
    bench.record(*views[:3])
    confirmations = Confirmations(Pacs(3).count, "pacs")
    confirmations.ask(bench.sessions, RULES, after(10))
    bench.record(replace(views[3], received_at=after(11)))
    assert close(bench, after(21), confirmations) == []


def test_many_studies_are_asked_for_in_turns(bench: Workbench) -> None:
    count = 2 * ASKED_AT_ONCE + 1
    bench.record(*[sop_instance("R CC", study_instance_uid=f"2.25.{number}") for number in range(count)])
    pacs = Pacs(1)
    assert len(rounds(bench, pacs, [10, 11, 12])) == count
    assert len(pacs.asked) == count
