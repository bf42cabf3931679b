"""What `doctor` looks at beyond this machine's disks and ports: peers, destinations, our own door, the model."""

import ipaddress
import time
from collections.abc import Iterator

from glam_node.inference.errors import DeviceUnavailable, InferenceError
from glam_node.node.cli.checks import Check, Verdict, serving_process
from glam_node.node.errors import NodeError
from glam_node.settings.destinations import DestinationSettings
from glam_node.settings.peers import PeerSettings
from glam_node.settings.schema import Settings

LOOPBACK = "127.0.0.1"


def check_peers(settings: Settings) -> Check:
    """Somebody may send."""
    if not settings.peers:
        remedy = 'Add the PACS: peers.pacs = { ae_title = "PACS", hosts = ["10.0.0.5"] }'
        return Check("peers", Verdict.WARN, "nobody may send to this node", remedy)
    open_to_all = [name for name, peer in settings.peers.items() if not peer.hosts]
    if open_to_all:
        fact = f"{', '.join(open_to_all)} may send from any address"
        return Check("peers", Verdict.WARN, fact, "List their addresses or networks in peers.NAME.hosts.")
    return Check("peers", Verdict.OK, f"{', '.join(settings.peers)} may send")


def check_door(settings: Settings) -> Iterator[Check]:
    """When this node is running: it answers C-ECHO to a peer that may call from this machine."""
    from glam_node.node.scu.echo import echo

    caller = next((peer for peer in settings.peers.values() if _may_call_from_here(peer)), None)
    if settings.tls.port is not None and not settings.tls.plain:
        return
    if caller is None or settings.node.port == 0 or not serving_process(settings.storage.root):
        return
    host = settings.node.local_host
    ourselves = DestinationSettings(ae_title=settings.node.ae_title, host=host, port=settings.node.port, timeout=5.0)
    report = echo("this node", ourselves, caller.ae_title)
    verdict = Verdict.OK if report.ok else Verdict.FAIL
    yield Check("C-ECHO", verdict, report.message, "" if report.ok else "See the log of `glam-node serve`.")


def _may_call_from_here(peer: PeerSettings) -> bool:
    if peer.certificates:
        return False
    address = ipaddress.ip_address(LOOPBACK)
    return not peer.hosts or any(address in ipaddress.ip_network(host, strict=False) for host in peer.hosts)


def check_destinations(settings: Settings) -> Iterator[Check]:
    """Every destination is there and knows us."""
    from glam_node.node.scu.echo import echo

    if not settings.destinations:
        remedy = 'Add the archive: destinations.archive = { ae_title = "ARCHIVE", host = "10.0.0.5", port = 104 }'
        yield Check("destinations", Verdict.WARN, "results stay on this machine", remedy)
    for name, destination in settings.destinations.items():
        report = echo(name, destination, settings.node.ae_title)
        verdict = Verdict.OK if report.ok else Verdict.FAIL
        remedy = "" if report.ok else "Results wait on this machine until it answers."
        yield Check(f"destinations.{name}", verdict, f"{report.message} ({report.milliseconds:.0f} ms)", remedy)


def check_collector(settings: Settings) -> Iterator[Check]:
    """The collector of audit messages, where there is one, lets us in and closes when we do."""
    from glam_node.node.scu.syslog import audit_collector

    collector = audit_collector(settings.audit)
    if collector is None:
        return
    try:
        collector.send([])
    except NodeError as error:
        yield Check("audit", Verdict.FAIL, str(error), "Audit messages wait on this machine until it answers.")
        return
    yield Check("audit", Verdict.OK, f"{collector.host}:{collector.port} takes audit messages")


def check_model(settings: Settings) -> Check:
    """The package is whole, fits the predictor, and the device is there: the model is loaded as a worker loads it."""
    from glam_node.node.bootstrap import load_configured_predictor

    started = time.monotonic()
    try:
        predictor = load_configured_predictor(settings)
        algorithm = predictor.algorithm
    except DeviceUnavailable as error:
        return Check("model", Verdict.FAIL, str(error), 'Check inference.device; "auto" takes what is there.')
    except InferenceError as error:
        return Check("model", Verdict.FAIL, str(error), "Check inference.package and inference.predictor.")
    seconds = time.monotonic() - started
    route = f" ({route})" if (route := getattr(predictor, "route", "")) else ""
    loaded = f"{algorithm.algorithm_name} {algorithm.algorithm_version} loads in {seconds:.1f} s{route}"
    remedy = "Bring your own weights: `glam-node model import`, then inference.package."
    if not algorithm.trained:
        return Check("model", Verdict.WARN, f"{loaded}; UNTRAINED: what it finds is meaningless", remedy)
    if settings.inference.package is None:
        meaningless = "trained on synthetic images: what it finds on patients' images is meaningless"
        return Check("model", Verdict.WARN, f"{loaded}; {meaningless}", remedy)
    return Check("model", Verdict.OK, f"{loaded}, digest {algorithm.weights_sha256[:12]}")
