"""Secrets that are easy to find again, and whatever a plugin could show them in."""

import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TypeVar

import msgspec

from core.plugin.conformance.checking import expect
from core.plugin.secret import Secret

_Credentials = TypeVar("_Credentials", bound=msgspec.Struct)

_QUIET = ("httpx", "httpcore", "asyncio", "aiohttp")
"""Libraries of which the platform keeps warnings and errors alone (``core.logging``)."""


def with_marked_secrets(credentials: _Credentials) -> tuple[_Credentials, tuple[str, ...]]:
    """Return ``credentials`` with a value of its own in each ``Secret`` field, and these values."""
    marked = {
        name: Secret(f"marked-{name}-9f31c7")
        for name in credentials.__struct_fields__
        if isinstance(getattr(credentials, name), Secret)
    }
    return msgspec.structs.replace(credentials, **marked), tuple(secret.reveal() for secret in marked.values())


@contextmanager
def captured_logs() -> Iterator[io.StringIO]:
    """Catch every line that is logged or printed in the block, of all levels, with tracebacks."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    handler.addFilter(lambda line: line.levelno >= logging.WARNING or line.name.partition(".")[0] not in _QUIET)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(told), redirect_stderr(told):
            yield told
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def told_by(error: BaseException) -> str:
    """Return all that a log could show of an error: text, repr, attributes and the chain of its causes."""
    chain = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {vars(error)} {chain}"


def expect_hidden(secrets: tuple[str, ...], text: str, where: str) -> None:
    """Fail when one of ``secrets`` stands in ``text``; the failure does not repeat it."""
    for secret in secrets:
        expect(secret not in text, f"{where} shows the secret {_name(secret)}")


def _name(secret: str) -> str:
    return secret.removeprefix("marked-").rpartition("-")[0] or "of the plugin"
