"""A site whose rules decide after the analysis: results held until they are released, and results for one archive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from glam_node.result_kinds import ANALYSIS_KINDS, RESULT_MESSAGE, SOP_CLASSES
from tests.integration.modality import small_exam
from tests.posts import Posts
from tests.system.site import Site, folder, objects, running_site
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

HOLD_TIME_S = 4.0
RULES: dict[str, Any] = {
    "blind": {"when": 'StationName == "BLIND"', "then": "hold"},
    "soon": {"when": 'StationName == "SOON" and benign_score is present', "then": "hold", "hold_time": HOLD_TIME_S},
    "never": {"when": 'StationName == "NEVER"', "results": [*ANALYSIS_KINDS, RESULT_MESSAGE]},
    "found": {"when": "findings > 0", "destinations": ["archive"], "results": ["measurement_report"], "notify": True},
}


@dataclass
class Place:
    """The site, its two archives, and its webhook."""

    site: Site
    posts: Posts

    def sent(self, name: str, study: str) -> list[str]:
        """Return the SOP classes of the objects of a study that an archive has."""
        found = objects(self.site.path.parent / name)
        return [str(one.SOPClassUID) for one in found if one.StudyInstanceUID == study]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("site")
    kinds = ["measurement_report", "encapsulated_pdf"]
    destinations = {name: folder(root / name, results=kinds) for name in ("archive", "trial")}
    destinations["planned"] = folder(root / "planned", results=list(ANALYSIS_KINDS), mode="dry_run")
    destinations["ris"] = {"kind": "hl7", "mode": "dry_run"}
    posts = Posts("/hook", ill_status=503)
    alerts = {"webhook_url": f"{posts.url}/hook"}
    settings = {"destinations": destinations, "rules": RULES, "alerts": alerts}
    with posts.listening(), running_site(root, settings) as site:
        yield Place(site, posts)


@pytest.mark.features("rules.NAME.then = hold", "glam-node study release")
def test_results_of_a_blind_first_read_wait_until_a_person_releases_them(place: Place) -> None:
    study = place.site.send_exam(761, StationName="BLIND")
    told = place.site.wait_for(study)
    assert (told["standing"], told["rule"]) == ("HELD", "rules.blind")
    assert told["standing_reason"] == "rules.blind holds the results until a person releases the study"
    assert {one["state"] for one in told["deliveries"]} == {"PENDING"}
    assert place.sent("archive", study) == []
    assert f"{study}: rules.blind holds the results until a person releases the study" in place.site.command("status")
    place.site.command("study", "release", study)
    place.site.wait_for_deliveries(study)
    assert "; archive, trial already had results of it" in place.site.command("study", "hold", study)
    place.site.command("study", "release", study)
    assert "held" not in place.site.command("status")
    assert sorted(place.sent("archive", study)) == sorted(place.sent("trial", study))
    assert len(place.sent("archive", study)) == 2
    events = [event["event"] for event in place.site.study(study)["timeline"]]
    assert events.index("study_held") < events.index("study_released") < events.index("result_stored")


@pytest.mark.features("rules.NAME.hold_time")
def test_results_that_wait_for_a_time_are_sent_when_it_is_over(place: Place) -> None:
    study = place.site.send_exam(762, StationName="SOON")
    assert place.site.wait_for(study)["rule"] == "rules.soon"
    place.site.wait_for_deliveries(study)
    wait_until(lambda: len(place.sent("archive", study)) == 2)
    events = {event["event"]: event for event in place.site.study(study)["timeline"]}
    assert "the time of the hold is over: rules.soon" in events["study_released"]["detail"]["reason"]


@pytest.mark.features("rules.NAME.results*", "rules.NAME.destinations")
def test_results_with_findings_go_to_one_archive_as_one_kind(place: Place) -> None:
    study = place.site.send_exam(763, StationName="OTHER")
    told = place.site.wait_for_deliveries(study)
    assert [(one["destination"], one["sop_class_uid"]) for one in told] == [
        ("archive", SOP_CLASSES["measurement_report"])
    ]
    assert place.site.study(study)["rule"] == "rules.found"
    assert place.sent("trial", study) == []


@pytest.mark.features("rules.NAME.notify")
def test_a_study_with_findings_is_announced_by_the_webhook_without_its_patient(place: Place) -> None:
    views = small_exam(764)
    study = place.site.send(views)
    place.site.wait_for(study)
    wait_until(lambda: any(study.encode() in body for body in place.posts.bodies), told=place.site.log)
    (told,) = [json.loads(body) for body in place.posts.bodies if study.encode() in body]
    assert (told["alert"], told["subject"], told["state"]) == ("rule", "rules.found", "notice")
    assert told["fact"].startswith(f"Study {study}: findings > 0 holds for 4 of 4 images; the results go to archive")
    assert str(views[0].PatientID) not in str(told)
