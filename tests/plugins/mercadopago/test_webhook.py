"""What proves a webhook, and what it is a hint of."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from mercadopago.webhook.validator import InvalidWebhookSignatureError, WebhookSignatureValidator

from core.plugin import GatewayVerdict, References, Secret, WebhookDelivery
from plugins.mercadopago.webhook import manifest, receive, sign

SECRET = Secret("signature-of-the-application")
OLD = Secret("signature-before-it-was-reset")
NUMBER = "2c938084726fca480172750000000000"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
WINDOW = 86_400


def make(
    *,
    topic: str = "subscription_preapproval",
    number: str = NUMBER,
    action: str = "updated",
    at: datetime = NOW,
    unit: int = 1000,
    secret: Secret = SECRET,
    request_id: str = "request-1",
) -> WebhookDelivery:
    stamp = str(int(at.timestamp() * unit))
    headers = {"x-signature": f"ts={stamp},v1={sign(manifest(number, request_id, stamp), secret)}"}
    if request_id:
        headers["x-request-id"] = request_id
    body = {"id": 7, "type": topic, "action": action, "live_mode": True, "data": {"id": number}}
    return WebhookDelivery(
        method="POST",
        query={"data.id": number, "type": topic} if number else {},
        headers=headers,
        body=msgspec.json.encode(body),
        public_url="https://p.example/w",
    )


def judge(delivery: WebhookDelivery, secrets: Sequence[Secret] = (SECRET,), now: datetime = NOW) -> GatewayVerdict:
    return receive(delivery, secrets, WINDOW, now)


def changed(delivery: WebhookDelivery, headers: Mapping[str, str]) -> WebhookDelivery:
    return msgspec.structs.replace(delivery, headers={**delivery.headers, **headers})


def test_the_manifest_leaves_out_what_is_absent() -> None:
    assert manifest("ORD01ABC", "r-1", "1742505638683") == "id:ord01abc;request-id:r-1;ts:1742505638683;"
    assert manifest("", "r-1", "1") == "request-id:r-1;ts:1;"
    assert manifest("7", "", "1") == "id:7;ts:1;"


@pytest.mark.parametrize("unit", [1, 1000])
def test_seconds_and_milliseconds(unit: int) -> None:
    assert judge(make(unit=unit)).genuine
    late = make(unit=unit, at=NOW - timedelta(seconds=WINDOW + 1))
    early = make(unit=unit, at=NOW + timedelta(seconds=WINDOW + 1))
    assert not judge(late).genuine
    assert not judge(early).genuine
    assert judge(make(unit=unit, at=NOW - timedelta(seconds=WINDOW - 1))).genuine


@pytest.mark.parametrize("request_id", ["request-1", ""])
def test_the_service_s_own_library_agrees(request_id: str) -> None:
    delivery = make(request_id=request_id)
    signature = delivery.headers["x-signature"]
    WebhookSignatureValidator.validate(signature, request_id or None, NUMBER, SECRET.reveal())
    assert judge(delivery).genuine
    with pytest.raises(InvalidWebhookSignatureError):
        WebhookSignatureValidator.validate(signature, request_id or None, NUMBER, OLD.reveal())
    assert not judge(delivery, (OLD,)).genuine


def test_an_id_in_capitals_is_signed_in_small_letters() -> None:
    delivery = make(number="ORD01ABC")
    with pytest.raises(InvalidWebhookSignatureError):
        WebhookSignatureValidator.validate(delivery.headers["x-signature"], "request-1", "ORD01ABC", SECRET.reveal())
    assert judge(delivery).genuine


def test_one_of_several_secrets() -> None:
    for secret in (SECRET, OLD):
        assert judge(make(secret=secret), (SECRET, OLD)).genuine
    assert not judge(make(secret=Secret("another")), (SECRET, OLD)).genuine


def test_without_a_secret_nothing_is_genuine() -> None:
    assert not judge(make(), ()).genuine
    assert not judge(make(secret=Secret("")), (Secret(""),)).genuine


@pytest.mark.parametrize(
    "headers",
    [
        {"x-signature": ""},
        {"x-signature": "v1=abc"},
        {"x-signature": "ts=1"},
        {"x-signature": "ts=yesterday,v1=abc"},
        {"x-signature": "ts=99999999999999999999,v1=abc"},
        {"x-request-id": "another"},
    ],
)
def test_another_proof_is_refused(headers: dict[str, str]) -> None:
    verdict = judge(changed(make(), headers))
    assert (verdict.genuine, verdict.status, verdict.hints, verdict.payload) == (False, 401, (), b"")


def test_another_object_than_the_signed_one_is_refused() -> None:
    other = msgspec.structs.replace(make(), query={"data.id": "0" * 32, "type": "payment"})
    assert not judge(other).genuine


def test_the_old_form_without_a_signature_is_refused() -> None:
    old = WebhookDelivery(
        method="POST",
        query={"topic": "payment", "id": "19951521071"},
        headers={},
        body=b'{"resource": "https://api.mercadolibre.com/collections/notifications/19951521071", "topic": "payment"}',
        public_url="https://p.example/w",
    )
    assert judge(old).status == 401


@pytest.mark.parametrize(
    ("topic", "action", "number", "refs", "name"),
    [
        (
            "subscription_preapproval",
            "updated",
            NUMBER,
            References(gateway_id=NUMBER, object_kind="preapproval", object_id=NUMBER),
            "subscription_preapproval.updated",
        ),
        (
            "subscription_authorized_payment",
            "created",
            "6114264375",
            References(object_kind="authorized_payment", object_id="6114264375"),
            "subscription_authorized_payment.created",
        ),
        (
            "payment",
            "payment.updated",
            "19951521071",
            References(object_kind="payment", object_id="19951521071"),
            "payment.updated",
        ),
    ],
)
def test_three_topics(topic: str, action: str, number: str, refs: References, name: str) -> None:
    (hint,) = judge(make(topic=topic, action=action, number=number)).hints
    assert (hint.refs, hint.name) == (refs, name)
    assert hint.dedupe_key.startswith(f"{topic}:{number}:{action}:")


@pytest.mark.parametrize("topic", ["subscription_preapproval_plan", "topic_claims_integration_wh", ""])
def test_other_topics_are_taken_and_say_nothing(topic: str) -> None:
    delivery = make(topic=topic)
    delivery = msgspec.structs.replace(delivery, query={"data.id": NUMBER})
    verdict = judge(delivery)
    assert (verdict.genuine, verdict.status, verdict.hints) == (True, 200, ())


def test_the_body_is_not_signed_so_the_query_says_what_it_is_about() -> None:
    delivery = make()
    body = delivery.body.replace(NUMBER.encode(), b"f" * 32)
    (hint,) = judge(msgspec.structs.replace(delivery, body=body)).hints
    assert hint.refs.object_id == NUMBER


def test_equal_events_have_equal_keys_and_others_do_not() -> None:
    again = make(at=NOW + timedelta(minutes=15))
    others = [make(request_id="request-2"), make(action="created"), make(number="1"), make(topic="payment")]
    key = judge(make()).hints[0].dedupe_key

    assert judge(again).hints[0].dedupe_key == key
    assert len({key, *(judge(one).hints[0].dedupe_key for one in others)}) == 5


def test_what_is_stored_is_what_is_known() -> None:
    delivery = make()
    body = delivery.body[:-1] + b', "card": {"number": "5031433215406351"}, "user_id": "u\\u0000"}'
    stored = msgspec.json.decode(judge(msgspec.structs.replace(delivery, body=body)).payload)
    assert stored == {
        "id": 7,
        "type": "subscription_preapproval",
        "action": "updated",
        "date_created": None,
        "live_mode": True,
        "user_id": "u",
        "api_version": None,
        "data": {"id": NUMBER},
    }
