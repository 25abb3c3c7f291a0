"""What users do with the subscription they have: change its plan, end it, let it go on, open the gateway's page."""

import asyncio
import secrets
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError, PaymentDeclinedError, ProviderFailedError
from core.payments import actions, catalog, fetching
from core.payments.actions import ChangeDetail
from core.payments.addresses import return_url
from core.payments.checkouts import begin, gateway_of, next_step
from core.payments.recording import Row
from core.payments.schemas import (
    AccessRead,
    ChangePreviewRead,
    ChangeWanted,
    CheckoutCreate,
    NextStep,
    RetryRead,
    StepRead,
    SubscriptionRead,
)
from core.payments.subscriptions import lock_by_id, present_subscription, save
from core.payments.tables import ActionKind
from core.plans.overages import overages
from core.plans.prices import price_of
from core.plans.services import get_plan, limits_of
from core.plugin import (
    ChangePreviewing,
    CheckoutStep,
    DeclinedError,
    Interval,
    Money,
    PaymentGateway,
    ProviderError,
    References,
    RetryableError,
    SubscriptionStatus,
)
from core.security import CurrentUser
from core.texts import text

CALL_SECONDS = 45.0
HELD_SECONDS = 90.0
"""A worker does not take up what a request is doing."""

_T = TypeVar("_T")
_CHANGEABLE = {SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIAL}


async def access_of(user_id: int) -> AccessRead:
    """Return what a user has, and the subscription that pays for it."""
    limits = await limits_of(user_id)
    row = await present_subscription(user_id)
    return AccessRead(
        plan_id=limits.plan_id,
        access_until=limits.access_until,
        has_access=limits.has_access,
        over=await overages(user_id, limits.plan_id),
        subscription=None if row is None else await read(row),
    )


async def preview_change(user: CurrentUser, wanted: ChangeWanted) -> ChangePreviewRead:
    """Say what a change of plan would cost and when it would count; nothing is changed.

    Raises:
        ConflictError: There is no subscription that can change.
        InvalidInputError: The plan is the present one, or is not sold in the subscription's currency.
        ProviderFailedError: The gateway gave no answer.
    """
    row = await _present(user.id)
    gateway = gateway_of(row.gateway)
    detail = await _detail(gateway, row, wanted)
    price = Money(detail.amount, detail.currency)
    due_now, next_charge, as_of = Decimal(0), price.amount, datetime.now(UTC)
    if detail.at_once and isinstance(gateway, ChangePreviewing):
        preview = await _ask(gateway, gateway.preview_change(_refs(row), actions.change_of(detail, "preview")))
        due_now, next_charge, as_of = preview.due_now.amount, preview.next_charge.amount, preview.as_of
    return ChangePreviewRead(
        plan_id=wanted.plan_id,
        at_once=detail.at_once,
        applies_at=None if detail.at_once else row.state.access_until,
        due_now=due_now,
        next_charge=next_charge,
        currency=price.currency,
        as_of=as_of,
        over=await overages(user.id, wanted.plan_id),
    )


async def change_plan(user: CurrentUser, wanted: ChangeWanted) -> StepRead:
    """Move the subscription to another plan: a dearer one at once where the gateway can, else with the next period.

    Raises:
        As ``preview_change``, and PaymentDeclinedError: The difference could not be charged; the plan stays.
    """
    row = await _present(user.id)
    gateway = gateway_of(row.gateway)
    detail = await _detail(gateway, row, wanted)
    async with database.unit_of_work():
        locked = await _lock(row)
        if not detail.at_once and detail.plan_id != locked.state.plan_id:
            planned = {"next_plan_id": detail.plan_id, "next_plan_at": locked.state.access_until}
            await save(msgspec.structs.replace(locked, state=msgspec.structs.replace(locked.state, **planned)))
        facts = {"plan_id": detail.plan_id, "at_once": detail.at_once}
        action_id = await _store(ActionKind.CHANGE_PLAN, locked, detail, facts)
    return await _done(row, await _perform(gateway, action_id))


async def cancel(user_id: int, *, at_period_end: bool) -> SubscriptionRead:
    """End the user's subscription with its period, or at once; one that ends already stays as it is.

    Raises:
        ConflictError: There is no subscription.
        ProviderFailedError: The gateway refused it; where it gave no answer it is asked again.
    """
    row = await _present(user_id, changeable=False)
    return await cancel_subscription(row, at_period_end=at_period_end)


