"""Receive a delivery: whose it is, whether it is genuine, store what it says, answer; and what follows later."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import structlog

from core import database, queue
from core.errors import NotFoundError, NotReadyError
from core.plugin import AnyEvent, UnknownEvent, WebhookDelivery, WebhookResult
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers
from core.webhooks import log, probe
from core.webhooks.hints import ACTOR, EVENTS, INBOUND, QUEUES, Hints, line_of
from core.webhooks.inbox import EventRow, Inbox, build_row, insert
from core.webhooks.refusals import Refusals
from core.webhooks.targets import Target, Targets

UNKNOWN_NAMES = 200

_targets = Targets()
_refusals = Refusals()
_inbox = Inbox()
_hints = Hints()
_unknown: dict[tuple[str, str], int] = {}

_log = structlog.get_logger(__name__)


class Answer(msgspec.Struct, frozen=True):
    """What to send back to the service."""

    status: int
    body: bytes
    content_type: str


REFUSED = Answer(401, b"The signature does not fit.", "text/plain")


async def find_target(plugin: str, token: str, address: str) -> Target:
    """Return whose webhook ``token`` opens; nothing of the request but its path and ``address`` is looked at before.

    Raises:
        NotFoundError: No live number on a server of ``plugin`` has it.
        TooManyRefusedError: As many deliveries of the client's address were refused as may be.
    """
    target = None
    if not _refusals.is_blocked(address) or await _refusals.is_live(token):
        target = await _targets.find(plugin, token)
    if target is None:
        target = await probe.find(plugin, token)
    if target is None:
        await _refusals.count(address)
        raise NotFoundError("webhook")
    return target


def forget_targets() -> None:
    """Look every token up anew; other processes do within some seconds."""
    _targets.forget()
    _refusals.forget_tokens()


async def receive(target: Target, token: str, delivery: WebhookDelivery, address: str) -> Answer:
    """Judge a delivery and store its events; once the answer is returned they are committed.

    Raises:
        NotReadyError: It could not be judged or stored: the service has to repeat it.
        TooManyRefusedError: As ``find_target``, for one that is not genuine.
    """
    result = await _judge(target, delivery)
    if not result.genuine:
        await _refusals.count(address)
        await log.write_refused(target, "the signature does not fit", REFUSED.status)
        return REFUSED
    if target.number_id == probe.NO_NUMBER:
        await probe.tick_off(token)
    else:
        await _store(target, result)
    return Answer(result.status, result.body, result.content_type)


async def _judge(target: Target, delivery: WebhookDelivery) -> WebhookResult:
    try:
        return providers().messaging(target.plugin).receive(delivery, target.secret)
    except NoSuchProviderError:
        raise NotReadyError("The plugin of this webhook is not enabled.", code="plugin_disabled") from None
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("webhook_not_judged", plugin=target.plugin, number_id=target.number_id)
        await log.write_refused(target, "the plugin failed to judge it, see the log", NotReadyError.status_code)
        raise NotReadyError("The delivery could not be judged.", code="webhook_not_judged") from None


async def _store(target: Target, result: WebhookResult) -> None:
    await store_rows(_rows(target.plugin, target.number_id, result.events))
    await log.write_genuine(target, len(result.events), result.payload, result.status)


async def store_rows(rows: Sequence[EventRow]) -> None:
    """Return once the events are committed, and let workers look for those that are new."""
    # A storm of repeats, as of a server without a network, wakes no worker.
    if rows and await _inbox.store(rows):
        announce_events({row.kind for row in rows})


async def count_refusal(address: str) -> None:
    """Count a delivery that is not genuine.

    Raises:
        TooManyRefusedError: There were too many of this address.
    """
    await _refusals.count(address)


async def store_events(plugin: str, number_id: int, events: Sequence[AnyEvent]) -> Collection[str]:
    """Store events that a service was asked for, in the caller's unit of work; return their kinds if any is new.

    Hand those to ``announce_events`` once they are committed.
    """
    rows = _rows(plugin, number_id, events)
    return {row.kind for row in rows} if rows and await insert(rows) else ()


def announce_events(kinds: Collection[str]) -> None:
    """Let workers look for stored events of these kinds."""
    for line in {line_of(kind) for kind in kinds}:
        _hints.want(line)


def _rows(plugin: str, number_id: int, events: Sequence[AnyEvent]) -> list[EventRow]:
    """Return what is to be stored of ``events``; those that the plugin does not know are counted instead."""
    rows = []
    for event in events:
        if isinstance(event, UnknownEvent):
            _count_unknown(plugin, event.name)
        else:
            rows.append(build_row(plugin, number_id, event))
    return rows


def _count_unknown(plugin: str, name: str) -> None:
    """Count events a plugin does not know; the first of each name, and every thousandth, is told."""
    key = (plugin, name[:60])
    if key not in _unknown and len(_unknown) >= UNKNOWN_NAMES:
        return
    _unknown[key] = count = _unknown.get(key, 0) + 1
    if count == 1 or count % 1000 == 0:
        _log.info("webhook_event_unknown", plugin=plugin, event_name=key[1], count=count)


async def sweep() -> None:
    """Wake the workers for open events that are due: whose hint was lost, or whose time has come again."""
    for line, condition in ((INBOUND, "="), (EVENTS, "<>")):
        waiting = await database.fetch_value(
            "SELECT EXISTS (SELECT FROM webhook_events WHERE applied_at IS NULL"
            f" AND kind {condition} 'message_in' AND due_at <= now())"
        )
        if waiting:
            await queue.send(ACTOR, line, queue=QUEUES[line])


async def forget_applied(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` events that were applied before a moment; return how many.

    Services repeat a delivery for up to a day (WAHA for half an hour): a row that is gone no longer tells a repeat.
    """
    return await _forget("webhook_events", "applied_at", before, limit)


async def forget_log(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` entries of ``webhooks_log`` from before a moment; return how many."""
    return await _forget("webhooks_log", "created_at", before, limit)


async def _forget(table: str, column: str, before: datetime, limit: int) -> int:
    return await database.execute(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {column} < $1 ORDER BY {column} LIMIT $2)",
        before,
        limit,
    )
