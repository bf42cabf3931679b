"""The receiver: listens, keeps what arrives, and says so when it is kept."""

from glam_node.node.run.left_out import leave_out

if __name__ == "__main__":
    leave_out()

from glam_node.node.bootstrap.receiving import ReceivingNode, build_receiving_node, rebuild_receiving_node, server_of
from glam_node.node.db.writer import Writer
from glam_node.node.run.process import Process, run_with
from glam_node.node.workflow.commitment_desk import CommitmentDesk
from glam_node.node.workflow.receive import receive
from glam_node.node.workflow.refusals import Refusals


def run(running: Process[ReceivingNode]) -> None:
    """Receive until asked to stop; then associations are finished or aborted."""
    settings, node = running.settings, running.node
    node.store.sweep()
    writer = Writer(node.sessions)
    server = server_of(settings.node)(
        settings.node,
        settings.peers,
        store=node.store,
        minimum_free_bytes=settings.storage.minimum_free_bytes,
        receive=lambda received, calling_ae_title, now: receive(
            received, calling_ae_title, store=node.store, writer=writer, now=now
        ),
        on_refused=Refusals(writer).record,
        desk=CommitmentDesk(writer, node.commitment_peers, node.commitment_rules),
        tls=settings.tls,
    )

    def follow() -> None:
        node = running.node
        server.follow(
            node.settings.node,
            node.settings.peers,
            minimum_free_bytes=node.settings.storage.minimum_free_bytes,
            desk=CommitmentDesk(writer, node.commitment_peers, node.commitment_rules),
        )

    running.on_reload(follow)
    try:
        server.start()
        running.ready(str(server.port))
        running.stop.wait()
        server.stop()
    finally:
        writer.stop()


if __name__ == "__main__":
    run_with(build_receiving_node, rebuild_receiving_node, "receiver", run)
