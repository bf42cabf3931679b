"""Tests that every setting is documented, in the reference and in the commented file that ships."""

import re
import tomllib
from pathlib import Path

from glam_node import settings as package
from glam_node.settings.keys import NAME, keys, sections
from glam_node.settings.load import load_settings
from glam_node.settings.peers import PeerSettings
from glam_node.settings.reference import commented_file, example_path, in_force, masked, reference
from glam_node.settings.schema import Settings
from tests.generated import AGAIN

NODE_TOML = Path(package.__file__).parent / "node.toml"


def test_every_setting_says_what_it_means() -> None:
    assert [key.dotted for key in keys().values() if not key.description.endswith(".")] == []


def test_every_setting_is_in_the_reference() -> None:
    text = reference()
    assert [key.dotted for key in keys().values() if f"| `{key.dotted}` |" not in text] == []


def test_the_file_that_ships_is_the_one_that_the_schema_gives() -> None:
    written = NODE_TOML.read_text(encoding="utf-8")
    assert written == commented_file(), AGAIN


def test_the_file_that_ships_has_no_words_or_examples_that_mislead() -> None:
    file = commented_file()
    repeated = [key.dotted for key in keys().values() if len(set(split := key.allowed.split(" or "))) < len(split)]
    assert repeated == []
    assert "# port = 2762" in file
    assert file.count("Repeat it under other names.") == sum(section.path[-1:] == (NAME,) for section in sections())


def test_the_file_that_ships_changes_nothing() -> None:
    assert load_settings(NODE_TOML, {}) == Settings()


def test_the_file_that_ships_has_every_key() -> None:
    without_comments = re.sub(r"^# (\[|\w+ = )", r"\1", commented_file(), flags=re.MULTILINE)
    tree = tomllib.loads(without_comments)
    for section in sections():
        table = tree
        for segment in example_path(section):
            table = table[segment]
        assert [key.dotted for key in section.keys if key.path[-1] not in table] == []


def test_settings_in_force_can_be_read_again(tmp_path: Path) -> None:
    settings = Settings(peers={"pacs": PeerSettings(ae_title="PACS", hosts=("10.0.0.5",))})
    (tmp_path / "node.toml").write_text(in_force(settings))
    assert load_settings(tmp_path / "node.toml", {}) == settings


def test_settings_in_force_hide_passwords() -> None:
    settings = Settings(database_url="postgresql+psycopg://glam:hunter2@db/glam")
    assert 'database_url = "postgresql+psycopg://glam:***@db/glam"' in in_force(settings)
    assert "hunter2" not in str(masked(settings))
