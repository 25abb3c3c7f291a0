"""``GET /api/campaigns`` signed in with 50 rows, beside a bare handler with the same queries; what each step costs."""

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.dispatch import free_port, make_tenant, measure
from bench.webhooks import server
from core import database
from core.accounts import sessions
from core.accounts.authentication import authenticate, cache_key
from core.campaigns.queries import CAMPAIGNS
from core.campaigns.schemas import CampaignFilter
from core.config import LimitsConfig
from core.live.tickets import ticket_key
from core.pagination import PageQuery
from core.rate_limit import RateLimiter
from core.runtime import config
from core.security import Credential

ROUNDS = 5
COUNT = 3_000
CONCURRENCY = 16
ROWS = 50
STEPS = 2_000
UNLIMITED = "[limits]\nper_minute = 1000000\n"


async def make_campaigns() -> int:
    """Write a tenant with campaigns as many as a page shows; return the tenant."""
    tenant = await make_tenant("http://127.0.0.1:9")
    await database.execute(
        "INSERT INTO campaigns (user_id, name, type, status, status_reason, settings, zones)"
        " SELECT $1, 'Campaign ' || n, 1, 4, 'completed', '{}', '[]' FROM generate_series(1, $2::int) AS n",
        tenant.user_id,
        ROWS,
    )
    return tenant.user_id


async def measure_rounds() -> AsyncIterator[tuple[float, float]]:
    """Yield the requests per second of the platform and of the bare handler, a round at a time."""
    user_id = await make_campaigns()
    token = await sessions.open_session(user_id, address="", user_agent="bench")
    platform_port, bare_port = free_port(), free_port()
    path = f"/api/campaigns?per_page={ROWS}"
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as folder:
        settings = Path(folder) / "platform.toml"
        settings.write_text(UNLIMITED)
        with (
            server(
                "-m", "core.cli", "api", "--port", str(platform_port), port=platform_port, RECADO_CONFIG=str(settings)
            ),
            server("-m", "bench.bare_api", str(bare_port), str(user_id), port=bare_port),
        ):
            for _ in range(ROUNDS):
                platform = _gets(f"http://127.0.0.1:{platform_port}{path}", token)
                yield platform, _gets(f"http://127.0.0.1:{bare_port}{path}", token)


async def measure_steps() -> dict[str, float]:
    """Return what each step costs, in microseconds, one request at a time."""
    user_id = await make_campaigns()
    token = await sessions.open_session(user_id, address="", user_agent="bench")
    credential = Credential(token)
    user = await authenticate(credential)
    limited = config().limits
    limiter = RateLimiter(config(), cache_key, ticket_key)
    limiter.limits = LimitsConfig(per_minute=10**6)
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/api/campaigns",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 5),
        "state": {},
    }
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "rate limit": lambda: limiter.count(scope),
        "token, cached": lambda: authenticate(credential, scope["state"]["known_credential"]),
        "token, from PostgreSQL": lambda: authenticate(credential, b""),
        "queries and rows": lambda: CAMPAIGNS.page(PageQuery(per_page=ROWS), CampaignFilter(user_id=user.id)),
    }
    found = {name: await _cost(step) for name, step in steps.items()}
    limiter.limits = limited
    return found


def ratio(rounds: list[tuple[float, float]]) -> float:
    """Return the platform's median rate as a part of the bare handler's."""
    return statistics.median(platform / bare for platform, bare in rounds)


async def _cost(step: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    for _ in range(STEPS):
        await step()
    return (time.perf_counter() - begun) / STEPS * 1e6


def _gets(url: str, token: str) -> float:
    return measure("bench.gets", url, token, str(COUNT), str(CONCURRENCY))
