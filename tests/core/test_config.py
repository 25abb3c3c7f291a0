from pathlib import Path

import pytest

from core.config import OVERRIDES, ConfigError, PlatformConfig, load_config, parse_config, server_variables
from core.plugin import Secret


@pytest.fixture(autouse=True)
def _no_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RECADO_CONFIG", *OVERRIDES):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def _write(text: str, name: str = "platform.toml") -> Path:
    path = Path(name).absolute()
    path.write_text(text, encoding="utf-8")
    return path


def _problems(text: str) -> list[str]:
    path = _write(text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    first, *lines = str(caught.value).splitlines()
    assert first == f"{path.name} cannot be used:"
    return [line.strip() for line in lines]


def test_an_absent_file_means_the_defaults() -> None:
    assert load_config() == PlatformConfig()


def test_a_named_file_must_exist() -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load_config(Path("other.toml"))


def test_the_variable_names_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_CONFIG", str(_write("[server]\nport = 9000\n", "other.toml")))

    assert load_config().server.port == 9000


def test_all_problems_are_told_at_once() -> None:
    text = """
    [server]
    port = 0
    hots = "x"
    [worker]
    processes = "2"
    [logging]
    level = "loud"
    [database]
    url = { env = "RECADO_TEST_ABSENT" }
    [serverr]
    """

    assert sorted(_problems(text)) == [
        "[database] url: the environment variable RECADO_TEST_ABSENT is not set: export RECADO_TEST_ABSENT=...",
        '[logging] level: Invalid enum value \'loud\'; write "debug" or "info" or "warning" or "error"',
        "[server] hots: is not known; did you mean host?",
        "[server] port: Expected `int` >= 1; write a whole number",
        "[worker] processes: Expected `int`, got `str`; write a whole number",
        "serverr: is not known; did you mean server?",
    ]


def test_broken_toml_is_one_line() -> None:
    (problem,) = _problems("[server\nport = 1")

    assert problem.startswith("is not valid TOML: ")


def test_a_file_that_is_no_text_is_one_line() -> None:
    Path("platform.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config()


def test_secrets_come_from_variables_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATABASE", "postgresql://a:b@c/d")
    Path("redis.txt").write_text("redis://:p@h\n")
    _write('[database]\nurl = { env = "MY_DATABASE" }\n[redis]\nurl = { file = "redis.txt" }\n')

    config = load_config()

    assert config.database.url == Secret("postgresql://a:b@c/d")
    assert config.redis.url == Secret("redis://:p@h")
    assert "a:b" not in repr(config)
    assert server_variables(config) == {
        "RECADO_DATABASE_URL": "postgresql://a:b@c/d",
        "RECADO_REDIS_URL": "redis://:p@h",
    }


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{ file = "absent" }', "[redis] url: the file absent cannot be read (FileNotFoundError)"),
        ('{ file = "empty" }', "[redis] url: the file empty is empty"),
        ('{ evn = "X" }', '[redis] url: write { env = "NAME" } or { file = "path" }'),
        ("7", '[redis] url: write { env = "NAME" } or { file = "path" }'),
    ],
)
def test_a_missing_secret_says_what_to_write(written: str, told: str) -> None:
    Path("empty").touch()

    assert _problems(f"[redis]\nurl = {written}\n") == [told]


def test_variables_take_the_place_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    _write('[server]\nport = 9000\nhost = "::1"\n')
    monkeypatch.setenv("RECADO_PORT", "9001")
    monkeypatch.setenv("RECADO_DATABASE_URL", "postgresql://x/y")
    monkeypatch.setenv("RECADO_PUBLIC_URL", "")

    config = load_config()

    assert (config.server.port, config.server.host, config.server.public_url) == (9001, "::1", "")
    assert config.database.url == Secret("postgresql://x/y")


def test_a_variable_is_checked_like_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_PORT", "many")

    with pytest.raises(ConfigError, match=r"\[server\] port: Expected `int`, got `str`"):
        load_config()


@pytest.mark.parametrize(
    ("server", "local", "base"),
    [
        ({}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),  # noqa: S104 - compared, not bound
        ({"host": "::", "port": 80}, "http://[::1]:80", "http://[::1]:80"),
        ({"public_url": "https://recado.example"}, "http://127.0.0.1:8000", "https://recado.example"),
    ],
)
def test_addresses(server: dict[str, object], local: str, base: str) -> None:
    found = parse_config({"server": server}).server

    assert (found.local_url, found.base_url) == (local, base)


def test_plugins_keep_their_tables_for_the_loader() -> None:
    assert parse_config({"plugins": {"any": {"key": 1}}}).plugins == {"any": {"key": 1}}


def test_a_plugin_that_is_no_table() -> None:
    assert _problems("[plugins]\nwaha = 3\n") == ["plugins: Expected `object`, got `int` - at `$[...]`; write a table"]
