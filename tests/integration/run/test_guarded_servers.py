"""Database and broker over TLS with verified certificates and passwords."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from glam_node.node.db import jobs, migrate
from glam_node.node.domain.job import JobState
from glam_node.node.errors import TransientError
from glam_node.node.worker.broker import ping
from tests.certificates import Authority
from tests.integration.modality import send, small_exam
from tests.integration.node_directory import write_node
from tests.integration.postgresql import guarded_postgresql_server
from tests.integration.redis_server import guarded_redis_server
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.peer("redis-server"), pytest.mark.peer("postgresql")]
PASSWORD = "secret-word"


def test_a_study_goes_through_with_database_and_broker_over_tls(authority: Authority, tmp_path: Path) -> None:
    signed = authority.sign("servers")
    with (
        guarded_postgresql_server(free_port(), signed, PASSWORD) as database_url,
        guarded_redis_server(tmp_path, free_port(), signed, PASSWORD) as broker_url,
    ):
        directory = write_node(tmp_path / "node", broker_url=broker_url, database_url=database_url)
        with directory.running("receiver", "dispatcher", "worker") as (receiver, *_):
            send(int(receiver.word or 0), small_exam(1))
            node = directory.build()

            def is_done() -> bool:
                with node.sessions() as session:
                    return jobs.counts_by_state(session) == {JobState.SUCCEEDED: 1}

            wait_until(is_done)
            node.sessions.kw["bind"].dispose()


def test_a_broker_with_an_untrusted_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").sign("stranger")
    with guarded_redis_server(tmp_path, free_port(), authority.sign("broker"), PASSWORD) as url:
        with pytest.raises(TransientError, match="certificate verify failed") as caught:
            ping(url.replace(str(authority.sign("x").ca), str(stranger.ca)))
        assert PASSWORD not in str(caught.value)


def test_a_database_with_an_untrusted_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").sign("stranger")
    signed = authority.sign("database")
    with guarded_postgresql_server(free_port(), signed, PASSWORD) as url:
        with pytest.raises(OperationalError, match="certificate verify failed") as caught:
            migrate.upgrade(url.replace(str(signed.ca), str(stranger.ca)))
        assert PASSWORD not in str(caught.value)
