"""Results by HL7 from `glam-node serve`: to an engine that runs, is down or rejects, and in every form of settings."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from glam_node.node.hl7.message import CHARACTER_SETS, Message, parse
from glam_node.node.results.message_form import BUILT_IN_TEMPLATE
from tests.certificates import Authority
from tests.command_line import glam_node
from tests.hl7.engine import running_engine, validated
from tests.hl7.raw_engine import RawEngine, accepting, raw
from tests.integration.console.browser import Browser
from tests.integration.modality import small_exam
from tests.ports import free_port
from tests.system.site import Site, folder, objects, running_site
from tests.system.tls_front import tls_in_front_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("node"), pytest.mark.peer("hl7-engine"), pytest.mark.timeout(300)]

PASSWORD = "a long password for tests"
PATIENT = {"PatientName": "Muster|mann^Anna", "PatientID": "P&77", "PatientBirthDate": "19600131"}
STATUSES, MODES = ("P", "R", "F"), ("original", "enhanced")


@dataclass
class Place:
    """A site with an archive and a RIS, and the port of the RIS's engine."""

    site: Site
    engine_port: int
    console_port: int

    def browser(self) -> Browser:
        """Return a browser of a person who has signed in."""
        browser = Browser(self.console_port)
        browser.sign_in("vera", PASSWORD)
        return browser

    def messages_of(self, study: str) -> list[dict[str, Any]]:
        """Return the deliveries of the study to the RIS."""
        return [one for one in self.site.study(study)["deliveries"] if one["destination"] == "ris"]

    def wait_for(self, study: str, state: str) -> dict[str, Any]:
        """Wait until the message of the study is in the state, and return its delivery."""
        self.site.wait_for(study)
        wait_until(lambda: [one["state"] for one in self.messages_of(study)] == [state], 60, self.site.log)
        return self.messages_of(study)[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("hl7")
    engine_port, console_port = free_port(), free_port()
    ris = {"kind": "hl7", "port": engine_port, "timeout": 5.0, "receiving_application": "RIS"}
    settings = {
        "console": {"port": console_port},
        "destinations": {"archive": folder(root / "archive"), "ris": ris},
    }
    with running_site(root, settings) as site:
        words = ["console", "user", "add", "vera", "--settings", str(site.path)]
        glam_node(*words, text=f"{PASSWORD}\n")
        yield Place(site, engine_port, console_port)


@pytest.mark.features(
    "destinations.NAME.kind = hl7",
    "destinations.NAME.kind = hl7, plain",
    "destinations.NAME.receiving_application",
    "glam-node hl7 preview",
)
def test_the_engine_gets_one_valid_result_message_about_the_objects_in_the_archive(
    place: Place, tmp_path: Path
) -> None:
    with running_engine(tmp_path, place.engine_port) as engine:
        doctor = json.loads(place.site.command("doctor", "--json", "--without", "model", "--without", "storage"))
        assert [one["verdict"] for one in doctor if one["check"] == "destinations.ris"] == ["ok"]
        assert place.site.command("echo", "ris").startswith("ok")
        assert engine.messages() == []
        study = place.site.send_exam(901, **PATIENT)
        delivery = place.wait_for(study, "STORED")
        assert delivery["kind"] == "HL7"
        place.site.wait_for_deliveries(study)
        (text,) = engine.messages()
    validated(text)
    message = parse(text.encode())
    assert message.header.component(5) == "RIS"
    assert [message.segments[1].field(number) for number in (3, 5, 7)] == [
        "P\\T\\77", "Muster\\F\\mann^Anna", "19600131",
    ]  # fmt: skip
    named = {one.component(5).rpartition("/")[2] for one in message.segments if one.field(2) == "RP"}
    assert named == {one.SOPInstanceUID for one in objects(place.site.path.parent / "archive")}
    shown = place.site.command("hl7", "preview", study)
    assert "Muster" not in shown
    assert "P\\T\\77" not in shown
    assert shown.splitlines()[2:] == text.strip("\r").split("\r")[2:]
    assert "Muster" not in place.site.log()


def test_a_message_waits_while_the_engine_is_down_and_is_delivered_once(place: Place, tmp_path: Path) -> None:
    study = place.site.send_exam(902, **PATIENT)
    place.site.wait_for(study)
    wait_until(lambda: "did not accept a connection" in str(place.messages_of(study)), 60, place.site.log)
    assert [one["state"] for one in place.messages_of(study)] == ["PENDING"]
    with running_engine(tmp_path, place.engine_port) as engine:
        place.wait_for(study, "STORED")
        assert len(engine.messages()) == 1


def test_a_rejection_is_shown_with_its_remedy_and_a_retry_repeats_the_same_message(
    place: Place, tmp_path: Path
) -> None:
    with running_engine(tmp_path, place.engine_port) as engine:
        engine.answer("AR")
        study = place.site.send_exam(903, **PATIENT)
        delivery = place.wait_for(study, "ABANDONED")
        assert "answered AR" in delivery["failure"]
        assert "glam-node study retry" in delivery["failure"]
        status = place.site.command("status", expect=1)
        assert "destinations.ris  1 ABANDONED" in status
        assert "glam-node study retry" in status
        page = place.browser().ask(f"/studies/{study}")[1]
        assert "HL7" in page
        assert "answered AR" in page
        assert "study retry" in page
        engine.answer("AE")
        place.site.command("study", "retry", study, "--reason", "engine corrected")
        wait_until(lambda: "answered AE" in str(place.messages_of(study)), 60, place.site.log)
        engine.answer("AA")
        place.wait_for(study, "STORED")
        sent = engine.messages()
        assert len(sent) >= 3
        assert len(set(sent)) == 1


@dataclass
class Forms:
    """The messages of one study in every form, by the name of the destination."""

    engine: RawEngine
    messages: dict[str, Message]
    site: Site
    study: str


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forms]:
    root = tmp_path_factory.mktemp("forms")
    authority = Authority(root / "authority")
    theirs, ours = authority.sign("engine"), authority.sign("node")
    template = root / "site.hl7.j2"
    template.write_text(BUILT_IN_TEMPLATE.read_text(encoding="utf-8").replace("|P|2.5.1|", "|T|2.5.1|"))
    tls = {"tls": True, "ca": ours.ca, "server_name": "127.0.0.1"}
    with ExitStack() as stack:
        engine, port = stack.enter_context(raw(accepting))
        web = stack.enter_context(tls_in_front_of(port, theirs, mutual=False))
        mutual = stack.enter_context(tls_in_front_of(port, theirs))
        forms: dict[str, dict[str, Any]] = {
            **{name: {"character_set": name} for name in CHARACTER_SETS},
            **{f"status_{one}": {"result_status": one} for one in STATUSES},
            **{mode: {"acknowledgement": mode} for mode in MODES},
            "template": {"template": template},
            "tls": {"port": web, **tls},
            "mutual": {"port": mutual, **tls, "certificate": ours.certificate, "key": ours.key},
        }
        destinations = {
            name: {"kind": "hl7", "port": port, "sending_facility": name, **form} for name, form in forms.items()
        }
        systems = {"sending_application": "READER", "receiving_facility": "HOSPITAL"}
        destinations["systems"] = {"kind": "hl7", "port": port, "sending_facility": "systems", **systems}
        destinations["shadow"] = {"kind": "hl7", "port": port, "mode": "shadow"}
        destinations["elsewhere"] = {"kind": "hl7", "port": port, "sending_facility": "elsewhere"}
        chosen = [name for name in destinations if name != "elsewhere"]
        rules = {"all_but_one": {"when": "KVP > 0", "destinations": chosen}}
        site = stack.enter_context(running_site(root, {"destinations": destinations, "rules": rules}))
        exam = small_exam(904)
        for view in exam:
            view.KVP = 28
        study = site.send(exam)
        site.wait_for_deliveries(study)
        by_sender = {one.header.component(4): one for one in map(parse, engine.received)}
        yield Forms(engine, by_sender, site, study)


