"""The commands in the documents that no journey of test_documents runs: each is run as written, with a running node."""

import json
import shutil
from pathlib import Path

import pydicom
import pytest

from tests.command_line import glam_node
from tests.integration.modality import send, small_exam
from tests.posts import Posts
from tests.system.documents import DOCUMENTS, ROOT, commands
from tests.system.node_process import dcmsend, running_node, settings_and_port
from tests.system.orthanc import Orthanc

QUICK_START = ROOT / "docs" / "quick-start.md"
BACKUP = "/srv/backup/monday"
THRESHOLD = 'predictor = "glam_node.inference.threshold:ThresholdPredictor"'

pytestmark = [pytest.mark.peer("orthanc"), pytest.mark.peer("dcmtk"), pytest.mark.timeout(600)]


def documented() -> list[list[str]]:
    """Return each command once, in the order of the documents, without those that the journeys run."""
    followed = [*commands(QUICK_START), ["doctor"], ["settings", "check"], ["status"]]
    stated = {tuple(command): command for document in DOCUMENTS for command in commands(document)}
    readme = {tuple(command) for command in commands(ROOT / "README.md")} - {
        ("settings", "diff"),
        ("settings", "reload"),
    }
    return [command for key, command in stated.items() if command not in followed and key not in readme]


def corrected(exam: list[Path], folder: Path) -> list[Path]:
    """Return copies of the exam's files that name another patient."""
    folder.mkdir()
    for file in exam:
        image = pydicom.dcmread(file)
        image.PatientID = "CORRECTED"
        image.save_as(folder / file.name)
    return sorted(folder.iterdir())


def keep_earlier_study(orthanc: Orthanc, port: int) -> None:
    """Store the study that the documents fetch in Orthanc, which gets to know the node at this port."""
    views = small_exam(815)
    for view in views:
        view.PatientID, view.AccessionNumber, view.StudyDate = "4711", "A-2022-0815", "20240101"
    send(orthanc.dicom_port, views, orthanc.ae_title)
    orthanc.put("/modalities/glamnode", {"AET": "GLAMNODE", "Host": "127.0.0.1", "Port": port})


def test_every_other_command_of_the_documents_runs(
    orthanc: Orthanc, exam: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exam[0].parent, tmp_path / "exam")
    backup = str(tmp_path / "backup")
    in_place = {BACKUP: backup, "UID": str(pydicom.dcmread(exam[0], stop_before_pixels=True).StudyInstanceUID)}
    told = [[in_place.get(word, word) for word in command] for command in documented()]
    back = [command for command in told if command[0] == "--settings"]
    posts = Posts("/alerts", ill_status=503)
    source = f'ae_title = "{orthanc.ae_title}"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
    peer = f'[peers.orthanc]\nae_title = "{orthanc.ae_title}"\n'
    more = f'[alerts]\nwebhook_url = "{posts.url}/alerts"\n{peer}[sources.pacs]\n{source}'
    settings_path, port = settings_and_port(tmp_path / "node", orthanc, predictor=THRESHOLD, more=more)
    keep_earlier_study(orthanc, port)
    Path("list.txt").write_text("A-2022-0815\n")
    with posts.listening(), running_node(settings_path, port):
        dcmsend(port, exam)
        dcmsend(port, corrected(exam, tmp_path / "corrected"))
        for command in told:
            if command not in back:
                glam_node(*command, GLAM_NODE_SETTINGS=str(settings_path))
    assert posts.bodies
    assert [command[2] for command in back] == ["restore"], "the rest of going back is in the quick start"
    Path("node.toml").write_text(settings_path.read_text().replace(str(tmp_path / "node"), str(tmp_path / "again")))
    glam_node(*back[0])
    assert len(json.loads(glam_node("--settings", "node.toml", "studies", "--json").stdout)) == 1
