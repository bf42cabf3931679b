"""The life of a study in a running node: a full disk, storage commitment without an answer, and retention."""

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import pytest
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

from glam_node.node.domain.commitment import PUSH_MODEL
from glam_node.settings.keys import keys
from glam_node.settings.reload import restart_of
from tests.certificates import Authority, Signed
from tests.features import given
from tests.integration.archive import default_contexts
from tests.integration.modality import associated, small_exam
from tests.ports import free_port
from tests.system.site import Site, folder, objects, running, written_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

ALL = 2**60
"""More bytes than any disk has."""


class Forgetful:
    """An archive that accepts requests for storage commitment and never answers them."""

    def __init__(self) -> None:
        self.stored: Counter[str] = Counter()
        ae = AE("FORGETFUL")
        ae.supported_contexts = default_contexts()
        ae.add_supported_context(PUSH_MODEL)
        handlers: Any = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, lambda _: (0x0000, None))]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.server = server
        self.port = int(self.server.server_address[1])

    def _store(self, event: Event) -> int:
        self.stored[str(cast(C_STORE, event.request).AffectedSOPInstanceUID)] += 1
        return 0x0000


@dataclass
class Place:
    site: Site
    forgetful: Forgetful
    processes: ExitStack
    signed: Signed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root, forgetful = tmp_path_factory.mktemp("site"), Forgetful()
    signed = Authority(root / "authority").sign("node")
    asked = {"ae_title": "FORGETFUL", "port": forgetful.port, "storage_commitment": True}
    settings = {
        "tls": {"port": free_port(), "certificate": signed.certificate, "key": signed.key, "ca": signed.ca},
        "database_url": f"sqlite:///{root / 'node.sqlite'}",
        "peers": {"archive": {"ae_title": "FORGETFUL", "destination": "forgetful"}},
        "destinations": {"folder": folder(root / "folder"), "forgetful": {**asked, "results": ["measurement_report"]}},
        "delivery": {"commitment_timeout": 1.0, "commitment_requests": 2},
        "assembly": {"settle_time": 0.7},
    }
    site = written_site(root, settings)
    with ExitStack() as processes:
        processes.enter_context(running(site))
        yield Place(site, forgetful, processes, signed)
    forgetful.server.shutdown()


@pytest.mark.features("delivery.commitment_timeout", "delivery.commitment_requests")
def test_a_result_that_is_never_committed_is_sent_again_and_given_up(place: Place) -> None:
    study = place.site.send_exam(751)
    place.site.wait_for(study)

    def states() -> set[str]:
        return {one["state"] for one in place.site.study(study)["deliveries"] if one["destination"] == "forgetful"}

    wait_until(lambda: states() == {"ABANDONED"}, told=states)
    assert set(place.forgetful.stored.values()) == {2}


@pytest.mark.features("storage.minimum_free_bytes", "glam-node settings reload")
def test_instances_are_refused_below_the_sites_minimum_of_free_space(place: Place) -> None:
    view = small_exam(752)[0]

    def answer() -> int:
        with associated(place.site.port) as association:
            return int(association.send_c_store(view).Status)

    place.site.reload({"storage": {"minimum_free_bytes": ALL}})
    wait_until(lambda: answer() == 0xA700)
    place.site.reload({"storage": {"minimum_free_bytes": None}})
    wait_until(lambda: answer() == 0x0000)


@pytest.mark.features("storage.pause_free_bytes", "assembly.settle_time")
def test_no_study_is_taken_up_while_less_is_free_than_that(place: Place) -> None:
    place.site.reload({"storage": {"pause_free_bytes": ALL}})
    wait_until(lambda: "pause_free_bytes" in place.site.log(), told=place.site.log)
    study = place.site.send_exam(753)
    waiting = place.site.study(study)["state"]
    place.site.reload({"storage": {"pause_free_bytes": None}})
    assert waiting == "RECEIVING"
    place.site.wait_for(study)


