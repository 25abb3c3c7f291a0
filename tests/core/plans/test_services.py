"""What a plan allows, and that nobody gets past it."""

import asyncio
from decimal import Decimal

import pytest

from core import database
from core.errors import InvalidInputError, NotFoundError, PlanLimitError
from core.plans import services
from core.plans.schemas import PlanCreate, PlanPrice, PlanUpdate
from tests.conftest import ClientOf
from tests.factories import Member


async def give_plan(user: Member, plan: PlanCreate) -> None:
    made = await services.create_plan(user.id, plan)
    await database.execute("UPDATE users SET plan_id = $2 WHERE id = $1", user.id, made.id)


async def add_contact(user: Member, number: str) -> None:
    """Add a contact as a domain does: checked and inserted in one unit of work."""
    async with database.unit_of_work():
        await services.ensure_within(user.id, "contacts")
        await database.execute(
            "INSERT INTO contacts (user_id, number, name, variables, labels, type, status, created_at, updated_at)"
            " VALUES ($1, $2, '', '{}', '[]', 1, 1, now(), now())",
            user.id,
            number,
        )


async def contacts_of(user: Member) -> object:
    return await database.fetch_value("SELECT count(*) FROM contacts WHERE user_id = $1", user.id)


async def test_limits_of_the_free_plan(user: Member) -> None:
    limits = await services.limits_of(user.id)
    assert (limits.plan_name, limits.numbers, limits.contacts, limits.campaigns) == ("Free", 1, 1000, 5)
    assert (limits.monthly_messages, limits.medias, limits.reports, limits.schedule) == (1000, True, True, True)
    assert limits.has_access


async def test_administrator_is_unlimited(administrator: Member) -> None:
    limits = await services.limits_of(administrator.id)
    assert (limits.numbers, limits.contacts, limits.campaigns, limits.monthly_messages) == (None, None, None, None)
    await services.ensure_feature(administrator.id, "medias")


async def test_user_without_plan_has_nothing(user: Member) -> None:
    await database.execute("UPDATE users SET plan_id = NULL WHERE id = $1", user.id)
    limits = await services.limits_of(user.id)
    assert (limits.numbers, limits.contacts, limits.monthly_messages, limits.medias) == (0, 0, 0, False)


async def test_unlimited_plan(user: Member) -> None:
    await give_plan(user, PlanCreate(name="All", unlimited=True, numbers_limit=0, monthly_messages=5))
    limits = await services.limits_of(user.id)
    assert (limits.numbers, limits.monthly_messages) == (None, None)


async def test_any_number_of_messages(user: Member) -> None:
    await give_plan(user, PlanCreate(name="Talk"))
    assert (await services.limits_of(user.id)).monthly_messages is None


@pytest.mark.usefixtures("runtime")
async def test_unknown_user() -> None:
    with pytest.raises(NotFoundError):
        await services.limits_of(2**40)


async def test_limit_is_named(user: Member) -> None:
    await give_plan(user, PlanCreate(name="Tiny", contacts_limit=1))
    await add_contact(user, "5511900000001")
    with pytest.raises(PlanLimitError) as caught:
        await add_contact(user, "5511900000002")
    assert str(caught.value) == "The plan allows 1 contact at a time."
    assert (caught.value.code, caught.value.params) == ("plan_limit", {"allowed": 1, "limit": "contacts"})


async def test_several_at_once_count_together(user: Member) -> None:
    await give_plan(user, PlanCreate(name="Few", contacts_limit=3))
    async with database.unit_of_work():
        await services.ensure_within(user.id, "contacts", adding=3)
        with pytest.raises(PlanLimitError):
            await services.ensure_within(user.id, "contacts", adding=4)


async def test_parallel_requests_cannot_pass_a_limit_of_one(user: Member) -> None:
    await give_plan(user, PlanCreate(name="One", contacts_limit=1))
    results = await asyncio.gather(
        *(add_contact(user, f"551190000000{number}") for number in range(6)), return_exceptions=True
    )
    assert sum(isinstance(result, PlanLimitError) for result in results) == 5
    assert await contacts_of(user) == 1


async def test_deleted_rows_do_not_count(user: Member) -> None:
    await give_plan(user, PlanCreate(name="One", contacts_limit=1))
    await add_contact(user, "5511900000001")
    await database.execute("UPDATE contacts SET deleted_at = now() WHERE user_id = $1", user.id)
    await add_contact(user, "5511900000002")
    assert await contacts_of(user) == 2


async def test_rows_of_others_do_not_count(user: Member, other_user: Member) -> None:
    await give_plan(user, PlanCreate(name="One", contacts_limit=1))
    await add_contact(other_user, "5511900000001")
    await add_contact(user, "5511900000001")
    assert await contacts_of(user) == 1


async def test_every_limit_can_be_counted(user: Member) -> None:
    async with database.unit_of_work():
        for limit in services.COUNTED:
            await services.ensure_within(user.id, limit, adding=0)


async def test_feature(user: Member) -> None:
    await give_plan(user, PlanCreate(name="Plain", medias=False))
    await services.ensure_feature(user.id, "reports")
    with pytest.raises(PlanLimitError) as caught:
        await services.ensure_feature(user.id, "medias")
    assert (caught.value.code, str(caught.value)) == ("plan_feature", "The plan does not include media files.")


