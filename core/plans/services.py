"""Plans, what they allow, and the one place where their limits are enforced."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError, PlanLimitError
from core.pagination import PageQuery
from core.plans.prices import check_prices, set_prices
from core.plans.schemas import PlanCreate, PlanRead, PlanUpdate
from core.settings import services as settings

DEFAULT_PLAN_KEY = "default_plan_id"
"""Setting: the plan of new users; without it the cheapest, and of those the oldest."""

Limit = Literal["numbers", "contacts", "campaigns"]
Feature = Literal["medias", "reports", "schedule"]

_COLUMNS = (
    "id, name, value, currency, unlimited, medias, reports, schedule, numbers_limit, contacts_limit,"
    " campaigns_limit, monthly_messages, trial_days, created_at, updated_at,"
    " coalesce((SELECT jsonb_agg(jsonb_build_object('currency', s.currency, 'interval', s.interval,"
    " 'amount', s.amount::text) ORDER BY s.currency, s.interval) FROM plan_prices s WHERE s.plan_id = plans.id), '[]')"
    " AS prices"
)
_SORTABLE = {"name": "name", "value": "value", "created_at": "created_at", "id": "id"}

# A number bought beyond the limit and a campaign that is over do not count; no more rows are counted than matter.
COUNTED: Mapping[Limit, str] = {
    "numbers": "SELECT 1 FROM numbers WHERE user_id = $1 AND deleted_at IS NULL AND NOT extra",
    "contacts": "SELECT 1 FROM contacts WHERE user_id = $1 AND deleted_at IS NULL",
    "campaigns": "SELECT 1 FROM campaigns WHERE user_id = $1 AND deleted_at IS NULL AND status IN (1, 2, 3)",
}


_ROOM: Mapping[str, str] = {
    "numbers": "unlimited OR numbers_limit >= $1",
    "contacts": "unlimited OR contacts_limit >= $1",
    "campaigns": "unlimited OR campaigns_limit >= $1",
}


class PlanLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may have at the moment; ``None`` is any number."""

    plan_id: int | None
    plan_name: str
    numbers: int | None
    contacts: int | None
    campaigns: int | None
    monthly_messages: int | None
    medias: bool
    reports: bool
    schedule: bool
    access_until: datetime | None
    has_access: bool
    """False once the date until which access was paid has passed."""


async def limits_of(user_id: int, *, lock: bool = False) -> PlanLimits:
    """Return what the user's plan allows; administrators may have anything, a user without a plan nothing.

    With ``lock`` the user's row stays locked until the unit of work ends, so that nothing is added beside it.
    """
    row = await database.fetch_row(
        "SELECT u.profile = 'administrator' AS free, u.due_access_at,"
        " coalesce(u.due_access_at > now(), true) AS has_access, p.*"
        f" FROM users u LEFT JOIN plans p ON p.id = u.plan_id WHERE u.id = $1{' FOR UPDATE OF u' if lock else ''}",
        user_id,
    )
    if row is None:
        raise NotFoundError("user", user_id)
    free = row["free"] or bool(row["unlimited"])

    def limit(column: str) -> int | None:
        return None if free else int(row[column] or 0)

    return PlanLimits(
        plan_id=row["id"],
        plan_name=row["name"] or "",
        numbers=limit("numbers_limit"),
        contacts=limit("contacts_limit"),
        campaigns=limit("campaigns_limit"),
        monthly_messages=None if free or (row["id"] and row["monthly_messages"] is None) else limit("monthly_messages"),
        medias=free or bool(row["medias"]),
        reports=free or bool(row["reports"]),
        schedule=free or bool(row["schedule"]),
        access_until=row["due_access_at"],
        has_access=row["free"] or row["has_access"],
    )


async def ensure_within(user_id: int, limit: Limit, adding: int = 1) -> None:
    """Refuse to add ``adding`` rows beyond the user's plan; call it in the unit of work that adds them, before.

    The user's row is locked, so two requests cannot both take the last place.

    Raises:
        PlanLimitError: The plan does not allow them, or access has ended.
    """
    await _ensure_room(user_id, await limits_of(user_id, lock=True), limit, adding)


async def ensure_room(user_id: int, limit: Limit) -> None:
    """Refuse early what ``ensure_within`` would refuse of one more row; it locks nothing, so it promises nothing."""
    await _ensure_room(user_id, await limits_of(user_id), limit, 1)


async def _ensure_room(user_id: int, limits: PlanLimits, limit: Limit, adding: int) -> None:
    _ensure_access(limits)
    allowed: int | None = getattr(limits, limit)
    if allowed is None:
        return
    present = int(
        str(
            await database.fetch_value(
                f"SELECT count(*) FROM ({COUNTED[limit]} LIMIT $2) AS counted", user_id, allowed + 1
            )
        )
    )
    if present + adding > allowed:
        offers = await _plans_with(_ROOM[limit], present + adding)
        raise PlanLimitError(
            f"The plan allows {allowed} {limit} at a time.", plans=offers, allowed=allowed, limit=limit
        )


async def ensure_feature(user_id: int, feature: Feature, *, reads: bool = False) -> None:
    """Refuse what the user's plan does not include, or all but reading once access has ended.

    Raises:
        PlanLimitError: With the plans that include it.
    """
    limits = await limits_of(user_id)
    if not reads:
        _ensure_access(limits)
    if not getattr(limits, feature):
        offers = await _plans_with(f"unlimited OR {feature}")
        raise PlanLimitError(f"The plan does not include {feature}.", code="plan_feature", plans=offers, limit=feature)


