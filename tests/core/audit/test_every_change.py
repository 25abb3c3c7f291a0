"""Every operation that changes rows writes a line into the log; a new one cannot be forgotten."""

import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dramatiq
import httpx
import msgspec
import pyotp
import pytest
from litestar import Litestar

from core import database, queue
from core.accounts import one_time
from core.accounts.tables import TokenPurpose
from core.accounts.two_factor import STEP_SECONDS
from core.crypto import decrypt
from core.notifications.outbox import SEAL
from core.openapi import document
from core.plugin import Restarting
from core.runtime import providers, runtime
from tests.conftest import client_for
from tests.core.campaigns.making import insert
from tests.core.contacts.making import phone
from tests.core.media.files import jpeg
from tests.core.numbers.messaging import KEY, Waha, until_connection
from tests.core.payments.shop import Shop
from tests.factories import PASSWORD, Member, random_email

SAFE = {"get", "head", "options"}
SILENT = {
    "RefreshToken": "replaces a token every few minutes and changes nothing else",
    "BeginTwoFactor": "counts for nothing before it is confirmed, which is logged",
    "MailConfirmationAgain": "mails again what the registration asked for, which is logged",
    "MeasureEntropy": "measures texts and changes none",
    "CountAudience": "counts contacts and changes none",
    "CheckPhone": "asks the service about a number and keeps its answer for a while",
    "AdminProbeServer": "asks a server how it is, which happens by itself every minute",
    "PreviewPlanChange": "asks the gateway and changes nothing",
    "OpenPaymentPortal": "asks the gateway for an address",
    "MarkNotification": "notes what its reader has seen, many times a day",
    "ReadNotifications": "notes what its reader has seen, many times a day",
    "ReceiveGatewayWebhook": "says what is worth fetching; what that brings is logged by the platform",
    "ReceiveWebhook": "brings what a service says; it is kept in webhook_events and webhooks_log",
    "IssueEventTicket": "opens the stream of events once, to read; it changes no row",
    "AuthorizeChannel": "permits to listen and changes nothing",
    "SetUp": "opens an empty installation once, and writes installation.set_up: see accounts/test_setup.py",
}
FRESH = "an entirely different passphrase"


class Walker:
    """Calls operations by their ids and keeps which lines each wrote."""

    def __init__(self, app: Litestar, client: httpx.AsyncClient) -> None:
        self.places = {
            operation["operationId"]: (method, path)
            for path, item in document(app)["paths"].items()
            for method, operation in item.items()
        }
        self.client = client
        self.written: dict[str, list[str]] = {}

    async def __call__(self, name: str, *ids: int | str, client: httpx.AsyncClient | None = None, **more: Any) -> Any:
        method, path = self.places[name]
        values = iter(ids)
        filled = re.sub(r"{[^}]+}", lambda _: str(next(values)), path)
        answer = await (client or self.client).request(method.upper(), filled, **more)
        assert answer.is_success, f"{name}: {answer.status_code} {answer.text}"
        rows = await database.fetch(
            "SELECT action FROM logs WHERE request_id = $1 ORDER BY id", answer.headers["x-request-id"]
        )
        self.written.setdefault(name, []).extend(row["action"] for row in rows)
        found = answer.json() if answer.content else {}
        return found.get("data", found)


@pytest.fixture
async def walker(app: Litestar, tenant: httpx.AsyncClient) -> Walker:
    return Walker(app, tenant)


async def _link_token(user_id: int, kind: str) -> str:
    sealed = await database.fetch_value(
        "SELECT detail FROM notifications WHERE user_id = $1 AND kind = $2 ORDER BY id DESC LIMIT 1", user_id, kind
    )
    link: str = msgspec.json.decode(decrypt(str(sealed), purpose=SEAL))["link"]
    return link.partition("#token=")[2]


async def _accounts(walk: Walker, app: Litestar, user: Member) -> None:
    async with client_for(app) as nobody:
        email = random_email()
        await walk("Register", client=nobody, json={"email": email, "name": "Ana", "password": FRESH})
        token = await one_time.issue(user.id, TokenPurpose.CONFIRM_EMAIL)
        await walk("ConfirmEmail", client=nobody, json={"token": token})
        await walk("ForgetPassword", client=nobody, json={"email": user.email})
        reset = {"token": await _link_token(user.id, "password_reset"), "password": PASSWORD}
        await walk("ResetPassword", client=nobody, json=reset)
        signed = await walk("LogIn", client=nobody, json={"email": user.email, "password": PASSWORD})
    # The reset ended the session the walk began with.
    walk.client.headers["Authorization"] = f"Bearer {signed['token']}"
    await walk("UpdateMe", json={"name": "Somebody Else"})
    await walk("ChangePassword", json={"current_password": PASSWORD, "password": FRESH})
    key = await walk("CreateApiKey", json={"name": "Script", "scopes": ["read"]})
    await walk("DeleteApiKey", key["id"])
    async with client_for(app) as nobody:
        other = await walk("LogIn", client=nobody, json={"email": user.email, "password": FRESH})
    devices = (await walk.client.get("/api/auth/sessions")).json()["data"]
    await walk("DeleteSession", next(device["id"] for device in devices if not device["current"]))
    await walk("DeleteOtherSessions")
    assert other["token"]


