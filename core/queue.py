"""The Dramatiq broker and ``enqueue``: messages leave after the commit, and only say that there may be work."""

import asyncio
from functools import partial

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Callbacks, CurrentMessage, Retries, ShutdownNotifications, TimeLimit

from core.config import PlatformConfig
from core.database import after_commit
from core.errors import OperatorError

DISPATCH = "dispatch"
INBOUND = "inbound"
EVENTS = "events"
JOBS = "jobs"
NOTIFICATIONS = "notifications"
QUEUES = (DISPATCH, INBOUND, EVENTS, JOBS, NOTIFICATIONS)
"""Inbound messages have their own queue, ahead of acknowledgements: an opt-out must not wait behind them."""

JOB_TIME_LIMIT_MS = 3_600_000


class QueueNotConfiguredError(OperatorError):
    """No Redis url is known: neither configured nor given by ``recado up``."""

    def __init__(self) -> None:
        super().__init__("No Redis is configured: set [redis] url, or start the platform with `recado up`.")


def connect_broker(config: PlatformConfig) -> RedisBroker:
    """Make the process's broker and install it; call before any actor module is imported."""
    if config.redis.url is None:
        raise QueueNotConfiguredError
    broker = RedisBroker(  # type: ignore[no-untyped-call] # Dramatiq leaves its constructor untyped
        url=config.redis.url.reveal(),
        namespace="recado",
        middleware=[
            CurrentMessage(),
            AgeLimit(),
            TimeLimit(),
            ShutdownNotifications(),
            Callbacks(),
            Retries(max_retries=3, min_backoff=1_000, max_backoff=60_000),
        ],
    )
    for queue in QUEUES:
        broker.declare_queue(queue)
    dramatiq.set_broker(broker)
    return broker


def enqueue(actor_name: str, *args: int | str, queue: str, delay_seconds: float = 0) -> None:
    """Send ``actor_name`` a message once the present unit of work is committed; needs one.

    Actors are named, not imported: they import services, and services call this.
    """
    after_commit(partial(send, actor_name, *args, queue=queue, delay_seconds=delay_seconds))


async def send(actor_name: str, *args: int | str, queue: str, delay_seconds: float = 0) -> None:
    """Send a message now: for sweeps and actors, which hint at rows that are committed already."""
    message = dramatiq.Message[None](queue_name=queue, actor_name=actor_name, args=args, kwargs={}, options={})
    delay = int(delay_seconds * 1000) or None
    # Dramatiq's client blocks on its socket, so it must not run on the event loop.
    await asyncio.to_thread(dramatiq.get_broker().enqueue, message, delay=delay)
