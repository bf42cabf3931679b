"""Debian's rsyslog, as a collector of audit messages."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Signed
from tests.peers import PEERS
from tests.waiting import wait_for_listener, wait_until


@contextmanager
def rsyslog(directory: Path, theirs: Signed, port: int) -> Iterator[Path]:
    """Yield the file to which Debian's rsyslog, once it runs, writes one line for each message.

    A message of rsyslog itself opens the file before any connection. If rsyslog 8.2302 opened the file while a
    connection ends, it wrote the lines only on the next connection (3 of 243 starts).
    """
    collected, configuration = directory / "collected", directory / "rsyslog.conf"
    configuration.write_text(
        f"""
global(workDirectory="{directory}" maxMessageSize="64k" net.enableDNS="off" processInternalMessages="on"
  defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{theirs.ca}"
  defaultNetstreamDriverCertFile="{theirs.certificate}" defaultNetstreamDriverKeyFile="{theirs.key}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="raw" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{collected}" template="raw")
"""
    )
    command = [PEERS["rsyslog"].program, "-n", "-f", configuration, "-i", directory / "pid"]
    with (directory / "rsyslog.log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
    try:
        wait_for_listener(port, (directory / "rsyslog.log").read_text)
        wait_until(lambda: collected.exists() and b"start" in collected.read_bytes())
        yield collected
    finally:
        process.terminate()
        process.wait(10)