async def _two_factor(walk: Walker, app: Litestar, user: Member) -> None:
    begun = await walk("BeginTwoFactor", json={"password": FRESH})
    totp = pyotp.TOTP(begun["secret"])
    await walk("ConfirmTwoFactor", json={"code": totp.at(time.time() - STEP_SECONDS)})
    async with client_for(app) as nobody:
        challenge = await walk("LogIn", client=nobody, json={"email": user.email, "password": FRESH})
        answer = {"challenge": challenge["challenge"], "code": totp.now()}
        await walk("VerifyTwoFactor", client=nobody, json=answer)
    await walk("RenewRecoveryCodes", json={"password": FRESH})
    await walk("DisableTwoFactor", json={"password": FRESH})


async def _contacts(walk: Walker) -> None:
    label = await walk("CreateLabel", json={"name": "Customers"})
    await walk("UpdateLabel", label["id"], json={"color": "#112233"})
    contact = await walk("CreateContact", json={"number": phone(), "name": "Sol"})
    await walk("UpdateContact", contact["id"], json={"name": "Sol Maria"})
    await walk("LabelContacts", json={"ids": [contact["id"]], "add": [label["id"]]})
    public = await walk("CreatePublic", json={"name": "All"})
    await walk("UpdatePublic", public["id"], json={"name": "Everybody"})
    for remove in (("RemovePublicContact", contact["id"]), ("RemovePublicContacts",)):
        await walk("AddPublicContacts", public["id"], json={"ids": [contact["id"]]})
        body = {} if len(remove) > 1 else {"json": {"ids": [contact["id"]]}}
        await walk(remove[0], public["id"], *remove[1:], **body)  # type: ignore[arg-type]
    await walk("DeletePublic", public["id"])
    block = await walk("BlockNumber", json={"number": phone(), "reason": "asked by phone"})
    await walk("UnblockNumber", block["id"])
    block = await walk("BlockNumber", json={"number": phone()})
    await walk("UnblockWrittenNumber", json={"number": block["number"]})
    file = {"file": ("contacts.csv", b"Nome;Celular\nLua;11 90000-1234\n", "text/csv")}
    upload = await walk("CreateImport", files=file)
    await walk("UpdateImport", upload["id"], json={"header": True})
    job_id = (await walk("StartImport", upload["id"]))["job_id"]
    await walk("CancelJob", job_id)
    await walk("UndoImport", upload["id"])
    await walk("DeleteContact", contact["id"])
    await walk("EraseContact", contact["id"])
    other = await walk("CreateContact", json={"number": phone()})
    await walk("BlockContact", other["id"], json={"reason": "asked by phone"})
    await walk("UnblockContact", other["id"])
    await walk("BlockContacts", json={"ids": [other["id"]], "reason": "asked by phone"})
    await walk("UnblockContacts", json={"ids": [other["id"]]})
    twin = await walk("CreateContact", json={"number": phone()})
    await walk("MergeContacts", other["id"], json={"others": [twin["id"]]})
    deleted = await walk("DeleteContacts", json={"ids": [other["id"]]})
    await walk("UndoContactDeletion", deleted["deletion_id"])
    await walk("DeleteLabel", label["id"])


def _restarts() -> bool:
    """Whether the provider of the walk can restart a number."""
    return isinstance(providers().messaging("waha"), Restarting)


