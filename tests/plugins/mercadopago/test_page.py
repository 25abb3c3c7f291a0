"""The payment page in a real browser."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, expect

from core.plugin import SubscriptionStatus
from tests.e2e.browser import launch, open_page
from tests.plugins.mercadopago.conftest import Service

Start = Callable[..., Awaitable[Service]]
pytestmark = pytest.mark.slow


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with launch() as browser:
        yield browser


async def test_a_payer_tries_a_wrong_card_then_pays(service: Service, browser: Browser) -> None:
    step = await service.start(success_url=f"{service.receiver.url}/paid?plan=pro")
    async with open_page(browser, step.url, (400, 800)) as opened:
        page = opened.page
        await expect(page.get_by_role("heading", name="Pro")).to_be_visible()
        await page.get_by_role("button", name="wrong security code").click()
        await expect(page.get_by_role("alert")).to_have_text("cc_rejected_bad_filled_security_code")
        await page.get_by_role("button", name="good card").click()
        await expect(page).to_have_url(f"{service.receiver.url}/paid?plan=pro&preapproval_id={step.gateway_id}")
    await service.after(hours=2)

    assert (await service.fetch(step.gateway_id)).status is SubscriptionStatus.ACTIVE


async def test_a_payer_leaves(service: Service, browser: Browser) -> None:
    step = await service.start(success_url=f"{service.receiver.url}/back")
    async with open_page(browser, step.url, (400, 800)) as opened:
        await opened.page.get_by_role("link", name="Leave without paying").click()
        await expect(opened.page).to_have_url(re.compile("/back$"))

    assert (await service.fetch(step.gateway_id)).status is SubscriptionStatus.PENDING
