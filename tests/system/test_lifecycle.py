"""The life of a study at a running node: room on the disk, storage commitment that never comes, retention."""

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
from tests.integration.archive import default_contexts
from tests.integration.modality import associated, small_exam
from tests.system.site import Site, folder, running, written_site
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("dcmtk"), pytest.mark.timeout(300)]

ALL = 2**60
"""More bytes than any disk has."""


class Forgetful:
    """An archive that takes requests for storage commitment and never answers them."""

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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root, forgetful = tmp_path_factory.mktemp("site"), Forgetful()
    asked = {"ae_title": "FORGETFUL", "port": forgetful.port, "storage_commitment": True}
    settings = {
        "database_url": f"sqlite:///{root / 'node.sqlite'}",
        "peers": {"archive": {"ae_title": "FORGETFUL", "destination": "forgetful"}},
        "destinations": {"folder": folder(root / "folder"), "forgetful": {**asked, "results": ["measurement_report"]}},
        "delivery": {"commitment_timeout": 1.0, "commitment_requests": 2},
        "assembly": {"settle_time": 0.7},
    }
    site = written_site(root, settings)
    with ExitStack() as processes:
        processes.enter_context(running(site))
        yield Place(site, forgetful, processes)
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
def test_nothing_is_taken_while_less_is_free_than_the_site_wants(place: Place) -> None:
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
def test_what_is_done_goes_by_its_age_and_while_space_is_short(place: Place) -> None:
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
