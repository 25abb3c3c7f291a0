"""Checkouts: an intent is stored before the gateway hears of it, and whatever is repeated finds the same intent."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import asyncpg
import msgspec
import structlog

from core import database
from core.audit import services as audit
from core.crypto import decrypt, encrypt
from core.errors import ConflictError, InvalidInputError, NotFoundError, PaymentDeclinedError, ProviderFailedError
from core.payments import catalog, fetches
from core.payments.addresses import return_url
from core.payments.ending import close_checkouts
from core.payments.gateways import choose
from core.payments.references import new_reference
from core.payments.schemas import CheckoutCreate, CheckoutRead, NextStep
from core.payments.subscriptions import has_living, remember_customer
from core.payments.tables import CheckoutStatus
from core.plans.prices import price_of
from core.plans.services import get_plan
from core.plugin import (
    Checkout,
    CheckoutStep,
    ClientSecret,
    ConfigurationError,
    DeclinedError,
    Interval,
    Money,
    PaymentGateway,
    PixQr,
    ProviderError,
    References,
    RefusedError,
)
from core.runtime import providers
from core.security import CurrentUser
from core.texts import text

SEAL = "checkouts.step"
CALL_SECONDS = 45.0
LEASE_MARGIN = 15.0
POLL_SECONDS = 0.2
OPEN_FOR = timedelta(hours=24)
LOOK_AGAIN = "10 minutes"
BATCH = 100
RETRY_AFTER = 5.0

_LIVE = "status IN ('created', 'open')"
_INSERT = """
INSERT INTO checkouts (user_id, plan_id, gateway, amount, currency, interval, coupon, trial_days, locale, reference,
    idempotency_key, retry_of, status, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'created', now(), now()) RETURNING *
"""
_log = structlog.get_logger(__name__)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A checkout that was found to be possible."""

    plan_id: int
    plan_name: str
    gateway: str
    price: Money
    interval: str
    coupon: str
    trial_days: int
    retry_of: int | None = None


async def begin(user: CurrentUser, wanted: CheckoutCreate, *, retry_of: int | None = None) -> CheckoutRead:
    """Begin a checkout, or return the open one of the same content.

    Raises:
        ConflictError: No gateway is enabled, or the user has a subscription: change that one.
        InvalidInputError: The plan is not sold so.
        PaymentDeclinedError: The gateway refused the payer's means of payment.
        ProviderFailedError: The gateway failed; the same request again goes on with the same intent.
    """
    gateway = choose(wanted.gateway)
    wish = await _check(user.id, gateway, wanted, retry_of)
    async with database.unit_of_work():
        await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user.id)
        await _ensure_none_alive(user.id)
        row = await _same(user.id, wish)
        if row is None:
            # Only one checkout can be paid.
            await close_checkouts(user.id)
            row = await _store(user, wish)
    if row["step"]:
        return read(row)
    # Stored and never called, or found by the sweep after an answer that was lost: the same key gives the same step.
    if await _lease(row["id"]):
        return await _start(gateway, row, wish.plan_name, user)
    return await _await_other(user.id, row["id"])


async def _lease(checkout_id: int) -> bool:
    """Say whether this request may call the gateway: two at once could make two of it where no key protects."""
    taken = await database.execute(
        "UPDATE checkouts SET lease_until = clock_timestamp() + make_interval(secs => $2) WHERE id = $1"
        f" AND {_LIVE} AND step = '' AND (lease_until IS NULL OR lease_until < clock_timestamp())",
        checkout_id,
        CALL_SECONDS + LEASE_MARGIN,
    )
    return taken == 1


async def _await_other(user_id: int, checkout_id: int) -> CheckoutRead:
    """Return what another request, which calls the gateway at this moment, gets.

    Raises:
        ConflictError: It takes too long, or got no answer: the same request again goes on.
    """
    ends = time.monotonic() + CALL_SECONDS
    while time.monotonic() < ends:
        row = await _find(user_id, checkout_id)
        if row["step"] or row["status"] not in {CheckoutStatus.CREATED, CheckoutStatus.OPEN}:
            return read(row)
        if row["lease_until"] is None:
            break
        await asyncio.sleep(POLL_SECONDS)
    raise ConflictError("Another change happened at the same time: try again.", code="try_again")


async def get_checkout(user_id: int, checkout_id: int) -> CheckoutRead:
    """Return a checkout of this user; while it is open the gateway is asked about it in the background.

    Raises:
        NotFoundError: There is none.
    """
    row = await _find(user_id, checkout_id)
    if row["status"] in {CheckoutStatus.CREATED, CheckoutStatus.OPEN}:
        async with database.unit_of_work():
            await fetches.want_calmly(row["gateway"], _refs(row))
    return read(row)


