"""Rows of the contacts domain, made over HTTP as a frontend would."""

import itertools
from typing import Any

import httpx

from core import database
from core.accounts.tables import Profile
from core.jobs import leasing
from tests.factories import Member, make_member

_counter = itertools.count(1)


def phone() -> str:
    """Return a number that no other call returned, as E.164 digits."""
    return f"55119{90000000 + next(_counter):08d}"


async def add(client: httpx.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    """Make a row and return it."""
    answer = await client.post(f"/api/{path}", json=fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def add_contact(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    return await add(client, "contacts", **{"number": phone(), **fields})


async def show(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/api/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def upload(client: httpx.AsyncClient, content: bytes | str, **fields: str) -> httpx.Response:
    """Upload a file of contacts."""
    body = content.encode() if isinstance(content, str) else content
    return await client.post("/api/imports", files={"file": ("contacts.csv", body, "text/csv")}, data=fields)


async def run_import(client: httpx.AsyncClient, content: bytes | str, **fields: str) -> dict[str, Any]:
    """Upload a file, do its job in this process, and return the import."""
    answer = await upload(client, content, start="true", **fields)
    assert answer.status_code == 201, answer.text
    await leasing.run_job(answer.json()["data"]["job_id"])
    done: dict[str, Any] = await show(client, f"imports/{answer.json()['data']['id']}")
    return done


async def run_bulk(client: httpx.AsyncClient, action: str, **body: Any) -> dict[str, Any]:
    """Change the contacts of a filter, do the job in this process, and return it as it ended."""
    answer = await client.post(f"/api/contacts/bulk/{action}", json=body)
    assert answer.status_code == 202, answer.text
    return await run_job(client, answer.json()["data"]["id"])


async def run_undo(client: httpx.AsyncClient, deletion_id: int) -> dict[str, Any]:
    """Undo a deletion in this process and return the job as it ended."""
    answer = await client.post(f"/api/contacts/deletions/{deletion_id}/undo")
    assert answer.status_code == 202, answer.text
    return await run_job(client, answer.json()["data"]["id"])


async def run_job(client: httpx.AsyncClient, job_id: int) -> dict[str, Any]:
    """Do a job in this process and return it as it ended."""
    await leasing.run_job(job_id)
    done: dict[str, Any] = await show(client, f"jobs/{job_id}")
    return done


def counts(done: dict[str, Any]) -> tuple[int, int, int, int]:
    """Created, updated, skipped, failed."""
    return done["rows_created"], done["rows_updated"], done["rows_skipped"], done["rows_failed"]


async def make_limited_member(contacts_limit: int) -> Member:
    """Insert a user on a plan of their own."""
    plan_id = await database.fetch_value(
        "INSERT INTO plans (name, value, currency, unlimited, medias, reports, schedule, numbers_limit, contacts_limit,"
        " campaigns_limit, created_at, updated_at)"
        " VALUES ('Small', 0, 'BRL', false, true, true, true, 1, $1, 1, now(), now()) RETURNING id",
        contacts_limit,
    )
    assert isinstance(plan_id, int)
    return await make_member(profile=Profile.USER, plan_id=plan_id)
