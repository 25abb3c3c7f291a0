"""Plugins that are wrong in one thing each, and the checks that must notice it."""

import hashlib
import hmac
import json
import logging
import random
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

import httpx
import msgspec

from core.plugin import (
    Absent,
    Accepted,
    AnyEvent,
    Capabilities,
    Finding,
    ListedContact,
    MessageKind,
    MisconfiguredError,
    NumberCheck,
    Outcome,
    OutgoingMessage,
    Polled,
    Prepared,
    ProviderError,
    RefusedError,
    Rejected,
    Retryable,
    Secret,
    Sender,
    SenderReport,
    SenderState,
    Server,
    UnavailableError,
    Unknown,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)
from tests.core.plugin.broken.good import GoodProvider, Report, State, sign

CAUGHT_BY: dict[type[GoodProvider], set[str]] = {}
"""Each broken plugin, and exactly the checks that fail for it."""


def _caught_by(*checks: str) -> Callable[[type[GoodProvider]], type[GoodProvider]]:
    def add(kind: type[GoodProvider]) -> type[GoodProvider]:
        CAUGHT_BY[kind] = set(checks)
        return kind

    return add


@_caught_by("one_send_is_one_request")
class RepeatsAFailedPost(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        answer = await super().post(prepared, sender)
        is_busy = isinstance(answer, httpx.Response) and answer.status_code == 503
        return await super().post(prepared, sender) if is_busy else answer


@_caught_by("unavailable_is_unknown")
class TakesABusyProxyForNotSent(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("busy") if answer.status_code == 503 else super().read(answer)


@_caught_by("no_answer_is_unknown", "endless_answer_is_unknown")
class TakesATimeoutForNotSent(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        outcome = await super().send(prepared, sender)
        return Retryable("timeout") if outcome == Unknown("timeout") else outcome


@_caught_by("cut_after_write_is_unknown", "unreachable_is_retryable")
class RaisesFromSend(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        outcome = await super().send(prepared, sender)
        if getattr(outcome, "code", "") in {"connection_lost", "unreachable"}:
            raise httpx.ReadError("lost")
        return outcome


@_caught_by("unreadable_success_is_unknown")
class BelievesASuccessWithoutAnId(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Accepted(("made-up",)) if answer.content == b"{}" else outcome


@_caught_by("success_with_wrong_types_claims_nothing")
class TakesAnEmptyIdForOne(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Accepted(("",)) if outcome == Unknown("no_id") else outcome


@_caught_by("server_error_is_unknown")
class TakesAServerErrorForARefusal(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Rejected("failed") if answer.status_code == 500 else super().read(answer)


@_caught_by("unauthorized_stops_the_sender")
class TakesWrongCredentialsForARefusal(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Rejected("unauthorized") if answer.status_code == 401 else super().read(answer)


@_caught_by("too_many_requests_is_retryable")
class IgnoresRetryAfter(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("too_many") if answer.status_code == 429 else super().read(answer)


@_caught_by("too_many_requests_without_a_time_is_retryable")
class CannotReadAnOddRetryAfter(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        if answer.status_code == 429:
            return Retryable("too_many", float(answer.headers["retry-after"]))
        return super().read(answer)


@_caught_by("rejected")
class TriesForEver(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("refused") if answer.status_code == 422 else super().read(answer)


@_caught_by("redirect_is_not_followed")
class FollowsRedirects(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        answer = await super().post(prepared, sender)
        if isinstance(answer, httpx.Response) and answer.is_redirect:
            moved = msgspec.structs.replace(prepared, path=answer.headers["location"])
            return await super().post(moved, sender)
        return answer


@_caught_by("prepare_is_pure")
class PreparesAnotherMessageEachTime(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        found = super().prepare(message, sender, client_id)
        return msgspec.structs.replace(found, body=found.body + str(random.random()).encode())  # noqa: S311


@_caught_by("prepare_is_pure")
class ForgetsTheClientId(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        return super().prepare(message, sender, f"{client_id}-mine")


@_caught_by("client_ids_never_repeat")
class RepeatsClientIds(GoodProvider):
    def new_client_id(self) -> str:
        return secrets.token_hex(1)


@_caught_by("files_go_by_address_and_by_content")
class LosesCaptions(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        plain = msgspec.structs.replace(message, text="") if message.media else message
        return super().prepare(plain, sender, client_id)


@_caught_by("reconcile_does_not_guess")
class TakesAFailedLookUpForAbsence(GoodProvider):
    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        finding = await super().reconcile(prepared, sender, ids)
        return Absent() if getattr(finding, "code", "") == "provider_unavailable" else finding


@_caught_by("capabilities_of_another_service", "check_fails_as_the_probe_does")
class TakesAnyServerForItsOwn(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError:
            raise
        except RefusedError:
            return Capabilities(version="1.0")


@_caught_by("capabilities_are_kept")
class PromisesWhatItHasNot(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        return msgspec.structs.replace(await super().capabilities(server), screenshots=True)


@_caught_by("tampered_delivery_is_refused")
class SignsTheParsedBody(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        signatures = [sign(delivery.body, secret)]
        with suppress(ValueError, RecursionError):
            signatures.append(sign(json.dumps(json.loads(delivery.body)).encode(), secret))
        given = delivery.headers.get("x-signature", "").encode()
        return any(hmac.compare_digest(one.encode(), given) for one in signatures)


@_caught_by("delivery_without_proof_is_refused")
class BelievesDeliveriesWithoutAProof(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        return "x-signature" not in delivery.headers or super().is_genuine(delivery, secret)


@_caught_by("delivery_with_another_secret_is_refused", "tampered_delivery_is_refused")
class BelievesEverySignature(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:  # noqa: ARG002
        given = delivery.headers.get("x-signature", "")
        return len(given) == len(hashlib.sha256().hexdigest())


@_caught_by("delivery_with_an_odd_proof_is_refused")
class CannotCompareOddSignatures(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        return hmac.compare_digest(sign(delivery.body, secret), delivery.headers.get("x-signature", ""))


@_caught_by(
    "same_delivery_has_the_same_dedupe_keys",
    "duplicate_delivery_says_the_same",
    "deliveries_in_any_order_say_the_same",
    "same_cursor_gives_the_same_events",
)
class MakesUpDedupeKeys(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        return msgspec.structs.replace(super().translate(report), dedupe_key=secrets.token_hex(8))


@_caught_by("duplicate_delivery_says_the_same", "deliveries_in_any_order_say_the_same")
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


@_caught_by("late_delivery_keeps_its_time")
class StampsEventsOnArrival(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        return super().translate(Report(report.id, report.kind, 1_800_000_000))


@_caught_by(
    "unknown_event_is_no_error", "deliveries_in_any_order_say_the_same", "delivery_with_wrong_types_is_no_error"
)
class RefusesUnknownEvents(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        if any(isinstance(event, UnknownEvent) and event.name == "odd" for event in result.events):
            raise KeyError("odd")
        return result


@_caught_by("nested_delivery_is_no_error")
class CrashesOnNesting(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        if self.is_genuine(delivery, secret):
            try:
                json.loads(delivery.body)
            except ValueError:
                return WebhookResult(genuine=True)
        return super().receive(delivery, secret)


@_caught_by("large_delivery_is_no_error")
class CrashesOnLargeBodies(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        if len(delivery.body) > 1_000_000:
            raise MemoryError
        return super().receive(delivery, secret)


@_caught_by("delivery_with_nul_is_no_error")
class CrashesOnNul(GoodProvider):
    def translate(self, report: Report) -> AnyEvent:
        if "\0" in report.id + report.kind:
            raise ValueError("embedded null byte")
        return super().translate(report)


@_caught_by("delivery_with_wrong_types_is_no_error")
class CrashesOnWrongTypes(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        if result.genuine and not result.events and delivery.body.startswith(b'{"id"'):
            with suppress(RecursionError):
                json.loads(delivery.body)["kind"].lower()
        return result


@_caught_by("garbage_with_proof_is_no_error")
class AnswersGarbageWithAnError(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        return msgspec.structs.replace(result, status=500) if result.genuine and delivery.body == b"[" else result


@_caught_by("secrets_are_not_logged")
class LogsTheKey(GoodProvider):
    def headers(self, server: Server) -> dict[str, str]:
        found = super().headers(server)
        logging.getLogger("plugins.broken").debug("Calling with %s", found)
        return found


@_caught_by("secrets_are_not_logged")
class PrintsTheWebhookSecret(GoodProvider):
    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        sys.stdout.write(f"expecting {secret.reveal()}")
        return super().is_genuine(delivery, secret)


@_caught_by("secrets_are_not_in_reprs")
class ShowsTheKeyInPrepared(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        key = self.headers(sender.server)["Authorization"]
        return msgspec.structs.replace(super().prepare(message, sender, client_id), path=f"/send?key={key}")


@_caught_by("secrets_are_not_in_errors")
class ShowsTheKeyInErrors(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError as error:
            raise MisconfiguredError(f"{self.headers(server)} was refused") from error


@_caught_by("odd_state_needs_a_person")
class TakesOddStatesForConnected(GoodProvider):
    def read_state(self, found: State) -> SenderReport:
        report = super().read_state(found)
        is_odd = report.state is SenderState.NEEDS_PERSON
        return SenderReport(state=SenderState.CONNECTED) if is_odd else report


@_caught_by("failed_state_is_an_error")
class TakesAFailureForStopped(GoodProvider):
    async def state(self, sender: Sender) -> SenderReport:
        try:
            return await super().state(sender)
        except ProviderError:
            return SenderReport(state=SenderState.STOPPED)


@_caught_by("stop_is_repeatable", "sign_out_is_repeatable", "remove_is_repeatable")
class ChangesANumberOnce(GoodProvider):
    async def change(self, sender: Sender, method: str, path: str) -> None:
        request = self._http.build_request(method, f"{sender.server.url}/numbers/{sender.instance}{path}")
        await self._http.call(request, doing="changing the number", limit_seconds=0.5)


@_caught_by("failed_check_says_nothing_of_numbers")
class TakesAFailedCheckForNoAccount(GoodProvider):
    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        try:
            return await super().check_numbers(sender, numbers)
        except ProviderError:
            return {number: NumberCheck(number, exists=False) for number in numbers}


@_caught_by("contacts_are_listed_once")
class ListsTheFirstPageAlone(GoodProvider):
    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        async for contact in super().list_contacts(sender):
            yield contact
            return


@_caught_by("cursor_is_handed_on")
class PollsFromTheBeginning(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:  # noqa: ARG002
        return await super().poll(sender, "", wait_seconds=wait_seconds)


@_caught_by("polled_events_are_understood")
class DropsUnknownPolledEvents(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        found = await super().poll(sender, cursor, wait_seconds=wait_seconds)
        known = tuple(event for event in found.events if not isinstance(event, UnknownEvent))
        return msgspec.structs.replace(found, events=known)


@_caught_by("failed_poll_is_an_error")
class TakesAFailedPollForQuiet(GoodProvider):
    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        try:
            return await super().poll(sender, cursor, wait_seconds=wait_seconds)
        except ProviderError:
            return Polled(events=(), cursor=cursor)


@_caught_by("states_its_times")
class PromisesTooLittleTime(GoodProvider):
    unknown_grace_seconds = 0.0


@_caught_by("no_answer_is_unknown", "endless_answer_is_unknown")
class SendsLongerThanItSays(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        url = f"{sender.server.url}{prepared.path}"
        return await self._http.post_once(url, content=prepared.body, headers={}, limit_seconds=30)


@_caught_by("accepted", "each_kind_of_file_is_accepted")
class DoubtsEverySuccess(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Unknown("doubtful") if isinstance(outcome, Accepted) else outcome


@_caught_by("each_kind_of_file_is_accepted")
class CannotSendFiles(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        if prepared.message.kind is MessageKind.IMAGE:
            return Rejected("no_files")
        return await super().send(prepared, sender)


@_caught_by("capabilities_of_an_unreachable_server")
class TakesSilenceForARefusal(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except UnavailableError as error:
            raise RefusedError(str(error)) from None


@_caught_by("capabilities_with_wrong_credentials")
class TakesWrongCredentialsForAnotherService(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError as error:
            raise RefusedError(str(error)) from None


@_caught_by("probe_gives_the_capabilities")
class NamesNoVersion(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        return msgspec.structs.replace(await super().capabilities(server), version="")

    async def check(self, server: Server) -> str:
        await self.capabilities(server)
        return "fine"


@_caught_by("check_is_one_line")
class TellsTooMuch(GoodProvider):
    async def check(self, server: Server) -> str:
        return f"{await super().check(server)}\nand all is well"


@_caught_by("check_fails_as_the_probe_does")
class ChecksNothing(GoodProvider):
    async def check(self, server: Server) -> str:  # noqa: ARG002 - that is its fault
        return "fine"


@_caught_by("connected_number_is_connected")
class KnowsNoState(GoodProvider):
    def read_state(self, found: State) -> SenderReport:
        return SenderReport(state=SenderState.NEEDS_PERSON, raw=found.state)


@_caught_by("absent_number_is_stopped")
class TakesAbsenceForAFailure(GoodProvider):
    async def state(self, sender: Sender) -> SenderReport:
        report = await super().state(sender)
        return SenderReport(state=SenderState.FAILED) if not report.raw else report


@_caught_by("numbers_are_told_apart")
class FindsEverybody(GoodProvider):
    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        await super().check_numbers(sender, numbers)
        return {number: NumberCheck(number, exists=True, address=number) for number in numbers}


@_caught_by("failed_listing_is_an_error")
class TakesAFailedListingForItsEnd(GoodProvider):
    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        with suppress(ProviderError):
            async for contact in super().list_contacts(sender):
                yield contact


@_caught_by("same_cursor_gives_the_same_events")
class GivesPolledEventsOnce(GoodProvider):
    def __init__(self) -> None:
        super().__init__()
        self._given: dict[str, Polled] = {}

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        if cursor in self._given:
            return Polled(events=(), cursor=cursor)
        self._given[cursor] = await super().poll(sender, cursor, wait_seconds=wait_seconds)
        return self._given[cursor]


@_caught_by("genuine_delivery", "late_delivery_keeps_its_time")
class UnderstandsNothing(GoodProvider):
    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        result = super().receive(delivery, secret)
        events = tuple(UnknownEvent(dedupe_key=event.dedupe_key, name="any") for event in result.events)
        return msgspec.structs.replace(result, events=events)
