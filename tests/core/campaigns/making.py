"""Campaigns and what they need, made for one test; and rows read back in the words tests use."""

import itertools
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core import database
from core.campaigns import editing, entropy, freeze, lanes, resolving, services, turns
from core.campaigns.claims import Claimed, ClaimResult, Want, claim
from core.campaigns.pacing import Pacing, day_start, next_period
from core.campaigns.schemas import CampaignCreate, CampaignSettings, MessageCreate
from core.campaigns.tables import CampaignType, RecipientState
from core.campaigns.transitions import FROM_LEASED, Transition, apply
from core.campaigns.turns import HeldLane
from core.clock import DatabaseClock
from core.crypto import encrypt
from core.jobs import leasing
from core.numbers.credentials import seal
from core.plugin import Capabilities
from core.webhooks.targets import WEBHOOK_SEAL
from tests.core.campaigns.sink import FULL, NAME, NoCredentials
from tests.factories import Member

HOLDER = "test-holder"
UNPACED = Pacing()

HANDLERS = (entropy.measure_campaign, freeze.freeze, resolving.retry, resolving.resolve)
"""Registered by their import, as in a worker."""

_phones = itertools.count(10_000_000)


class Made(msgspec.Struct, kw_only=True):
    """A campaign and the rows it stands on."""

    user_id: int
    number_ids: list[int]
    contact_ids: list[int]
    phones: list[str]
    public_id: int
    id: int
    message_ids: list[int]


async def now() -> datetime:
    """Return a moment after everything done so far, though two readings of the clock differ by some milliseconds."""
    clock = DatabaseClock()
    await clock.sync()
    return clock.now() + timedelta(milliseconds=250)


async def insert(table: str, **columns: Any) -> int:
    """Insert a row and return its id."""
    names = ", ".join(columns)
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    made = await database.fetch_value(
        f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING id", *columns.values()
    )
    assert isinstance(made, int)
    return made


async def give_plan(user_id: int, **columns: Any) -> int:
    """Put a user on a plan of their own, without limits unless told."""
    limits = {"numbers_limit": 100, "contacts_limit": 1_000_000, "campaigns_limit": 1_000, **columns}
    plan_id = await insert("plans", name="Test", **limits)
    await database.execute("UPDATE users SET plan_id = $2 WHERE id = $1", user_id, plan_id)
    return plan_id


async def make_number(
    user_id: int, url: str = "http://127.0.0.1:9", capabilities: Capabilities = FULL, **columns: Any
) -> int:
    """Insert a connected number on a server of its own at ``url``."""
    token = secrets.token_hex(16)
    server_id = await insert(
        "servers",
        name=token,
        provider=NAME,
        url=url,
        credentials=seal(NoCredentials()),
        capabilities=database.encode_json(capabilities),
    )
    defaults = {
        "user_id": user_id,
        "server_id": server_id,
        "instance": token,
        "status_connection": True,
        "told_connected": True,
        "connection": "connected",
        "first_connected_at": await now() - timedelta(days=365),
        "webhook_token": token,
        "webhook_secret": encrypt("secret", purpose=WEBHOOK_SEAL),
    }
    return await insert("numbers", **{**defaults, **columns})


def phone() -> str:
    """Return a number that no other call returned, as E.164 digits."""
    return f"551198{next(_phones)}"


async def make_contacts(user_id: int, phones: Sequence[str], **columns: Any) -> list[int]:
    """Insert a contact for each number, in their order."""
    return [
        await insert("contacts", **{"user_id": user_id, "number": number, "name": f"Name {place}", **columns})
        for place, number in enumerate(phones)
    ]


async def make_public(user_id: int, contact_ids: Sequence[int]) -> int:
    """Insert an audience chosen by hand."""
    public_id = await insert("publics", user_id=user_id, name="Everybody", type=1)
    await database.execute(
        "INSERT INTO public_by_contacts (public_id, contact_id) SELECT $1, unnest($2::bigint[])", public_id, contact_ids
    )
    return public_id


