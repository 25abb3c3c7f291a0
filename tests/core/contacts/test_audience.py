"""What a freeze reads."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core import database
from core.contacts.audience import audience_conditions
from core.contacts.filters import LabelFilter
from core.errors import InvalidInputError, NotFoundError
from tests.core.contacts.making import add, add_contact
from tests.factories import Member


async def _read(query: tuple[str, list[object]]) -> list[int]:
    conditions, args = query
    return sorted(row["id"] for row in await database.fetch(f"SELECT c.id FROM contacts c WHERE {conditions}", *args))


async def test_an_audience_by_hand_gives_its_live_contacts(tenant: httpx.AsyncClient, user: Member) -> None:
    public = await add(tenant, "publics", name="A")
    one, two, gone = [(await add_contact(tenant))["id"] for _ in range(3)]
    await add_contact(tenant)
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [one, two, gone]})
    await tenant.delete(f"/api/contacts/{gone}")

    assert await _read(await audience_conditions(user_id=user.id, public_id=public["id"])) == [one, two]


async def test_blocked_and_inactive_contacts_are_among_them(tenant: httpx.AsyncClient, user: Member) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    blocked = await add_contact(tenant, number="11900001234")
    inactive = await add_contact(tenant, status=2)
    await add(tenant, "block-contacts", number="11900001234")

    query = await audience_conditions(user_id=user.id, public_id=public["id"])
    assert await _read(query) == [blocked["id"], inactive["id"]]


@pytest.mark.parametrize("build", [dict, LabelFilter])
async def test_labels_alone_give_an_audience(
    tenant: httpx.AsyncClient, user: Member, build: Callable[..., Any]
) -> None:
    a, b = [(await add(tenant, "labels", name=name))["id"] for name in "ab"]
    one = (await add_contact(tenant, labels=[a]))["id"]
    await add_contact(tenant, labels=[a, b])

    assert await _read(await audience_conditions(user_id=user.id, labels=build(any=[a], none=[b]))) == [one]


async def test_labels_narrow_an_audience(tenant: httpx.AsyncClient, user: Member) -> None:
    label = (await add(tenant, "labels", name="a"))["id"]
    public = await add(tenant, "publics", name="A")
    one, two = (await add_contact(tenant, labels=[label]))["id"], (await add_contact(tenant))["id"]
    await add_contact(tenant, labels=[label])
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [one, two]})

    narrowed = await audience_conditions(user_id=user.id, public_id=public["id"], labels={"any": [label]})
    assert await _read(narrowed) == [one]


async def test_its_parameters_follow_those_of_the_statement_around_it(tenant: httpx.AsyncClient, user: Member) -> None:
    label = (await add(tenant, "labels", name="a"))["id"]
    one, two = [(await add_contact(tenant, labels=[label]))["id"] for _ in range(2)]
    conditions, args = await audience_conditions(user_id=user.id, labels={"all": [label]}, first_parameter=3)
    rows = await database.fetch(
        f"SELECT c.id FROM contacts c WHERE {conditions} AND c.id > $1 ORDER BY c.id LIMIT $2", one, 10, *args
    )

    assert [row["id"] for row in rows] == [two]


async def test_a_page_begins_after_a_contact(tenant: httpx.AsyncClient, user: Member) -> None:
    by_hand = await add(tenant, "publics", name="A")
    dynamic = await add(tenant, "publics", name="D", type=2, filters={})
    ids = [(await add_contact(tenant))["id"] for _ in range(3)]
    await tenant.post(f"/api/publics/{by_hand['id']}/contacts", json={"ids": ids})
    for public in (by_hand, dynamic):
        wanted = {"user_id": user.id, "public_id": public["id"], "first_parameter": 2, "after": "$1"}
        conditions, args = await audience_conditions(**wanted)
        assert await _read((conditions, [ids[0], *args])) == ids[1:]


async def test_another_tenants_audience_and_labels_are_refused(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, user: Member
) -> None:
    public = await add(stranger, "publics", name="Alheia")
    label = await add(stranger, "labels", name="alheio")
    await add_contact(tenant)

    with pytest.raises(NotFoundError):
        await audience_conditions(user_id=user.id, public_id=public["id"])
    with pytest.raises(InvalidInputError):
        await audience_conditions(user_id=user.id, labels={"none": [label["id"]]})


@pytest.mark.parametrize("labels", [None, {}, {"any": []}, {"some": [1]}])
async def test_no_audience_is_never_everybody(user: Member, labels: dict[str, list[int]] | None) -> None:
    with pytest.raises(InvalidInputError):
        await audience_conditions(user_id=user.id, labels=labels)
