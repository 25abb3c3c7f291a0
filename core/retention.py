"""How long what is over is kept: rows older than the settings say go in small portions, a few at each turn.

Each rule has a setting, see ``core.settings.keys``. What is needed to recognise repetitions, or shown for some days, is
kept for at least the rule's ``least`` days.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec
import structlog

from core.audit import services as audit
from core.campaigns import forgetting
from core.jobs import services as jobs
from core.notifications import alarms, outbox
from core.settings.typed import value_of
from core.webhooks import services as webhooks
from core.webhooks.outgoing import deliveries

PORTION = 2_000
"""Rows of one statement; none holds more locks, or for longer than some tens of milliseconds."""
TURN_SECONDS = 0.5
"""A rule stops after so long, and goes on at its next turn: the scheduler has other things to do."""

_log = structlog.get_logger(__name__)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is removed after how many days."""

    key: str
    """Of its setting."""
    least: int = 1
    forget: Callable[[datetime, int], Awaitable[int]]
    """Remove at most so many rows from before a moment and return how many; 0 when none is left."""


RULES = (
    Rule(key="retention.logs_days", forget=audit.forget_lines),
    Rule(key="retention.webhooks_log_days", forget=webhooks.forget_log),
    Rule(key="retention.webhook_events_days", least=2, forget=webhooks.forget_applied),
    Rule(key="retention.webhook_deliveries_days", least=2, forget=deliveries.forget_deliveries),
    Rule(key="retention.recipients_days", least=7, forget=forgetting.forget_recipients),
    Rule(key="retention.jobs_days", least=7, forget=jobs.forget_jobs),
    Rule(key="retention.alarms_days", forget=alarms.forget_alarms),
    Rule(key="retention.notifications_days", least=7, forget=outbox.forget_sent),
)


async def kept_days(rule: Rule) -> int:
    """Return the days that are set for a rule; 0 keeps for ever."""
    days = int(await value_of(rule.key))
    return max(days, rule.least) if days else 0


async def sweep(now: datetime) -> int:
    """Let every rule remove what is too old, for a short while each; return how many rows went."""
    total = 0
    for rule in RULES:
        days = await kept_days(rule)
        removed = await _apply(rule, now - timedelta(days=days)) if days else 0
        if removed:
            _log.info("retention", rule=rule.key, removed=removed)
        total += removed
    return total


async def _apply(rule: Rule, before: datetime) -> int:
    began, total = time.monotonic(), 0
    while removed := await rule.forget(before, PORTION):
        total += removed
        if time.monotonic() - began > TURN_SECONDS:
            break
    return total
