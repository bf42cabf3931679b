"""Senders, and the cost of receiving from them: DCMTK's dcmsend, and the raw sender that uses almost no CPU."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.receiving.servers import MODALITY, Server
from tests.integration.scp import raw
from tests.peers import PEERS

RAW_SENDER = Path(__file__).with_name("raw_sender.py")
PDU_LENGTH = 131_072
SOP_INSTANCE_MARK = "1.2.30.999999999"
STUDY_MARK = "1.2.31.999999999"


@dataclass(frozen=True, slots=True)
class Load:
    """One data set, sent repeatedly with different UIDs."""

    data_set: Path
    senders: int
    count: int
    """Number of instances per sender."""
    first: int = 0
    """Number of the first instance, from which its UID is made."""

    @property
    def megabytes(self) -> float:
        """Total size of the data sets in MB."""
        return self.data_set.stat().st_size * self.senders * self.count / 1e6


@dataclass(frozen=True, slots=True)
class Took:
    """Cost of receiving."""

    seconds: float
    cpu_seconds: float
    """CPU time of the receiver."""
    peak_megabytes: float


def _run(plan: dict[str, object], server: Server, count: int) -> Took:
    before = server.cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-S", RAW_SENDER],
        input=json.dumps(plan | {"port": server.port}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["statuses"] == {"0000": count}, outcome
    return Took(outcome["seconds"], server.cpu_seconds() - before, server.peak_megabytes())


def blast(server: Server, load: Load) -> Took:
    """Send the load with the raw sender; fail unless every instance is answered 0x0000."""
    plan = {
        "kind": "store",
        "senders": load.senders,
        "first": load.first,
        "count": load.count,
        "data_set": str(load.data_set),
        "pdu_length": PDU_LENGTH,
        "marks": [SOP_INSTANCE_MARK, STUDY_MARK],
        "request": raw.associate_rq(calling=MODALITY).hex(),
        "command": raw.p_data(raw.pdv(raw.store_rq(SOP_INSTANCE_MARK), command=True, last=True)).hex(),
    }
    return _run(plan, server, load.senders * load.count)


def echoes(server: Server, count: int) -> Took:
    """Send this number of C-ECHO requests, one after the other, on one association."""
    request = raw.associate_rq(calling=MODALITY, abstract_syntaxes=(raw.VERIFICATION,)).hex()
    command = raw.p_data(raw.pdv(raw.echo_rq(), command=True, last=True)).hex()
    plan = {"kind": "echo", "senders": 1, "first": 0, "count": count, "request": request, "command": command}
    return _run(plan, server, count)


def associations(server: Server, count: int) -> Took:
    """Open and release this number of associations in turn, each with the proposals of a PACS."""
    request = raw.associate_rq(calling=MODALITY, abstract_syntaxes=WIDE).hex()
    return _run({"kind": "associate", "senders": 1, "first": 0, "count": count, "request": request}, server, count)


@contextmanager
def waiting(server: Server, count: int) -> Iterator[None]:
    """Keep this number of associations open and idle inside the context."""
    with ExitStack() as opened:
        for _ in range(count):
            sender = opened.enter_context(raw.Sender(server.port))
            assert sender.associate(calling=MODALITY) == 2
        yield


# dcmsend proposes only the SOP classes of its files, while a PACS often proposes all that it supports.
WIDE = tuple(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1.2", "1.2.1", "7", "66.4", "88.33", "88.50"))


def dcmsend(server: Server, files: Sequence[Path], senders: int = 1) -> Took:
    """Send the files with DCMTK's dcmsend, one process per association, each with an equal share of the files."""
    before, began = server.cpu_seconds(), time.perf_counter()
    titles = ["-aet", MODALITY, "-aec", "GLAMNODE"]
    command: list[str | Path] = [PEERS["dcmtk"].program, *titles, "127.0.0.1", str(server.port)]
    processes = [subprocess.Popen([*command, *files[number::senders]]) for number in range(senders)]
    assert [process.wait(timeout=300) for process in processes] == [0] * senders
    took = Took(time.perf_counter() - began, 0, server.peak_megabytes())
    return replace(took, cpu_seconds=server.cpu_seconds() - before)
