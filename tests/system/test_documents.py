"""Every settings block in the documents loads, and every command in them runs."""

import re
import shlex
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.ports import free_port
from tests.system.node_process import dcmsend, run_glam_node, running_node
from tests.system.orthanc import Orthanc

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "deploy" / "README.md"])
BUILT = {"settings.md", "metrics.md"}
"""Pages that MkDocs makes of the code."""
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for found, body in FENCE.findall(document.read_text(encoding="utf-8")) if found == language]


def commands(document: Path) -> list[list[str]]:
    """The lines after `$ glam-node` in console blocks, as arguments."""
    lines = "\n".join(blocks(document, "console")).splitlines()
    return [shlex.split(line.removeprefix("$ glam-node ")) for line in lines if line.startswith("$ glam-node ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_blocks_load(document: Path, tmp_path: Path) -> None:
    signed = Authority(tmp_path / "authority").sign("node")
    files = {"node.crt": signed.certificate, "node.key": signed.key, "hospital-ca.crt": signed.ca}
    for block in blocks(document, "toml"):
        for name, path in files.items():
            block = block.replace(f"/etc/glam-node/{name}", str(path))
        (tmp_path / "node.toml").write_text(block, encoding="utf-8")
        run_glam_node("settings", "check", settings_path=tmp_path / "node.toml")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if link not in BUILT and not (document.parent / link).exists()] == []


@pytest.mark.peer("orthanc")
@pytest.mark.peer("dcmtk")
@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_run(orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings_path, port = readme_settings(tmp_path, orthanc)
    with running_node(settings_path, port, calling_ae_title="PACS") as node:
        for arguments in commands(ROOT / "README.md"):
            if arguments != ["serve"]:
                node.command(*arguments)
        dcmsend(port, sorted((tmp_path / "exam").rglob("*.dcm")), calling_ae_title="PACS")
        assert [study["state"] for study in node.studies()] == ["RECEIVING"]
    assert list((tmp_path / "results").rglob("*.png"))


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
    """The command with the addresses of this machine."""
    ours = {
        "11112": str(port),
        "PACS@10.0.0.0/24": "PACS@127.0.0.1",
        "ARCHIVE@10.0.0.5:104": f"{orthanc.ae_title}@127.0.0.1:{orthanc.dicom_port}",
    }
    return [ours.get(word, word) for word in command]


def readme_settings(directory: Path, orthanc: Orthanc) -> tuple[Path, int]:
    """The README's own settings, with the addresses of this machine put in."""
    block = blocks(ROOT / "README.md", "toml")[0]
    port = free_port()
    for theirs, ours in {
        "11112": str(port),
        "10.0.0.0/24": "127.0.0.1",
        "10.0.0.5": "127.0.0.1",
        "port = 104": f"port = {orthanc.dicom_port}",
        '"ARCHIVE"': f'"{orthanc.ae_title}"',
    }.items():
        assert theirs in block
        block = block.replace(theirs, ours)
    path = directory / "node.toml"
    path.write_text(block, encoding="utf-8")
    return path, port
