"""``create_app(config)``: the only place that builds Litestar.

A request passes, in this order: its id, security headers and the origin check (``core.edge``), the rate limit
(``core.rate_limit``), the credential (``AuthenticationMiddleware``), the guards (user, account status, administrator),
plan limits (in the services), the handler, and the request log (``core.edge`` again).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Controller, Litestar
from litestar.datastructures import State
from litestar.di import Provide

from core import configurations, health, plugin_list, queue_administration, statistics
from core.accounts import controllers as accounts
from core.accounts.authentication import authenticate, cache_key
from core.accounts.liveness import living
from core.audit import controllers as audit
from core.campaigns import controllers as campaigns
from core.config import PlatformConfig
from core.contacts import controllers as contacts
from core.edge import Edge
from core.jobs import controllers as jobs
from core.live import controllers as live
from core.live.hub import Hub
from core.live.tickets import ticket_key
from core.media import controllers as media
from core.notifications import controllers as notifications
from core.numbers import controllers as numbers
from core.openapi import DeclaredRoutes, openapi_config
from core.pagination import page_query
from core.payments import controllers as payments
from core.plans import controllers as plans
from core.privacy import controllers as privacy
from core.problems import EXCEPTION_HANDLERS
from core.rate_limit import RateLimiter
from core.request import PlatformRequest, refuse_unusable_address
from core.security import AuthenticationMiddleware
from core.settings import controllers as settings
from core.webhooks import controllers as webhooks
from core.webhooks.outgoing import controllers as outgoing_webhooks

BODY_LIMIT_BYTES = 2**20
"""The longest body a route takes; routes that take files state their own."""

CONTROLLERS: tuple[type[Controller], ...] = (
    *accounts.CONTROLLERS,
    *plans.CONTROLLERS,
    *payments.CONTROLLERS,
    *numbers.CONTROLLERS,
    *contacts.CONTROLLERS,
    *campaigns.CONTROLLERS,
    *media.CONTROLLERS,
    *jobs.CONTROLLERS,
    *webhooks.CONTROLLERS,
    *outgoing_webhooks.CONTROLLERS,
    *notifications.CONTROLLERS,
    *live.CONTROLLERS,
    *audit.CONTROLLERS,
    *privacy.CONTROLLERS,
    *configurations.CONTROLLERS,
    *plugin_list.CONTROLLERS,
    *queue_administration.CONTROLLERS,
    *statistics.CONTROLLERS,
    *settings.CONTROLLERS,
    *health.CONTROLLERS,
)

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[Any]]


def create_app(config: PlatformConfig, *, lifespan: Sequence[Lifespan] = ()) -> Litestar:
    """Build the application; ``lifespan`` starts and ends the process where the server does that."""
    app = Litestar(
        route_handlers=list(CONTROLLERS),
        lifespan=list(lifespan),
        state=State({live.HUB: Hub(living)}),
        request_class=PlatformRequest,
        request_max_body_size=BODY_LIMIT_BYTES,
        before_request=refuse_unusable_address,
        dependencies={"page_query": Provide(page_query, sync_to_thread=False)},
        middleware=[AuthenticationMiddleware(authenticate)],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=openapi_config(),
        plugins=[DeclaredRoutes()],
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Edge(app.asgi_handler, config, RateLimiter(config, cache_key, ticket_key))
    return app
