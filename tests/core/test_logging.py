import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.config import LoggingConfig
from core.logging import configure_logging, log_context
from core.plugin import Secret


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_carries_the_event_and_the_ids_of_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LoggingConfig(format="json"))

    with log_context(request_id="r1", campaign_id=7):
        structlog.get_logger("core.example").info("started", recipients=3)
    structlog.get_logger("core.example").info("ended")

    first, second = _lines(capsys)
    first.pop("timestamp")
    assert first == {
        "event": "started",
        "recipients": 3,
        "request_id": "r1",
        "campaign_id": 7,
        "level": "info",
        "logger": "core.example",
    }
    assert "request_id" not in second


def test_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LoggingConfig(format="json"))

    logging.getLogger("uvicorn.error").warning("it took %d s", 3)

    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("it took 3 s", "warning", "uvicorn.error")


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LoggingConfig(format="json", level="warning"))

    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    structlog.get_logger("a").warning("loud")

    assert [line["event"] for line in _lines(capsys)] == ["loud"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_never_show(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging(LoggingConfig(format="json" if form == "json" else "text"))
    log = structlog.get_logger("core.example")

    log.info("a", password="hidden1", api_key="hidden2", headers={"Authorization": "Bearer hidden3"}, token="hidden4")
    log.info("b", secret=Secret("hidden5"), value=Secret("hidden6"), listed=["Bearer hidden7"])
    log.info("cannot reach redis://:hidden8@host and postgresql://user:hidden9@host/x")
    logging.getLogger("library").warning("GET with Authorization: Bearer %s", "hidden10")
    try:
        int("postgresql://user:hidden11@host/x")
    except ValueError:
        log.exception("failed")

    text = capsys.readouterr().err
    assert "hidden" not in text
    assert "postgresql://***@host/x" in text
    assert "ValueError" in text


def test_text_is_one_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LoggingConfig(format="text"))

    structlog.get_logger("core.example").info("campaign_started", campaign_id=7)

    (line,) = capsys.readouterr().err.splitlines()
    assert "campaign_started" in line
    assert "campaign_id=7" in line
