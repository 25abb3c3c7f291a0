"""``/api/admin/queues``: how much waits in the queues, and the messages whose work failed.

Rows hold the truth, and sweeps hint at what is due again, so a failed message costs nothing but time: retrying one
says "there may be work" once more, discarding it only tidies up.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.response import Stream

from core import queue
from core.audit import services as audit
from core.errors import NotFoundError
from core.listing import EXPORTED_AT_ONCE, SearchQuery, SinceQuery, UntilQuery, read_moment, read_search
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.runtime import runtime
from core.security import current_user, requires_administrator
from core.spreadsheets import MEDIA_TYPE, download, write_structs

NAMESPACE = "recado"
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
    """Milliseconds since 1970, as the next."""
    failed_at: int
    failure: str
    """The kind of the exception, where it is known."""


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which failed messages of a queue are asked for."""

    actor: str | None = None
    failure: str | None = None
    since: datetime | None = None
    """Failed then or later ..."""
    until: datetime | None = None
    """... and before then."""
    search: str | None = None
    """Part of the id, the actor, the arguments or the failure, whatever its case."""

    @property
    def reads(self) -> bool:
        """Whether messages have to be read to know which are meant: Redis orders them by their failure alone."""
        return not (self.actor is None and self.failure is None and self.search is None)

    def fits(self, letter: DeadLetter) -> bool:
        """Whether a message of the right time is meant."""
        words = f"{letter.id} {letter.actor} {msgspec.json.encode(letter.args).decode()} {letter.failure}".lower()
        return (
            self.actor in {None, letter.actor}
            and self.failure in {None, letter.failure}
            and (self.search is None or self.search.lower() in words)
        )


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


async def list_dead_letters(name: str, query: PageQuery, wanted: DeadLetterFilter) -> tuple[Sequence[DeadLetter], int]:
    """Return one page of a queue's failed messages, the latest first, and how many there are.

    Raises:
        NotFoundError: There is no such queue.
        InvalidInputError: Another order is asked for than that of the failures.
    """
    _ensure_queue(name)
    latest_first = query.order_by({"failed_at": "failed_at"}, "-failed_at").endswith("DESC")
    if not wanted.reads:
        earliest, latest = _bounds(wanted)
        total = await runtime().redis.zcount(f"{NAMESPACE}:{name}.XQ", earliest, latest)
        found = await _between(name, earliest, latest, query.offset, query.limit, latest_first=latest_first)
        return await _letters(name, found), total
    page: list[DeadLetter] = []
    total = 0
    async for letters in dead_letters(name, wanted, latest_first=latest_first):
        start = max(0, query.offset - total)
        page += letters[start : start + query.limit - len(page)]
        total += len(letters)
    return page, total


async def dead_letters(
    name: str, wanted: DeadLetterFilter, *, latest_first: bool = True
) -> AsyncIterator[Sequence[DeadLetter]]:
    """Yield a queue's failed messages in the order of their failures, some at a time."""
    earliest, latest = _bounds(wanted)
    seen: set[str] = set()
    while found := await _between(name, earliest, latest, 0, EXPORTED_AT_ONCE + len(seen), latest_first=latest_first):
        fresh = [(one, moment) for one, moment in found if one not in seen]
        if not fresh:
            return
        # Others may fail in the same millisecond, so it is asked for again, and those known are passed over.
        last = fresh[-1][1]
        seen = {one for one, moment in found if moment == last}
        if latest_first:
            latest = str(last)
        else:
            earliest = str(last)
        yield [letter for letter in await _letters(name, fresh) if wanted.fits(letter)]


def _bounds(wanted: DeadLetterFilter) -> tuple[str, str]:
    """Return the first and the last moment of a filter, as Redis takes scores."""
    since, until = wanted.since, wanted.until
    return (
        "-inf" if since is None else str(round(since.timestamp() * 1000)),
        "+inf" if until is None else f"({round(until.timestamp() * 1000)}",
    )


