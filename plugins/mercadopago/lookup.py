"""Find a subscription by whatever is known of it, and collect what belongs to it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs, urlsplit

from core.plugin import References, Snapshot
from plugins.mercadopago.answers import Installment, Page, Payment, Plan, Preapproval, moment, text_of
from plugins.mercadopago.connection import Connection
from plugins.mercadopago.reading import (
    AUTHORIZED,
    PAUSED,
    PENDING,
    RECURRING_PAYMENT,
    Collected,
    read_snapshot,
)

PLAN_PREFIX = "plan:"
"""How the id of a checkout begins that is a plan's; one without it is a subscription's."""
REFERENCE_PARAMETER = "recado_reference"
"""Where the address to come back to carries the reference of a plan: a plan has no field for it."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFERENCE = re.compile(r"[a-z0-9-]{1,60}")
_PREFERENCE = (AUTHORIZED, PAUSED, PENDING)
_LATEST_PAYMENTS = 6
"""Of so many installments the payments are asked for one by one: searches lag behind."""
_LISTED = 50


class Lookup:
    """Reads; every change is the gateway's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_kind: dict[str, Callable[[str], Awaitable[Preapproval | None]]] = {
            "preapproval": self.by_id,
            "authorized_payment": self._by_installment,
            "payment": self._by_payment,
        }

    async def snapshot(self, refs: References) -> Snapshot | None:
        """Return the present state, ``None`` where there is no such subscription or it is not one of ours."""
        found = await self.find(refs)
        if found is None:
            return None
        reference = await self._reference_of(found)
        if not reference:
            if not refs.reference:
                return None
            reference = refs.reference
        installments = await self._installments(found.id, refs)
        payments = await self._payments(found, installments, refs)
        plan = found.preapproval_plan_id
        checkout_id = f"{PLAN_PREFIX}{plan}" if plan else found.id
        return read_snapshot(
            Collected(
                preapproval=found,
                reference=reference,
                checkout_id=checkout_id,
                installments=installments,
                payments=payments,
            )
        )

    async def find(self, refs: References) -> Preapproval | None:
        """Return the subscription by the first reference that leads to one."""
        by_kind = self._by_kind.get(refs.object_kind)
        if by_kind is not None and refs.object_id:
            return await by_kind(refs.object_id)
        for name in (refs.gateway_id, refs.checkout_id):
            found = await self._by_name(name) if name else None
            if found is not None:
                return found
        return await self.by_reference(refs.reference) if refs.reference else None

    async def by_id(self, gateway_id: str) -> Preapproval | None:
        """Return a subscription by its id."""
        if not _ID.fullmatch(gateway_id):
            return None
        return await self._connection.find(
            lambda sdk, options: sdk.preapproval().get(gateway_id, options), Preapproval, "asking for a subscription"
        )

    async def by_reference(self, reference: str) -> Preapproval | None:
        """Return the subscription of a checkout."""
        return await self._search({"external_reference": reference})

    async def _by_name(self, name: str) -> Preapproval | None:
        if name.startswith(PLAN_PREFIX):
            return await self._search({"preapproval_plan_id": name.removeprefix(PLAN_PREFIX)})
        return await self.by_id(name)

    async def _by_installment(self, number: str) -> Preapproval | None:
        installment = await self._installment(number)
        return await self.by_id(installment.preapproval_id) if installment is not None else None

    async def _by_payment(self, number: str) -> Preapproval | None:
        payment = await self._payment(number)
        if payment is None:
            return None
        if payment.subscription:
            return await self.by_id(payment.subscription)
        reference = text_of(payment.external_reference)
        if payment.operation_type != RECURRING_PAYMENT or not reference:
            return None
        return await self.by_reference(reference)

    async def _search(self, filters: dict[str, object]) -> Preapproval | None:
        """Return the one that matters of several: a live one, then the oldest."""
        page = await self._connection.find(
            lambda sdk, options: sdk.preapproval().search(filters, options),
            Page[Preapproval],
            "searching for a subscription",
        )
        found = page.results if page is not None else []
        return min(found, key=_rank, default=None)

    async def _reference_of(self, found: Preapproval) -> str:
        """Return the reference that core gave, empty where the subscription is somebody else's."""
        reference = text_of(found.external_reference)
        plan_id = found.preapproval_plan_id
        if not reference and plan_id:
            plan = await self._connection.find(
                lambda sdk, options: sdk.plan().get(plan_id, options), Plan, "asking for a plan"
            )
            query = parse_qs(urlsplit(plan.back_url or "").query) if plan is not None else {}
            reference = query.get(REFERENCE_PARAMETER, [""])[-1]
        return reference if _REFERENCE.fullmatch(reference) else ""

    async def _installments(self, gateway_id: str, refs: References) -> list[Installment]:
        """Return all that are listed, and the one that ``refs`` name: of some subscriptions none is ever listed."""
        found: list[Installment] = []
        while True:
            # Without a limit, since this search refuses 100 and says nowhere what it takes.
            filters: dict[str, object] = {"preapproval_id": gateway_id, "offset": len(found)}
            page = await self._connection.find(
                # The call is over before the filters are others.
                lambda sdk, options: sdk.invoice().search(filters, options),  # noqa: B023
                Page[Installment],
                "asking for authorized payments",
            )
            found += page.results if page is not None else []
            if page is None or not page.results or len(found) >= page.paging.total:
                break
        if refs.object_kind == "authorized_payment" and refs.object_id not in {text_of(one.id) for one in found}:
            named = await self._installment(refs.object_id)
            found += [] if named is None else [named]
        return sorted(found, key=lambda one: one.debit_date or "")

    async def _installment(self, number: str) -> Installment | None:
        if not _ID.fullmatch(number):
            return None
        return await self._connection.find(
            lambda sdk, options: sdk.invoice().get(number, options), Installment, "asking for an authorized payment"
        )

    async def _payments(
        self, found: Preapproval, installments: Sequence[Installment], refs: References
    ) -> dict[str, Payment]:
        """Return payments by id: those of the latest installments, the one that led here, and what a search tells."""
        numbers = [text_of(one.payment.id) for one in installments if one.payment is not None]
        latest = {number for number in numbers[-_LATEST_PAYMENTS:] if number}
        latest |= {refs.object_id} if refs.object_kind == "payment" else set()
        searched, *current = await asyncio.gather(self._attempts(found), *map(self._listed, sorted(latest)))
        return {text_of(payment.id): payment for page in (searched, *current) for payment in page}

    async def _attempts(self, found: Preapproval) -> list[Payment]:
        """Return charges under the subscription's reference; an installment names its last attempt alone."""
        reference = text_of(found.external_reference)
        if not reference:
            return []
        filters: dict[str, object] = {
            "external_reference": reference,
            "sort": "date_created",
            "criteria": "desc",
            "limit": _LISTED,
            "offset": 0,
        }
        page = await self._connection.find(
            lambda sdk, options: sdk.payment().search(filters, options), Page[Payment], "searching for payments"
        )
        ours = page.results if page is not None else []
        return [one for one in ours if _belongs(one, found)]

    async def _listed(self, number: str) -> list[Payment]:
        payment = await self._payment(number)
        return [] if payment is None else [payment]

    async def _payment(self, number: str) -> Payment | None:
        if not _ID.fullmatch(number):
            return None
        return await self._connection.find(
            lambda sdk, options: sdk.payment().get(number, options), Payment, "asking for a payment"
        )


def _belongs(payment: Payment, found: Preapproval) -> bool:
    """Two subscriptions may share a reference where one was made twice; what proves a card belongs to none."""
    if payment.subscription:
        return payment.subscription == found.id
    return payment.operation_type == RECURRING_PAYMENT


def _rank(one: Preapproval) -> tuple[int, str]:
    place = _PREFERENCE.index(one.status) if one.status in _PREFERENCE else len(_PREFERENCE)
    made = moment(one.date_created)
    return place, made.isoformat() if made is not None else ""
