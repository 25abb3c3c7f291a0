"""How long what is over is kept: rows older than the settings say go in small portions, a few at each turn.

Each rule is a row of ``settings``, a whole number of days; 0 keeps for ever. What is needed to recognise repetitions
is kept for at least the rule's ``least`` days.
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
from core.settings.services import get_setting
from core.webhooks import services as webhooks

PORTION = 2_000
"""Rows of one statement; none holds more locks, or for longer than some tens of milliseconds."""
TURN_SECONDS = 0.5
"""A rule stops after so long, and goes on at its next turn: the scheduler has other things to do."""
MOST_DAYS = 36_500

_log = structlog.get_logger(__name__)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is removed after how many days."""

    key: str
    """Of ``settings``."""
    days: int
    """Where nothing is set."""
    least: int = 1
    forget: Callable[[datetime, int], Awaitable[int]]
    """Remove at most so many rows from before a moment and return how many; 0 when none is left."""


RULES = (
    Rule(key="retention.logs_days", days=365, forget=audit.forget_lines),
    Rule(key="retention.webhooks_log_days", days=30, forget=webhooks.forget_log),
    Rule(key="retention.webhook_events_days", days=2, least=2, forget=webhooks.forget_applied),
    Rule(key="retention.recipients_days", days=0, least=7, forget=forgetting.forget_recipients),
    Rule(key="retention.jobs_days", days=90, least=7, forget=jobs.forget_jobs),
    Rule(key="retention.alarms_days", days=90, forget=alarms.forget_alarms),
    Rule(key="retention.notifications_days", days=30, least=7, forget=outbox.forget_sent),
)


async def kept_days(rule: Rule) -> int:
    """Return the days that are set for a rule; 0 keeps for ever, and what is no number of days counts as not set."""
    written = (await get_setting(rule.key) or "").strip()
    if not (written.isascii() and written.isdigit() and int(written[:9]) <= MOST_DAYS):
        return rule.days
    days = int(written)
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
