import itertools
import re
import tomllib
from pathlib import Path

import pytest

from core.config import PlatformConfig, parse_config
from core.example_config import example_config
from core.plugin.loader import load_providers

ROOT = Path(__file__).parents[2]


def _as_written_with_every_setting(text: str) -> dict[str, object]:
    """Take the comment mark from every line that is a table or a key."""
    return tomllib.loads(re.sub(r"^# (?=\[+[a-z_.]+\]+$|[a-z_]+ = )", "", text, flags=re.MULTILINE))


def test_the_file_in_the_repository_is_current() -> None:
    assert (ROOT / "platform.example.toml").read_text(encoding="utf-8") == example_config(), "type `make docs`"


def test_as_it_is_it_changes_nothing() -> None:
    assert parse_config(tomllib.loads(example_config())) == PlatformConfig()


def test_with_every_setting_uncommented_it_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    text = example_config()
    for name in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(name, "a secret of sufficient length")

    config = parse_config(_as_written_with_every_setting(text))

    assert {plugin.name for plugin in load_providers(config.plugins).plugins} == set(config.plugins)
    assert set(config.plugins) == {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}


def test_every_setting_is_described() -> None:
    lines = example_config().splitlines()
    bare = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r"(# )?[a-z_]+ = ", line) and not re.match(r"# [A-Z{`/]|# \w+://|# \w+ \w+", before)
    ]

    assert bare == []


def test_the_repositorys_own_file_is_valid() -> None:
    text = (ROOT / "platform.toml").read_text(encoding="utf-8")

    assert load_providers(parse_config(tomllib.loads(text)).plugins).plugins[0].name == "waha"
