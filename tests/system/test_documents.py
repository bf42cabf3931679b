"""Tests that every settings block in the documents loads, and that every command in them runs."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.command_line import glam_node
from tests.peers import PEERS
from tests.ports import free_port
from tests.system.documents import DOCUMENTS, FENCE, ROOT, blocks, commands
from tests.system.node_process import GLAM_NODE, dcmsend, run_glam_node, running_node
from tests.system.orthanc import Orthanc
from tests.waiting import wait_until

BUILT = {"settings.md", "metrics.md", "model-card.md"}
"""Pages that MkDocs makes of the code."""
WITHIN_S = 600
"""Time in seconds that the README promises."""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_blocks_load(document: Path, tmp_path: Path) -> None:
    signed = Authority(tmp_path / "authority").sign("node")
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    secret.chmod(0o600)
    files = {"hospital-ca.crt": signed.ca, "oidc-secret": secret}
    for whose in ("node", "console"):
        files |= {f"{whose}.crt": signed.certificate, f"{whose}.key": signed.key}
    for block in blocks(document, "toml"):
        for name, path in files.items():
            block = block.replace(f"/etc/glam-node/{name}", str(path))
        (tmp_path / "node.toml").write_text(block, encoding="utf-8")
        glam_node("settings", "check", GLAM_NODE_SETTINGS=str(tmp_path / "node.toml"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if link not in BUILT and not (document.parent / link).exists()] == []


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.timeout(900)
def test_the_readme_alone_leads_to_the_first_result_of_an_orthanc(tmp_path: Path) -> None:
    """Followed word by word from the settings on; what is put in for what it says is in `Journey.ours`, and no more."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    with Journey(tmp_path) as journey:
        started = time.monotonic()
        for language, body in FENCE.findall(text[text.index("## Connect a PACS") : text.index("## TLS")]):
            journey.follow(language, body)
        journey.wait_until_reported(started + WITHIN_S)
        print(f"from glam-node init to the first result in the PACS: {time.monotonic() - started:.0f} s")
        assert {name: len(journey.orthanc.instances(name)) for name in ("MG", "SEG", "SR")} == {
            "MG": 4, "SEG": 4, "SR": 1,
        }  # fmt: skip
        for body in blocks(ROOT / "README.md", "console"):
            if "glam-node analyse" in body:
                journey.follow("console", body)
    assert list((tmp_path / "results").rglob("*.png"))


class Journey:
    """A new administrator in an empty directory, with an Orthanc that is not configured yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.orthanc = Orthanc(directory / "orthanc", free_port(), free_port(), ae_title="PACS")
        self.orthanc.directory.mkdir()
        self.ours = {
            "11112": str(self._port),
            "10.0.0.5": "127.0.0.1",
            "10.0.0.7": "127.0.0.1",
            "4242": str(self.orthanc.dicom_port),
            "/etc/orthanc/route.lua": str(directory / "route.lua"),
            "$PWD/.venv/bin": str(GLAM_NODE.parent),
            "$ dcmsend": f"$ {PEERS['dcmtk'].program}",
        }
        """The addresses, files and programs of this machine in the place of those that the README names."""
        self._exports: list[str] = []
        self._serving: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Journey":
        return self

    def __exit__(self, *_: object) -> None:
        if self._serving is not None:
            self._serving.terminate()
            self._serving.wait(60)
        self.orthanc.kill()

    def follow(self, language: str, body: str) -> None:
        """Carry out the instructions of one block."""
        for theirs, ours in self.ours.items():
            body = body.replace(theirs, ours)
        if language == "json":
            self.orthanc.more = {"UnknownSopClassAccepted": False, **json.loads(body)}
        elif language == "lua":
            (self._directory / "route.lua").write_text(body)
            self.orthanc.start()
        elif language == "console":
            for line in body.splitlines():
                self._run(line.removeprefix("$ "))

    def _run(self, line: str) -> None:
        if line.startswith("export "):
            self._exports.append(line)
        elif line == "glam-node serve":
            self._serve(line)
        else:
            done = self._start(line, subprocess.PIPE)
            told = done.communicate(timeout=300)[0].decode()
            assert done.returncode == 0, f"{line}: {told}"

    def _serve(self, line: str) -> None:
        log = self._directory / "log"
        with log.open("wb") as file:
            serving = self._serving = self._start(f"exec {line}", file)
        wait_until(lambda: "glam-node: listening" in log.read_text() or serving.poll() is not None, 120, log.read_text)
        assert serving.poll() is None, log.read_text()

    def _start(self, line: str, out: Any) -> "subprocess.Popen[bytes]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GLAM_NODE")}
        script = "\n".join([*self._exports, line])
        command = ["bash", "-c", script]
        return subprocess.Popen(command, cwd=self._directory, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def wait_until_reported(self, deadline: float) -> None:
        """The study has its results, says `glam-node study list`, and the PACS has them."""
        told = ""
        while True:
            # The command takes a second of CPU, which the analysis needs.
            if self.orthanc.instances("SR"):
                told = self._start("glam-node study list", subprocess.PIPE).communicate(timeout=60)[0].decode()
                if "REPORTED" in told:
                    return
            assert time.monotonic() < deadline, f"{told} {(self._directory / 'log').read_text()[-3000:]}"
            time.sleep(0.5)


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.timeout(600)
def test_the_quick_start_leads_to_a_node_that_takes_studies(
    orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings_path, port = tmp_path / "node.toml", free_port()
    told = [here(command, orthanc, port) for command in commands(ROOT / "docs" / "quick-start.md")]
    serve = ["--settings", "node.toml", "serve"]
    first, later = told[: told.index(serve)], told[told.index(serve) + 1 :]
    for arguments in first:
        run_glam_node(*arguments)
    with running_node(settings_path, port, calling_ae_title="PACS") as node:
        for arguments in later:
            run_glam_node(*arguments)
        dcmsend(port, sorted((tmp_path / "exam").rglob("*.dcm")), calling_ae_title="PACS")
        assert [study["state"] for study in node.studies()] == ["RECEIVING"]
    assert list((tmp_path / "results").rglob("*.png"))


def here(command: list[str], orthanc: Orthanc, port: int) -> list[str]:
    """Return the command with the addresses of this machine."""
    ours = {
        "11112": str(port),
        "PACS@10.0.0.0/24": "PACS@127.0.0.1",
        "ARCHIVE@10.0.0.5:104": f"{orthanc.ae_title}@127.0.0.1:{orthanc.dicom_port}",
    }
    return [ours.get(word, word) for word in command]
