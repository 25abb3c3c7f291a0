"""``/api/admin/queues``: how much waits in the queues, and the messages whose work failed.

Rows hold the truth, and sweeps hint at what is due again, so a failed message costs nothing but time: retrying one
says "there may be work" once more, discarding it only tidies up.
"""

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, PathParameter

from core import queue
from core.audit import services as audit
from core.errors import NotFoundError
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.runtime import runtime
from core.security import current_user, requires_administrator

NAMESPACE = "recado"
MOST_LETTERS = 100
QueueName = Annotated[str, PathParameter(description="The queue's name.")]


class QueueRead(msgspec.Struct, frozen=True, kw_only=True):
    """One queue."""

    name: Annotated[str, msgspec.Meta(examples=["dispatch"])]
    waiting: int
    """Messages that a worker may take now."""
    delayed: int
    """Messages for later."""
    failed: int
    """Messages whose work failed; kept for seven days."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose work failed."""

    id: Annotated[str, msgspec.Meta(examples=["5b0a9f3e-2d0c-4a2e-9f42-0f6d2c1b7a10"])]
    queue: str
    actor: Annotated[str, msgspec.Meta(examples=["campaigns.dispatch"])]
    args: list[Any]
    sent_at: int
    """Milliseconds since 1970."""
    failure: str
    """The kind of the exception, where it is known."""


class _Message(msgspec.Struct):
    """A message as Dramatiq encodes it."""

    actor_name: str
    args: list[Any]
    message_id: str
    message_timestamp: int
    options: dict[str, Any] = {}


async def list_queues() -> list[QueueRead]:
    """Return every queue with what is in it."""
    redis = runtime().redis
    found = []
    for name in queue.QUEUES:
        waiting, delayed = await redis.llen(f"{NAMESPACE}:{name}"), await redis.llen(f"{NAMESPACE}:{name}.DQ")
        failed = await redis.zcard(f"{NAMESPACE}:{name}.XQ")
        found.append(QueueRead(name=name, waiting=waiting, delayed=delayed, failed=failed))
    return found


async def list_dead_letters(name: str) -> list[DeadLetter]:
    """Return the latest failed messages of a queue; raises ``NotFoundError`` for an unknown queue."""
    _ensure_queue(name)
    redis = runtime().redis
    ids = await redis.zrevrange(f"{NAMESPACE}:{name}.XQ", 0, MOST_LETTERS - 1)
    letters = await redis.hmget(f"{NAMESPACE}:{name}.XQ.msgs", [_text(one) for one in ids]) if ids else []
    return [_read(name, _text(letter)) for letter in letters if letter is not None]


async def take_dead_letter(name: str, message_id: str) -> DeadLetter:
    """Remove a failed message and return it; of two at once, one gets it. Raises ``NotFoundError``."""
    _ensure_queue(name)
    redis = runtime().redis
    letter = await redis.hget(f"{NAMESPACE}:{name}.XQ.msgs", message_id)
    removed = await redis.hdel(f"{NAMESPACE}:{name}.XQ.msgs", message_id)
    await redis.zrem(f"{NAMESPACE}:{name}.XQ", message_id)
    if letter is None or not removed:
        raise NotFoundError("message", message_id)
    return _read(name, _text(letter))


def _ensure_queue(name: str) -> None:
    if name not in queue.QUEUES:
        raise NotFoundError("queue", name)


def _text(found: object) -> str:
    return found.decode() if isinstance(found, bytes) else str(found)


def _read(name: str, letter: str) -> DeadLetter:
    message = msgspec.json.decode(letter, type=_Message)
    trace = str(message.options.get("traceback") or "").strip().splitlines()
    return DeadLetter(
        id=message.message_id,
        queue=name,
        actor=message.actor_name,
        args=message.args,
        sent_at=message.message_timestamp,
        failure=trace[-1].partition(":")[0][:120] if trace else "",
    )


class QueueAdministrationController(Controller):
    """What waits to be done, and what failed."""

    path = "/api/admin/queues"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListQueues", summary="List the queues", responses=problem_responses(401, 403))
    async def list_queues(self) -> Resource[list[QueueRead]]:
        """List the queues of the background work with what waits in each."""
        return Resource(await list_queues())

    @get(
        "/{name:str}/failed",
        operation_id="AdminListFailedMessages",
        summary="List failed messages",
        responses=problem_responses(401, 403, 404),
    )
    async def list_failed(self, name: QueueName) -> Resource[list[DeadLetter]]:
        """List the latest 100 messages of a queue whose work failed."""
        return Resource(await list_dead_letters(name))

    @post(
        "/{name:str}/failed/{message_id:str}/retry",
        operation_id="AdminRetryMessage",
        summary="Retry a failed message",
        status_code=204,
        responses=problem_responses(401, 403, 404),
    )
    async def retry(self, request: AnyRequest, name: QueueName, message_id: FromPath[str]) -> None:
        """Have a failed message worked on once more."""
        letter = await take_dead_letter(name, message_id)
        await queue.send(letter.actor, *letter.args, queue=name)
        await audit.record("queue.retried", user_id=current_user(request).id, facts={"actor": letter.actor})

    @delete(
        "/{name:str}/failed/{message_id:str}",
        operation_id="AdminDiscardMessage",
        summary="Discard a failed message",
        responses=problem_responses(401, 403, 404),
    )
    async def discard(self, request: AnyRequest, name: QueueName, message_id: FromPath[str]) -> None:
        """Forget a failed message."""
        letter = await take_dead_letter(name, message_id)
        await audit.record("queue.discarded", user_id=current_user(request).id, facts={"actor": letter.actor})


CONTROLLERS: tuple[type[Controller], ...] = (QueueAdministrationController,)
