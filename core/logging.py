"""Structured logging: ``text`` for people, ``json`` for collectors; ids come along, secrets never do."""

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from core.config import LoggingConfig

MASK = "***"

_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api_?key|authorization|cookie|credential|signature|qr_?(code)?$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*(?=@)")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)
_QUIET = ("dramatiq", "httpx", "httpcore", "asyncio", "aiohttp.access", "uvicorn.access", "multipart")


def configure_logging(settings: LoggingConfig) -> None:
    """Send this process's log, and that of its libraries, to standard error as ``settings`` say."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            _renderer(settings),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def log_context(**ids: int | str) -> AbstractContextManager[None]:
    """Put ``ids`` (``request_id``, ``message_id``, ``campaign_id`` ...) on every line logged inside the block."""
    return bound_contextvars(**ids)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask values under secret names, and passwords and credentials inside texts, tracebacks included."""
    return {key: masked(key, value) for key, value in event.items()}


def masked(key: str, value: object) -> object:
    """Return ``value``, or ``MASK`` where its name is one of a secret; the same for everything inside it."""
    if _SECRET_KEY.search(key) and value not in (None, "", True, False):
        return MASK
    if isinstance(value, str):
        return _BEARER.sub(rf"\1 {MASK}", _URL_PASSWORD.sub(MASK, value))
    if isinstance(value, Mapping):
        return {name: masked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked("", inner) for inner in value]
    return value


def _renderer(settings: LoggingConfig) -> Processor:
    if settings.format == "json":
        return structlog.processors.JSONRenderer()
    # Tracebacks are text by now, so that they were masked as well.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
