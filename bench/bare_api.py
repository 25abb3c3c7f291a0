"""A bare Litestar handler with the queries of ``GET /api/campaigns``: python -m bench.bare_api PORT USER_ID."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import uvicorn
from litestar import Litestar, Response, get

from core.campaigns.queries import TOTALS

ROWS = f"""
SELECT k.*, t.* FROM campaigns k {TOTALS} WHERE k.user_id = $1 AND k.deleted_at IS NULL ORDER BY k.id DESC
LIMIT $2 OFFSET $3
"""
COUNT = "SELECT count(*) FROM campaigns k WHERE k.user_id = $1 AND k.deleted_at IS NULL"
POOL = 12
"""As the platform's."""


class Held:
    """What the handler works with."""

    pool: asyncpg.Pool
    user_id: int


@get("/api/campaigns")
async def list_campaigns(per_page: int = 50) -> Response[Any]:
    """Return one page of campaigns."""
    async with Held.pool.acquire() as connection:
        rows = await connection.fetch(ROWS, Held.user_id, per_page, 0)
    async with Held.pool.acquire() as connection:
        total = await connection.fetchval(COUNT, Held.user_id)
    body = {"data": [dict(row) for row in rows], "meta": {"total": total}}
    return Response(msgspec.json.encode(body), media_type="application/json")


@asynccontextmanager
async def lifespan(_app: Litestar) -> AsyncIterator[None]:
    """Open the pool."""
    Held.pool = await asyncpg.create_pool(os.environ["RECADO_DATABASE_URL"], min_size=2, max_size=POOL)
    yield
    await Held.pool.close()


if __name__ == "__main__":
    Held.user_id = int(sys.argv[2])
    app = Litestar([list_campaigns], lifespan=[lifespan], openapi_config=None)
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, server_header=False
    )