async def sweep(now: datetime) -> None:
    """Look after checkouts nobody has heard of for a while, and close those whose time is long over."""
    async with database.unit_of_work():
        rows = await database.fetch(
            f"UPDATE checkouts SET updated_at = now() WHERE id IN (SELECT id FROM checkouts WHERE {_LIVE}"
            f" AND updated_at < $1::timestamptz - interval '{LOOK_AGAIN}' ORDER BY updated_at LIMIT $2"
            " FOR UPDATE SKIP LOCKED) RETURNING *",
            now,
            BATCH,
        )
        for row in rows:
            await fetches.want(row["gateway"], _refs(row))
        # A day after its end nothing can be paid any more; a payment that comes all the same still opens it.
        await database.execute(
            f"UPDATE checkouts SET status = 'expired', step = '', updated_at = now() WHERE {_LIVE}"
            " AND coalesce(expires_at, created_at + interval '24 hours') < $1::timestamptz - interval '1 day'",
            now,
        )


async def _check(user_id: int, gateway: PaymentGateway, wanted: CheckoutCreate, retry_of: int | None) -> Wish:
    able = gateway.capabilities
    try:
        plan = await get_plan(wanted.plan_id)
    except NotFoundError:
        raise InvalidInputError({"plan_id": [text("unknown_plan")]}) from None
    found = await price_of(plan.id, wanted.currency, wanted.interval)
    errors: dict[str, list[str]] = {}
    if found is None:
        errors["currency" if wanted.currency else "interval"] = [text("plan_not_sold_so")]
    elif not found[0]:
        errors["plan_id"] = [text("plan_is_free")]
    elif found[1] not in able.currencies:
        errors["currency"] = [text("gateway_currency", choices=", ".join(able.currencies))]
    if wanted.interval not in able.intervals:
        errors["interval"] = [text("gateway_interval", choices=", ".join(able.intervals))]
    if wanted.coupon and not able.coupons:
        errors["coupon"] = [text("gateway_coupons")]
    if errors or found is None:
        raise InvalidInputError(errors)
    trial_days = plan.trial_days if able.trials and await _is_new(user_id) else 0
    return Wish(
        plan_id=plan.id,
        plan_name=plan.name,
        gateway=gateway.name,
        price=Money(*found),
        interval=wanted.interval,
        coupon=wanted.coupon,
        trial_days=trial_days,
        retry_of=retry_of,
    )


async def _is_new(user_id: int) -> bool:
    """Say whether a user never had a subscription: a trial is given once."""
    return not await database.fetch_value(
        "SELECT EXISTS (SELECT FROM subscriptions WHERE user_id = $1 AND access_until IS NOT NULL)", user_id
    )


async def _ensure_none_alive(user_id: int) -> None:
    if await has_living(user_id):
        raise ConflictError("There is a subscription already: change its plan instead.", code="subscription_exists")


async def _same(user_id: int, wish: Wish) -> asyncpg.Record | None:
    """Return the checkout that is under way for the same, if it can still be paid."""
    return await database.fetch_row(
        f"SELECT * FROM checkouts WHERE user_id = $1 AND {_LIVE} AND plan_id = $2 AND gateway = $3 AND amount = $4"
        " AND currency = $5 AND interval = $6 AND coupon = $7 AND trial_days = $8"
        " AND coalesce(expires_at, created_at + interval '23 hours') > now() + interval '5 minutes'"
        " ORDER BY id DESC LIMIT 1",
        user_id,
        wish.plan_id,
        wish.gateway,
        wish.price.amount,
        wish.price.currency,
        wish.interval,
        wish.coupon,
        wish.trial_days,
    )


async def _store(user: CurrentUser, wish: Wish) -> asyncpg.Record:
    row = await database.fetch_row(
        _INSERT,
        user.id,
        wish.plan_id,
        wish.gateway,
        wish.price.amount,
        wish.price.currency,
        wish.interval,
        wish.coupon,
        wish.trial_days,
        user.locale,
        await new_reference(),
        f"checkout-{secrets.token_hex(16)}",
        wish.retry_of,
    )
    assert row is not None  # noqa: S101 - an INSERT returns its row
    facts = {
        "checkout_id": row["id"],
        "plan_id": wish.plan_id,
        "gateway": wish.gateway,
        "amount": str(wish.price.amount),
        "currency": wish.price.currency,
    }
    await audit.record("checkout.begun", user_id=user.id, facts=facts, account_id=user.id)
    return row