async def _numbers(walk: Walker, admin: httpx.AsyncClient, waha: Waha, user: Member) -> int:
    """Return a connected number."""
    server = {"name": phone(), "provider": "waha", "url": waha.url, "credentials": {"api_key": KEY}}
    first = await walk("AdminCreateServer", client=admin, json=server)
    second = await walk("AdminCreateServer", client=admin, json={**server, "name": phone()})
    await walk("AdminUpdateServer", second["id"], client=admin, json={"capacity": 5})
    granted = await walk("AdminGrantNumber", client=admin, json={"user_id": user.id, "server_id": first["id"]})
    await walk("AdminMoveNumber", granted["id"], client=admin, json={"server_id": second["id"]})
    await walk("DeleteNumber", granted["id"])
    third = await walk("AdminCreateServer", client=admin, json={**server, "name": phone()})
    await walk("AdminDeleteServer", third["id"], client=admin)
    number = await walk("CreateNumber", json={"server_id": first["id"], "name": "Shop"})
    await walk("UpdateNumber", number["id"], json={"name": "Other shop"})
    await walk("ConnectNumber", number["id"])
    await waha.scan(number["instance"])
    await until_connection(walk.client, number["id"], "connected")
    await walk("SendTestMessage", number["id"], json={"phone": phone(), "text": "Oi"})
    await walk("SyncContacts", number["id"], json={})
    if _restarts():
        await walk("RestartNumber", number["id"])
        await until_connection(walk.client, number["id"], "connected")
    await walk("DisconnectNumber", number["id"])
    await walk("LogOutNumber", number["id"])
    await walk("ConnectNumber", number["id"])
    await waha.scan(number["instance"])
    await until_connection(walk.client, number["id"], "connected")
    return int(number["id"])


async def _campaigns(walk: Walker, user: Member, number_id: int) -> None:
    file = await walk("UploadMedia", files={"file": ("offer.jpg", jpeg(b"walk"))})
    await walk("DeleteMedia", file["id"])
    await walk("FetchMedia", json={"url": "https://93.184.216.34/offer.jpg"})
    contact = await walk("CreateContact", json={"number": phone()})
    public = await walk("CreatePublic", json={"name": "Audience"})
    await walk("AddPublicContacts", public["id"], json={"ids": [contact["id"]]})
    draft = {
        "name": "Offer",
        "type": 1,
        "number_ids": [number_id],
        "public_id": public["id"],
        "messages": [{"content": "Oi"}],
    }
    campaign = (await walk("CreateCampaign", json=draft))["id"]
    await walk("UpdateCampaign", campaign, json={"name": "Better offer"})
    for step in ("StartCampaign", "PauseCampaign", "ResumeCampaign", "RetryCampaign"):
        await walk(step, campaign)
    await walk("ResolveCampaign", campaign, json={"action": "assume_sent"})
    recipient = await insert(
        "message_by_contacts",
        user_id=user.id,
        campaign_id=campaign,
        message_id=1,
        contact_id=contact["id"],
        state="unknown",
    )
    await walk("ResolveRecipient", campaign, recipient, json={"action": "assume_sent"})
    await walk("CancelCampaign", campaign)
    copy = (await walk("DuplicateCampaign", campaign))["id"]
    await walk("DeleteCampaign", copy)
    await walk("UpdateConfigurations", json={"opt_out": {"words": ["chega"]}})


async def _administration(walk: Walker, admin: httpx.AsyncClient, app: Litestar) -> None:
    plan = await walk("AdminCreatePlan", client=admin, json={"name": "Walk"})
    await walk("AdminUpdatePlan", plan["id"], client=admin, json={"numbers_limit": 3})
    await walk("AdminDeletePlan", plan["id"], client=admin)
    new = {"email": random_email(), "name": "Bea", "password": FRESH}
    made = await walk("AdminCreateUser", client=admin, json=new)
    await walk("AdminUpdateUser", made["id"], client=admin, json={"name": "Beatriz"})
    async with client_for(app) as nobody:
        signed = await walk("LogIn", client=nobody, json={"email": new["email"], "password": FRESH})
    async with client_for(app, signed["token"]) as her:
        begun = await walk("BeginTwoFactor", client=her, json={"password": FRESH})
        code = pyotp.TOTP(begun["secret"]).now()
        await walk("ConfirmTwoFactor", client=her, json={"code": code})
    await walk("AdminRemoveTwoFactor", made["id"], client=admin)
    await walk("AdminActAsUser", made["id"], client=admin, json={"reason": "The import hangs"})
    await walk("AdminLogOutUser", made["id"], client=admin)
    await walk("AdminRequestExport", made["id"], client=admin)
    await walk("AdminEraseUser", made["id"], client=admin)


async def _operations(walk: Walker, admin: httpx.AsyncClient, user: Member, number_id: int) -> None:
    await walk("AdminUpdateSettings", client=admin, json={"values": {"brand.name": "Walk"}})
    await walk("AdminUpdateSettings", client=admin, json={"values": {"brand.name": None}})
    job_id = await insert("jobs", user_id=user.id, kind="test", status="failed")
    await walk("AdminRetryJob", job_id, client=admin)
    await database.execute("DELETE FROM jobs WHERE id = $1", job_id)
    event = {
        "plugin": "waha",
        "number_id": number_id,
        "dedupe_key": phone(),
        "kind": "test",
        "event": '{"type": "test"}',
        "received_at": datetime.now(UTC),
        "applied_at": datetime.now(UTC),
        "due_at": datetime.now(UTC),
    }
    event_id = await insert("webhook_events", **event)
    entry_id = await insert("webhooks_log", type="test", payload=database.encode_json({"event_id": event_id}))
    await walk("AdminReplayWebhook", entry_id, client=admin)
    await database.execute("DELETE FROM webhook_events WHERE id = $1", event_id)
    for name in ("AdminRetryMessage", "AdminDiscardMessage"):
        message = dramatiq.Message[None](
            queue_name=queue.JOBS, actor_name="jobs.run", args=(10**12,), kwargs={}, options={}, message_id=phone()
        )
        await runtime().redis.hset(f"recado:{queue.JOBS}.XQ.msgs", message.message_id, message.encode())
        await runtime().redis.zadd(f"recado:{queue.JOBS}.XQ", {message.message_id: 1})
        await walk(name, queue.JOBS, message.message_id, client=admin)