async def _between(
    name: str, earliest: str, latest: str, offset: int, limit: int, *, latest_first: bool
) -> list[tuple[str, int]]:
    """Return ids of failed messages with the milliseconds of their failures."""
    redis, key = runtime().redis, f"{NAMESPACE}:{name}.XQ"
    if latest_first:
        found = await redis.zrevrangebyscore(key, latest, earliest, start=offset, num=limit, withscores=True)
    else:
        found = await redis.zrangebyscore(key, earliest, latest, start=offset, num=limit, withscores=True)
    return [(_text(one), int(moment)) for one, moment in cast("Sequence[tuple[bytes, float]]", found)]


async def _letters(name: str, found: Sequence[tuple[str, int]]) -> list[DeadLetter]:
    """Return the messages that are still there."""
    if not found:
        return []
    letters = await runtime().redis.hmget(f"{NAMESPACE}:{name}.XQ.msgs", [one for one, _ in found])
    return [
        _read(name, _text(letter), moment)
        for letter, (_, moment) in zip(letters, found, strict=True)
        if letter is not None
    ]


async def take_dead_letter(name: str, message_id: str) -> DeadLetter:
    """Remove a failed message and return it; of two at once, one gets it. Raises ``NotFoundError``."""
    _ensure_queue(name)
    redis = runtime().redis
    letter = await redis.hget(f"{NAMESPACE}:{name}.XQ.msgs", message_id)
    moment = await redis.zscore(f"{NAMESPACE}:{name}.XQ", message_id)
    removed = await redis.hdel(f"{NAMESPACE}:{name}.XQ.msgs", message_id)
    await redis.zrem(f"{NAMESPACE}:{name}.XQ", message_id)
    if letter is None or not removed:
        raise NotFoundError("message", message_id)
    return _read(name, _text(letter), int(moment or 0))


def _ensure_queue(name: str) -> None:
    if name not in queue.QUEUES:
        raise NotFoundError("queue", name)


def _text(found: object) -> str:
    return found.decode() if isinstance(found, bytes) else str(found)


def _read(name: str, letter: str, failed_at: int) -> DeadLetter:
    message = msgspec.json.decode(letter, type=_Message)
    trace = str(message.options.get("traceback") or "").strip().splitlines()
    return DeadLetter(
        id=message.message_id,
        queue=name,
        actor=message.actor_name,
        args=message.args,
        sent_at=message.message_timestamp,
        failed_at=failed_at,
        failure=trace[-1].partition(":")[0][:120] if trace else "",
    )


def letter_filter(
    *,
    actor: Annotated[
        str | None, QueryParameter(max_length=120, description="Only messages to this actor, such as `jobs.run`.")
    ] = None,
    failure: Annotated[
        str | None, QueryParameter(max_length=120, description="Only this kind of failure, such as `ValueError`.")
    ] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> DeadLetterFilter:
    """Provide what lists of failed messages filter by; wrong values are 422 and named."""
    return DeadLetterFilter(
        actor=actor or None,
        failure=failure or None,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


FILTERS = {"letter_filter": Provide(letter_filter, sync_to_thread=False)}


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
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_failed(
        self,
        request: AnyRequest,
        name: QueueName,
        page_query: NamedDependency[PageQuery],
        letter_filter: NamedDependency[DeadLetterFilter],
    ) -> Page[DeadLetter]:
        """List the messages of a queue whose work failed, the latest first.

        `search` looks at id, actor, args and failure, `from` and `to` at failed_at, by which it sorts.
        """
        letters, total = await list_dead_letters(name, page_query, letter_filter)
        return build_page(letters, total, page_query, request)

    @get(
        "/{name:str}/failed.csv",
        operation_id="AdminDownloadFailedMessages",
        summary="Download failed messages",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def download_failed(self, name: QueueName, letter_filter: NamedDependency[DeadLetterFilter]) -> Stream:
        """Download the messages of a queue whose work failed as CSV (UTF-8), all of them or those of a filter."""
        _ensure_queue(name)
        return await download(f"failed-{name}.csv", write_structs(DeadLetter, dead_letters(name, letter_filter)))

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
