"""The reader of the API's description in a real browser."""

from collections.abc import AsyncIterator

import pytest
from litestar import Litestar
from playwright.async_api import Browser, Page

from tests.conftest import Serve
from tests.e2e.browser import Opened, open_page
from tests.factories import Member

pytestmark = pytest.mark.slow

WIDE, PHONE = (1280, 800), (390, 800)
OPERATIONS = "main > details"


@pytest.fixture
async def address(app: Litestar, serve: Serve) -> str:
    return f"{await serve(app)}/api/schema"


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
async def opened(request: pytest.FixtureRequest, browser: Browser, address: str) -> AsyncIterator[Opened]:
    """The page at the width of a desk and of a phone."""
    async with open_page(browser, address, request.param) as opened:
        await opened.page.locator(OPERATIONS).first.wait_for()
        yield opened


async def show(page: Page, address: str, operation: str) -> None:
    """Follow the link to an operation, and wait for what it says."""
    await page.goto(f"{address}#{operation}")
    await page.locator(f"#{operation} h4").first.wait_for()


async def width(page: Page) -> tuple[int, int]:
    """How wide the page is, and how much of it is seen."""
    found = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return found[0], found[1]


async def test_lists_every_operation_without_a_complaint(opened: Opened, app: Litestar) -> None:
    paths = app.openapi_schema.to_schema()["paths"]
    expected = {operation["operationId"] for item in paths.values() for operation in item.values()}
    ids = await opened.page.locator(OPERATIONS).evaluate_all("found => found.map(one => one.id)")
    assert set(ids) == expected
    assert len(ids) == len(expected)
    assert await opened.page.locator("#contents a").count() == len(expected)
    assert opened.complaints == []


async def test_asks_no_other_host(opened: Opened, address: str) -> None:
    await show(opened.page, address, "CreateCampaign")
    host = address.removesuffix("/api/schema")
    assert opened.requests
    assert [url for url in opened.requests if not url.startswith((f"{host}/api/schema", "data:"))] == []


async def test_an_operation_shows_its_parts_and_examples(opened: Opened, address: str) -> None:
    await show(opened.page, address, "CreateCampaign")
    operation = opened.page.locator("#CreateCampaign")
    assert await operation.locator("summary").first.inner_text() == "POST /api/campaigns — Make a campaign"
    headings = await operation.locator("h4").all_inner_texts()
    assert headings == ["Parameters", "Body, application/json", "Example", "Answers", "From a terminal", "Try it"]
    example = operation.locator("pre.example")
    assert await example.is_visible()
    assert '"name": "Christmas offer"' in await example.inner_text()
    refusal = operation.locator("details", has_text="422 Invalid input")
    await refusal.locator("summary").click()
    assert '"code": "invalid_input"' in await refusal.locator("pre").inner_text()
    assert opened.complaints == []


async def test_the_line_for_a_terminal_survives_a_shell(opened: Opened, address: str) -> None:
    await show(opened.page, address, "CreateCampaign")
    line = await opened.page.locator("#CreateCampaign > div > pre").nth(1).inner_text()
    assert line.startswith(f"curl -X POST '{address.removesuffix('/schema')}/campaigns'")
    assert r"default('\''amigo'\'')" in line


async def test_nothing_is_wider_than_the_screen(opened: Opened, address: str) -> None:
    for operation in ("CreateCampaign", "CreateImport", "ListRecipients"):
        await show(opened.page, address, operation)
        page_width, seen = await width(opened.page)
        assert page_width == seen, operation


async def test_an_operation_that_is_linked_stands_below_the_head(opened: Opened, address: str) -> None:
    await show(opened.page, address, "CreateCampaign")
    covered = await opened.page.evaluate(
        """() => {
            const box = document.querySelector("#CreateCampaign > summary").getBoundingClientRect();
            const seen = document.elementFromPoint(box.left + 5, box.top + 5);
            return !seen || !seen.closest("#CreateCampaign");
        }"""
    )
    assert covered is False


async def test_finding(opened: Opened) -> None:
    await opened.page.fill("#find", "report.csv")
    assert await opened.page.locator(OPERATIONS).evaluate_all("found => found.map(one => one.id)") == ["DownloadReport"]


async def test_trying_with_a_token(opened: Opened, address: str, user: Member) -> None:
    await opened.page.fill("#token", user.token)
    await show(opened.page, address, "ShowMe")
    operation = opened.page.locator("#ShowMe")
    await operation.get_by_role("button", name="Send").click()
    output = operation.locator(".try pre")
    await opened.page.wait_for_function("one => one.textContent.startsWith('200')", arg=await output.element_handle())
    assert user.email in await output.inner_text()
    assert opened.complaints == []
