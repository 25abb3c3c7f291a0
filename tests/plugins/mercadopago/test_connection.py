"""How the SDK is called: once, exactly, within a limit, and what its answers mean."""

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import (
    ConfigurationError,
    DeclinedError,
    ProviderError,
    RefusedError,
    RetryableError,
    Secret,
)
from core.plugin.testing import CANARY, Answer, Cut, Drip, Hang, Reaction, ScriptedServer, unreachable_url
from plugins.mercadopago.answers import Payment, moment
from plugins.mercadopago.connection import Connection, _exact, header_key

BODY = {"reason": "Pro", "auto_recurring": {"transaction_amount": "19.90", "currency_id": "BRL"}, "amount": "24.50"}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(Answer(200, b'{"id": 1}')) as running:
        yield running


async def call(url: str, *, method: str = "POST", key: str = "key") -> Payment | None:
    connection = Connection(Secret("token"), url, 0.5)
    try:
        if method == "GET":
            return await connection.find(lambda sdk, options: sdk.payment().get("1", options), Payment, "asking")
        return await connection.change(
            lambda sdk, options: sdk.preapproval().create(BODY, options), Payment, "starting", key
        )
    finally:
        connection.close()


async def test_amounts_go_out_as_exact_numbers(server: ScriptedServer) -> None:
    await call(server.url)
    (request,) = server.requests

    assert b'"transaction_amount":19.90' in request.body
    assert b'"amount":24.50' in request.body
    assert request.headers["authorization"] == "Bearer token"


@pytest.mark.parametrize("written", ["19.99", '"19.99"', "19.990"])
async def test_amounts_come_in_exact(server: ScriptedServer, written: str) -> None:
    server.reaction = Answer(200, f'{{"id": "1", "transaction_amount": {written}}}'.encode())
    found = await call(server.url, method="GET")

    assert found is not None
    assert found.transaction_amount == Decimal("19.99")
    assert isinstance(found.transaction_amount, Decimal)


def test_keys_have_at_most_64_characters() -> None:
    assert header_key("checkout-17") == "checkout-17"
    assert header_key("k" * 64) == "k" * 64
    for odd in ("", "k" * 65, "ação", "a b"):
        assert len(header_key(odd)) == 64
        assert header_key(odd) == header_key(odd)
    assert header_key("k" * 65) != header_key("k" * 66)


async def test_a_long_key_is_the_same_each_time(server: ScriptedServer) -> None:
    for _ in range(2):
        await call(server.url, key="k" * 100)

    assert {request.headers["x-idempotency-key"] for request in server.requests} == {header_key("k" * 100)}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_nothing_is_repeated_behind_our_back(server: ScriptedServer, method: str, status: int) -> None:
    server.reaction = Answer(status, b"{}")
    with pytest.raises(RetryableError):
        await call(server.url, method=method)
    assert len(server.requests) == 1


@pytest.mark.parametrize("reaction", [Cut(), Hang(), Drip(), Answer(200, b"<html>"), Answer(200, b"x" * 9_000_000)])
async def test_an_answer_that_does_not_come_is_unknown(server: ScriptedServer, reaction: Reaction) -> None:
    server.reaction = reaction
    with pytest.raises(RetryableError):
        await call(server.url)


async def test_a_service_that_cannot_be_reached() -> None:
    with pytest.raises(RetryableError):
        await call(unreachable_url())


@pytest.mark.parametrize(
    ("status", "message", "error", "code"),
    [
        (400, "Card token was used, please generate new", RefusedError, "bad_request"),
        (400, "Both payer and collector must be real or test users", ConfigurationError, "bad_request"),
        (400, "Cannot operate between different countries", ConfigurationError, "bad_request"),
        (400, "Invalid field -> auto_recurring.currency_id", ConfigurationError, "bad_request"),
        (400, "Invalid value for back_url, must be a valid URL", ConfigurationError, "bad_request"),
        (401, "invalid access token", ConfigurationError, "bad_request"),
        (402, "failed", DeclinedError, "bad_request"),
        (403, "forbidden", ConfigurationError, "bad_request"),
        (404, "not found", RefusedError, "bad_request"),
        (409, "conflict", RetryableError, "bad_request"),
        (422, "unprocessable", RefusedError, "bad_request"),
        (423, "locked", RetryableError, "bad_request"),
        (424, "dependency", RetryableError, "bad_request"),
        (302, "moved", ConfigurationError, "bad_request"),
    ],
)
async def test_what_a_status_means(
    server: ScriptedServer, status: int, message: str, error: type[ProviderError], code: str
) -> None:
    body = {"message": f"{message} {CANARY}", "error": "bad_request", "status": status, "cause": []}
    server.reaction = Answer(status, msgspec.json.encode(body), {"Location": "/elsewhere"})
    with pytest.raises(error) as caught:
        await call(server.url)

    assert type(caught.value) is error
    assert (caught.value.http_status, caught.value.provider_code) == (status, code)
    assert CANARY not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>404</html>", b"[]", b'{"statusCode": 404}', b""])
async def test_a_404_of_somebody_else_proves_nothing(server: ScriptedServer, body: bytes) -> None:
    server.reaction = Answer(404, body)
    with pytest.raises(RetryableError):
        await call(server.url, method="GET")


async def test_the_service_s_own_404(server: ScriptedServer) -> None:
    server.reaction = Answer(404, b'{"message": "Payment not found", "error": "not_found", "status": 404}')
    assert await call(server.url, method="GET") is None


async def test_the_first_cause_is_the_code(server: ScriptedServer) -> None:
    server.reaction = Answer(400, b'{"message": "x", "error": "bad_request", "cause": [{"code": 2024}]}')
    with pytest.raises(RefusedError) as caught:
        await call(server.url)
    assert caught.value.provider_code == "2024"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2022-01-01T11:12:25.892-04:00", "2022-01-01T11:12:25.892000-04:00"),
        ("2022-01-01T11:12:25.892-0400", "2022-01-01T11:12:25.892000-04:00"),
        ("2020-06-02T13:07:14.260Z", "2020-06-02T13:07:14.260000+00:00"),
        ("2020-06-02T13:07:14", "2020-06-02T13:07:14+00:00"),
    ],
)
def test_dates(written: str, read: str) -> None:
    found = moment(written)
    assert found is not None
    assert found.isoformat() == read


@pytest.mark.parametrize("written", ["", None, "tomorrow"])
def test_no_dates(written: str | None) -> None:
    assert moment(written) is None


@given(minor=st.integers(1, 10**12 - 1), exponent=st.sampled_from([0, 2]))
def test_no_amount_changes_on_its_way(minor: int, exponent: int) -> None:
    amount = Decimal(minor).scaleb(-exponent)
    sent = _exact(msgspec.json.encode({"auto_recurring": {"transaction_amount": str(amount)}}).decode())
    read = msgspec.json.decode(sent, type=dict[str, dict[str, Decimal]])

    assert read == {"auto_recurring": {"transaction_amount": amount}}
    assert b'"transaction_amount":"' not in sent
