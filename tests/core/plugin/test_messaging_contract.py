"""The contract passes for a provider that keeps it, and names what a provider breaks."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from core.plugin import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Finding,
    MessageKind,
    MessageStatusEvent,
    Outcome,
    OutgoingMessage,
    Prepared,
    Rejected,
    Retryable,
    Secret,
    Sender,
    SenderStopped,
    Server,
    Unknown,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
    build_client,
    decode,
    retry_after,
)
from core.plugin.testing import Answer, MessagingProviderContract, Subject


class NoCredentials(msgspec.Struct, frozen=True):
    pass


class Id(msgspec.Struct):
    id: str


class GoodProvider:
    """The smallest provider that keeps the contract."""

    name = "good"
    Credentials: type[msgspec.Struct] = NoCredentials
    unknown_grace_seconds = 1.0

    def __init__(self) -> None:
        self._http = build_client()

    async def capabilities(self, server: Server) -> Capabilities:
        request = self._http.build_request("GET", f"{server.url}/version")
        answer = await self._http.call(request, doing="asking for the version", limit_seconds=0.5)
        return Capabilities(version=decode(answer, Id, "asking for the version").id)

    def new_client_id(self) -> str:
        return secrets.token_hex(8)

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:  # noqa: ARG002 - protocol
        return Prepared(message, client_id, "/send", msgspec.json.encode({"to": message.address, "id": client_id}))

    def send_timeout(self, kind: MessageKind) -> float:  # noqa: ARG002 - protocol
        return 0.3

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        url = f"{sender.server.url}{prepared.path}"
        answer = await self._http.post_once(url, content=prepared.body, headers={}, limit_seconds=0.3)
        return self.read(answer) if isinstance(answer, httpx.Response) else answer

    def read(self, answer: httpx.Response) -> Outcome:
        match answer.status_code:
            case 200 | 201:
                try:
                    return Accepted((msgspec.json.decode(answer.content, type=Id).id,))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    return Unknown("unreadable")
            case 401:
                return SenderStopped("unauthorized")
            case 429:
                return Retryable("too_many_requests", retry_after(answer))
        return Unknown("server_error")

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:  # noqa: ARG002
        return CannotTell("never_asked")

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        expected = hmac.new(secret.reveal().encode(), delivery.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, delivery.headers.get("x-signature", "")):
            return WebhookResult(genuine=False, status=401)
        try:
            found = msgspec.json.decode(delivery.body, type=Id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return WebhookResult(genuine=True)
        if found.id == "odd":
            return WebhookResult(genuine=True, events=(UnknownEvent(dedupe_key="odd", name="odd"),))
        event = MessageStatusEvent(dedupe_key=found.id, ids=(found.id,), status="sent", at=datetime.now(UTC))
        return WebhookResult(genuine=True, events=(event,))

    async def check(self, server: Server) -> str:
        return (await self.capabilities(server)).version

    async def aclose(self) -> None:
        await self._http.aclose()


class TestGoodProvider(MessagingProviderContract):
    accepted = Answer(200, b'{"id": "1"}')
    event = b'{"id": "1"}'
    unknown_event = b'{"id": "odd"}'

    def make(self) -> GoodProvider:
        return GoodProvider()

    def subject(self, url: str) -> Subject:
        sender = Sender(
            number_id=1,
            instance="one",
            server=Server(id=1, url=url, credentials=NoCredentials()),
            capabilities=Capabilities(),
            webhook_secret=Secret("secret"),
        )
        return Subject(self.make(), sender, OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"))

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        signature = hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
        return WebhookDelivery(
            method="POST", query={}, headers={"x-signature": signature}, body=body, public_url="https://p.example/w"
        )


class RetriesItself(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        await super().send(prepared, sender)
        return await super().send(prepared, sender)


class TrustsEverybody(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:  # noqa: ARG002 - that is its fault
        return WebhookResult(genuine=True)


class TakesFailuresForRefusals(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Rejected("no") if answer.is_error else super().read(answer)


class Raises(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        answer = await self._http.post(f"{sender.server.url}{prepared.path}", content=prepared.body, timeout=0.3)
        return self.read(answer)


class Guesses(GoodProvider):
    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:  # noqa: ARG002
        return Absent()


class ForgetsTheId(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:  # noqa: ARG002
        return super().prepare(message, sender, self.new_client_id())


@pytest.mark.parametrize(
    ("kind", "broken", "text"),
    [
        (RetriesItself, "test_accepted", "one send made 2 requests"),
        (TrustsEverybody, "test_delivery_without_proof_is_refused", "without a valid proof was believed"),
        (TrustsEverybody, "test_tampered_delivery_is_refused", "without a valid proof was believed"),
        (TakesFailuresForRefusals, "test_server_error_is_unknown", "expected Unknown"),
        (TakesFailuresForRefusals, "test_unavailable_is_unknown", "expected Unknown"),
        (TakesFailuresForRefusals, "test_unauthorized_stops_the_sender", "expected SenderStopped"),
        (TakesFailuresForRefusals, "test_too_many_requests_is_retryable", "expected Retryable"),
        (Guesses, "test_reconcile_does_not_guess", "must give CannotTell"),
        (ForgetsTheId, "test_prepare_is_pure", "must keep the client id"),
    ],
)
def test_contract_names_what_is_broken(kind: type[GoodProvider], broken: str, text: str) -> None:
    class Broken(TestGoodProvider):
        def make(self) -> GoodProvider:
            return kind()

    case: Any = getattr(Broken(), broken)
    with pytest.raises(AssertionError, match=text):
        case()


def test_contract_names_a_provider_that_loses_files() -> None:
    class Broken(TestGoodProvider):
        def subject(self, url: str) -> Subject:
            found = super().subject(url)
            able = msgspec.structs.replace(found.sender, capabilities=Capabilities(media=(MessageKind.IMAGE,)))
            return msgspec.structs.replace(found, sender=able)

    with pytest.raises(AssertionError, match="loses the file or the caption of a message of the kind image"):
        Broken().test_files_go_by_address_and_by_content()


@pytest.mark.parametrize("broken", ["test_unreachable_is_retryable", "test_cut_after_write_is_unknown"])
def test_contract_fails_when_send_raises(broken: str) -> None:
    class Broken(TestGoodProvider):
        def make(self) -> GoodProvider:
            return Raises()

    case: Any = getattr(Broken(), broken)
    with pytest.raises(httpx.HTTPError):
        case()