async def cancel_subscription(row: Row, *, at_period_end: bool) -> SubscriptionRead:
    """As ``cancel``, for a subscription that was looked up."""
    gateway = gateway_of(row.gateway)
    async with database.unit_of_work():
        locked = await _lock(row)
        if at_period_end and not locked.state.auto_renew:
            return await read(locked)
        if not at_period_end:
            now = datetime.now(UTC)
            await save(msgspec.structs.replace(locked, state=msgspec.structs.replace(locked.state, cancel_now_at=now)))
        detail = {"at_period_end": at_period_end}
        action_id = await _store(ActionKind.CANCEL, locked, detail, detail)
    await _perform(gateway, action_id, patient=True)
    return (await _done(row, None)).subscription


async def resume(user_id: int) -> SubscriptionRead:
    """Take back a cancellation for the end of the period, or end a pause.

    Raises:
        ConflictError: There is nothing to resume, or the gateway cannot: subscribe again once it is over.
        ProviderFailedError: As ``cancel``.
    """
    row = await _present(user_id, changeable=False)
    gateway = gateway_of(row.gateway)
    if row.state.auto_renew and row.state.status is not SubscriptionStatus.PAUSED:
        return await read(row)
    if not gateway.capabilities.resume:
        raise ConflictError(
            f"{row.gateway} cannot resume a subscription: subscribe again once it is over.",
            code="cannot_resume",
            gateway=row.gateway,
        )
    async with database.unit_of_work():
        action_id = await _store(ActionKind.RESUME, await _lock(row), {}, {})
    await _perform(gateway, action_id, patient=True)
    return (await _done(row, None)).subscription


async def portal(user_id: int) -> str:
    """Return the address of the gateway's page for this payer, good for some minutes.

    Raises:
        ConflictError: There is no subscription, or the gateway has no such page.
        ProviderFailedError: The gateway gave no answer.
    """
    row = await _present(user_id, changeable=False)
    gateway = gateway_of(row.gateway)
    if not gateway.capabilities.portal:
        raise ConflictError(f"{row.gateway} has no page for payers.", code="no_portal", gateway=row.gateway)
    return await _ask(gateway, gateway.portal(_refs(row, await _customer(row)), await return_url("portal")))


async def retry(user: CurrentUser, payment_id: int) -> RetryRead:
    """Let a failed payment be tried again: on the gateway's page while its subscription lives, else as a new intent.

    Raises:
        NotFoundError: There is no such payment.
        ConflictError: It did not fail, or there is nothing the user could do.
    """
    payment = await database.fetch_row(
        "SELECT p.*, s.checkout_id, s.status AS subscription_status, k.interval, k.plan_id AS sold_plan_id"
        " FROM payments p LEFT JOIN subscriptions s ON s.id = p.subscription_id LEFT JOIN checkouts k"
        " ON k.id = s.checkout_id WHERE p.user_id = $1 AND p.id = $2",
        user.id,
        payment_id,
    )
    if payment is None:
        raise NotFoundError("payment", payment_id)
    if payment["status"] != "failed":
        raise ConflictError("This payment did not fail.", code="payment_not_failed")
    present = await present_subscription(user.id)
    if present is not None and present.state.status is not SubscriptionStatus.CANCELED:
        return RetryRead(step=await _settle(present, str(payment["action_url"])), checkout=None)
    wanted = CheckoutCreate(
        plan_id=payment["plan_id"] or payment["sold_plan_id"] or 0,
        gateway=payment["gateway"],
        currency=payment["currency"],
        interval="year" if payment["interval"] == "year" else "month",
    )
    checkout = await begin(user, wanted, retry_of=payment_id)
    return RetryRead(step=checkout.step, checkout=checkout)


async def _settle(row: Row, action_url: str) -> NextStep:
    url = row.state.action_url or action_url
    if not url and gateway_of(row.gateway).capabilities.portal:
        url = await portal(row.user_id)
    if not url:
        raise ConflictError(
            f"{row.gateway} tries again by itself; there is no page to pay on.",
            code="payment_not_retryable",
            gateway=row.gateway,
        )
    return NextStep(kind="redirect", url=url)


async def read(row: Row) -> SubscriptionRead:
    """Return a subscription as the API shows it, with what is asked of the gateway and not confirmed."""
    found = await database.fetch_row(
        "SELECT created_at, updated_at, ARRAY(SELECT kind FROM gateway_actions WHERE subscription_id = s.id"
        " AND status = 'pending' ORDER BY id) AS pending FROM subscriptions s WHERE id = $1",
        row.id,
    )
    state = row.state
    fields = {**msgspec.structs.asdict(state), **msgspec.structs.asdict(row), **dict(found or {})}
    return msgspec.convert({**fields, "amount": state.price.amount, "currency": state.price.currency}, SubscriptionRead)


