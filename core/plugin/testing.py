"""What a plugin's tests inherit: the contract of messaging providers, and a server that misbehaves on demand.

    class TestExampleContract(MessagingProviderContract):
        accepted = Answer(201, b'{"id": "1"}')
        event = b'{"event": "message.ack", ...}'

        def subject(self, url: str) -> Subject: ...
        def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery: ...

The tests are plain synchronous methods with an event loop of their own, so they run under pytest without any
option, and under ``recado conformance`` without pytest.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

import msgspec

from core.plugin.errors import MisconfiguredError, ProviderError, UnavailableError
from core.plugin.messaging import (
    Accepted,
    CannotTell,
    Media,
    MessageKind,
    MessagingProvider,
    Outcome,
    OutgoingMessage,
    Prepared,
    Retryable,
    Sender,
    SenderStopped,
    Unknown,
)
from core.plugin.scripted_server import (
    Answer,
    Cut,
    Drip,
    Hang,
    Reaction,
    ReceivedRequest,
    ScriptedServer,
    unreachable_url,
)
from core.plugin.secret import Secret
from core.plugin.webhooks import UnknownEvent, WebhookDelivery, WebhookResult

__all__ = (
    "Answer",
    "Cut",
    "Drip",
    "Hang",
    "MessagingProviderContract",
    "Reaction",
    "ReceivedRequest",
    "ScriptedServer",
    "Subject",
    "expect",
    "run",
    "unreachable_url",
)

CANARY = "canary-that-no-message-may-repeat"
"""Stands in the bodies of scripted failures; a text that shows it would show a person's number elsewhere."""
_SPARE_SECONDS = 2.0

_T = TypeVar("_T")


class Subject(msgspec.Struct, frozen=True):
    """What the contract examines: a provider and a message it can send from ``sender``.

    ``send_timeout`` of the message's kind is at most 1 s here; ``sender.server.url`` is the URL that was given.
    """

    provider: MessagingProvider
    sender: Sender
    message: OutgoingMessage


