from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.numbers.messaging import admin, tenant
from tests.core.payments.shop import Customer, Name, Shop, open_shop
from tests.factories import make_member

__all__ = ("admin", "tenant")

NewCustomer = Callable[[Name], Awaitable[Customer]]


@pytest.fixture
async def shop(runtime: Runtime, serve: Serve) -> AsyncIterator[Shop]:
    async with open_shop(runtime, serve) as opened:
        yield opened


@pytest.fixture
async def new_customer(shop: Shop) -> AsyncIterator[NewCustomer]:
    """Make customers of a gateway, each signed in: ``customer = await new_customer("stripe")``."""
    async with AsyncExitStack() as stack:

        async def make(name: Name) -> Customer:
            member = await make_member()
            http = await stack.enter_async_context(shop.client(member))
            return Customer(shop, member, http, shop.services[name])

        yield make


@pytest.fixture(params=["stripe", "mercadopago"])
async def customer(request: pytest.FixtureRequest, new_customer: NewCustomer) -> Customer:
    """Somebody who pays, once through each gateway."""
    return await new_customer(request.param)