async def test_access_that_has_ended(user: Member) -> None:
    await database.execute("UPDATE users SET due_access_at = now() - interval '1 second' WHERE id = $1", user.id)
    assert not (await services.limits_of(user.id)).has_access
    for refused in (add_contact(user, "5511900000001"), services.ensure_feature(user.id, "medias")):
        with pytest.raises(PlanLimitError) as caught:
            await refused
        assert caught.value.code == "access_ended"


async def test_access_that_lasts(user: Member) -> None:
    await database.execute("UPDATE users SET due_access_at = now() + interval '1 day' WHERE id = $1", user.id)
    await add_contact(user, "5511900000001")


@pytest.mark.usefixtures("empty_installation")
async def test_plan_of_new_users() -> None:
    free = await services.default_plan_id()
    assert free is not None
    assert (await services.get_plan(free)).name == "Free"
    cheaper = await services.create_plan(0, PlanCreate(name="Later", value="0"))
    assert await services.default_plan_id() == free
    await database.execute(
        "INSERT INTO settings (key, value, description, created_at, updated_at)"
        " VALUES ('default_plan_id', $1, '', now(), now())",
        str(cheaper.id),
    )
    assert await services.default_plan_id() == cheaper.id


@pytest.mark.usefixtures("empty_installation")
async def test_setting_that_names_no_plan_is_passed_over() -> None:
    free = await services.default_plan_id()
    await database.execute(
        "INSERT INTO settings (key, value, description, created_at, updated_at)"
        " VALUES ('default_plan_id', 'gone', '', now(), now())"
    )
    assert await services.default_plan_id() == free


async def test_money_is_exact(user: Member) -> None:
    plan = await services.create_plan(user.id, PlanCreate(name="Paid", value="49.9"))
    assert plan.value == Decimal("49.90")


class TestOffers:
    """Whoever reaches a limit is told which plans go further."""

    async def _plans(self, user: Member) -> list[int]:
        """Put the user on a plan of one number without reports; return larger ones, the dearer first."""
        await give_plan(user, PlanCreate(name="Small", numbers_limit=1, reports=False))
        wanted = (
            PlanCreate(name="All", value="90", unlimited=True, numbers_limit=0),
            PlanCreate(name="Medium", value="20", numbers_limit=2, reports=False),
            PlanCreate(name="Reports", value="10", numbers_limit=1),
        )
        self._made = [(await services.create_plan(user.id, plan)).id for plan in wanted]
        return self._made

    def _ours(self, refusal: PlanLimitError) -> list[int]:
        """Leave out the plans that other tests made."""
        assert all(name for _, name in refusal.plans)
        return [plan_id for plan_id, _ in refusal.plans if plan_id in self._made]

    async def test_a_count(self, user: Member) -> None:
        everything, medium, _ = await self._plans(user)
        with pytest.raises(PlanLimitError) as caught:
            await services.ensure_within(user.id, "numbers", adding=2)
        assert self._ours(caught.value) == [medium, everything]
        assert caught.value.params == {"allowed": 1, "limit": "numbers"}

    async def test_a_feature(self, user: Member) -> None:
        everything, _, reports = await self._plans(user)
        with pytest.raises(PlanLimitError) as caught:
            await services.ensure_feature(user.id, "reports")
        assert self._ours(caught.value) == [reports, everything]

    async def test_over_http(self, user: Member, api: ClientOf) -> None:
        everything, medium, _ = await self._plans(user)
        await give_plan(user, PlanCreate(name="None", campaigns_limit=0))
        async with api(user) as client:
            answer = await client.post("/api/campaigns", json={"name": "x"})
        found = answer.json()
        assert (answer.status_code, found["limit"], found["allowed"]) == (402, "campaigns", 0)
        offered = [plan["id"] for plan in found["plans"] if plan["id"] in {medium, everything}]
        assert offered == [medium, everything]
        assert {"id": medium, "name": "Medium"} in found["plans"]

    async def test_reading_goes_on_after_access_has_ended(self, user: Member) -> None:
        await give_plan(user, PlanCreate(name="Ended"))
        await database.execute("UPDATE users SET due_access_at = now() - interval '1 day' WHERE id = $1", user.id)
        await services.ensure_feature(user.id, "reports", reads=True)
        with pytest.raises(PlanLimitError) as caught:
            await services.ensure_feature(user.id, "reports")
        assert caught.value.code == "access_ended"


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (PlanCreate(name="Yen", value="500.50", currency="JPY"), "value"),
        (PlanCreate(name="Peso", prices=(PlanPrice(currency="CLP", amount="990.90"),)), "prices.0.amount"),
        (PlanCreate(name="Twice", prices=(PlanPrice(currency="BRL", amount="1"),)), "prices.0.currency"),
    ],
)
async def test_a_price_that_cannot_be_is_named(administrator: Member, plan: PlanCreate, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await services.create_plan(administrator.id, plan)

    assert list(caught.value.errors) == [field]


async def test_prices_are_replaced_as_a_whole(administrator: Member) -> None:
    first = (PlanPrice(currency="USD", amount="9.90"), PlanPrice(currency="BRL", interval="year", amount="499"))
    plan = await services.create_plan(administrator.id, PlanCreate(name="Priced", prices=first))

    changed = await services.update_plan(administrator.id, plan.id, PlanUpdate(prices=(first[0],)))

    assert [(price.currency, price.interval, price.amount) for price in plan.prices] == [
        ("BRL", "year", "499.00"),
        ("USD", "month", "9.90"),
    ]
    assert [price.currency for price in changed.prices] == ["USD"]