class MessagingProviderContract:
    """What every messaging provider does; inherit it in a class whose name starts with ``Test``."""

    accepted: ClassVar[Answer]
    """The service's answer to a message it takes."""
    event: ClassVar[bytes]
    """The body of a webhook delivery that says something."""
    unknown_event: ClassVar[bytes]
    """The body of a well-formed delivery of a kind the plugin does not know."""
    signs_body: ClassVar[bool] = True
    """Whether the service's webhook proof covers the body; false where it is only a shared token."""

    def subject(self, url: str) -> Subject:
        """Make a provider and a sender on the server at ``url``."""
        raise NotImplementedError

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        """Make the request by which the service would deliver ``body`` to a number with ``secret``."""
        raise NotImplementedError

    def test_states_its_times(self) -> None:
        """A lease and a grace period can be derived."""
        subject = self.subject("http://127.0.0.1:9")
        limit = subject.provider.send_timeout(subject.message.kind)
        expect(bool(subject.provider.name), "name is empty")
        expect(0 < limit <= 1, "give the contract a provider that sends within 1 s")
        expect(subject.provider.unknown_grace_seconds > 0, "unknown_grace_seconds must be above 0")

    def test_prepare_is_pure(self) -> None:
        """A message made again from its row is the same message, under the id it was given."""
        subject = self.subject("http://127.0.0.1:9")
        client_id = subject.provider.new_client_id()
        first = subject.provider.prepare(subject.message, subject.sender, client_id)
        again = subject.provider.prepare(subject.message, subject.sender, client_id)
        expect(first.client_id == client_id, "prepare must keep the client id it is given")
        expect(first == again, "prepare with the same arguments must give the same Prepared")

    def test_files_go_by_address_and_by_content(self) -> None:
        """Each kind of file that the sender's server takes may come either way, with a caption or without."""
        subject = self.subject("http://127.0.0.1:9")
        provider, address = subject.provider, subject.message.address
        ways = (
            Media(mimetype="application/octet-stream", filename="a", url="https://recado.example/a"),
            Media(mimetype="application/octet-stream", filename="a", content=b"content"),
        )
        for kind in subject.sender.capabilities.media:
            bodies = {
                provider.prepare(OutgoingMessage(address, kind, text, media), subject.sender, "id").body
                for media in ways
                for text in ("", "caption")[: 1 if kind is MessageKind.AUDIO else 2]
            }
            wanted = len(ways) * (1 if kind is MessageKind.AUDIO else 2)
            expect(len(bodies) == wanted, f"prepare loses the file or the caption of a message of the kind {kind}")
            expect(provider.send_timeout(kind) > 0, f"send_timeout says nothing of the kind {kind}")

    def test_client_ids_never_repeat(self) -> None:
        """No two messages share an id."""
        provider = self.subject("http://127.0.0.1:9").provider
        ids = {provider.new_client_id() for _ in range(1000)}
        expect(len(ids) == 1000 and all(ids), "new_client_id is empty or repeats")  # noqa: PLR2004 - one each round

    def test_accepted(self) -> None:
        """The usual answer is an acceptance with at least one id."""
        outcome = self._send(self.accepted)
        expect(isinstance(outcome, Accepted) and bool(outcome.ids), f"expected Accepted with ids, got {outcome!r}")

    def test_unreachable_is_retryable(self) -> None:
        """No connection means certainly not sent."""
        outcome = run(self._send_to(unreachable_url()))
        expect(isinstance(outcome, Retryable), f"expected Retryable, got {outcome!r}")

    def test_no_answer_is_unknown(self) -> None:
        """A timeout after the request was written proves nothing."""
        self._expect_send(Hang(), Unknown)

    def test_endless_answer_is_unknown(self) -> None:
        """``send_timeout`` holds even while bytes keep coming."""
        self._expect_send(Drip(), Unknown)

    def test_cut_after_write_is_unknown(self) -> None:
        """A connection lost after the request was written proves nothing."""
        self._expect_send(Cut(), Unknown)

    def test_unauthorized_stops_the_sender(self) -> None:
        """Wrong credentials concern every message."""
        self._expect_send(Answer(401, _failure(401)), SenderStopped)

    def test_too_many_requests_is_retryable(self) -> None:
        """``Retry-After`` is handed on."""
        outcome = self._send(Answer(429, _failure(429), {"Retry-After": "7"}))
        expect(
            isinstance(outcome, Retryable) and outcome.retry_after == 7,  # noqa: PLR2004 - the header above
            f"expected Retryable with retry_after 7, got {outcome!r}",
        )

    def test_server_error_is_unknown(self) -> None:
        """A failure inside the service may have come after the message left."""
        self._expect_send(Answer(500, _failure(500)), Unknown)

    def test_unavailable_is_unknown(self) -> None:
        """A 503 may come from a proxy that had already passed the request on."""
        self._expect_send(Answer(503, _failure(503)), Unknown)

    def test_unreadable_success_is_unknown(self) -> None:
        """Success without a message id is no acceptance."""
        for status in (200, 201):
            for body in (b"", b"<html>", b"\xff\xfe", b'{"', b"[]", b"null", b"[" * 5000):
                self._expect_send(Answer(status, body), Unknown)

    def test_capabilities_of_an_unreachable_server(self) -> None:
        """The probe says that nothing answers."""
        error = run(self._probe(unreachable_url()))
        expect(isinstance(error, UnavailableError), f"expected UnavailableError, got {error!r}")

    def test_capabilities_with_wrong_credentials(self) -> None:
        """The probe says that the credentials are wrong."""
        error = self._probe_scripted(Answer(401, _failure(401)))
        expect(isinstance(error, MisconfiguredError), f"expected MisconfiguredError, got {error!r}")

    def test_capabilities_of_another_service(self) -> None:
        """The probe recognises an address that is something else."""
        for answer in (Answer(200, b"<html>"), Answer(200, b"[]"), Answer(404, b""), Answer(500, _failure(500))):
            error = self._probe_scripted(answer)
            expect(error is not None, f"a server that answers {answer.status} {answer.body[:20]!r} is no such service")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def test_reconcile_does_not_guess(self) -> None:
        """A lookup that fails in any way tells nothing; it never raises."""
        for reaction in (
            Answer(500, _failure(500)),
            Answer(503),
            Answer(401),
            Answer(404, b"<html>"),
            Answer(200, b"<html>"),
            Cut(),
        ):
            finding = run(self._reconcile(reaction))
            expect(isinstance(finding, CannotTell), f"{reaction!r} must give CannotTell, not {finding!r}")

    def test_genuine_delivery(self) -> None:
        """A delivery with the right proof is believed and says something."""
        result = self._receive(self.delivery(self.event, _SECRET))
        expect(result.genuine and result.status < 300, "a genuine delivery was refused")  # noqa: PLR2004 - 2xx
        expect(bool(result.events), "a genuine delivery gave no event")
        expect(not any(isinstance(event, UnknownEvent) for event in result.events), "the event was not understood")

    def test_same_delivery_has_the_same_dedupe_keys(self) -> None:
        """A repeated delivery can be recognised."""
        delivery = self.delivery(self.event, _SECRET)
        keys = [event.dedupe_key for event in self._receive(delivery).events]
        expect(keys == [event.dedupe_key for event in self._receive(delivery).events], "dedupe keys differ")
        expect(len(set(keys)) == len(keys) and all(keys), "dedupe keys are empty or repeat within a delivery")

    def test_delivery_without_proof_is_refused(self) -> None:
        """Nothing is read from a delivery that proves nothing."""
        delivery = self.delivery(self.event, _SECRET)
        self._expect_refused(msgspec.structs.replace(delivery, headers={}, query={}))

    def test_delivery_with_another_secret_is_refused(self) -> None:
        """One number's secret is no proof for another."""
        self._expect_refused(self.delivery(self.event, Secret("another number's secret")))

    def test_tampered_delivery_is_refused(self) -> None:
        """A changed body breaks the signature."""
        if self.signs_body:
            delivery = self.delivery(self.event, _SECRET)
            self._expect_refused(msgspec.structs.replace(delivery, body=delivery.body + b" "))

    def test_unknown_event_is_no_error(self) -> None:
        """What the plugin does not know is counted and answered like anything else."""
        result = self._receive(self.delivery(self.unknown_event, _SECRET))
        expect(result.genuine and result.status < 300, "an unknown event was refused")  # noqa: PLR2004 - 2xx
        expect(
            bool(result.events) and all(isinstance(event, UnknownEvent) for event in result.events),
            f"expected UnknownEvent alone, got {result.events!r}",
        )

    def test_garbage_with_proof_is_no_error(self) -> None:
        """A genuine delivery of nonsense raises nothing and changes nothing."""
        for body in (b"", b"\xff\xfe\x00", b"[", b"[]", b"null", b"7", b'"x"', b"[" * 5000, b'{"event": {"a": []}}'):
            result = self._receive(self.delivery(body, _SECRET))
            known = [event for event in result.events if not isinstance(event, UnknownEvent)]
            expect(not known, f"{body[:20]!r} gave {known!r}")

    def _expect_send(self, reaction: Reaction, kind: type[Outcome]) -> None:
        outcome = self._send(reaction)
        expect(isinstance(outcome, kind), f"expected {kind.__name__} after {reaction!r}, got {outcome!r}")
        expect(CANARY not in repr(outcome), "an outcome repeats the body of a response")

    def _send(self, reaction: Reaction) -> Outcome:
        async def scenario() -> Outcome:
            async with ScriptedServer(reaction) as server:
                outcome = await self._send_to(server.url)
                expect(len(server.requests) == 1, f"one send made {len(server.requests)} requests")
                return outcome

        return run(scenario())

    async def _send_to(self, url: str) -> Outcome:
        subject = self.subject(url)
        prepared = _prepare(subject)
        try:
            async with asyncio.timeout(subject.provider.send_timeout(subject.message.kind) + _SPARE_SECONDS):
                return await subject.provider.send(prepared, subject.sender)
        finally:
            await subject.provider.aclose()

    def _probe_scripted(self, reaction: Reaction) -> ProviderError | None:
        async def scenario() -> ProviderError | None:
            async with ScriptedServer(reaction) as server:
                return await self._probe(server.url)

        return run(scenario())

    async def _probe(self, url: str) -> ProviderError | None:
        subject = self.subject(url)
        try:
            await subject.provider.capabilities(subject.sender.server)
        except ProviderError as error:
            return error
        finally:
            await subject.provider.aclose()
        return None

    async def _reconcile(self, reaction: Reaction) -> object:
        async with ScriptedServer(reaction) as server:
            subject = self.subject(server.url)
            prepared = _prepare(subject)
            try:
                return await subject.provider.reconcile(prepared, subject.sender, ())
            finally:
                await subject.provider.aclose()

    def _receive(self, delivery: WebhookDelivery) -> WebhookResult:
        return self.subject("http://127.0.0.1:9").provider.receive(delivery, _SECRET)

    def _expect_refused(self, delivery: WebhookDelivery) -> None:
        result = self._receive(delivery)
        expect(not result.genuine, "a delivery without a valid proof was believed")
        expect(not result.events, "a delivery without a valid proof gave events")
        expect(400 <= result.status < 500, "a delivery without a valid proof must be answered 4xx")  # noqa: PLR2004


_SECRET = Secret("secret-of-the-number-under-test")


def _prepare(subject: Subject) -> Prepared:
    return subject.provider.prepare(subject.message, subject.sender, subject.provider.new_client_id())


def expect(condition: bool, text: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise ``AssertionError(text)`` unless ``condition`` holds."""
    if not condition:
        raise AssertionError(text)


def run(scenario: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop of its own that never becomes anybody's current loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(scenario)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _failure(status: int) -> bytes:
    return msgspec.json.encode({"statusCode": status, "message": CANARY, "exception": {"message": CANARY}})
