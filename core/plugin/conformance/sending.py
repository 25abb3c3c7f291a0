"""What every messaging provider does when it sends and when it looks a message up."""

import re
from collections.abc import Sequence

from core.plugin.conformance.checking import CANARY, expect, failure, not_applicable, run, with_wrong_types
from core.plugin.conformance.subjects import MessagingSubject, Subject, prepare, send_within
from core.plugin.messaging import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Media,
    MessageKind,
    Outcome,
    OutgoingMessage,
    Rejected,
    Retryable,
    SenderStopped,
    Unknown,
)
from core.plugin.scripted_server import Answer, Cut, Drip, Hang, Reaction, ScriptedServer, unreachable_url

_WAYS = (
    Media(mimetype="application/octet-stream", filename="a", url="https://recado.example/a"),
    Media(mimetype="application/octet-stream", filename="a", content=b"content"),
)
_REDIRECTS = (301, 302, 303, 307, 308)


class SendingChecks(MessagingSubject):
    """Checks of ``prepare``, ``send`` and ``reconcile``."""

    def test_states_its_times(self) -> None:
        """A lease and a grace period can be derived."""
        subject = self._at_rest()
        limit = subject.provider.send_timeout(subject.message.kind)
        expect(re.fullmatch(r"[a-z][a-z0-9_]*", subject.provider.name) is not None, "name is no name of a plugin")
        expect(0 < limit <= 1, "give the contract a provider that sends within 1 s")
        expect(subject.provider.unknown_grace_seconds > 0, "unknown_grace_seconds must be above 0")

    def test_prepare_is_pure(self) -> None:
        """A message made again from its row is the same message, under the id it was given."""
        subject = self._at_rest()
        client_id = subject.provider.new_client_id()
        first, again = (subject.provider.prepare(subject.message, subject.sender, client_id) for _ in range(2))
        expect(first.client_id == client_id, "prepare must keep the client id it is given")
        expect(first == again, "prepare with the same arguments must give the same Prepared")

    def test_files_go_by_address_and_by_content(self) -> None:
        """Each kind of file that the sender's server takes may come either way, with a caption or without."""
        subject = self._at_rest()
        provider, address = subject.provider, subject.message.address
        for kind in self._kinds_of_files():
            bodies = {
                provider.prepare(OutgoingMessage(address, kind, text, media), subject.sender, "id").body
                for media in _WAYS
                for text in ("", "caption")[: 1 if kind is MessageKind.AUDIO else 2]
            }
            wanted = len(_WAYS) * (1 if kind is MessageKind.AUDIO else 2)
            expect(len(bodies) == wanted, f"prepare loses the file or the caption of a message of the kind {kind}")
            expect(provider.send_timeout(kind) > 0, f"send_timeout says nothing of the kind {kind}")

    def test_client_ids_never_repeat(self) -> None:
        """No two messages share an id."""
        providers = (self._at_rest().provider, self._at_rest().provider)
        ids = {provider.new_client_id() for provider in providers for _ in range(500)}
        expect(len(ids) == 1000 and all(ids), "new_client_id is empty or repeats")  # noqa: PLR2004 - one each round

    def test_client_id_is_sent(self) -> None:
        """A service that sends under our id is given it, so that a message in doubt can be found again."""
        subject = self._at_rest()
        if not subject.sender.capabilities.client_message_id:
            not_applicable("the subject's capabilities have no client_message_id")
        prepared = prepare(subject)
        is_sent = prepared.client_id in prepared.path or prepared.client_id.encode() in prepared.body
        expect(is_sent, "the request does not hold the client id")

    def test_accepted(self) -> None:
        """The usual answer is an acceptance with at least one id."""
        outcome = self._send(self.accepted)
        expect(isinstance(outcome, Accepted) and _usable(outcome), f"expected Accepted with ids, got {outcome!r}")

    def test_each_kind_of_file_is_accepted(self) -> None:
        """Each kind of file, by address and by content, goes out and is accepted."""
        for kind in self._kinds_of_files():
            for media in _WAYS:
                outcome = run(self._send_file(kind, media))
                expect(isinstance(outcome, Accepted), f"expected Accepted for the kind {kind}, got {outcome!r}")

    def test_one_send_is_one_request(self) -> None:
        """Nothing is sent a second time, whatever the answer."""
        reactions: tuple[Reaction, ...] = (self.accepted, *(Answer(s, failure(s)) for s in (401, 429, 500, 503)))
        for reaction in (*reactions, Answer(200, b"<html>"), Cut(), Hang()):
            count = len(self._requests_of(reaction))
            expect(count == 1, f"one send made {count} requests to a server that does {_shown(reaction)}")

    def test_redirect_is_not_followed(self) -> None:
        """A redirected send reaches no second address, and is no acceptance."""
        for status in _REDIRECTS:
            answer = Answer(status, b"", {"Location": "/elsewhere"})
            count = len(self._requests_of(answer))
            expect(count == 1, f"a send that was redirected by {status} made {count} requests")
            expect(not isinstance(self._send(answer), Accepted), f"the redirect {status} was taken for an acceptance")

    def test_rejected(self) -> None:
        """What the service will never take fails for good."""
        if self.rejected is None:
            not_applicable("the contract class gives no rejected")
        self._expect_send(self.rejected, Rejected)

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
        self._expect_send(Answer(401, failure(401)), SenderStopped)

    def test_too_many_requests_is_retryable(self) -> None:
        """The time that the service asks for is handed on."""
        outcome = self._send(self.too_many)
        expect(
            isinstance(outcome, Retryable) and outcome.retry_after == 7,  # noqa: PLR2004 - of too_many
            f"expected Retryable with retry_after 7, got {outcome!r}",
        )

    def test_too_many_requests_without_a_time_is_retryable(self) -> None:
        """A service that says only that it is too much, or says it oddly, sent nothing either."""
        for headers in ({}, {"Retry-After": "soon"}, {"Retry-After": "-1"}):
            outcome = self._send(Answer(429, failure(429), headers))
            wait = outcome.retry_after if isinstance(outcome, Retryable) else -1
            expect(wait is None or wait >= 0, f"expected Retryable after {headers}, got {outcome!r}")

    def test_server_error_is_unknown(self) -> None:
        """A failure inside the service may have come after the message left."""
        self._expect_send(Answer(500, failure(500)), Unknown)

    def test_unavailable_is_unknown(self) -> None:
        """A 503 may come from a proxy that had already passed the request on."""
        self._expect_send(Answer(503, failure(503)), Unknown)

    def test_unreadable_success_is_unknown(self) -> None:
        """Success without a message id is no acceptance."""
        for status in (200, 201):
            for body in (b"", b"<html>", b"\xff\xfe", b'{"', b"{}", b"[]", b"null", b"[" * 5000):
                self._expect_send(Answer(status, body), Unknown)

    def test_success_with_wrong_types_claims_nothing(self) -> None:
        """A success is an acceptance only under ids that are texts."""
        bodies = [*with_wrong_types(self.accepted.body)]
        if not bodies:
            not_applicable("the accepted answer is no JSON")
        for outcome in run(self._send_each(bodies)):
            is_honest = _usable(outcome) if isinstance(outcome, Accepted) else isinstance(outcome, Unknown)
            expect(is_honest, f"a success of another shape gave {outcome!r}")

    def test_reconcile_does_not_guess(self) -> None:
        """A look-up that fails in any way tells nothing; it never raises."""
        for reaction in (
            Answer(500, failure(500)),
            Answer(503),
            Answer(401),
            Answer(404, b"<html>"),
            Answer(200, b"<html>"),
            Cut(),
        ):
            finding = run(self._reconcile(reaction))
            expect(isinstance(finding, CannotTell), f"{_shown(reaction)} must give CannotTell, not {finding!r}")

    def test_known_message_is_found(self) -> None:
        """A message that the service sent is found, under an id."""
        if not self.found:
            not_applicable("the contract class gives no found")
        finding = self._answer_of(_look_up, self.found)
        expect(isinstance(finding, Found) and all(finding.ids), f"expected Found with ids, got {finding!r}")

    def test_unknown_message_is_absent(self) -> None:
        """A message that the service certainly does not know may be sent again."""
        if not self.absent:
            not_applicable("the contract class gives no absent")
        finding = self._answer_of(_look_up, self.absent)
        expect(isinstance(finding, Absent), f"expected Absent, got {finding!r}")

    def _kinds_of_files(self) -> Sequence[MessageKind]:
        kinds = self._at_rest().sender.capabilities.media
        if not kinds:
            not_applicable("the subject's capabilities name no media")
        return kinds

    def _expect_send(self, reaction: Reaction, kind: type[Outcome]) -> None:
        outcome = self._send(reaction)
        expect(isinstance(outcome, kind), f"expected {kind.__name__} after {_shown(reaction)}, got {outcome!r}")
        expect(CANARY not in repr(outcome), "an outcome repeats the body of a response")

    async def _send_file(self, kind: MessageKind, media: Media) -> Outcome:
        async with ScriptedServer(self.accepted_file or self.accepted) as server:
            subject = self.subject(server.url)
            message = OutgoingMessage(subject.message.address, kind, "", media)
            prepared = subject.provider.prepare(message, subject.sender, subject.provider.new_client_id())
            try:
                return await send_within(subject, prepared)
            finally:
                await subject.provider.aclose()

    async def _send_each(self, bodies: Sequence[bytes]) -> list[Outcome]:
        async with ScriptedServer() as server:
            subject = self.subject(server.url)
            outcomes = []
            try:
                for body in bodies:
                    server.reaction = Answer(self.accepted.status, body)
                    outcomes.append(await send_within(subject, prepare(subject)))
            finally:
                await subject.provider.aclose()
            return outcomes

    async def _reconcile(self, reaction: Reaction) -> object:
        async with ScriptedServer(reaction) as server:
            subject = self.subject(server.url)
            try:
                return await _look_up(subject)
            finally:
                await subject.provider.aclose()


async def _look_up(subject: Subject) -> Finding:
    return await subject.provider.reconcile(prepare(subject), subject.sender, ())


def _usable(outcome: Accepted) -> bool:
    return bool(outcome.ids) and all(isinstance(one, str) and one for one in outcome.ids)


def _shown(reaction: Reaction) -> str:
    if isinstance(reaction, Answer):
        return f"the answer {reaction.status} {reaction.body[:20]!r}"
    return type(reaction).__name__
