"""The contract of messaging providers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar

import msgspec

from core.plugin.conformance.checking import (
    NUMBER_SECRET,
    expect,
    failure,
    not_applicable,
    run,
)
from core.plugin.conformance.deliveries import DeliveryChecks, Said, Verdict
from core.plugin.conformance.hiding import captured_logs, expect_hidden, told_by, with_marked_secrets
from core.plugin.conformance.optional import (
    ContactListingChecks,
    EventPollingChecks,
    NumberCheckingChecks,
    SignInChecks,
)
from core.plugin.conformance.probing import ProbingChecks
from core.plugin.conformance.sending import SendingChecks
from core.plugin.conformance.subjects import MessagingSubject, Subject, prepare, send_within
from core.plugin.messaging import MessagingProvider
from core.plugin.optional import SignIn
from core.plugin.scripted_server import Answer, Cut, ScriptedServer, unreachable_url
from core.plugin.secret import Secret
from core.plugin.webhooks import UnknownEvent, WebhookDelivery

_MARKED = "marked-webhook_secret-9f31c7"


class Seen(msgspec.Struct):
    """What a provider showed while it was used with secrets that can be found again."""

    secrets: tuple[str, ...] = ()
    logs: str = ""
    values: str = ""
    errors: str = ""


class MessagingDeliveryChecks(DeliveryChecks, MessagingSubject):
    """Checks of ``receive``."""

    event_at: ClassVar[datetime | None] = None
    """When ``event`` says that it happened, where the service tells."""

    def _judge(self, *deliveries: WebhookDelivery) -> list[tuple[Verdict, Sequence[Said]]]:
        """Let one new provider receive ``deliveries``."""
        provider = self._at_rest().provider
        results = [provider.receive(delivery, NUMBER_SECRET) for delivery in deliveries]
        return [(result, result.events) for result in results]

    def _why_no_deliveries(self) -> str:
        """A provider that is polled gets none."""
        return "the service is polled for its events" if self._is_polled() else ""

    def _expect_unknown(self, said: Sequence[Said]) -> None:
        """An unknown event is counted."""
        is_unknown = bool(said) and all(isinstance(event, UnknownEvent) for event in said)
        expect(is_unknown, f"expected UnknownEvent alone, got {said!r}")

    def test_late_delivery_keeps_its_time(self) -> None:
        """An event that arrives late happened when the service says, not when it came."""
        if why := self._why_no_deliveries():
            not_applicable(why)
        if self.event_at is None:
            not_applicable("the contract class gives no event_at")
        times = {getattr(event, "at", None) for event in self._judge(self.delivery(self.event, NUMBER_SECRET))[0][1]}
        expect(times == {self.event_at}, f"expected {self.event_at}, got {times}")

    def test_polled_provider_believes_no_delivery(self) -> None:
        """A provider that is asked for events takes no deliveries from anybody."""
        if not self._is_polled():
            not_applicable("the service delivers its events")
        delivery = WebhookDelivery(method="POST", query={}, headers={}, body=b"{}", public_url="https://p.example/w")
        ((verdict, said),) = self._judge(delivery)
        expect(not verdict.genuine and not said, "a delivery was believed")
        expect(400 <= verdict.status < 500, "a delivery must be answered 4xx")  # noqa: PLR2004


class MessagingSecretChecks(MessagingDeliveryChecks):
    """Checks that secrets stay where they are."""

    def test_secrets_are_not_logged(self) -> None:
        """Nothing that is logged or printed shows a secret of the server or the number."""
        seen = self._watch()
        expect_hidden(seen.secrets, seen.logs, "a log")

    def test_secrets_are_not_in_reprs(self) -> None:
        """No value that the provider makes shows a secret, nor the provider itself."""
        seen = self._watch()
        expect_hidden(seen.secrets, seen.values, "a value")

    def test_secrets_are_not_in_errors(self) -> None:
        """No error shows a secret, in its text, its attributes or its causes."""
        seen = self._watch()
        expect_hidden(seen.secrets, seen.errors, "an error")

    def _watch(self) -> Seen:
        """Do all that a provider does, with secrets that can be found again, on servers that do well and ill."""
        seen = Seen()

        async def scenario() -> None:
            for reaction in (self.accepted, Answer(401, failure(401)), Answer(500, failure(500)), Cut(), None):
                async with ScriptedServer(reaction) as server:
                    subject, seen.secrets = self._marked(server.url if reaction else unreachable_url())
                    with captured_logs() as logs:
                        await self._use(subject, seen)
                    seen.logs += logs.getvalue()

        run(scenario())
        return seen

    def _marked(self, url: str) -> tuple[Subject, tuple[str, ...]]:
        subject = self.subject(url)
        credentials, secrets = with_marked_secrets(subject.sender.server.credentials)
        server = msgspec.structs.replace(subject.sender.server, credentials=credentials)
        sender = msgspec.structs.replace(subject.sender, server=server, webhook_secret=Secret(_MARKED))
        return msgspec.structs.replace(subject, sender=sender), (*secrets, _MARKED)

    async def _use(self, subject: Subject, seen: Seen) -> None:
        provider, sender = subject.provider, subject.sender
        prepared = prepare(subject)
        seen.values += f"{provider!r} {sender!r} {prepared!r} {prepared.body!r}"
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: provider.capabilities(sender.server),
            lambda: provider.check(sender.server),
            lambda: send_within(subject, prepared),
            lambda: provider.reconcile(prepared, sender, ()),
            *(lambda delivery=delivery: self._receive_marked(provider, delivery) for delivery in self._deliveries()),
        ]
        if isinstance(provider, SignIn):
            calls += [partial(provider.state, sender), partial(provider.stop, sender)]
        for call in calls:
            try:
                seen.values += f" {await call()!r}"
            # Whether it may be raised is another check's concern.
            except Exception as error:  # noqa: BLE001
                seen.errors += told_by(error)
        await provider.aclose()

    async def _receive_marked(self, provider: MessagingProvider, delivery: WebhookDelivery) -> object:
        return provider.receive(delivery, Secret(_MARKED))

    def _deliveries(self) -> list[WebhookDelivery]:
        if self._is_polled():
            return []
        return [self.delivery(body, Secret(_MARKED)) for body in (self.event, self.unknown_event, b"{")]


class MessagingProviderContract(
    SendingChecks,
    ProbingChecks,
    SignInChecks,
    NumberCheckingChecks,
    ContactListingChecks,
    EventPollingChecks,
    MessagingSecretChecks,
):
    """What every messaging provider does; inherit it in a class whose name starts with ``Test``.

    ``accepted``, ``subject``, and for services that deliver events ``event``, ``unknown_event`` and ``delivery`` are
    required. The other answers of the service are optional: without them their checks do not apply.
    """
