import asyncio
from collections.abc import AsyncIterator

import pytest

from core.checks import (
    CHECKS,
    Checkup,
    Result,
    ask,
    check_plugins,
    check_public_url,
    check_services,
    describe,
    reach_database,
    reach_redis,
    run_checks,
)
from core.config import parse_config
from core.errors import OperatorError
from core.plugin import HandingOver, Notification, PluginInfo, UnavailableError
from core.plugin.registry import Providers


class FailingNotifier:
    name = "mail"
    channel = "email"

    async def send(self, notification: Notification, handing_over: HandingOver) -> None: ...

    async def check(self) -> str:
        raise UnavailableError("smtp://user:hidden@mail.example:25 does not answer")

    async def aclose(self) -> None: ...


def _checkup(public_url: str = "", **providers: object) -> Checkup:
    config = parse_config({"server": {"public_url": public_url}})
    return Checkup(config, Providers(**providers))  # type: ignore[arg-type] # each test passes what it is about


async def _lines(results: AsyncIterator[Result]) -> list[tuple[str, str, str]]:
    return [(result.level, result.name, result.text) async for result in results]


async def test_one_failing_check_does_not_hide_the_next() -> None:
    async def broken(_: Checkup) -> AsyncIterator[Result]:
        yield Result("ok", "first", "fine")
        raise ValueError("odd")

    async def sound(_: Checkup) -> AsyncIterator[Result]:
        yield Result("ok", "last", "fine")

    lines = await _lines(run_checks(_checkup(), [("broken", broken), ("sound", sound)]))

    assert lines == [("ok", "first", "fine"), ("problem", "broken", "ValueError: odd"), ("ok", "last", "fine")]


async def test_silence_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.checks.LIMIT_SECONDS", 0.01)

    async def silent() -> str:
        await asyncio.Event().wait()
        return ""

    assert await ask("server", silent) == Result("problem", "server", "no answer within 0.01 s")


async def test_every_plugin_has_a_line() -> None:
    plugins = (
        PluginInfo(name="one", version="1", source="folder", enabled=True, messaging=("one",), notifiers=("bell",)),
        PluginInfo(name="two", version="", source="", enabled=False),
    )

    assert await _lines(check_plugins(_checkup(plugins=plugins))) == [
        ("ok", "plugin one", "adds one, bell"),
        ("ok", "plugin two", "switched off (enabled = false)"),
        ("warning", "plugins", "nothing can send messages: add [plugins.waha] to platform.toml"),
    ]


@pytest.mark.parametrize("address", ["", "http://localhost:8000", "http://127.1.2.3", "http://[::1]:8000"])
async def test_an_address_of_this_machine_alone_is_warned_of(address: str) -> None:
    ((level, name, text),) = await _lines(check_public_url(_checkup(address)))

    assert (level, name) == ("warning", "public address")
    assert text.endswith(f"cannot reach {address or 'http://127.0.0.1:8000'}: set [server] public_url")


async def test_a_public_address_is_fine() -> None:
    assert await _lines(check_public_url(_checkup("https://recado.example/"))) == [
        ("ok", "public address", "https://recado.example")
    ]


async def test_a_service_that_fails_is_named_without_its_password() -> None:
    assert await _lines(check_services(_checkup(notifiers_by_name={"mail": FailingNotifier()}))) == [
        ("ok", "payments", "no gateway is enabled, so administrators assign the plans"),
        ("problem", "notifications mail", "UnavailableError: smtp://***@mail.example:25 does not answer"),
    ]


async def test_without_e_mails_nobody_gets_password_links_and_that_is_warned_of() -> None:
    assert (await _lines(check_services(_checkup())))[1:] == [
        (
            "warning",
            "e-mail",
            "nothing can send e-mails, so nobody gets password links: add [plugins.smtp] to platform.toml",
        )
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OperatorError("mend it"), "mend it"),
        (ValueError("two\nlines"), "ValueError: two"),
        (ValueError(), "ValueError"),
        (OSError("redis://:hidden@host refused"), "OSError: redis://***@host refused"),
    ],
)
def test_an_error_becomes_one_line(error: Exception, text: str) -> None:
    assert describe(error) == text


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://u:hidden@127.0.0.1:9/x", "postgresql://u:hidden@/x?host=/nowhere"]
)
async def test_a_database_that_cannot_be_reached_is_told(url: str) -> None:
    with pytest.raises(OperatorError, match=r"PostgreSQL cannot be used \(.*\): check \[database\] url") as caught:
        await reach_database(parse_config({"database": {"url": url}}))

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "redis://:hidden@127.0.0.1:9", "unix://:hidden@/nowhere.sock"])
async def test_a_redis_that_cannot_be_reached_is_told(url: str) -> None:
    with pytest.raises(OperatorError, match=r"Redis cannot be used \(.*\): check \[redis\] url") as caught:
        await reach_redis(parse_config({"redis": {"url": url}}))

    assert "hidden" not in str(caught.value)


def test_every_check_has_a_name() -> None:
    names = [name for name, _ in CHECKS]

    assert names[:4] == ["plugins", "servers", "public address", "services"]
    assert len(set(names)) == len(names)
