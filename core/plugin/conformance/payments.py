"""The contract of payment gateways."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import msgspec

from core.plugin.conformance.checking import CANARY, NOWHERE, expect, failure, not_applicable, run
from core.plugin.conformance.deliveries import DeliveryChecks, Said, Verdict
from core.plugin.conformance.hiding import captured_logs, expect_hidden, told_by
from core.plugin.errors import ProviderError
from core.plugin.payments import (
    Checkout,
    ClientSecret,
    ConfigurationError,
    DeclinedError,
    PaymentGateway,
    PixQr,
    PlanChange,
    Redirect,
    References,
    RetryableError,
    Snapshot,
)
from core.plugin.scripted_server import (
    Answer,
    Cut,
    Hang,
    Reaction,
    ReceivedRequest,
    Routes,
    ScriptedServer,
    unreachable_url,
)
from core.plugin.secret import Secret
from core.plugin.webhooks import WebhookDelivery

CALL_SECONDS = 30.0
KEY = "key-that-core-stored-before"
"""The idempotency key of every changing call."""

_Call = Callable[["GatewaySubject"], Awaitable[object]]


class GatewaySubject(msgspec.Struct, frozen=True):
    """What the contract examines: a gateway, and a checkout and references it can be called with.

    A call that is not answered ends within some seconds here. ``secrets`` are the values of the settings' secrets.
    """

    gateway: PaymentGateway
    checkout: Checkout
    refs: References
    webhook_secret: Secret
    secrets: tuple[str, ...] = ()


class PaymentGatewayContract(DeliveryChecks):
    """What every payment gateway does; inherit it in a class whose name starts with ``Test``.

    ``started``, ``subscription``, ``subject``, ``event``, ``unknown_event`` and ``delivery`` are required.
    """

    started: ClassVar[Routes]
    """The service's answers to a checkout that it takes."""
    subscription: ClassVar[Routes]
    """The service's answers about the subscription of the subject's references."""
    unknown_subscription: ClassVar[Routes | None] = None
    """The service's answers about a subscription that it does not know."""
    declined: ClassVar[Answer | None] = None
    """The service's answer to a means of payment that is refused."""

    def subject(self, url: str) -> GatewaySubject:
        """Make a gateway on the service at ``url``."""
        raise NotImplementedError

    def _judge(self, *deliveries: WebhookDelivery) -> list[tuple[Verdict, Sequence[Said]]]:
        """Let one new gateway receive ``deliveries``."""
        gateway = self.subject(NOWHERE).gateway
        verdicts = [gateway.receive(delivery, ()) for delivery in deliveries]
        return [(verdict, verdict.hints) for verdict in verdicts]

    def _secret(self) -> Secret:
        """Return the secret of the gateway's settings."""
        return self.subject(NOWHERE).webhook_secret

    def _expect_unknown(self, said: Sequence[Said]) -> None:
        """What the gateway does not know is no hint."""
        expect(not said, f"an unknown event gave the hints {said!r}")

    def test_capabilities_are_well_formed(self) -> None:
        """The gateway has a name, and currencies by their ISO codes."""
        gateway = self.subject(NOWHERE).gateway
        codes = gateway.capabilities.currencies
        expect(gateway.name.isidentifier() and gateway.name.islower(), "name is no name of a plugin")
        is_code = all(len(code) == 3 and code.isalpha() and code.isupper() for code in codes)  # noqa: PLR2004 - ISO 4217
        expect(bool(codes) and is_code, f"currencies must be ISO 4217 codes, not {codes}")

    def test_capabilities_are_kept(self) -> None:
        """What the capabilities promise is asked of the service; anything else is refused without asking it."""
        able = self.subject(NOWHERE).gateway.capabilities
        for promised, name, call in (
            (able.plan_change, "change_plan", _change_plan),
            (able.refund, "refund", _refund),
            (able.portal, "portal", _portal),
        ):
            error, requests = self._observe(call, Answer(500, failure(500)))
            expect(isinstance(error, ProviderError), f"{name} raises {error!r} where the service fails")
            expect(bool(requests) is promised, f"the capabilities promise {promised} of {name}, which is not so")

    def test_start_gives_a_step(self) -> None:
        """A checkout leads the payer on, under an id of the gateway."""
        step = self._answer(_start, self.started)
        is_step = isinstance(step, Redirect | ClientSecret | PixQr) and bool(step.gateway_id)
        expect(is_step, f"expected a step with a gateway_id, got {type(step).__name__}")

    def test_kept_secrets_count_too(self) -> None:
        """A delivery is genuine under a secret that core keeps, and under that of the settings beside it."""
        other = Secret("kept-since-the-address-was-registered")
        for secret in (other, self._secret()):
            verdict = self.subject(NOWHERE).gateway.receive(self.delivery(self.event, secret), (other,))
            expect(verdict.genuine and bool(verdict.hints), "a delivery under one of two secrets was refused")

    def test_idempotency_keys_are_handed_on(self) -> None:
        """Every call that changes something carries core's key, and the same one when it is repeated.

        What a change has to read first is answered.
        """
        reads = {start: reaction for start, reaction in self.subscription.items() if start.startswith("GET ")}
        for name, call in self._changing():
            for _ in range(2):
                _, requests = self._observe(call, Answer(500, failure(500)), reads)
                changing = [one for one in requests if one.method not in {"GET", "HEAD"}]
                expect(bool(changing), f"{name} changes nothing")
                expect(all(_carries_key(one) for one in changing), f"{name} does not hand the idempotency key on")

    def test_no_answer_is_retryable(self) -> None:
        """What may have been done is repeated, under the same key."""
        reactions: tuple[Reaction, ...] = (Cut(), Hang(), Answer(500, failure(500)), Answer(503, failure(503)))
        self._expect_errors((*reactions, Answer(200, b"<html>"), Answer(429, failure(429))), RetryableError)

    def test_unreachable_is_retryable(self) -> None:
        """A service that cannot be reached is asked again."""
        for name, call in self._changing():
            error = run(self._error_at(call, unreachable_url()))
            expect(isinstance(error, RetryableError), f"{name} raises {error!r}, not RetryableError")

    def test_wrong_credentials_are_a_configuration(self) -> None:
        """Wrong credentials are for an administrator to mend, not for a payer."""
        self._expect_errors((Answer(401, failure(401)), Answer(403, failure(403))), ConfigurationError)
        error, _ = self._observe(_check, Answer(401, failure(401)))
        expect(isinstance(error, ConfigurationError), f"check raises {error!r}, not ConfigurationError")

    def test_declined(self) -> None:
        """A payer whose means of payment is refused is told."""
        if self.declined is None:
            not_applicable("the contract class gives no declined")
        error, _ = self._observe(_start, self.declined)
        expect(isinstance(error, DeclinedError), f"start raises {error!r}, not DeclinedError")

    def test_fetch_gives_the_subscription(self) -> None:
        """The present state comes from the service, with its payments."""
        snapshot = self._answer(_fetch, self.subscription)
        expect(isinstance(snapshot, Snapshot), f"expected a Snapshot, got {snapshot!r}")
        assert isinstance(snapshot, Snapshot)  # noqa: S101 - the line above
        times = [snapshot.access_until, *(payment.at for payment in snapshot.payments)]
        expect(all(at is None or at.tzinfo is not None for at in times), "a time has no zone")
        numbers = [payment.transaction_id for payment in snapshot.payments]
        expect(len(set(numbers)) == len(numbers) and all(numbers), "payments must have ids that differ")

    def test_unknown_subscription_is_none(self) -> None:
        """A subscription that the service certainly does not know is told apart from a failure."""
        if self.unknown_subscription is None:
            not_applicable("the contract class gives no unknown_subscription")
        expect(self._answer(_fetch, self.unknown_subscription) is None, "fetch found what there is not")

    def test_failed_fetch_is_an_error(self) -> None:
        """A service that did not answer has not lost a subscription."""
        for reaction in (Answer(500, failure(500)), Answer(200, b"<html>"), Answer(401, failure(401)), Cut(), Hang()):
            error, _ = self._observe(_fetch, reaction)
            expect(isinstance(error, ProviderError), f"fetch raises {error!r} where the service fails")

    def test_secrets_are_not_shown(self) -> None:
        """No log, value or error shows a secret of the settings, nor the body of a response."""
        shown = ""
        secrets: tuple[str, ...] = ()
        for reaction in (Answer(401, failure(401)), Answer(500, failure(500)), Cut()):
            for call in (_start, _fetch, _cancel, _refund, _check):
                with captured_logs() as logs:
                    error, _ = self._observe(call, reaction)
                shown += logs.getvalue() + ("" if error is None else told_by(error))
        subject = self.subject(NOWHERE)
        secrets = (*subject.secrets, subject.webhook_secret.reveal())
        deliveries = [self.delivery(body, subject.webhook_secret) for body in (self.event, b"{")]
        with captured_logs() as logs:
            verdicts = [subject.gateway.receive(delivery, ()) for delivery in deliveries]
        shown += f"{logs.getvalue()} {verdicts!r} {subject.gateway!r}"
        expect_hidden(secrets, shown, "a log, a value or an error")
        expect(CANARY not in shown, "an error or a log repeats the body of a response")

    def _changing(self) -> Sequence[tuple[str, _Call]]:
        able = self.subject(NOWHERE).gateway.capabilities
        calls: list[tuple[str, _Call]] = [("start", _start), ("cancel", _cancel)]
        calls += [("refund", _refund)] if able.refund else []
        return calls + ([("change_plan", _change_plan)] if able.plan_change else [])

    def _expect_errors(self, reactions: Sequence[Reaction], kind: type[ProviderError]) -> None:
        for name, call in self._changing():
            for reaction in reactions:
                # Cancelling may need no answer that can be read.
                if name in {"cancel", "refund"} and isinstance(reaction, Answer) and reaction.status < 300:  # noqa: PLR2004
                    continue
                error, _ = self._observe(call, reaction)
                expect(isinstance(error, kind), f"{name} raises {error!r} after {reaction!r}, not {kind.__name__}")

    def _answer(self, call: _Call, routes: Routes) -> object:
        async def scenario() -> object:
            async with ScriptedServer(Answer(404, failure(404)), routes) as server:
                subject = self.subject(server.url)
                try:
                    async with asyncio.timeout(CALL_SECONDS):
                        return await call(subject)
                finally:
                    await subject.gateway.aclose()

        return run(scenario())

    def _observe(
        self, call: _Call, reaction: Reaction, routes: Routes | None = None
    ) -> tuple[Exception | None, list[ReceivedRequest]]:
        """Return what ``call`` raises, and the requests it makes, on a service that reacts so beside ``routes``."""

        async def scenario() -> tuple[Exception | None, list[ReceivedRequest]]:
            async with ScriptedServer(reaction, routes) as server:
                return await self._error_at(call, server.url), server.requests

        return run(scenario())

    async def _error_at(self, call: _Call, url: str) -> Exception | None:
        subject = self.subject(url)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await call(subject)
        except Exception as error:  # noqa: BLE001 - the check says which it may be
            return error
        finally:
            await subject.gateway.aclose()
        return None


