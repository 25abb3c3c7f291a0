"""``webhooks_log``: what became of deliveries, cleaned of secrets, for the administrator."""

import time
from collections.abc import Mapping

import msgspec
import structlog

from core import database
from core.settings.services import get_setting
from core.webhooks.targets import Target

KEEP_GENUINE_SETTING = "webhooks.log_genuine"
"""Row of ``settings``; the value ``true`` keeps genuine deliveries too."""
SETTING_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class Switch:
    """Whether genuine deliveries are kept; the setting is read again after some seconds."""

    def __init__(self) -> None:
        self._on = False
        self._read_at: float | None = None

    async def is_on(self) -> bool:
        """Return the present value of ``KEEP_GENUINE_SETTING``."""
        if self._read_at is None or time.monotonic() - self._read_at > SETTING_SECONDS:
            value = await get_setting(KEEP_GENUINE_SETTING)
            self._on = str(value).strip().lower() == "true"
            self._read_at = time.monotonic()
        return self._on

    def forget(self) -> None:
        """Read the setting again the next time."""
        self._read_at = None


switch = Switch()
"""This process's."""


async def write_refused(target: Target, reason: str, status: int) -> None:
    """Keep that a delivery was refused or could not be judged; what it said is not kept, nobody vouches for it."""
    _log.warning("webhook_refused", plugin=target.plugin, number_id=target.number_id, reason=reason)
    await _write(target, {"number_id": target.number_id}, status, reason)


async def write_genuine(target: Target, events: int, cleaned: bytes, status: int) -> None:
    """Keep a genuine delivery as its plugin cleaned it, where the setting asks for that."""
    if not await switch.is_on():
        return
    try:
        payload = msgspec.json.decode(cleaned) if cleaned else None
    except msgspec.DecodeError:
        payload = cleaned.decode("utf-8", "replace")
    content = {"number_id": target.number_id, "events": events, "payload": payload}
    await _write(target, content, status, "")


async def write_given_up(plugin: str, number_id: int, kind: str, event_id: int) -> None:
    """Keep that an event could not be applied after every attempt."""
    content = {"number_id": number_id, "event_id": event_id, "kind": kind}
    await write_entry(f"{plugin}:{kind}", "", content, None, "given up: its handler failed every time, see the log")


async def _write(target: Target, content: dict[str, object], status: int, reason: str) -> None:
    # The token in the URL is a secret of its own.
    await write_entry(target.plugin, f"/api/webhooks/{target.plugin}/***", content, status, reason)


async def write_entry(kind: str, url: str, content: Mapping[str, object], status: int | None, answer: str) -> None:
    """Add an entry; nothing of it may be a secret."""
    await database.execute(
        "INSERT INTO webhooks_log (created_at, type, url, payload, response_code, response_body)"
        " VALUES (now(), $1, $2, $3::jsonb, $4, $5)",
        kind[:60],
        url,
        # jsonb holds no NUL; a payload is for reading, so the sign is replaced instead of refused.
        database.encode_json(content).replace("\\u0000", "\\ufffd"),
        status,
        answer,
    )
