"""The example of docs/how-to/show-progress-live.md, in a page of another site, in a real browser."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar, MediaType, get
from playwright.async_api import Page, expect

from core.accounts import sessions
from core.app import create_app
from core.live import stream
from core.live.controllers import hub_of
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.live.listening import happen
from tests.core.walking import session_id
from tests.e2e.browser import launch, open_page
from tests.factories import Member

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "show-progress-live.md"
PAGE = """<!doctype html><title>Campaigns</title><p id="shown">nothing</p><p id="fetched">0</p><script>
EXAMPLE
const at = (id) => document.getElementById(id);
const start = (api, token) => listen(api, token,
  (type, body) => { at("shown").textContent += ` ${body.job_id}`; },
  () => { at("fetched").textContent = Number(at("fetched").textContent) + 1; });
</script>"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def _example() -> str:
    found = re.search(r"^```js\n(.*?)^```$", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) <= 20
    return found[1]


@get("/", media_type=MediaType.HTML)
async def page() -> str:
    return PAGE.replace("EXAMPLE", _example())


async def _shows(opened: Page, places: list[int]) -> None:
    await expect(opened.locator("#shown")).to_have_text(" ".join(["nothing", *map(str, places)]), timeout=20_000)


async def test_the_example_goes_on_where_it_was(runtime: Runtime, serve: Serve, user: Member) -> None:
    site = await serve(Litestar([page]))
    server = msgspec.structs.replace(runtime.config.server, allowed_origins=(site,))
    app = create_app(msgspec.structs.replace(runtime.config, server=server))
    api = await serve(app)
    async with launch() as browser, open_page(browser, site, (800, 600)) as opened:
        await opened.page.evaluate("([api, token]) => start(api, token)", [api, user.token])
        await expect(opened.page.locator("#fetched")).to_have_text("1")
        places = await happen(user.id, 2)
        await _shows(opened.page, places)

        for listener in list(hub_of(app).listeners()):
            listener.end()
        places += await happen(user.id, 3)
        await _shows(opened.page, places)
        # Nothing was missed, so nothing was fetched.
        await expect(opened.page.locator("#fetched")).to_have_text("1")

        await happen(user.id, 2 * stream.KEPT_EVENTS)
        await sessions.revoke(user.id, await session_id(user.token))
        async with asyncio.timeout(20):
            while hub_of(app).count:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.05)