async def _webhooks(walk: Walker) -> None:
    hook = {"url": "https://93.184.216.34/hook", "events": ["campaign.completed"]}
    endpoint = (await walk("CreateWebhookEndpoint", json=hook))["id"]
    await walk("UpdateWebhookEndpoint", endpoint, json={"name": "Shop"})
    await walk("RollWebhookSecret", endpoint)
    await walk("DisableWebhookEndpoint", endpoint)
    await walk("EnableWebhookEndpoint", endpoint)
    delivery = (await walk("TestWebhookEndpoint", endpoint))["id"]
    await walk("ReplayWebhookDelivery", endpoint, delivery)
    await walk("DeleteWebhookEndpoint", endpoint)


async def _billing(walk: Walker, admin: httpx.AsyncClient, shop: Shop, user: Member) -> None:
    await walk("BeginCheckout", json={"plan_id": shop.starter, "gateway": "stripe"})
    number = await database.fetch_value("SELECT gateway_id FROM checkouts WHERE user_id = $1", user.id)
    await shop.stripe.pay(str(number))
    await shop.work()
    await walk("PreviewPlanChange", json={"plan_id": shop.pro})
    await walk("ChangePlan", json={"plan_id": shop.pro})
    await walk("OpenPaymentPortal")
    await walk("CancelSubscription", json={})
    subscription = await walk("ResumeSubscription")
    await walk("AdminFetchSubscription", subscription["id"], client=admin)
    payment = (await walk.client.get("/api/payments")).json()["data"][0]
    await walk("AdminRefundPayment", payment["id"], client=admin, json={"amount": "1.00"})
    await walk("AdminCancelSubscription", subscription["id"], client=admin, json={"at_period_end": False})
    failed = {"status": "failed", "amount": Decimal("49.90"), "currency": "BRL", "plan_id": shop.starter}
    payment_id = await insert("payments", user_id=user.id, gateway="stripe", transaction_id=phone(), **failed)
    await walk("RetryPayment", payment_id)
    fetch_id = await insert("gateway_fetches", gateway="stripe", subject=phone(), due_at=datetime.now(UTC))
    await walk("AdminReplayGatewayFetch", fetch_id, client=admin)
    await database.execute("DELETE FROM gateway_fetches WHERE id = $1", fetch_id)
    moment = {"raised_at": datetime.now(UTC), "noticed_at": datetime.now(UTC)}
    alarm_id = await insert("alarms", kind="payment_disputed", subject_type="payment", subject_id=payment_id, **moment)
    await walk("AdminClearAlarm", alarm_id, client=admin)


async def test_every_operation_that_changes_rows_is_logged(
    walker: Walker, app: Litestar, admin: httpx.AsyncClient, waha: Waha, shop: Shop, user: Member
) -> None:
    await _accounts(walker, app, user)
    await _two_factor(walker, app, user)
    await _contacts(walker)
    number_id = await _numbers(walker, admin, waha, user)
    await _campaigns(walker, user, number_id)
    await _administration(walker, admin, app)
    await _operations(walker, admin, user, number_id)
    await _webhooks(walker)
    await _billing(walker, admin, shop, user)
    await walker("LogOut")
    async with client_for(app) as nobody:
        signed = await walker("LogIn", client=nobody, json={"email": user.email, "password": FRESH})
    walker.client.headers["Authorization"] = f"Bearer {signed['token']}"
    await walker("LogOutEverywhere")
    async with client_for(app) as nobody:
        signed = await walker("LogIn", client=nobody, json={"email": user.email, "password": FRESH})
    walker.client.headers["Authorization"] = f"Bearer {signed['token']}"
    await walker("RequestExport")
    await walker("EraseMe", json={"password": FRESH})

    changing = {name for name, (method, _) in walker.places.items() if method not in SAFE}
    silent = {name for name in changing if not walker.written.get(name)}
    assert silent == (set(SILENT) if _restarts() else {*SILENT, "RestartNumber"})
