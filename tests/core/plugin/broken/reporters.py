"""Plugins that are wrong in one thing about events, secrets or an optional group, and the checks that notice it."""

import hashlib
import hmac
import json
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from core.plugin import (
    AnyEvent,
    Capabilities,
    ListedContact,
    MisconfiguredError,
    NumberCheck,
    OutgoingMessage,
    Polled,
    Prepared,
    ProviderError,
    Secret,
    Sender,
    SenderReport,
    SenderState,
    Server,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)
from tests.core.plugin.broken.catching import caught_by
from tests.core.plugin.broken.good import GoodProvider, Report, State, sign


@caught_by("tampered_delivery_is_refused")
class SignsTheParsedBody(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        signatures = [sign(delivery.body, secret)]
        with suppress(ValueError, RecursionError):
            signatures.append(sign(json.dumps(json.loads(delivery.body)).encode(), secret))
        given = delivery.headers.get("x-signature", "").encode()
        return any(hmac.compare_digest(one.encode(), given) for one in signatures)


@caught_by("delivery_without_proof_is_refused")
class BelievesDeliveriesWithoutAProof(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        return "x-signature" not in delivery.headers or super().is_genuine(delivery, secret)


@caught_by("delivery_with_another_secret_is_refused", "tampered_delivery_is_refused")
class BelievesEverySignature(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:  # noqa: ARG002
        given = delivery.headers.get("x-signature", "")
        return len(given) == len(hashlib.sha256().hexdigest())


@caught_by("delivery_with_an_odd_proof_is_refused")
class CannotCompareOddSignatures(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        return hmac.compare_digest(sign(delivery.body, secret), delivery.headers.get("x-signature", ""))


@caught_by(
    "same_delivery_has_the_same_dedupe_keys",
    "duplicate_delivery_says_the_same",
    "deliveries_in_any_order_say_the_same",
    "same_cursor_gives_the_same_events",
)
class MakesUpDedupeKeys(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        return msgspec.structs.replace(super().translate(report), dedupe_key=secrets.token_hex(8))


@caught_by("duplicate_delivery_says_the_same", "deliveries_in_any_order_say_the_same")
class RemembersDeliveries(GoodProvider):
    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        ids = {event.dedupe_key.partition(":")[2] for event in result.events}
        if ids & self._seen:
            return msgspec.structs.replace(result, events=())
        self._seen |= ids
        return result


@caught_by("late_delivery_keeps_its_time")
class StampsEventsOnArrival(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        return super().translate(Report(report.id, report.kind, 1_800_000_000))


@caught_by("unknown_event_is_no_error", "deliveries_in_any_order_say_the_same", "delivery_with_wrong_types_is_no_error")
class RefusesUnknownEvents(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        if any(isinstance(event, UnknownEvent) and event.name == "odd" for event in result.events):
            raise KeyError("odd")
        return result


@caught_by("nested_delivery_is_no_error")
class CrashesOnNesting(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        if self.is_genuine(delivery, secret):
            try:
                json.loads(delivery.body)
            except ValueError:
                return WebhookResult(genuine=True)
        return super().receive(delivery, secret)


@caught_by("large_delivery_is_no_error")
class CrashesOnLargeBodies(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        if len(delivery.body) > 1_000_000:
            raise MemoryError
        return super().receive(delivery, secret)


@caught_by("delivery_with_nul_is_no_error")
class CrashesOnNul(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        if "\0" in report.id + report.kind:
            raise ValueError("embedded null byte")
        return super().translate(report)


@caught_by("delivery_with_wrong_types_is_no_error")
class CrashesOnWrongTypes(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        if result.genuine and not result.events and delivery.body.startswith(b'{"id"'):
            with suppress(RecursionError):
                json.loads(delivery.body)["kind"].lower()
        return result


@caught_by("garbage_with_proof_is_no_error")
class AnswersGarbageWithAnError(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        return msgspec.structs.replace(result, status=500) if result.genuine and delivery.body == b"[" else result


@caught_by("secrets_are_not_logged")
class LogsTheKey(GoodProvider):
    def headers(self, server: Server) -> dict[str, str]:
        found = super().headers(server)
        logging.getLogger("plugins.broken").debug("Calling with %s", found)
        return found


@caught_by("secrets_are_not_logged")
class PrintsTheWebhookSecret(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        sys.stdout.write(f"expecting {secret.reveal()}")
        return super().is_genuine(delivery, secret)


@caught_by("secrets_are_not_in_reprs")
class ShowsTheKeyInPrepared(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        key = self.headers(sender.server)["Authorization"]
        return msgspec.structs.replace(super().prepare(message, sender, client_id), path=f"/send?key={key}")


@caught_by("secrets_are_not_in_errors")
class ShowsTheKeyInErrors(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError as error:
            raise MisconfiguredError(f"{self.headers(server)} was refused") from error


@caught_by("odd_state_needs_a_person")
class TakesOddStatesForConnected(GoodProvider):
    def read_state(self, found: State) -> SenderReport:
        report = super().read_state(found)
        is_odd = report.state is SenderState.NEEDS_PERSON
        return SenderReport(state=SenderState.CONNECTED) if is_odd else report


@caught_by("failed_state_is_an_error")
class TakesAFailureForStopped(GoodProvider):
    async def state(self, sender: Sender) -> SenderReport:
        try:
            return await super().state(sender)
        except ProviderError:
            return SenderReport(state=SenderState.STOPPED)


@caught_by("stop_is_repeatable", "sign_out_is_repeatable", "remove_is_repeatable")
class ChangesANumberOnce(GoodProvider):
    async def change(self, sender: Sender, method: str, path: str) -> None:
        request = self._http.build_request(method, f"{sender.server.url}/numbers/{sender.instance}{path}")
        await self._http.call(request, doing="changing the number", limit_seconds=0.5)


@caught_by("failed_check_says_nothing_of_numbers")
class TakesAFailedCheckForNoAccount(GoodProvider):
    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        try:
            return await super().check_numbers(sender, numbers)
        except ProviderError:
            return {number: NumberCheck(number, exists=False) for number in numbers}


@caught_by("contacts_are_listed_once")
class ListsTheFirstPageAlone(GoodProvider):
    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        async for contact in super().list_contacts(sender):
            yield contact
            return


@caught_by("cursor_is_handed_on")
class PollsFromTheBeginning(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:  # noqa: ARG002
        return await super().poll(sender, "", wait_seconds=wait_seconds)


@caught_by("polled_events_are_understood")
class DropsUnknownPolledEvents(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        found = await super().poll(sender, cursor, wait_seconds=wait_seconds)
        known = tuple(event for event in found.events if not isinstance(event, UnknownEvent))
        return msgspec.structs.replace(found, events=known)


@caught_by("failed_poll_is_an_error")
class TakesAFailedPollForQuiet(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        try:
            return await super().poll(sender, cursor, wait_seconds=wait_seconds)
        except ProviderError:
            return Polled(events=(), cursor=cursor)


@caught_by("connected_number_is_connected")
class KnowsNoState(GoodProvider):
    def read_state(self, found: State) -> SenderReport:
        return SenderReport(state=SenderState.NEEDS_PERSON, raw=found.state)


@caught_by("absent_number_is_stopped")
class TakesAbsenceForAFailure(GoodProvider):
    async def state(self, sender: Sender) -> SenderReport:
        report = await super().state(sender)
        return SenderReport(state=SenderState.FAILED) if not report.raw else report


@caught_by("numbers_are_told_apart")
class FindsEverybody(GoodProvider):
    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        await super().check_numbers(sender, numbers)
        return {number: NumberCheck(number, exists=True, address=number) for number in numbers}


@caught_by("failed_listing_is_an_error")
class TakesAFailedListingForItsEnd(GoodProvider):
    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        with suppress(ProviderError):
            async for contact in super().list_contacts(sender):
                yield contact


@caught_by("same_cursor_gives_the_same_events")
class GivesPolledEventsOnce(GoodProvider):
    def __init__(self) -> None:
        super().__init__()
        self._given: dict[str, Polled] = {}

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        if cursor in self._given:
            return Polled(events=(), cursor=cursor)
        self._given[cursor] = await super().poll(sender, cursor, wait_seconds=wait_seconds)
        return self._given[cursor]


@caught_by("genuine_delivery", "late_delivery_keeps_its_time")
class UnderstandsNothing(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        events = tuple(UnknownEvent(dedupe_key=event.dedupe_key, name="any") for event in result.events)
        return msgspec.structs.replace(result, events=events)
