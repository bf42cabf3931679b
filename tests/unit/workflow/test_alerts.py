"""Alert messages and their channels."""

from datetime import timedelta

from glam_node.node.db import alerts
from glam_node.node.domain.alert import Alert, AlertMessage
from glam_node.node.workflow.record.alerts import send_alerts
from tests.unit.workflow.workbench import Workbench


def broken(_message: AlertMessage) -> None:
    raise ValueError("Header values may not contain linefeed characters.")


def test_an_unexpected_error_in_one_channel_does_not_stop_the_others(bench: Workbench) -> None:
    with bench.sessions.begin() as session:
        alerts.begin(session, Alert("disk_low", "", "fact", "action"), ("mail", "webhook"), bench.clock())
    sent: list[AlertMessage] = []
    assert send_alerts(bench.sessions, {"mail": broken, "webhook": sent.append}, bench.clock) == 1
    assert [one.channel for one in sent] == ["webhook"]
    with bench.sessions() as session:
        assert alerts.next_message(session, "mail", bench.clock()) is None
        waiting = alerts.next_message(session, "mail", bench.clock() + timedelta(hours=1))
    assert waiting is not None
    assert waiting.attempt == 1