async def make_campaign(
    user: Member,
    *,
    contacts: int = 3,
    numbers: int = 1,
    url: str = "http://127.0.0.1:9",
    messages: Sequence[str] = ("Oi {{ nome }}",),
    delays: Sequence[int] = (),
    pacing: Pacing = UNPACED,
    capabilities: Capabilities = FULL,
    plan: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Made:
    """Make a draft of the custom type, with an audience of new contacts and new connected numbers."""
    await give_plan(user.id, **(plan or {}))
    number_ids = [await make_number(user.id, url, capabilities) for _ in range(numbers)]
    phones = [phone() for _ in range(contacts)]
    contact_ids = await make_contacts(user.id, phones)
    public_id = await make_public(user.id, contact_ids)
    return await add_campaign(
        user,
        number_ids,
        public_id,
        contact_ids=contact_ids,
        phones=phones,
        messages=messages,
        delays=delays,
        pacing=pacing,
        settings=settings,
    )


async def add_campaign(
    user: Member,
    number_ids: Sequence[int],
    public_id: int,
    *,
    contact_ids: Sequence[int] = (),
    phones: Sequence[str] = (),
    messages: Sequence[str] = ("Oi {{ nome }}",),
    delays: Sequence[int] = (),
    pacing: Pacing = UNPACED,
    settings: Mapping[str, Any] | None = None,
) -> Made:
    """Make a draft of the custom type for numbers and an audience that are there already."""
    steps = itertools.zip_longest(messages, delays, fillvalue=0)
    draft = CampaignCreate(
        name="Test",
        type=CampaignType.CUSTOM,
        number_ids=tuple(number_ids),
        public_id=public_id,
        settings=CampaignSettings(**{"pacing": pacing, "check_numbers": False, **(settings or {})}),
        messages=tuple(MessageCreate(content=str(content), delay=int(delay)) for content, delay in steps),
    )
    campaign_id = await editing.create_campaign(user.id, draft)
    rows = await database.fetch("SELECT id FROM messages WHERE campaign_id = $1 ORDER BY position", campaign_id)
    return Made(
        user_id=user.id,
        number_ids=list(number_ids),
        contact_ids=list(contact_ids),
        phones=list(phones),
        public_id=public_id,
        id=campaign_id,
        message_ids=[row["id"] for row in rows],
    )


async def start(made: Made) -> Made:
    """Start a campaign and freeze its audience."""
    await services.start_campaign(made.user_id, made.id)
    await run_jobs(made.id)
    return made


async def run_jobs(subject_id: int) -> None:
    """Do the open jobs about a row in this process."""
    rows = await database.fetch(
        "SELECT id FROM jobs WHERE subject_id = $1 AND status = 'waiting' ORDER BY id", subject_id
    )
    for row in rows:
        await leasing.run_job(row["id"])


async def running(user: Member, **wishes: Any) -> Made:
    """Make a campaign as ``make_campaign`` does, start it and freeze its audience."""
    return await start(await make_campaign(user, **wishes))


async def hold(made: Made, moment: datetime, holder: str = HOLDER) -> list[HeldLane]:
    """Take all the lanes that are due and return the campaign's, by their numbers."""
    await lanes.acquire(moment, holder, moment + timedelta(seconds=60), 1_000)
    held = await turns.load(holder, made.number_ids, moment)
    return sorted(held, key=lambda lane: made.number_ids.index(lane.number_id))


def want(lane: HeldLane, moment: datetime, *, campaign_id: int | None = None, **changes: Any) -> Want:
    """Ask for ten rows as the dispatcher would."""
    turn = next(turn for turn in lane.campaigns if campaign_id in (None, turn.id))
    wished = Want(
        number_id=lane.number_id,
        user_id=lane.user_id,
        campaign_id=turn.id,
        slot=lane.slot,
        take=10,
        reach=10,
        paced=False,
        next_at=moment,
        burst=1,
        lease_until=moment + timedelta(seconds=30),
        stop_on_reply=True,
        caps=lane.caps(turn, moment),
        client_ids=(),
        ids_are_final=True,
        day_start=day_start(moment, ZoneInfo("UTC")),
        day_end=next_period(moment, ZoneInfo("UTC"), "day"),
    )
    wished = msgspec.structs.replace(wished, **{"reach": changes.get("take", 10), **changes})
    return msgspec.structs.replace(wished, client_ids=tuple(secrets.token_hex(8) for _ in range(wished.take)))


async def claim_all(made: Made, moment: datetime, **changes: Any) -> ClaimResult:
    """Hold the campaign's first lane and claim from it."""
    lane = (await hold(made, moment))[0]
    return await claim(moment, HOLDER, [want(lane, moment, campaign_id=made.id, **changes)])


async def settle_rows(rows: Sequence[Claimed], moment: datetime, **fields: Any) -> None:
    """Apply one transition to every claimed row."""
    transitions = [Transition(id=row.id, attempt=row.attempt, **fields) for row in rows]
    await apply(moment, transitions, shard=0)


async def recipients(campaign_id: int) -> list[Any]:
    """Return a campaign's recipient rows in the order they were frozen."""
    rows = await database.fetch("SELECT * FROM message_by_contacts WHERE campaign_id = $1 ORDER BY id", campaign_id)
    return list(rows)


async def recipient(recipient_id: int) -> Any:
    return await database.fetch_row("SELECT * FROM message_by_contacts WHERE id = $1", recipient_id)


async def states(campaign_id: int) -> list[str]:
    """Return each row's state, with its reason behind a colon when it has one."""
    return [f"{row['state']}:{row['reason']}".rstrip(":") for row in await recipients(campaign_id)]


async def campaign_row(campaign_id: int) -> Any:
    return await database.fetch_row("SELECT * FROM campaigns WHERE id = $1", campaign_id)


async def standing(campaign_id: int) -> tuple[int, str]:
    """Return a campaign's status and why."""
    row = await campaign_row(campaign_id)
    return row["status"], row["status_reason"]


COUNTED = ("accepted", "sent", "failed", "unknown", "skipped")


async def counters(campaign_id: int) -> dict[str, int]:
    """Return what the counters say, without what is zero."""
    columns = ", ".join(
        f"coalesce(sum({name}), 0)::int AS {name}" for name in (*COUNTED, "delivered", "read", "replied")
    )
    row = await database.fetch_row(f"SELECT {columns} FROM campaign_counters WHERE campaign_id = $1", campaign_id)
    assert row is not None
    return {name: count for name, count in row.items() if count}


async def counted(campaign_id: int) -> dict[str, int]:
    """Count the rows themselves, in the words of ``counters``."""
    rows = await recipients(campaign_id)
    by_state = {name: sum(row["state"] == name for row in rows) for name in COUNTED}
    by_time = {
        name: sum(row[f"{column}_at"] is not None for row in rows)
        for name, column in (("delivered", "delivered"), ("read", "read"), ("replied", "replied"))
    }
    return {name: count for name, count in {**by_state, **by_time}.items() if count}


async def used(scope: str, scope_id: int) -> dict[str, int]:
    """Return the send counters of one scope: period to messages."""
    rows = await database.fetch(
        "SELECT period, used FROM send_counters WHERE scope = $1 AND scope_id = $2", scope, scope_id
    )
    return {row["period"]: row["used"] for row in rows}


async def attempts(recipient_id: int) -> list[Any]:
    rows = await database.fetch("SELECT * FROM message_attempts WHERE recipient_id = $1 ORDER BY attempt", recipient_id)
    return list(rows)


async def lane_row(number_id: int) -> Any:
    return await database.fetch_row("SELECT * FROM lanes WHERE number_id = $1", number_id)


UNKNOWN: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.UNKNOWN, "reason": "timeout"}
FAILED: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.FAILED, "reason": "busy", "burnt": 1}
SENT: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.SENT}


async def leased(user: Member, **wishes: Any) -> tuple[Made, list[Claimed], datetime]:
    """Make a running campaign as ``running`` does and lease what is due."""
    made = await running(user, **wishes)
    moment = await now()
    return made, (await claim_all(made, moment)).claimed, moment