@pytest.mark.features(
    "destinations.NAME.character_set*",
    "destinations.NAME.result_status*",
    "destinations.NAME.acknowledgement*",
    "destinations.NAME.sending_application",
    "destinations.NAME.sending_facility",
    "destinations.NAME.receiving_facility",
    "destinations.NAME.template",
    "destinations.NAME.kind = hl7, TLS",
    "destinations.NAME.kind = hl7, mutual TLS",
)
def test_every_form_of_the_settings_is_that_of_the_message(forms: Forms) -> None:
    of = forms.messages
    assert {name: of[name].header.field(18) for name in CHARACTER_SETS} == {
        name: term for name, (term, _) in CHARACTER_SETS.items()
    }
    assert [of[f"status_{one}"].segments[2].field(25) for one in STATUSES] == list(STATUSES)
    assert [of[mode].header.field(15) for mode in MODES] == ["", "AL"]
    assert of["template"].header.field(11) == "T"
    assert {"tls", "mutual"} <= of.keys()
    assert [of["systems"].header.component(number) for number in (3, 6)] == ["READER", "HOSPITAL"]
    assert len({one.control_id for one in of.values()}) == len(of) == len(forms.engine.received)


def test_rules_and_modes_decide_who_gets_a_message(forms: Forms) -> None:
    states = {one["destination"]: one["state"] for one in forms.site.study(forms.study)["deliveries"]}
    assert states["shadow"] == "WITHHELD"
    assert "elsewhere" not in states
    assert "elsewhere" not in forms.messages


@pytest.mark.features("destinations.NAME.template", "glam-node hl7 template", "glam-node settings reload")
def test_a_broken_template_is_refused_by_a_reload_with_line_and_cause(forms: Forms, tmp_path: Path) -> None:
    path = tmp_path / "broken.j2"
    lines = forms.site.command("hl7", "template").splitlines()
    path.write_text("\n".join([*lines, "NTE|9||{{ patient.nme }}"]))
    broken = {"destinations": {"broken": {"kind": "hl7", "port": 9, "template": path}}}
    with pytest.raises(AssertionError):
        forms.site.reload(broken)
    for command in ("reload", "check"):
        told = glam_node("settings", command, expect=1, GLAM_NODE_SETTINGS=str(forms.site.path)).stderr
        assert f"line {len(lines) + 1}" in told
        assert "nme" in told
        assert "destinations.broken.template" in told


@pytest.mark.features("destinations.NAME.results = result_message", "destinations.NAME.results = not_analysed_report")
def test_a_study_that_is_left_out_is_told_where_the_settings_ask_for_it(tmp_path: Path) -> None:
    with raw(accepting) as (engine, port):
        ris = {"kind": "hl7", "port": port, "results": ["result_message", "not_analysed_report"]}
        settings = {"destinations": {"ris": ris}, "assembly": {"quiet_time": 1.0, "maximum_age": 2.0}}
        with running_site(tmp_path, settings) as site:
            exam = small_exam(905)
            for view in exam:
                view.PresentationIntentType = "FOR PROCESSING"
            site.send(exam)
            wait_until(lambda: len(engine.received) == 1, 90, site.log)
    message = parse(engine.received[0])
    assert any("not analysed" in one.field(5) for one in message.segments)
