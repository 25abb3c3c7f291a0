"""A provider that keeps the contract in every group, and its contract class."""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

import httpx
import msgspec

from core.plugin import (
    Absent,
    Accepted,
    AnyEvent,
    CannotTell,
    Capabilities,
    Challenge,
    Finding,
    Found,
    ListedContact,
    Media,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
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
    SenderStopped,
    Server,
    UncertainError,
    Unknown,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
    WebhookTarget,
    build_client,
    decode,
    retry_after,
)
from core.plugin.testing import (
    Answer,
    ContactAnswers,
    MessagingProviderContract,
    NumberCheckAnswers,
    PollAnswers,
    Routes,
    SignInAnswers,
    Subject,
)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_Kind = TypeVar("_Kind")
STATES = {"working": SenderState.CONNECTED, "waiting": SenderState.SIGN_IN}


class GoodCredentials(msgspec.Struct, frozen=True):
    key: Secret


class Id(msgspec.Struct):
    id: str


class State(msgspec.Struct):
    state: str


class Check(msgspec.Struct):
    address: str


class Contact(msgspec.Struct):
    address: str
    phone: str = ""
    group: bool = False


class Contacts(msgspec.Struct):
    contacts: list[Contact]
    next: str = ""


class Report(msgspec.Struct):
    id: str
    kind: str
    at: float = 0.0


class Reports(msgspec.Struct):
    events: list[Report]


class GoodProvider:
    """Sends, reports, connects, checks, lists and polls; each broken plugin replaces one of its methods."""

    name = "good"
    Credentials: type[msgspec.Struct] = GoodCredentials
    unknown_grace_seconds = 1.0

    def __init__(self) -> None:
        self._http = build_client()

    async def capabilities(self, server: Server) -> Capabilities:
        about = await self.ask(server, "GET", "/version", Id)
        return Capabilities(version=about.id, media=(MessageKind.IMAGE,), sign_in=("qr",), number_check="single")

    async def ask(self, server: Server, method: str, path: str, kind: type[_Kind]) -> _Kind:
        doing = "asking"
        request = self._http.build_request(method, f"{server.url}{path}", headers=self.headers(server))
        try:
            return decode(await self._http.call(request, doing=doing, limit_seconds=0.5), kind, doing)
        except UncertainError:
            raise RefusedError(f"{server.url} is another service") from None

    def headers(self, server: Server) -> dict[str, str]:
        assert isinstance(server.credentials, GoodCredentials)
        return {"Authorization": server.credentials.key.reveal()}

    def new_client_id(self) -> str:
        return secrets.token_hex(8)

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        media = message.media or Media(mimetype="", filename="")
        body = (sender.instance, message.address, message.text, media.url, media.content, client_id)
        return Prepared(message, client_id, "/send", msgspec.json.encode(body))

    def send_timeout(self, kind: MessageKind) -> float:  # noqa: ARG002 - the same for all
        return 0.3

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        answer = await self.post(prepared, sender)
        return self.read(answer) if isinstance(answer, httpx.Response) else answer

    async def post(self, prepared: Prepared, sender: Sender) -> httpx.Response | Retryable | Unknown:
        headers = self.headers(sender.server)
        url = f"{sender.server.url}{prepared.path}"
        return await self._http.post_once(url, content=prepared.body, headers=headers, limit_seconds=0.3)

    def read(self, answer: httpx.Response) -> Outcome:
        match answer.status_code:
            case 200 | 201:
                return self.read_success(answer)
            case 401:
                return SenderStopped("unauthorized")
            case 422:
                return Rejected("refused")
            case 429:
                return Retryable("too_many_requests", retry_after(answer))
        return Unknown(f"http_{answer.status_code}")

    def read_success(self, answer: httpx.Response) -> Outcome:
        try:
            found = msgspec.json.decode(answer.content, type=Id)
        except UNREADABLE:
            return Unknown("unreadable")
        return Accepted((found.id,)) if found.id else Unknown("no_id")

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:  # noqa: ARG002
        server = sender.server
        request = self._http.build_request("GET", f"{server.url}/messages/{prepared.client_id}")
        try:
            answer = await self._http.call(request, doing="looking up", limit_seconds=0.5, accept={404})
            if answer.status_code == 404:
                return Absent() if answer.headers.get("x-service") == "good" else CannotTell("another_404")
            return Found((decode(answer, Id, "looking up").id,), MessageStatus.SENT)
        except ProviderError as error:
            return CannotTell(error.code)

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        if not self.is_genuine(delivery, secret):
            return WebhookResult(genuine=False, status=401)
        try:
            report = msgspec.json.decode(delivery.body, type=Report)
        except UNREADABLE:
            return WebhookResult(genuine=True)
        return WebhookResult(genuine=True, events=(self.translate(report),))

    def is_genuine(self, delivery: WebhookDelivery, secret: Secret) -> bool:
        given = delivery.headers.get("x-signature", "").encode()
        return hmac.compare_digest(sign(delivery.body, secret).encode(), given)

    def translate(self, report: Report) -> AnyEvent:
        key = f"{report.kind}:{report.id}"
        try:
            at = datetime.fromtimestamp(report.at, UTC)
        except (ValueError, OverflowError, OSError):
            return UnknownEvent(dedupe_key=key, name="odd_time")
        if report.kind != "sent":
            return UnknownEvent(dedupe_key=key, name=report.kind)
        return MessageStatusEvent(dedupe_key=key, ids=(report.id,), status="sent", at=at)

    async def check(self, server: Server) -> str:
        return (await self.capabilities(server)).version

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:  # noqa: ARG002
        return await self.state(sender)

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:  # noqa: ARG002
        return Challenge(kind="qr", value="text")

    async def state(self, sender: Sender) -> SenderReport:
        server = sender.server
        request = self._http.build_request("GET", f"{server.url}/numbers/{sender.instance}")
        answer = await self._http.call(request, doing="asking for the state", limit_seconds=0.5, accept={404})
        if answer.status_code == 404:
            return SenderReport(state=SenderState.STOPPED)
        return self.read_state(decode(answer, State, "asking for the state"))

    def read_state(self, found: State) -> SenderReport:
        return SenderReport(state=STATES.get(found.state, SenderState.NEEDS_PERSON), raw=found.state)

    async def stop(self, sender: Sender) -> None:
        await self.change(sender, "POST", "/stop")

    async def sign_out(self, sender: Sender) -> None:
        await self.change(sender, "DELETE", "/login")

    async def remove(self, sender: Sender) -> None:
        await self.change(sender, "DELETE", "")

    async def change(self, sender: Sender, method: str, path: str) -> None:
        request = self._http.build_request(method, f"{sender.server.url}/numbers/{sender.instance}{path}")
        await self._http.call(request, doing="changing the number", limit_seconds=0.5, accept={404})

    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        found = {}
        for number in numbers:
            answer = await self.ask(sender.server, "GET", f"/check?phone={number}", Check)
            found[number] = NumberCheck(number, exists=bool(answer.address), address=answer.address)
        return found

    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        page: str = "1"
        while page:
            found = await self.ask(sender.server, "GET", f"/contacts?page={page}", Contacts)
            for one in found.contacts:
                yield ListedContact(address=one.address, phone=one.phone, group=one.group)
            page = found.next

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:  # noqa: ARG002
        found = await self.ask(sender.server, "GET", f"/events?after={cursor}", Reports)
        last = found.events[-1].id if found.events else cursor
        return Polled(events=tuple(map(self.translate, found.events)), cursor=last)

    async def aclose(self) -> None:
        await self._http.aclose()


