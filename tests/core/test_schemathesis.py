"""Schemathesis against the real server: nothing breaks, and the OpenAPI document tells of every answer.

The keys of its settings: https://schemathesis.readthedocs.io/en/stable/reference/configuration/
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from litestar import Litestar

from core.accounts.tables import Profile
from core.app import create_app
from core.config import PlatformConfig
from core.database import fetch_value
from core.embedded import EmbeddedUrls
from core.plugin.loader import load_providers
from core.runtime import Runtime
from tests.conftest import Serve, empty_database
from tests.core.campaigns.making import insert
from tests.core.walking import Tenant, make_tenant
from tests.factories import Member, make_member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Bodies that fit may still be refused: a number that is taken, a cursor nobody gave, a campaign that is over. And a
# messaging server that is not there is 502. An answer that does not end is none for it: see live/test_controllers.py.
SETTINGS = """
workers = 2
continue-on-failure = true
suppress-health-check = ["all"]

[generation]
deterministic = true
max-examples = 3
no-shrink = true
database = "none"
with-security-parameters = false

[phases]
stateful.enabled = false
coverage.unexpected-methods = ["PUT"]

[checks]
positive_data_acceptance.enabled = false
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502]

[parameters]
{parameters}

[headers]
Authorization = {authorization}

[[operations]]
include-method = "DELETE"
parameters = {{ {deleted} }}

[[operations]]
include-operation-id = "ListenToEvents"
enabled = false
"""
ALONE = """
[[operations]]
include-operation-id = "{operation}"
headers = {{ Authorization = {authorization} }}
"""
Ids = Mapping[str, int]
ADMINISTRATION = "^/api/admin/"
SESSION_ENDERS = ("LogOut", "LogOutEverywhere", "RefreshToken")
"""Each has a session of its own, which ends at the first call."""


class Tried:
    """The server, and who calls it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    async def findings(self, member: Member, *filters: str, ids: Ids, deleted: Ids) -> str:
        """Try the operations that the filters leave on ``ids``, deletions on others; return what was found."""
        settings = SETTINGS.format(
            parameters=_places(ids, "\n"), deleted=_places(deleted, ", "), authorization=_authorization(member.token)
        )
        for operation in SESSION_ENDERS:
            other = _authorization((await make_member()).token)
            settings += ALONE.format(operation=operation, authorization=other)
        (self.folder / "schemathesis.toml").write_text(settings, encoding="utf-8")
        command = ("-m", "schemathesis.cli", "run", self.url, "--no-color", *filters)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        text = said.decode()
        assert "Tested: " in text, text
        return "" if process.returncode == 0 else text


def _places(ids: Ids, between: str) -> str:
    return between.join(f'"path.{name}" = {value}' for name, value in ids.items())


def _authorization(token: str) -> str:
    return json.dumps(f"Bearer {token}")


@pytest.fixture(scope="module")
async def database(servers: EmbeddedUrls, template: PlatformConfig, runtime: Runtime) -> AsyncIterator[PlatformConfig]:
    """A database of its own: thousands of rows come into it."""
    before = runtime.providers
    async with empty_database(servers, template) as config:
        runtime.providers = load_providers({"waha": {}})
        yield config
        for provider in runtime.providers.messaging_by_name.values():
            await provider.aclose()
        runtime.providers = before


@pytest.fixture(scope="module")
async def tenant(database: PlatformConfig, app: Litestar) -> Tenant:
    del database  # needed, since the rows go there
    return await make_tenant(app, await make_member())


@pytest.fixture(scope="module")
async def administrator(database: PlatformConfig) -> Member:
    del database  # needed, since the row goes there
    return await make_member(profile=Profile.ADMINISTRATOR)


@pytest.fixture
async def tried(runtime: Runtime, serve: Serve, tmp_path: Path) -> Tried:
    return Tried(f"{await serve(create_app(runtime.config))}/api/schema/openapi.json", tmp_path)


async def test_a_user(tried: Tried, tenant: Tenant, app: Litestar) -> None:
    further = await make_tenant(app, tenant.member)
    only = ("--exclude-path-regex", ADMINISTRATION)
    report = await tried.findings(tenant.member, *only, ids=tenant.ids, deleted=further.ids)
    assert report == "", report  # in full: pytest would cut it


async def test_an_administrator(tried: Tried, administrator: Member, tenant: Tenant) -> None:
    ids = {
        "user_id": tenant.member.id,
        "plan_id": await make_plan(),
        "server_id": await server_of(tenant),
        "number_id": tenant.ids["number_id"],
    }
    deleted = {**ids, "user_id": (await make_member()).id, "plan_id": await make_plan()}
    only = ("--include-path-regex", ADMINISTRATION)
    report = await tried.findings(administrator, *only, ids=ids, deleted=deleted)
    assert report == "", report


async def make_plan() -> int:
    return await insert("plans", name="Large", numbers_limit=1, contacts_limit=1, campaigns_limit=1)


async def server_of(tenant: Tenant) -> int:
    found = await fetch_value("SELECT server_id FROM numbers WHERE id = $1", tenant.ids["number_id"])
    assert isinstance(found, int)
    return found
