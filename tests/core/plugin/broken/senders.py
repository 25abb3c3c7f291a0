"""Plugins that are wrong in one thing when they send or are probed, and the checks that must notice it."""

import random
import secrets
from collections.abc import Sequence

import httpx
import msgspec

from core.plugin import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Finding,
    Found,
    MessageKind,
    MisconfiguredError,
    Outcome,
    OutgoingMessage,
    Prepared,
    RefusedError,
    Rejected,
    Retryable,
    Sender,
    Server,
    UnavailableError,
    Unknown,
)
from tests.core.plugin.broken.catching import caught_by
from tests.core.plugin.broken.good import GoodProvider


@caught_by("one_send_is_one_request")
class RepeatsAFailedPost(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        answer = await super().post(prepared, sender)
        is_busy = isinstance(answer, httpx.Response) and answer.status_code == 503
        return await super().post(prepared, sender) if is_busy else answer


@caught_by("unavailable_is_unknown")
class TakesABusyProxyForNotSent(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("busy") if answer.status_code == 503 else super().read(answer)


@caught_by("no_answer_is_unknown", "endless_answer_is_unknown")
class TakesATimeoutForNotSent(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        outcome = await super().send(prepared, sender)
        return Retryable("timeout") if outcome == Unknown("timeout") else outcome


@caught_by("cut_after_write_is_unknown", "unreachable_is_retryable")
class RaisesFromSend(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        outcome = await super().send(prepared, sender)
        if getattr(outcome, "code", "") in {"connection_lost", "unreachable"}:
            raise httpx.ReadError("lost")
        return outcome


@caught_by("unreadable_success_is_unknown")
class BelievesASuccessWithoutAnId(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Accepted(("made-up",)) if answer.content == b"{}" else outcome


@caught_by("success_with_wrong_types_claims_nothing")
class TakesAnEmptyIdForOne(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Accepted(("",)) if outcome == Unknown("no_id") else outcome


@caught_by("server_error_is_unknown")
class TakesAServerErrorForARefusal(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Rejected("failed") if answer.status_code == 500 else super().read(answer)


@caught_by("unauthorized_stops_the_sender")
class TakesWrongCredentialsForARefusal(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Rejected("unauthorized") if answer.status_code == 401 else super().read(answer)


@caught_by("too_many_requests_is_retryable")
class IgnoresRetryAfter(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("too_many") if answer.status_code == 429 else super().read(answer)


@caught_by("too_many_requests_without_a_time_is_retryable")
class CannotReadAnOddRetryAfter(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        if answer.status_code == 429:
            return Retryable("too_many", float(answer.headers["retry-after"]))
        return super().read(answer)


@caught_by("rejected")
class TriesForEver(GoodProvider):
    def read(self, answer: httpx.Response) -> Outcome:
        return Retryable("refused") if answer.status_code == 422 else super().read(answer)


@caught_by("redirect_is_not_followed")
class FollowsRedirects(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        answer = await super().post(prepared, sender)
        if isinstance(answer, httpx.Response) and answer.is_redirect:
            moved = msgspec.structs.replace(prepared, path=answer.headers["location"])
            return await super().post(moved, sender)
        return answer


@caught_by("prepare_is_pure")
class PreparesAnotherMessageEachTime(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        found = super().prepare(message, sender, client_id)
        return msgspec.structs.replace(found, body=found.body + str(random.random()).encode())  # noqa: S311


@caught_by("prepare_is_pure")
class ForgetsTheClientId(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        return super().prepare(message, sender, f"{client_id}-mine")


@caught_by("client_ids_never_repeat")
class RepeatsClientIds(GoodProvider):
    def new_client_id(self) -> str:
        return secrets.token_hex(1)


@caught_by("files_go_by_address_and_by_content")
class LosesCaptions(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        plain = msgspec.structs.replace(message, text="") if message.media else message
        return super().prepare(plain, sender, client_id)


@caught_by("reconcile_does_not_guess")
class TakesAFailedLookUpForAbsence(GoodProvider):
    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        finding = await super().reconcile(prepared, sender, ids)
        return Absent() if getattr(finding, "code", "") == "provider_unavailable" else finding


@caught_by("capabilities_of_another_service", "check_fails_as_the_probe_does")
class TakesAnyServerForItsOwn(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError:
            raise
        except RefusedError:
            return Capabilities(version="1.0")


@caught_by("capabilities_are_kept")
class PromisesWhatItHasNot(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        return msgspec.structs.replace(await super().capabilities(server), screenshots=True)


@caught_by("states_its_times")
class PromisesTooLittleTime(GoodProvider):
    unknown_grace_seconds = 0.0


@caught_by("no_answer_is_unknown", "endless_answer_is_unknown")
class SendsLongerThanItSays(GoodProvider):
    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        url = f"{sender.server.url}{prepared.path}"
        return await self._http.post_once(url, content=prepared.body, headers={}, limit_seconds=30)


@caught_by("accepted", "each_kind_of_file_is_accepted")
class DoubtsEverySuccess(GoodProvider):
    def read_success(self, answer: httpx.Response) -> Outcome:
        outcome = super().read_success(answer)
        return Unknown("doubtful") if isinstance(outcome, Accepted) else outcome


@caught_by("each_kind_of_file_is_accepted")
class CannotSendFiles(GoodProvider):
    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        if prepared.message.kind is MessageKind.IMAGE:
            return Rejected("no_files")
        return await super().send(prepared, sender)


@caught_by("capabilities_of_an_unreachable_server")
class TakesSilenceForARefusal(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except UnavailableError as error:
            raise RefusedError(str(error)) from None


@caught_by("capabilities_with_wrong_credentials")
class TakesWrongCredentialsForAnotherService(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        try:
            return await super().capabilities(server)
        except MisconfiguredError as error:
            raise RefusedError(str(error)) from None


@caught_by("probe_gives_the_capabilities")
class NamesNoVersion(GoodProvider):
    async def capabilities(self, server: Server) -> Capabilities:
        return msgspec.structs.replace(await super().capabilities(server), version="")

    async def check(self, server: Server) -> str:
        await self.capabilities(server)
        return "fine"


@caught_by("check_is_one_line")
class TellsTooMuch(GoodProvider):
    async def check(self, server: Server) -> str:
        return f"{await super().check(server)}\nand all is well"


@caught_by("check_fails_as_the_probe_does")
class ChecksNothing(GoodProvider):
    async def check(self, server: Server) -> str:  # noqa: ARG002 - that is its fault
        return "fine"


@caught_by("client_id_is_sent")
class KeepsTheClientIdToItself(GoodProvider):
    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        return msgspec.structs.replace(super().prepare(message, sender, "none"), client_id=client_id)


@caught_by("known_message_is_found")
class FindsNothing(GoodProvider):
    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        finding = await super().reconcile(prepared, sender, ids)
        return CannotTell("doubtful") if isinstance(finding, Found) else finding


@caught_by("unknown_message_is_absent")
class DoubtsEveryAbsence(GoodProvider):
    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        finding = await super().reconcile(prepared, sender, ids)
        return CannotTell("doubtful") if isinstance(finding, Absent) else finding
