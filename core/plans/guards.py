"""Plan limits as guards: a request that cannot succeed is refused before its body is read.

They look without a lock; what adds rows looks again under one, so that two requests cannot both take the last place.
"""

from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from core.plans.services import Feature, Limit, ensure_feature, ensure_room
from core.security import Connection, current_user


def has_room(limit: Limit) -> Guard:
    """Return a guard: 402 where the plan allows no further row of this kind."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        await ensure_room(current_user(connection).id, limit)

    return guard


def has_feature(feature: Feature) -> Guard:
    """Return a guard: 402 where the plan does not include this."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        await ensure_feature(current_user(connection).id, feature)

    return guard
