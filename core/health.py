"""Whether the process lives, and whether it can work; for load balancers and supervisors."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

import msgspec
import structlog
from litestar import Controller, get

from core import database
from core.errors import NotReadyError
from core.problems import problem_responses
from core.runtime import runtime

LIMIT_SECONDS = 2.0

_log = structlog.get_logger(__name__)


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, frozen=True):
    """Everything the platform stands on answers."""

    status: Literal["ready"]
    database: Literal["ok"]
    redis: Literal["ok"]


class HealthController(Controller):
    """Health of this process."""

    path = "/health"
    tags = ("platform",)

    @get("/live", operation_id="CheckLive", summary="Whether the process lives")
    async def check_live(self) -> Health:
        """Answer as long as the process can answer at all."""
        return Health("ok")

    @get("/ready", operation_id="CheckReady", summary="Whether the process can work", responses=problem_responses(503))
    async def check_ready(self) -> Readiness:
        """Ask the database and Redis; 503 names what does not answer within 2 seconds."""
        answers = await asyncio.gather(
            _answers("database", database.fetch_value("SELECT 1")), _answers("redis", runtime().redis.ping())
        )
        missing = [name for name, answered in zip(("database", "redis"), answers, strict=True) if not answered]
        if missing:
            listed = ", ".join(missing)
            told = f"Something the platform stands on does not answer: {listed}."
            if "redis" not in missing:
                raise NotReadyError(told, missing=listed)
            # What the rate limit does without its counts.
            told = f"{told} While Redis is away, requests are not limited and nobody can sign in."
            raise NotReadyError(told, code="not_ready_without_redis", missing=listed)
        return Readiness("ready", "ok", "ok")


async def _answers(name: str, question: Awaitable[object]) -> bool:
    try:
        await asyncio.wait_for(question, LIMIT_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from answering
        _log.warning("not_ready", part=name, error=type(error).__name__)
        return False
    return True


CONTROLLERS: tuple[type[Controller], ...] = (HealthController,)