async def _present(user_id: int, *, changeable: bool = True) -> Row:
    row = await present_subscription(user_id)
    if row is None or row.state.status is SubscriptionStatus.CANCELED:
        raise ConflictError("There is no subscription.", code="no_subscription")
    if changeable and row.state.status not in _CHANGEABLE:
        raise ConflictError("What is due has to be paid before the plan can change.", code="subscription_not_active")
    return row


async def _lock(row: Row) -> Row:
    await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", row.user_id)
    locked = await lock_by_id(row.id)
    assert locked is not None  # noqa: S101 - subscriptions are not deleted
    return locked


async def _detail(gateway: PaymentGateway, row: Row, wanted: ChangeWanted) -> ChangeDetail:
    """Return what a change to the wanted plan is, as it will be asked of the gateway."""
    if not gateway.capabilities.plan_change:
        raise ConflictError(
            f"{row.gateway} cannot change the plan of a subscription.", code="no_plan_change", gateway=row.gateway
        )
    try:
        plan = await get_plan(wanted.plan_id)
    except NotFoundError:
        raise InvalidInputError({"plan_id": [text("unknown_plan")]}) from None
    state = row.state
    goes_back = plan.id == state.plan_id and state.next_plan_id is not None
    if plan.id == (state.next_plan_id or state.plan_id):
        raise InvalidInputError({"plan_id": [text("present_plan")]})
    found = await price_of(plan.id, state.price.currency, row.interval)
    if found is None or not found[0]:
        raise InvalidInputError({"plan_id": [text("plan_not_sold_so")]})
    price = Money(*found)
    # While another plan is to follow, the gateway has that one's price already.
    planned = state.next_plan_id is not None
    present = await price_of(state.plan_id, state.price.currency, row.interval) if planned else None
    is_dearer = price.amount > (state.price.amount if present is None else present[0])
    interval: Interval = "year" if row.interval == "year" else "month"
    try:
        reference = await catalog.reference_of(gateway, plan.id, plan.name, price, interval)
    except ProviderError as error:
        raise ProviderFailedError(gateway.name, code=error.code) from error
    return ChangeDetail(
        plan_id=plan.id,
        plan_name=plan.name,
        plan_reference=reference,
        amount=price.amount,
        currency=price.currency,
        interval=interval,
        at_once=is_dearer and not goes_back and gateway.capabilities.proration,
        as_of=wanted.as_of,
        return_url=await return_url("portal"),
    )


async def _store(kind: ActionKind, row: Row, detail: object, facts: Mapping[str, object]) -> int:
    action_id = await actions.ask(
        kind,
        user_id=row.user_id,
        key=f"{kind}-{secrets.token_hex(16)}",
        subscription_id=row.id,
        detail=detail,
        held_seconds=HELD_SECONDS,
    )
    assert action_id is not None  # noqa: S101 - the key is new
    await audit.record(f"subscription.{kind}", entity_id=row.id, facts=facts, account_id=row.user_id)
    return action_id


async def _perform(gateway: PaymentGateway, action_id: int, *, patient: bool = False) -> CheckoutStep | None:
    """Do it now; ``patient`` leaves what was not answered to the workers, which goes on by itself."""
    try:
        return await actions.perform(action_id)
    except DeclinedError as error:
        raise PaymentDeclinedError(error.provider_code) from None
    except RetryableError as error:
        if patient:
            return None
        raise ProviderFailedError(gateway.name, code=error.code, retry_after=5.0) from error
    except ProviderError as error:
        raise ProviderFailedError(gateway.name, code=error.code) from error


async def _done(row: Row, step: CheckoutStep | None) -> StepRead:
    """Return the row as it is by now: the fetch that was ordered is done at once where the gateway answers."""
    await fetching.fetch_now(row.gateway, References(gateway_id=row.gateway_id))
    async with database.unit_of_work():
        locked = await _lock(row)
    return StepRead(subscription=await read(locked), step=next_step(step))


async def _ask(gateway: PaymentGateway, call: Awaitable[_T]) -> _T:
    """Wait for a call that changes nothing."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call
    except (ProviderError, TimeoutError) as error:
        raise ProviderFailedError(gateway.name, code=getattr(error, "code", None)) from error


def _refs(row: Row, customer_id: str = "") -> References:
    return References(gateway_id=row.gateway_id, customer_id=customer_id)


async def _customer(row: Row) -> str:
    found = await database.fetch_value(
        "SELECT customer_id FROM gateway_customers WHERE gateway = $1 AND user_id = $2", row.gateway, row.user_id
    )
    return str(found or "")
