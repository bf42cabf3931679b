"""The commands of the documents that no journey follows: each is run, as it stands, beside a node at work."""

import shutil
from pathlib import Path

import pytest

from tests.posts import Posts
from tests.system.node_process import dcmsend, run_glam_node, running_node, settings_and_port
from tests.system.orthanc import Orthanc
from tests.system.test_documents import DOCUMENTS, ROOT, commands

FOLLOWED = (ROOT / "README.md", ROOT / "docs" / "quick-start.md")
"""Word by word, by tests of their own."""
BACKUP = "/srv/backup/monday"
THRESHOLD = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(600)]


def documented() -> list[list[str]]:
    """Each command once, in the order of the documents."""
    stated = [command for document in DOCUMENTS if document not in FOLLOWED for command in commands(document)]
    return list({tuple(command): command for command in stated}.values())


def test_every_other_command_of_the_documents_runs(
    orthanc: Orthanc, exam: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exam[0].parent, tmp_path / "exam")
    backup = str(tmp_path / "backup")
    told = [[backup if word == BACKUP else word for word in command] for command in documented()]
    back = [command for command in told if command[0] == "--settings"]
    posts = Posts("/alerts", ill_status=503)
    more = f'[alerts]\nwebhook_url = "{posts.url}/alerts"\n'
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD, more=more)
    with posts.listening(), running_node(settings_path, port) as node:
        dcmsend(port, exam)
        for command in told:
            if command not in back:
                node.command(*command)
    assert posts.bodies
    restore, doctor, _ = back
    assert [command[2] for command in back] == ["restore", "doctor", "serve"]
    Path("node.toml").write_text(settings_path.read_text().replace(str(tmp_path / "node"), str(tmp_path / "again")))
    run_glam_node(*restore)
    run_glam_node(*doctor)
    with running_node(Path("node.toml").resolve(), port) as node:
        assert len(node.studies()) == 1