async def _start(gateway: PaymentGateway, row: asyncpg.Record, plan_name: str, user: CurrentUser) -> CheckoutRead:
    """Let the gateway begin, under the key that is stored; what it answers is kept unless a webhook was faster."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            step = await gateway.start(await _checkout(gateway, row, plan_name, user))
    except DeclinedError as error:
        await _fail(row, error)
        raise PaymentDeclinedError(error.provider_code) from None
    except RefusedError as error:
        await _fail(row, error)
        if row["coupon"] and error.provider_code.startswith("coupon"):
            raise InvalidInputError({"coupon": [text("unknown_coupon")]}) from None
        raise ProviderFailedError(gateway.name, code=error.code) from error
    except ConfigurationError as error:
        await _fail(row, error)
        raise ProviderFailedError(gateway.name, code=error.code) from error
    except (ProviderError, TimeoutError) as error:
        # It may have been done: the row stays, and the next try, or the sweep, finds out under the same key.
        await database.execute("UPDATE checkouts SET lease_until = NULL WHERE id = $1", row["id"])
        _log.warning("checkout_unanswered", checkout_id=row["id"], gateway=gateway.name, error=type(error).__name__)
        raise ProviderFailedError(gateway.name, code="payment_retryable", retry_after=RETRY_AFTER) from error
    return await _keep(row, step)


async def _checkout(gateway: PaymentGateway, row: asyncpg.Record, plan_name: str, user: CurrentUser) -> Checkout:
    price = Money(row["amount"], row["currency"])
    interval: Interval = "year" if row["interval"] == "year" else "month"
    customer = await database.fetch_value(
        "SELECT customer_id FROM gateway_customers WHERE user_id = $1 AND gateway = $2", user.id, gateway.name
    )
    return Checkout(
        idempotency_key=row["idempotency_key"],
        reference=row["reference"],
        plan_id=row["plan_id"],
        plan_name=plan_name,
        plan_reference=await catalog.reference_of(gateway, row["plan_id"], plan_name, price, interval),
        price=price,
        interval=interval,
        payer_email=user.email,
        payer_name=user.name,
        customer_id=str(customer or ""),
        locale=row["locale"],
        success_url=await return_url("paid", row["id"]),
        cancel_url=await return_url("left", row["id"]),
        trial_days=row["trial_days"],
        coupon=row["coupon"],
    )


async def _keep(row: asyncpg.Record, step: CheckoutStep) -> CheckoutRead:
    async with database.unit_of_work():
        await database.execute(
            f"UPDATE checkouts SET gateway_id = $2, step = $3, expires_at = $4, status = 'open', lease_until = NULL,"
            f" updated_at = now() WHERE id = $1 AND {_LIVE}",
            row["id"],
            step.gateway_id[:255],
            encrypt(database.encode_json(_step(step)), purpose=SEAL),
            step.expires_at,
        )
        if step.customer_id:
            await remember_customer(row["gateway"], row["user_id"], step.customer_id)
    return read(await _find(row["user_id"], row["id"]))


async def _fail(row: asyncpg.Record, error: ProviderError) -> None:
    await database.execute(
        f"UPDATE checkouts SET status = 'failed', error = $2, updated_at = now() WHERE id = $1 AND {_LIVE}",
        row["id"],
        (error.provider_code or error.code)[:120],
    )


async def _find(user_id: int, checkout_id: int) -> asyncpg.Record:
    row = await database.fetch_row("SELECT * FROM checkouts WHERE user_id = $1 AND id = $2", user_id, checkout_id)
    if row is None:
        raise NotFoundError("checkout", checkout_id)
    return row


def _refs(row: asyncpg.Record) -> References:
    return References(checkout_id=row["gateway_id"], reference=row["reference"])


def read(row: Mapping[str, object]) -> CheckoutRead:
    """Read a row of ``checkouts``; the step is shown while it can be taken."""
    sealed = str(row["step"])
    is_open = row["status"] == CheckoutStatus.OPEN and sealed
    step = msgspec.json.decode(decrypt(sealed, purpose=SEAL), type=NextStep) if is_open else None
    return msgspec.convert({**row, "amount": Decimal(str(row["amount"])), "step": step}, CheckoutRead)


def _step(step: CheckoutStep) -> NextStep:
    match step:
        case ClientSecret():
            return NextStep(kind="client_secret", client_secret=step.secret, publishable_key=step.publishable_key)
        case PixQr():
            return NextStep(kind="pix_qr", pix_code=step.copy_and_paste)
        case _:
            return NextStep(kind="redirect", url=step.url)


def next_step(step: CheckoutStep | None) -> NextStep | None:
    """Return a gateway's step as the API tells it."""
    return None if step is None else _step(step)


def gateway_of(name: str) -> PaymentGateway:
    """Return the gateway of a row.

    Raises:
        ProviderFailedError: Its plugin is not enabled.
    """
    known = providers().gateways_by_name
    if name not in known:
        raise ProviderFailedError(name, code="no_such_provider")
    return known[name]
