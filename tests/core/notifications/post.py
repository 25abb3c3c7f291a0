"""Notifiers under the tests' command, the way people are told in them, and what became of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from core import announcing, database
from core.events.catalogue import CampaignCompleted, Event, NumberDisconnected, PaymentSucceeded
from core.notifications import delivering, planning
from core.plugin import Channel, HandingOver, Notification
from core.runtime import Runtime, set_runtime


class ScriptedNotifier:
    """Takes everything but what ``before`` and ``after`` have errors for: raised before or after it went out.

    With ``hangs`` it never answers; ``reached`` is set when it is called. It answers those in ``late`` when
    ``released`` is set.
    """

    def __init__(self, name: str, channel: Channel) -> None:
        self.name = name
        self.channel: Channel = channel
        self.taken: list[Notification] = []
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.hangs = False
        self.reached = asyncio.Event()
        self.late: set[int] = set()
        self.released = asyncio.Event()

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        """Do as the script says."""
        self.reached.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.before:
            raise self.before.pop(0)
        await handing_over()
        if notification.user_id in self.late:
            await self.released.wait()
        self.taken.append(notification)
        if self.after:
            raise self.after.pop(0)

    async def check(self) -> str:
        """Be there."""
        return "scripted"

    async def aclose(self) -> None:
        """Keep nothing open."""

    def told(self, user_id: int) -> list[Notification]:
        """Return what one user was told."""
        return [one for one in self.taken if one.user_id == user_id]

    def keys(self, user_id: int) -> list[str]:
        """Return the keys of what one user was mailed, without the installation they begin with."""
        return [one.key.partition(":")[2] for one in self.told(user_id)]


class Post(msgspec.Struct):
    """A mail service and a realtime service, and a second mail service where a test wants one."""

    mail: ScriptedNotifier
    realtime: ScriptedNotifier

    async def go(self) -> None:
        """Plan and deliver everything that is due."""
        await planning.plan()
        for lane in ("realtime:live", "realtime:bell", "email:"):
            await delivering.deliver(lane)


@asynccontextmanager
async def open_post(runtime: Runtime, *more: ScriptedNotifier) -> AsyncIterator[Post]:
    """Have this process tell people through a scripted mail service ``letter`` and realtime service ``bell``."""
    post = Post(ScriptedNotifier("letter", "email"), ScriptedNotifier("bell", "realtime"))
    notifiers = {one.name: one for one in (post.mail, *more, post.realtime)}
    providers = msgspec.structs.replace(runtime.providers, notifiers_by_name=notifiers)
    set_runtime(msgspec.structs.replace(runtime, providers=providers))
    await database.execute("DELETE FROM notifier_states")
    # What other tests left is not to be told here.
    await database.execute("UPDATE notifications SET planned_at = now() WHERE planned_at IS NULL")
    await database.execute("UPDATE notification_deliveries SET status = 'failed' WHERE status = 'pending'")
    try:
        yield post
    finally:
        set_runtime(runtime)


async def announce(user_id: int, event: Event, key: str) -> bool:
    """Announce an event as domains do."""
    async with database.unit_of_work():
        return await announcing.announce(user_id, event, key)


async def deliveries(user_id: int, channel: str = "email") -> Sequence[asyncpg.Record]:
    """Return the deliveries to one user, the oldest first; of realtime services those of the bell."""
    return await database.fetch(
        "SELECT * FROM notification_deliveries WHERE user_id = $1 AND channel = $2 AND notifier <> 'live' ORDER BY id",
        user_id,
        channel,
    )


async def make_due(user_id: int) -> None:
    """Let the time pass until everything that waits is due."""
    await database.execute(
        "UPDATE notification_deliveries SET due_at = now() WHERE user_id = $1 AND status = 'pending'", user_id
    )


def completed(campaign_id: int = 1, name: str = "Spring") -> CampaignCompleted:
    """A campaign that is complete."""
    return CampaignCompleted(
        campaign_id=campaign_id, name=name, reason="completed", total=10, sent=9, delivered=8, read=7, failed=1,
        skipped=0, unknown=0,
    )  # fmt: skip


def disconnected(number_id: int) -> NumberDisconnected:
    """A number that lost its connection."""
    return NumberDisconnected(
        number_id=number_id, name=f"Shop {number_id}", number="5511987650001", connection="failed", reason="lost"
    )


def paid(payment_id: int) -> PaymentSucceeded:
    """A payment that was made."""
    return PaymentSucceeded(
        payment_id=payment_id, plan_id=1, gateway="stripe", amount="49.90", currency="BRL", receipt_url=""
    )