def sign(body: bytes, secret: Secret) -> str:
    return hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()


class GoodContract(MessagingProviderContract):
    provider: type[GoodProvider] = GoodProvider

    accepted = Answer(200, b'{"id": "1"}')
    rejected = Answer(422)
    event = b'{"id": "1", "kind": "sent", "at": 1700000000}'
    event_at = datetime.fromtimestamp(1700000000, UTC)
    unknown_event = b'{"id": "1", "kind": "odd"}'
    found: ClassVar[Routes] = {"/messages/": Answer(200, b'{"id": "1"}')}
    absent: ClassVar[Routes] = {"/messages/": Answer(404, b"{}", {"X-Service": "good"})}
    probe: ClassVar[Routes] = {"/version": Answer(200, b'{"id": "1.0"}')}
    sign_in = SignInAnswers(
        connected={"GET /numbers/one": Answer(200, b'{"state": "working"}'), "/numbers/one": (Answer(), Answer(404))},
        odd_state={"/numbers/one": Answer(200, b'{"state": "pondering"}')},
        absent={},
    )
    number_checks = NumberCheckAnswers(
        routes={
            "/check?phone=1": Answer(200, b'{"address": "1@c"}'),
            "/check?phone=2": Answer(200, b'{"address": ""}'),
        },
        existing="1",
        missing="2",
    )
    contacts = ContactAnswers(
        routes={
            "/contacts?page=1": Answer(200, b'{"contacts": [{"address": "a", "phone": "1555"}], "next": "2"}'),
            "/contacts?page=2": Answer(200, b'{"contacts": [{"address": "b", "group": true}]}'),
        },
        addresses=("a", "b"),
    )
    polls = PollAnswers(
        routes={"/events": Answer(200, b'{"events": [{"id": "1", "kind": "sent"}, {"id": "2", "kind": "odd"}]}')},
        known=1,
    )

    def subject(self, url: str) -> Subject:
        sender = Sender(
            number_id=1,
            instance="one",
            server=Server(id=1, url=url, credentials=GoodCredentials(Secret("key"))),
            capabilities=Capabilities(media=(MessageKind.IMAGE,), client_message_id=True, lookup_by_id=True),
            webhook_secret=Secret("secret"),
        )
        return Subject(self.provider(), sender, OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"))

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        headers = {"x-signature": sign(body, secret)}
        return WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")
