"""Every operation of the API as the OpenAPI document tells it, and a tenant with a row of each kind."""

import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from core import database
from core.accounts import sessions
from core.accounts.tokens import digest
from core.crypto import encrypt
from core.notifications.outbox import SEAL
from core.openapi import SCHEMAS, document
from core.security import needed_scope
from tests.conftest import client_for
from tests.core.campaigns.making import insert, make_campaign, running
from tests.core.contacts.making import add, add_contact, phone, upload
from tests.factories import Member

NOBODYS = 2**60
"""An id that no row has."""
FAR = datetime(2100, 1, 1, tzinfo=UTC)
"""When nothing is at work any more."""
NO_SECRET = secrets.token_urlsafe(32)
"""Stands where an address holds a secret."""

BODIES: dict[str, Any] = {
    "UpdateCampaign": {"name": "Easter"},
    "AdminUpdateUser": {"name": "Ana"},
    "AddPublicContacts": {"filter": {}},
    "RemovePublicContacts": {"filter": {}},
    "UpdateContact": {"name": "Ana"},
}
"""Whose documented example names what is not there: a file's address, a plan, a contact, a label."""
QUERIES = {"ListenToEvents": {"last_event_id": "none"}}
"""Would be answered for ever: it is refused after everything that lets somebody in or keeps them out."""


