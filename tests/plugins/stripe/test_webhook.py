"""What a webhook must prove, and what is taken from it."""

import time
from typing import Any

import msgspec
import pytest
import stripe as library

from core.plugin import GatewayVerdict, References, Secret, WebhookDelivery
from plugins.stripe.webhook import EVENTS, receive, sign

SECRET = Secret("whsec_one")
BODY: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "invoice.paid",
    "created": 1_900_000_000,
    "api_version": library.api_version,
    "livemode": False,
    "data": {
        "object": {
            "id": "in_1",
            "object": "invoice",
            "customer": "cus_1",
            "status": "paid",
            "customer_email": "ana@example.com",
            "customer_name": "Ana",
        }
    },
}


def judge(
    body: bytes,
    *,
    header: str | None = None,
    secrets: tuple[Secret, ...] = (SECRET,),
    at: int | None = None,
    live: bool | None = False,
) -> GatewayVerdict:
    moment = int(time.time()) if at is None else at
    signed = f"t={moment},v1={sign(body, SECRET, moment)}" if header is None else header
    delivery = WebhookDelivery(
        method="POST", query={}, headers={"stripe-signature": signed}, body=body, public_url="https://p.example"
    )
    return receive(delivery, secrets, tolerance_seconds=300, live=live)


def event(kind: str = "invoice.paid", thing: object = None, **changes: object) -> bytes:
    shown = {"object": thing} if thing is not None else BODY["data"]
    return msgspec.json.encode(BODY | {"type": kind, "data": shown} | changes)


def test_the_library_signs_alike() -> None:
    body = event()
    header = library.WebhookSignature.generate_signature_header(body.decode(), SECRET.reveal(), int(time.time()))

    verdict = judge(body, header=header)

    assert (verdict.genuine, verdict.warning) == (True, "")
    (hint,) = verdict.hints
    assert (hint.dedupe_key, hint.name) == ("evt_1", "invoice.paid")
    assert hint.refs == References(customer_id="cus_1", object_kind="invoice", object_id="in_1")


@pytest.mark.parametrize("off", [-301, 301, 86_400, -86_400])
def test_a_time_too_far_away_is_refused(off: int) -> None:
    verdict = judge(event(), at=int(time.time()) + off)

    assert (verdict.genuine, verdict.status, verdict.hints) == (False, 400, ())


@pytest.mark.parametrize("off", [-290, 290])
def test_a_clock_that_is_somewhat_wrong_is_forgiven(off: int) -> None:
    assert judge(event(), at=int(time.time()) + off).genuine


@pytest.mark.parametrize(
    "header", ["", "t=", "v1=abc", "t=x,v1=abc", "t=1", "t=-5,v1=a", "nonsense", ",,,", "t=1=2,v1"]
)
def test_a_header_that_says_nothing_is_refused(header: str) -> None:
    assert not judge(event(), header=header).genuine


def test_a_body_that_was_written_anew_is_refused() -> None:
    at = int(time.time())
    header = f"t={at},v1={sign(event(), SECRET, at)}"

    assert not judge(msgspec.json.format(event()), header=header).genuine


def test_any_of_several_signatures_and_secrets_fits() -> None:
    at = int(time.time())
    body = event()
    header = f"t={at},v0=abc,v1={'0' * 64},v1={sign(body, SECRET, at)}"

    assert judge(body, header=header, secrets=(Secret("whsec_new"), SECRET)).genuine
    assert not judge(body, header=header, secrets=(Secret("whsec_new"),)).genuine


@pytest.mark.parametrize("secrets", [(), (Secret(""),), (Secret("  "),)])
def test_without_a_secret_nothing_is_genuine(secrets: tuple[Secret, ...]) -> None:
    at = int(time.time())
    body = event()
    signature = sign(body, secrets[0], at) if secrets else "0"

    assert not judge(body, header=f"t={at},v1={signature}", secrets=secrets).genuine


def test_what_is_stored_names_no_payer() -> None:
    stored = judge(event()).payload

    assert b"ana@example.com" not in stored
    assert b"Ana" not in stored
    assert msgspec.json.decode(stored)["data"]["object"] == {
        "id": "in_1", "object": "invoice", "status": "paid", "customer": "cus_1"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "thing", "refs"),
    [
        (
            "customer.subscription.updated",
            {"id": "sub_1", "object": "subscription", "customer": "cus_1"},
            References(gateway_id="sub_1", customer_id="cus_1"),
        ),
        (
            "checkout.session.completed",
            {"id": "cs_1", "object": "checkout.session", "subscription": "sub_1", "customer": "cus_1"},
            References(gateway_id="sub_1", checkout_id="cs_1", customer_id="cus_1"),
        ),
        (
            "checkout.session.expired",
            {"id": "cs_1", "object": "checkout.session", "subscription": None},
            References(checkout_id="cs_1"),
        ),
        (
            "charge.refunded",
            {"id": "ch_1", "object": "charge", "customer": {"id": "cus_1", "object": "customer"}},
            References(customer_id="cus_1", object_kind="charge", object_id="ch_1"),
        ),
        (
            "charge.dispute.created",
            {"id": "du_1", "object": "dispute"},
            References(object_kind="dispute", object_id="du_1"),
        ),
        (
            "customer.deleted",
            {"id": "cus_1", "object": "customer"},
            References(customer_id="cus_1", object_kind="customer", object_id="cus_1"),
        ),
    ],
)
def test_hints(kind: str, thing: dict[str, object], refs: References) -> None:
    (hint,) = judge(event(kind, thing)).hints

    assert hint.refs == refs


def test_events_of_other_versions_are_hints_with_a_warning() -> None:
    dahlia = event(api_version="2026-03-25.dahlia")
    old = event(
        thing={"id": "in_9", "object": "invoice", "customer": "cus_9", "subscription": "sub_9", "charge": "ch_9"},
        api_version="2017-08-15",
    )

    verdicts = [judge(body) for body in (dahlia, old, event(api_version=None))]

    assert [one.hints[0].refs.object_id for one in verdicts] == ["in_1", "in_9", "in_1"]
    assert ["2026-03-25.dahlia" in verdicts[0].warning, "2017-08-15" in verdicts[1].warning] == [True, True]
    assert "unknown" in verdicts[2].warning


@pytest.mark.parametrize(
    "body",
    [
        event("person.created"),
        event("invoice.payment_succeeded"),
        event(thing={"object": "invoice"}),
        event(thing={"id": "a b", "object": "invoice"}),
        event(thing={"id": "x_1", "object": "payout"}),
        event(id="evt_\0"),
        msgspec.json.encode(
            {"id": "evt_2", "object": "v2.core.event", "type": "v1.invoice.paid", "data": {"object": {}}}
        ),
        b"{}",
        b'{"id": "evt_1"}',
    ],
)
def test_what_says_nothing_is_genuine_and_no_hint(body: bytes) -> None:
    verdict = judge(body)

    assert (verdict.genuine, verdict.status, verdict.hints) == (True, 200, ())


def test_the_other_mode_is_no_hint_and_a_warning() -> None:
    verdict = judge(event(livemode=True))

    assert (verdict.genuine, verdict.hints) == (True, ())
    assert "live mode" in verdict.warning
    assert judge(event(livemode=True), live=None).hints


def test_the_listed_events_exist() -> None:
    known = str(library.params.WebhookEndpointCreateParams.__annotations__["enabled_events"])

    assert [one for one in EVENTS if f"'{one}'" not in known] == []
    assert len(EVENTS) == len({*EVENTS})