async def _plans_with(condition: str, *values: object) -> list[tuple[int, str]]:
    """Return the plans for which a condition holds, the cheapest first."""
    rows = await database.fetch(f"SELECT id, name FROM plans WHERE {condition} ORDER BY value, id", *values)
    return [(row["id"], row["name"]) for row in rows]


async def list_plans(query: PageQuery) -> tuple[Sequence[PlanRead], int]:
    """Return one page of plans and how many there are."""
    order = query.order_by(_SORTABLE, "value")
    rows = await database.fetch(
        f"SELECT {_COLUMNS}, count(*) OVER () AS total FROM plans"
        f" WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0 ORDER BY {order} LIMIT $2 OFFSET $3",
        query.search,
        query.limit,
        query.offset,
    )
    total = rows[0]["total"] if rows else await _count(query.search)
    return [_read(row) for row in rows], total


async def get_plan(plan_id: int) -> PlanRead:
    """Return a plan, or raise ``NotFoundError``."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM plans WHERE id = $1", plan_id)
    if row is None:
        raise NotFoundError("plan", plan_id)
    return _read(row)


async def default_plan_id() -> int | None:
    """Return the plan that new users start with."""
    chosen = await settings.get_setting(DEFAULT_PLAN_KEY)
    found = await database.fetch_value(
        "SELECT id FROM plans ORDER BY id = $1::bigint DESC NULLS LAST, value, id LIMIT 1",
        int(chosen) if chosen and chosen.isdecimal() else None,
    )
    return found if isinstance(found, int) else None


async def create_plan(actor_id: int, new: PlanCreate) -> PlanRead:
    """Make a plan."""
    check_prices(new.prices, new.currency, Decimal(new.value))
    async with database.unit_of_work():
        fields = _columns(msgspec.structs.asdict(new))
        names, places = ", ".join(fields), ", ".join(f"${index}" for index in range(1, len(fields) + 1))
        plan_id = await database.fetch_value(
            f"INSERT INTO plans ({names}, created_at, updated_at) VALUES ({places}, now(), now()) RETURNING id",
            *fields.values(),
        )
        await set_prices(int(str(plan_id)), new.prices)
        plan = await get_plan(int(str(plan_id)))
        await audit.record("plan.created", user_id=actor_id, facts={"plan_id": plan.id, "name": plan.name})
    return plan


async def update_plan(actor_id: int, plan_id: int, changes: PlanUpdate) -> PlanRead:
    """Change a plan; its users have the new limits at once, and subscriptions keep the price they were sold at."""
    fields = _columns({name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET})
    assignments = "".join(f"{name} = ${index}, " for index, name in enumerate(fields, start=2))
    async with database.unit_of_work():
        before = await get_plan(plan_id)
        wanted = before.prices if changes.prices is UNSET else changes.prices
        currency = before.currency if changes.currency is UNSET else changes.currency
        check_prices(wanted, currency, before.value if changes.value is UNSET else Decimal(changes.value))
        found = await database.execute(
            f"UPDATE plans SET {assignments}updated_at = now() WHERE id = $1", plan_id, *fields.values()
        )
        if not found:
            raise NotFoundError("plan", plan_id)
        if changes.prices is not UNSET:
            await set_prices(plan_id, changes.prices)
        plan = await get_plan(plan_id)
        changed = audit.differences(before, plan)
        await audit.record("plan.updated", user_id=actor_id, entity_id=plan_id, changes=changed)
    return plan


async def delete_plan(actor_id: int, plan_id: int) -> None:
    """Delete a plan that nobody has.

    Raises:
        ConflictError: Somebody has it, or new users would.
    """
    async with database.unit_of_work():
        # The lock keeps new users from taking the plan between the check and the deletion.
        if await database.fetch_row("SELECT id FROM plans WHERE id = $1 FOR UPDATE", plan_id) is None:
            raise NotFoundError("plan", plan_id)
        users = await database.fetch_value("SELECT count(*) FROM users WHERE plan_id = $1", plan_id)
        if users:
            raise ConflictError(f"The plan is still used by {users} users.", code="plan_in_use", users=users)
        if await database.fetch_value(
            "SELECT EXISTS (SELECT FROM subscriptions WHERE $1 IN (plan_id, next_plan_id))"
            " OR EXISTS (SELECT FROM checkouts WHERE plan_id = $1)",
            plan_id,
        ):
            raise ConflictError("The plan was sold, and payments refer to it.", code="plan_sold")
        if await default_plan_id() == plan_id:
            raise ConflictError("This is the plan of new users.", code="default_plan")
        await database.execute("DELETE FROM plans WHERE id = $1", plan_id)
        await audit.record("plan.deleted", user_id=actor_id, facts={"plan_id": plan_id})


def _ensure_access(limits: PlanLimits) -> None:
    if not limits.has_access:
        raise PlanLimitError("The paid time of this account has ended.", code="access_ended")


async def _count(search: str | None) -> int:
    total = await database.fetch_value(
        "SELECT count(*) FROM plans WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0", search
    )
    return total if isinstance(total, int) else 0


def _columns(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        name: Decimal(str(value)) if name == "value" else value for name, value in fields.items() if name != "prices"
    }


def _read(row: Mapping[str, object]) -> PlanRead:
    return msgspec.convert({**row, "prices": msgspec.json.decode(str(row["prices"]))}, PlanRead)
