"""Tests of the command line as a whole: commands, help and errors."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.main import get_command

from glam_node import __version__
from glam_node.node.cli.application import text_output
from glam_node.node.cli.main import app
from glam_node.result_kinds import ANALYSIS_KINDS
from tests.command_line import glam_node

COMMANDS = [
    "demo",
    "hl7 preview",
    "hl7 template",
    "init",
    "serve",
    "worker",
    "receiver",
    "doctor",
    "echo",
    "status",
    "study list",
    "study show",
    "study retry",
    "study resend",
    "study hold",
    "study release",
    "study set-aside",
    "study take-newer",
    "study keep-first",
    "send-now",
    "canary",
    "backup",
    "restore",
    "analyse",
    "phantom",
    "alerts test",
    "archive query",
    "archive fetch",
    "backfill",
    "audit show",
    "audit verify",
    "console user add",
    "console user list",
    "console user remove",
    "settings check",
    "settings show",
    "settings explain",
    "settings diff",
    "settings reload",
    "rules test",
    "rules explain",
    "model import",
    "model show",
    "model verify",
    "model time",
    "research train",
    "research evaluate",
    "research compare",
    "research guard-report",
    "research golden",
]
OLD_SPELLINGS = {
    "studies": "study list",
    "retry": "study retry",
    "resend": "study resend",
    "hold": "study hold",
    "release": "study release",
    "set-aside": "study set-aside",
    "take-newer": "study take-newer",
    "keep-first": "study keep-first",
    "train": "research train",
    "evaluate": "research evaluate",
    "model golden": "research golden",
}
FOR_MACHINES = [
    "doctor",
    "echo",
    "status",
    "study list",
    "study show",
    "analyse",
    "research evaluate",
    "research compare",
    "research guard-report",
    "audit show",
    "settings check",
    "settings show",
    "rules test",
    "model show",
]


def groups(command: Any, path: str = "") -> dict[str, Any]:
    """Return every command that only has commands of its own, by its words."""
    found: dict[str, Any] = {}
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            inner_path = f"{path} {name}".strip()
            found.update({inner_path: inner, **groups(inner, inner_path)})
    return found


def leaves(command: Any, path: str = "") -> dict[str, Any]:
    """Return every command that has no commands of its own, by its words."""
    if not hasattr(command, "commands"):
        return {path: command}
    found: dict[str, Any] = {}
    for name, inner in command.commands.items():
        found.update(leaves(inner, f"{path} {name}".strip()))
    return found


ALL = leaves(get_command(app))
GROUPS = groups(get_command(app))


def plain(text: str) -> str:
    """Return the text without boxes, colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


def test_the_list_of_commands_is_complete() -> None:
    assert sorted(name for name, command in ALL.items() if not command.hidden) == sorted(COMMANDS)


def test_the_old_spellings_do_the_same_and_are_hidden() -> None:
    hidden = {name: inspect.unwrap(command.callback) for name, command in ALL.items() if command.hidden}
    assert hidden == {old: inspect.unwrap(ALL[new].callback) for old, new in OLD_SPELLINGS.items()}