class Operation(msgspec.Struct, frozen=True):
    """One operation of the document."""

    id: str
    method: str
    path: str
    secured: bool
    accepts_key: str | None
    """The scope of API keys that the document names."""
    scope: str
    """The scope that the route itself asks for."""
    form: bool
    example: Any = None

    @property
    def administrative(self) -> bool:
        """Its path is the administration's."""
        return self.path.startswith("/api/admin/")

    @property
    def places(self) -> list[str]:
        """The ids in its path."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name.endswith("_id")]

    async def call(
        self, client: httpx.AsyncClient, ids: Mapping[str, int] | None = None, **more: Any
    ) -> httpx.Response:
        """Send the documented example to the rows with ``ids``; without those to rows that nobody has."""
        path = re.sub(r"{(\w+)}", lambda found: str(_place(found[1], ids)), self.path)
        if self.form:
            more["files"] = {"file": ("contacts.csv", b"number\n5511900001234\n", "text/csv")}
        elif self.example is not None:
            more["json"] = BODIES.get(self.id, self.example)
        if self.id in QUERIES:
            more["params"] = QUERIES[self.id]
        return await client.request(self.method, path, **more)


def _place(name: str, ids: Mapping[str, int] | None) -> object:
    if not name.endswith("_id"):
        return NO_SECRET
    return NOBODYS if ids is None else ids[name]


def operations(app: Litestar) -> Iterator[Operation]:
    """Yield every operation of the document."""
    described = document(app)
    handlers = handlers_of(app)
    for path, item in described["paths"].items():
        for method, found in item.items():
            security = found.get("security", ())
            bodies = found.get("requestBody", {}).get("content", {})
            yield Operation(
                id=found["operationId"],
                method=method.upper(),
                path=path,
                secured=bool(security),
                accepts_key=next((scope for one in security for scope in one.get("ApiKey", ())), None),
                scope=needed_scope(handlers[found["operationId"]], method.upper()),
                form="multipart/form-data" in bodies,
                example=_example(bodies["application/json"], described) if "application/json" in bodies else None,
            )


def handlers_of(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """Return the handlers by operation id."""
    return {
        str(handler.operation_id): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
    }


def _example(media: dict[str, Any], described: dict[str, Any]) -> Any:
    if "$ref" not in media["schema"]:
        return media["example"]
    return described["components"]["schemas"][media["schema"]["$ref"].removeprefix(SCHEMAS)]["examples"][0]


class Tenant(msgspec.Struct, frozen=True):
    """A user with a row of each kind."""

    member: Member
    ids: dict[str, int]
    """By the name that paths call them."""


async def make_tenant(app: Litestar, member: Member) -> Tenant:
    """Make one row of each kind that somebody may own."""
    plan = {"medias": True, "reports": True, "schedule": True}
    begun = await running(member, contacts=1, plan=plan)
    draft = await make_campaign(member, contacts=1, plan=plan)
    recipient = await database.fetch_value("SELECT id FROM message_by_contacts WHERE campaign_id = $1", begun.id)
    assert isinstance(recipient, int)
    async with client_for(app, member.token) as client:
        contact = await add_contact(client)
        public = await add(client, "publics", name="By hand")
        await client.post(f"/api/publics/{public['id']}/contacts", json={"ids": [contact["id"]]})
        file = await client.post("/api/media", files={"file": ("a.png", _PNG, "image/png")})
        key = await add(client, "api-keys", name="Shop", scopes=["read"])
        hook = {"url": "https://93.184.216.34/hook", "events": ["campaign.completed"]}
        endpoint = await add(client, "webhook-endpoints", **hook)
        job = {"user_id": member.id, "kind": "walk", "params": "{}", "checkpoint": "{}", "result": "{}"}
        gone = await client.post("/api/contacts/bulk/delete", json={"ids": [(await add_contact(client))["id"]]})
        payment = {"transaction_id": f"pi_{secrets.token_hex(8)}", "amount": Decimal("49.90"), "currency": "BRL"}
        ids = {
            "number_id": draft.number_ids[0],
            "contact_id": contact["id"],
            "deletion_id": gone.json()["data"]["deletion_id"],
            "label_id": (await add(client, "labels", name=secrets.token_hex(4)))["id"],
            "public_id": public["id"],
            "block_id": (await add(client, "block-contacts", number=phone()))["id"],
            "import_id": (await upload(client, f"number\n{phone()}\n")).json()["data"]["id"],
            "campaign_id": begun.id,
            "recipient_id": recipient,
            "media_id": file.json()["data"]["id"],
            "key_id": key["id"],
            "endpoint_id": endpoint["id"],
            "delivery_id": await _delivery(member, endpoint["id"]),
            "session_id": await session_id(await open_session(member)),
            "job_id": await insert("jobs", status="waiting", **job),
            "notification_id": await insert(
                "notifications",
                key=secrets.token_hex(8),
                kind="password_changed",
                user_id=member.id,
                detail=encrypt("{}", purpose=SEAL),
                planned_at=datetime.now(UTC),
            ),
            "alarm_id": await insert("alarms", kind="payment_disputed", subject_type="payment", **_alarm()),
            "payment_id": await insert("payments", user_id=member.id, gateway="stripe", **payment),
            "checkout_id": await _checkout(member),
            "subscription_id": await _subscription(member),
            "fetch_id": await insert("gateway_fetches", gateway="nobody", subject=secrets.token_hex(8), due_at=FAR),
        }
    return Tenant(member, ids)


def _alarm() -> dict[str, Any]:
    moment = datetime.now(UTC)
    about = {"subject_id": secrets.randbelow(10**12), "detail": '{"gateway": "stripe"}'}
    return {**about, "raised_at": moment, "noticed_at": moment}


async def _delivery(member: Member, endpoint_id: int) -> int:
    """A delivery that is over, so that nobody attempts it."""
    body = '{"id":"evt_1","type":"campaign.completed","created_at":"2026-11-26T15:00:00Z","data":{}}'
    told = {"event_id": "evt_1", "type": "campaign.completed", "body": body, "status": "failed"}
    return await insert(
        "webhook_deliveries", user_id=member.id, endpoint_id=endpoint_id, due_at=FAR, give_up_at=FAR, **told
    )


async def _checkout(member: Member) -> int:
    names = {"reference": secrets.token_hex(8), "idempotency_key": secrets.token_hex(8)}
    return await insert("checkouts", **(await _sold(member)), **names, status="expired")


async def _subscription(member: Member) -> int:
    state = {"status": "canceled", "fetched_at": datetime.now(UTC), "gateway_id": secrets.token_hex(8)}
    return await insert("subscriptions", **(await _sold(member)), **state)


async def _sold(member: Member) -> dict[str, Any]:
    plan_id = await database.fetch_value("SELECT plan_id FROM users WHERE id = $1", member.id)
    price = {"amount": Decimal("49.90"), "currency": "BRL"}
    return {"user_id": member.id, "plan_id": plan_id, "gateway": "stripe", **price}


# The smallest picture there is.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


async def open_session(member: Member, **more: Any) -> str:
    """Sign a member in once more."""
    return await sessions.open_session(member.id, address="127.0.0.1", user_agent="walk", **more)


async def session_id(token: str) -> int:
    """Return the id of the session that a token opens."""
    found = await database.fetch_value("SELECT id FROM user_sessions WHERE token_hash = $1", digest(token))
    assert isinstance(found, int)
    return found


async def picture(user_id: int) -> dict[str, str]:
    """Return a digest of everything a user owns: table to digest."""
    tables = await database.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns c JOIN information_schema.tables t"
        " USING (table_schema, table_name) WHERE column_name = 'user_id' AND table_schema = 'public'"
        " AND table_type = 'BASE TABLE'"
    )
    found = {}
    for (name,) in tables:
        value = await database.fetch_value(
            f"SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {name} t WHERE user_id = $1",
            user_id,
        )
        found[name] = str(value)
    return found