async def _start(subject: GatewaySubject) -> object:
    return await subject.gateway.start(msgspec.structs.replace(subject.checkout, idempotency_key=KEY))


async def _change_plan(subject: GatewaySubject) -> object:
    wanted = subject.checkout
    change = PlanChange(
        idempotency_key=KEY,
        plan_id=wanted.plan_id,
        plan_name=wanted.plan_name,
        plan_reference=wanted.plan_reference,
        price=wanted.price,
        interval=wanted.interval,
        at_once=subject.gateway.capabilities.proration,
    )
    return await subject.gateway.change_plan(subject.refs, change)


async def _cancel(subject: GatewaySubject) -> None:
    await subject.gateway.cancel(subject.refs, at_period_end=True, idempotency_key=KEY)


async def _refund(subject: GatewaySubject) -> None:
    await subject.gateway.refund("transaction", subject.checkout.price, idempotency_key=KEY)


async def _portal(subject: GatewaySubject) -> object:
    return await subject.gateway.portal(subject.refs, "https://recado.example/back")


async def _fetch(subject: GatewaySubject) -> Snapshot | None:
    return await subject.gateway.fetch(subject.refs)


async def _check(subject: GatewaySubject) -> str:
    return await subject.gateway.check()


def _carries_key(request: ReceivedRequest) -> bool:
    """Whether core's key is in it; one that is made from core's, for the first of two calls, holds it too."""
    return any(KEY in text for text in (request.target, *request.headers.values())) or KEY.encode() in request.body