@pytest.mark.features(
    *("retention.days", "retention.free_bytes", "storage.root", "database_url = sqlite"),
    *("peers.NAME.destination", "destinations.NAME.storage_commitment"),
)
def test_finished_studies_are_removed_by_age_and_for_space(place: Place) -> None:
    site = place.site
    old, recent = site.send_exam(754), site.send_exam(755)
    for study in (old, recent):
        site.wait_for(study)
        site.command("set-aside", study, "--reason", "done with")
    site.reload({"retention": {"days": 1.0, "free_bytes": ALL}})
    place.processes.close()
    with sqlite3.connect(site.path.parent / "node.sqlite") as database:
        for study, age in ((old, "-2 days"), (recent, "-2 hours")):
            database.execute(
                "UPDATE studies SET last_received_at = datetime(last_received_at, ?) WHERE study_instance_uid = ?",
                (age, study),
            )
    two_days_ago = time.time() - 2 * 86400
    for path in [*site.storage.glob("instances/*/*"), *site.storage.glob("findings/*")]:
        os.utime(path, (two_days_ago, two_days_ago))
    place.processes.enter_context(running(site))
    assert {study: site.wait_for(study, "RETIRED")["rule"] for study in (old, recent)} == {old: "age", recent: "space"}
    wait_until(lambda: [path for study in (old, recent) for path in site.storage.rglob(f"{study}/*")] == [])


