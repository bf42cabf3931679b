"""Settings are reloaded again and again while studies flow: nothing is refused, cut, lost, done twice or signed out."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from glam_node.node.db.tables import InstanceRow
from glam_node.node.run.all_in_one import LOCK_FILE
from glam_node.node.run.live_settings import ask_to_reload, last_reload
from glam_node.node.run.supervisor import Child
from glam_node.settings.reload import PROCESSES
from tests.command_line import glam_node
from tests.data_sets import data_set
from tests.integration.console.browser import Browser
from tests.integration.modality import MODALITY
from tests.integration.node_directory import NodeDirectory, write_node
from tests.integration.scp.raw import Sender
from tests.ports import free_port
from tests.processes import children
from tests.torture.rig import NEEDS, Rig, again, is_full_length, torture_of_a_whole_node
from tests.waiting import wait_until

pytestmark = [pytest.mark.alone, *NEEDS]

RELOADS, NODE_RELOADS = (200, 200) if is_full_length() else (8, 3)
RUNNING = tuple(name for name in PROCESSES if name != "hl7")
"""The processes of a node without an HL7 port."""
SENDERS = 3
IMAGES = 4
"""In each association."""
ACCEPTED, SUCCESS = 2, 0x0000


@dataclass
class Tally:
    """What came of all associations."""

    stored: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def send(port: int, number: int, stop: threading.Event, tally: Tally) -> None:
    """One association after the other, each of which must be served to its end."""
    for association in count():
        if stop.is_set():
            return
        try:
            with Sender(port) as sender:
                assert sender.associate(calling=MODALITY) == ACCEPTED, "rejected"
                for image in range(IMAGES):
                    store(sender, f"2.25.{number + 1}.{association}.{image}", tally)
        except (AssertionError, OSError, ValueError) as error:
            tally.failures.append(repr(error))


def store(sender: Sender, uid: str, tally: Tally) -> None:
    assert sender.store(uid, data_set(uid, pixel_bytes=200_000)) == SUCCESS, uid
    tally.stored.add(uid)


@contextmanager
def sending(port: int, tally: Tally) -> Iterator[None]:
    """Senders beside the block."""
    stop = threading.Event()
    threads = [threading.Thread(target=send, args=(port, number, stop, tally)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def reload(node: NodeDirectory, receiver: Child, number: int) -> None:
    """A change of settings that concerns the receivers is in force."""
    text = node.settings_path.read_text()
    before, after = (f"minimum_free_bytes = {one % 2}\n" for one in (number, number + 1))
    text = text.replace(before, after) if before in text else text.replace("[storage]\n", f"[storage]\n{after}")
    node.settings_path.write_text(text)
    receiver.take_settings(receiver.environment)

    def is_answered() -> bool:
        receiver.look()
        return receiver.refused is not None

    wait_until(is_answered)
    assert receiver.refused == ""


def test_reloads_refuse_and_cut_no_association_and_lose_no_instance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, tally = write_node(tmp_path), Tally()
    with node.running("receiver", GLAM_NODE__NODE__RECEIVER_PROCESSES="2") as [receiver]:
        port, pid = int(receiver.word or 0), receiver.pid
        with Sender(port) as throughout, sending(port, tally):
            assert throughout.associate(calling=MODALITY) == ACCEPTED
            for number in range(RELOADS):
                reload(node, receiver, number)
                store(throughout, f"2.25.9.{number}", tally)
        wait_until(lambda: len(children(pid)) == 2)
        assert receiver.pid == pid, "the parent of the receivers was started again"
    built = node.build()
    with built.sessions() as session:
        rows = session.scalar(select(func.count()).select_from(InstanceRow))
    built.sessions.kw["bind"].dispose()
    with capsys.disabled():
        print(f"\n== {RELOADS} reloads, {len(tally.stored)} instances stored, {len(tally.failures)} failures")
    assert (tally.failures, rows) == ([], len(tally.stored))


PASSWORD = "correct horse battery"
ECHO = "/destinations/archive/echo"
PAGES = ("/", "/destinations", "/refusals", ECHO)


def look(browser: Browser, stop: threading.Event, tally: Tally) -> None:
    """Open pages, and send forms whose outcome the next page shows, in one session of the console."""
    for number in count():
        if stop.is_set():
            return
        page = PAGES[number % len(PAGES)]
        try:
            form = {"form_token": browser.form_token("/destinations")} if page == ECHO else None
            seen = browser.ask(page, form)
        except (AssertionError, OSError) as error:
            tally.failures.append(f"{page}: {error!r}")
            continue
        expected = "C-ECHO to archive" if page == ECHO else "Sign out"
        tally.stored.add(f"{page} {number}")
        if seen[0] != 200 or expected not in seen[1]:
            tally.failures.append(f"{page}: {seen[0]} {seen[1][:2000]}")


@contextmanager
def looking(browser: Browser, tally: Tally) -> Iterator[None]:
    """A person at the console beside the block."""
    stop = threading.Event()
    person = threading.Thread(target=look, args=(browser, stop, tally))
    person.start()
    try:
        yield
    finally:
        stop.set()
        person.join()


def reload_the_node(rig: Rig, number: int) -> dict[str, str]:
    """A change of settings that concerns every process is answered; return why processes refused it."""
    path, root = rig.node_directory.settings_path, rig.node_directory.path / "storage"
    text = re.sub(r"maximum_delay = .*", f"maximum_delay = 0.5{number + 1}", path.read_text())
    text = re.sub(r"banner = .*", f'banner = "Trial {number}"', text)
    path.write_text(text)
    ask_to_reload(serving_process(root))
    assert rig.until(lambda: last_reload(root).get("reload") == number + 1), "no answer"
    assert last_reload(root)["problems"] == []
    return dict(last_reload(root)["processes"])


def serving_process(root: Path) -> int:
    return int((root / LOCK_FILE).read_text())


def kill_some_process(rig: Rig) -> None:
    """One of all processes of the node but its supervisor is killed."""
    serve = psutil.Process(serving_process(rig.node_directory.path / "storage"))
    with suppress(psutil.NoSuchProcess):
        rig.random.choice(serve.children(recursive=True)).kill()


def test_reloads_of_a_node_whose_processes_are_killed_are_answered_and_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused: Counter[str] = Counter()
    with torture_of_a_whole_node("reloads and kills", tmp_path, '[results]\nbanner = "Trial"\n') as rig:
        for number in range(NODE_RELOADS):
            killer = threading.Timer(rig.random.uniform(0, 10), kill_some_process, (rig,))
            killer.start()
            refused.update(name for name, why in reload_the_node(rig, number).items() if why)
            killer.join()
        rig.assert_nothing_is_lost()
    with capsys.disabled():
        print(f"\n== {NODE_RELOADS} reloads and kills of a node, {len(rig.ledger.studies())} studies,", end=" ")
        print(f"reloads refused because a new process was killed: {dict(refused) or 0}")


def test_reloads_of_a_whole_node_lose_and_repeat_nothing_and_sign_nobody_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, tally, seconds = free_port(), Tally(), []
    more = f'[console]\nport = {port}\n[results]\nbanner = "Trial"\n'
    with torture_of_a_whole_node("reloads", tmp_path, more) as rig:
        settings = ("--settings", rig.node_directory.settings_path)
        glam_node("console", "user", "add", "anna", "--role", "operator", *settings, text=f"{PASSWORD}\n")
        browser = Browser(port)
        browser.sign_in("anna", PASSWORD)
        with looking(browser, tally):
            for number in range(NODE_RELOADS):
                started = time.monotonic()
                assert reload_the_node(rig, number) == dict.fromkeys(RUNNING, "")
                seconds.append(time.monotonic() - started)
                rig.tend(rig.random.uniform(0, 1))
        rig.assert_nothing_is_lost()
        with rig.node() as node:
            repeated = again(node)
        with capsys.disabled():
            print(f"\n== {NODE_RELOADS} reloads of a node in {min(seconds):.1f} to {max(seconds):.1f} s, ", end="")
            print(f"{len(rig.ledger.studies())} studies, again: {repeated}; {len(tally.stored)} pages")
        assert tally.failures == []
        assert repeated == "0 instances, 0 jobs, 0 deliveries"
        assert dict(rig.ledger.refusals) == {}