@pytest.mark.parametrize("words", [["1.2.3"], ["1.2.3", "--json"], ["--json", "1.2.3"]], ids=" ".join)
def test_study_without_a_command_shows_a_study(words: list[str], tmp_path: Path) -> None:
    root = {"GLAM_NODE__STORAGE__ROOT": str(tmp_path / "none")}
    shown = glam_node("study", "show", *words, expect=1, text="", **root)
    assert glam_node("study", *words, expect=1, text="", **root).stderr == shown.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_of_it_is_documented(name: str) -> None:
    command = ALL[name]
    assert (command.help or "").rstrip().endswith(".")
    assert [parameter.name for parameter in command.params if parameter.name != "help" and not parameter.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_works(name: str) -> None:
    assert "Usage:" in glam_node(*name.split(), "--help").stdout


@pytest.mark.parametrize(
    "name", [name for name, command in ALL.items() if "settings" in {p.name for p in command.params}]
)
def test_every_command_that_takes_settings_names_the_variable(name: str) -> None:
    assert "[env var: GLAM_NODE_SETTINGS]" in plain(glam_node(*name.split(), "--help").stdout)


@pytest.mark.parametrize("name", ["", *GROUPS])
def test_help_prints_square_brackets_as_they_are(name: str) -> None:
    shown = plain(glam_node(*name.split(), "--help").stdout)
    group = GROUPS.get(name, get_command(app))
    commands = [command for command in group.commands.values() if not command.hidden]
    for text in (group.help, *(command.get_short_help_str(200) for command in commands)):
        assert plain(text or "")[:40] in shown


def test_help_of_an_argument_prints_square_brackets_as_they_are() -> None:
    assert "[destinations.NAME]" in plain(glam_node("echo", "--help").stdout)


def test_results_print_square_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("reason")
    table.add_row("see [inference] and [rules.NAME]")
    text_output().print(table)
    assert "see [inference] and [rules.NAME]" in capsys.readouterr().out


def test_analyse_names_every_kind_of_result_in_its_help() -> None:
    assert plain(", ".join(ANALYSIS_KINDS)) in plain(glam_node("analyse", "--help").stdout)


@pytest.mark.parametrize("name", FOR_MACHINES)
def test_a_command_for_machines_has_the_option_json(name: str) -> None:
    assert "--json" in {option for parameter in ALL[name].params for option in parameter.opts}


def test_the_option_version_prints_the_version() -> None:
    assert glam_node("--version").stdout == f"glam-node {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command"),
        (["study", "show"], "UID"),
        (["study", "nonsense"], "No such command"),
        (["research", "compare", "/", "--data", "folder:x", "--out", "x"], "at least two packages"),
        (["phantom"], "--out"),
        (["phantom", "--out", "x", "--rows", "none"], "--rows"),
        (["phantom", "--out", "/proc/nowhere"], "cannot be created"),
        (["analyse", "/nowhere", "--out", "x"], "does not exist"),
        (["model", "import", "/nowhere.ckpt", "--out", "x"], "does not exist"),
        (["research", "golden", "/nowhere.npz"], "does not exist"),
        (["demo", "--input", "/nowhere"], "does not exist"),
        (["echo", "archive"], "the settings have no [destinations.archive] or [sources.archive]"),
        (["archive", "query", "pacs"], "the settings have no [sources.pacs]; they have: none"),
        (["archive", "fetch", "pacs", "--accession", "A"], "the settings have no [sources.pacs]"),
        (["settings", "explain", "node.prt"], "there is no setting node.prt"),
        (["--settings", "/nowhere.toml", "status"], "cannot be read"),
        (["status", "--settings", "/nowhere.toml"], "cannot be read"),
    ],
    ids=" ".join,
)
def test_wrong_use_leads_to_a_message_and_exit_code_2(arguments: list[str], words: str) -> None:
    result = glam_node(*arguments, expect=2)
    assert words in plain(result.stderr)
    assert "Traceback" not in result.output


def test_an_expected_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = glam_node("status", expect=1, GLAM_NODE__STORAGE__ROOT=str(tmp_path / "none"))
    assert result.stderr.startswith("Error: ")
    assert "glam-node serve" in result.stderr


def test_study_list_creates_no_storage_root(tmp_path: Path) -> None:
    glam_node("study", "list", expect=1, GLAM_NODE__STORAGE__ROOT=str(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


HELP_OF_ALL = """
import sys
from typer.testing import CliRunner
from glam_node.node.cli.main import app
for name in {commands}:
    assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0, name
    assert not {heavy} & set(sys.modules), (name, {heavy} & set(sys.modules))
"""


def test_the_help_of_every_command_loads_no_slow_package() -> None:
    heavy = {"torch", "pydicom", "pynetdicom", "sqlalchemy", "celery", "numpy", "glam_node.settings.load", "rich.table"}
    program = HELP_OF_ALL.format(commands=["", *GROUPS, *COMMANDS], heavy=heavy)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_wrong_use_is_reported_on_standard_error() -> None:
    done = subprocess.run([sys.executable, "-m", "glam_node", "nonsense"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command" in done.stderr