def everything_else(place: Place) -> dict[str, Any]:
    """Return a value that differs from the one in force, for every setting that can be reloaded."""
    root, signed = place.site.path.parent, place.signed
    secured = {"ca": signed.ca, "certificate": signed.certificate, "key": signed.key, "server_name": "archive.example"}
    presentation = {
        "banner": "For a trial", "series_description": "Trial {subject}", "series_number": 7000,
        "score_scale": "raw", "code_scheme": "SRT",
    }  # fmt: skip
    kinds = ["segmentation", "measurement_report", "mammography_cad_sr", "presentation_state"]
    archive = {
        "kind": "c-store", "ae_title": "OTHER", "host": "localhost", "port": 105, "tls": True, **secured,
        "results": kinds, "fallbacks": {kind: "secondary_capture" for kind in kinds}, "presentation": presentation,
        "transfer_syntaxes": ["implicit_vr_little_endian"], "storage_commitment": True,
        "timeout": 9.0, "mode": "shadow",
    }  # fmt: skip
    (root / "token").write_text("Bearer token")
    (root / "token").chmod(0o600)
    web = {"kind": "stow-rs", "port": 8042, "service_path": "/web", "authorization": root / "token", "mode": "shadow"}
    (root / "site.j2").write_text("MSH|^~\\&|x||||||ORU^R01|{{ message.control_id }}")
    systems = {f"{side}_{what}": "X" for side in ("sending", "receiving") for what in ("application", "facility")}
    ris = {
        "kind": "hl7", "port": 2576, "template": root / "site.j2", "character_set": "iso-8859-1", **systems,
        "result_status": "F", "acknowledgement": "enhanced", "mode": "shadow",
    }  # fmt: skip
    rule = {"when": "KVP > 500", "then": "shadow", "level": "study", "holds_for": "all"}
    return {
        "node": {
            "ae_title": "OTHERNODE", "maximum_associations": 9, "maximum_pdu_length": 32768, "network_timeout": 50.0,
            "require_called_ae_title": False, "additional_storage_sop_classes": ["all"],
        },
        "peers": {
            "later": {
                "ae_title": "L", "hosts": ["10.0.0.1"], "priority": "urgent", "destination": "archive",
                "certificates": ["later.example"],
            },
        },
        "destinations": {"archive": archive, "web": web, "ris": ris, "more": folder(root / "more")},
        "sources": {
            "dicom": {"kind": "c-get", "ae_title": "OTHER", "host": "localhost", "port": 105, "tls": True, **secured},
            "web": {
                "kind": "dicomweb", "port": 8042, "timeout": 9.0, "modalities": ["MG", "OT"], "service_path": "/web",
                "authorization": root / "token",
            },
        },
        "hl7": {
            "senders": ["RIS"], "hosts": ["10.0.0.1"], "application": "US", "character_set": "iso-8859-1",
            "certificate": signed.certificate, "key": signed.key, "ca": signed.ca, "accession_number": ["OBR-3"],
            "assigning_authority": "HOSP", "patient_corrected": "follow", "patient_merged": "follow",
            "release_on": ["final_report"], "fetch_from": "web", "fetch_interval": 9.0, "fetch_time": 9.0,
        },
        "assembly": {"settle_time": 0.4, "quiet_time": 100.0, "maximum_age": 200.0, "confirm_with": "forgetful"},
        "eligibility": {
            "minimum_views": 2, "accept_implants": False, "read_descriptions": False, "image_types": ["HOUSE TERM"],
        },
        "rules": {
            "a": {**rule, "destinations": ["more"], "priority": "backfill"},
            "priors": {
                **rule, "then": "analyse", "priors": 1, "priors_from": "web", "priors_maximum_age": "9M",
                "priors_wait": 9.0, "analyse_priors": False, "send_priors": True,
            },
            "b": {"when": "KVP > 500", "then": "ignore", "level": "image"},
            "c": {"when": "findings > 500", "then": "hold", "hold_time": 9.0, "results": kinds[:1], "notify": True},
        },
        "storage": {"minimum_free_bytes": 1, "pause_free_bytes": 1},
        "retention": {"days": 9.0, "free_bytes": 1},
        "delivery": {
            "initial_delay": 0.4, "maximum_delay": 0.6, "maximum_attempts": 8,
            "commitment_timeout": 7.0, "commitment_requests": 6,
        },
        "results": {
            **presentation, "manufacturer": "Other", "station_name": "OTHER", "institution_name": "Other",
            "device_serial_number": "2", "secondary_capture": "views",
        },
        "audit": {"host": "localhost", "port": 6515, "timeout": 2.0, **secured},
        "alerts": {
            "webhook_url": f"http://127.0.0.1:{free_port()}/",
            "smtp_host": "localhost", "smtp_port": 9, "smtp_security": "tls",
            "smtp_user": "u", "smtp_password_path": root / "token", "smtp_ca": signed.ca, "sender": "a@b.example",
            "recipients": ["c@d.example"], "timeout": 2.0, "which": ["disk_low"], "archive_down_after": 1.0,
            "backlog_after": 1.0, "worker_gone_after": 1.0, "no_studies_after": 1.0, "score_drift": 0.2,
        },
        "canary": {
            "every": 7200.0, "destinations": ["more"], "limit": 60.0, "tolerance": 0.2, "issuer_of_patient_id": "C",
            "withdraw": False,
        },
        "telemetry": {"otlp_endpoint": f"http://127.0.0.1:{free_port()}", "timeout": 2.0},
        "log": {"level": "debug", "format": "json"},
    }  # fmt: skip


@pytest.mark.features("glam-node settings reload", "glam-node settings diff")
def test_a_running_node_takes_every_setting_that_needs_no_restart(place: Place) -> None:
    site, new = place.site, everything_else(place)
    for path, key in keys().items():
        assert restart_of(path) or key.dotted in settings_in(new), f"give {key.dotted} a value in everything_else()"
    site.reload(new)
    wait_until(lambda: json.loads(site.command("settings", "diff", "--json")) == [])
    wait_until(lambda: site.log().count('"event": "settings_in_force"') == 1, told=site.log)
    site.send_exam(756)
    with associated(site.port, called_ae_title="ANYBODY") as association:
        assert association.acceptor.maximum_length == 32768
    wait_until(lambda: bool(objects(site.path.parent / "more")), told=site.log)
    assert {one.Manufacturer for one in objects(site.path.parent / "more")} == {"Other"}


def settings_in(tree: dict[str, Any]) -> set[str]:
    """Return the keys of a settings file."""
    return {feature for feature in given(tree, {}) if " = " not in feature}
