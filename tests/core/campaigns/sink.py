"""A messaging plugin for the engine's tests, and the small HTTP service behind it that does what a test orders."""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from core.plugin import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Finding,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    NumberCheck,
    Outcome,
    OutgoingMessage,
    Prepared,
    Rejected,
    Retryable,
    Sender,
    SenderReport,
    SenderState,
    SenderStopped,
    Server,
    UnavailableError,
    Unknown,
    WebhookDelivery,
    WebhookResult,
    WebhookTarget,
    build_client,
)
from core.plugin.messaging import Scope as Concern
from core.plugin.secret import Secret

NAME = "sink"
SEND_SECONDS = 5.0
FULL = Capabilities(
    version="1", client_message_id=True, lookup_by_id=True, receipts="read", number_check="none", multi_session=True
)
BARE = Capabilities(version="1")
"""No ids of ours, no look-up, no receipts."""


class Post(msgspec.Struct, frozen=True):
    """One message as the service took it."""

    client_id: str
    address: str
    text: str
    instance: str
    media: Media | None = None
    at: float = 0.0
    """Seconds of the steady timer."""


class Sign(msgspec.Struct, frozen=True):
    """That somebody types, or ceased to."""

    address: str
    active: bool
    instance: str
    posts_before: int = 0
    """Messages the service had taken by then."""


class Answer(msgspec.Struct, frozen=True):
    """What the service says to one message."""

    kind: str = "accepted"
    code: str = "ordered"
    retry_after: float | None = None
    scope: Concern = "recipient"
    sender_stopped: bool = False


class Sink:
    """The service: ASGI, everything it got, and what it has to answer."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.signs: list[Sign] = []
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        """Answers by address, in order; ``*`` for every address without its own. After the last: accepted."""
        self.always: Answer | None = None
        self.statuses: dict[str, MessageStatus] = {}
        """What a look-up finds, by client id."""
        self.directory: dict[str, str | None] = {}
        """What a number check answers: number to address, ``None`` without an account, and silence for the rest."""
        self.delay = 0.0
        self.gates: list[asyncio.Event] = []
        """What the answers wait for, in the order of the messages; those after the last wait for nothing."""
        self.typing_delay = 0.0
        self.most_at_once = 0
        self._at_once = 0
        self.changed = asyncio.Event()

    @property
    def addresses(self) -> list[str]:
        """To whom messages went, in their order."""
        return [post.address for post in self.posts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")  # type: ignore[operator] # an http.request event
            if not event.get("more_body"):
                break
        answer = msgspec.json.encode(await self._answer(scope["path"], body))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    async def _answer(self, path: str, body: bytes) -> object:
        if path == "/check":
            numbers = msgspec.json.decode(body, type=list[str])
            return {number: self.directory[number] for number in numbers if number in self.directory}
        if path.startswith("/messages/"):
            return self.statuses.get(path.rpartition("/")[2])
        if path == "/typing":
            await asyncio.sleep(self.typing_delay)
            sign = msgspec.json.decode(body, type=Sign)
            self.signs.append(msgspec.structs.replace(sign, posts_before=len(self.posts)))
            return None
        return await self._take(msgspec.json.decode(body, type=Post))

    async def _take(self, post: Post) -> Answer:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.posts.append(msgspec.structs.replace(post, at=time.monotonic()))
        self.changed.set()
        gate = self.gates.pop(0) if self.gates else None
        await asyncio.sleep(self.delay)
        if gate is not None:
            # A test that fails before it opens the gate must not keep the server from ending.
            await asyncio.wait([asyncio.ensure_future(gate.wait())], timeout=2 * SEND_SECONDS)
        self._at_once -= 1
        ordered = self.answers[post.address] or self.answers["*"]
        if ordered:
            return ordered.pop(0)
        return self.always or Answer()


class Relay:
    """An address at which the present sink answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sink = Sink()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sink(scope, receive, send)


class NoCredentials(msgspec.Struct, frozen=True):
    """The sink lets everybody in."""


class SinkProvider:
    """The plugin's provider; ``raises`` makes a call raise instead, by its name."""

    name = NAME
    Credentials = NoCredentials

    def __init__(self) -> None:
        self._client = build_client()
        self.reset()

    def reset(self) -> None:
        """Work as a sound plugin does."""
        self.raises: dict[str, Exception] = {}
        self.looked_up: list[tuple[str, ...]] = []
        """The ids that each look-up was given."""
        self.unknown_grace_seconds = 0.0
        self.restarted: list[str] = []
        """Instances, in the order of their restarts."""
        self.while_restarting: Callable[[], Awaitable[object]] | None = None
        """What happens before a restart is answered."""
        self.webhooks_differ = False
        self.repaired: list[str] = []
        self.seen: list[str] = []
        """Addresses whose chats were marked as read."""

    async def capabilities(self, server: Server) -> Capabilities:
        del server
        return FULL

    def new_client_id(self) -> str:
        self._trip("new_client_id")
        return secrets.token_hex(8)

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        self._trip("prepare")
        post = Post(client_id, message.address, message.text, sender.instance, message.media)
        return Prepared(message, client_id, "/send", msgspec.json.encode(post))

    def send_timeout(self, kind: MessageKind) -> float:
        del kind
        self._trip("send_timeout")
        return SEND_SECONDS

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        answer = await self._client.post_once(
            f"{sender.server.url}{prepared.path}",
            content=prepared.body,
            headers={"content-type": "application/json"},
            limit_seconds=SEND_SECONDS,
        )
        self._trip("send")
        if isinstance(answer, Retryable | Unknown):
            return answer
        ordered = msgspec.json.decode(answer.content, type=Answer)
        match ordered.kind:
            case "accepted":
                return Accepted((prepared.client_id,), prepared.message.address)
            case "rejected":
                return Rejected(ordered.code)
            case "retryable":
                return Retryable(ordered.code, ordered.retry_after, ordered.scope)
            case "stopped":
                return SenderStopped(ordered.code, scope=ordered.scope)
            case _:
                return Unknown(ordered.code, ordered.sender_stopped)

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        self.looked_up.append(tuple(ids))
        self._trip("reconcile")
        if prepared.attempted_at is None:
            return CannotTell("no_attempt")
        response = await self._client.get(f"{sender.server.url}/messages/{prepared.client_id}")
        status = msgspec.json.decode(response.content, type=MessageStatus | None)
        return Absent() if status is None else Found((prepared.client_id,), status)

    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        self._trip("check_numbers")
        response = await self._client.post(f"{sender.server.url}/check", content=msgspec.json.encode(list(numbers)))
        found = msgspec.json.decode(response.content, type=dict[str, str | None])
        return {number: NumberCheck(number, bool(address), address or "") for number, address in found.items()}

    async def show_typing(self, sender: Sender, address: str, *, active: bool) -> None:
        self._trip("show_typing")
        sign = Sign(address, active, sender.instance)
        await self._client.post(f"{sender.server.url}/typing", content=msgspec.json.encode(sign))

    async def mark_seen(self, sender: Sender, address: str) -> None:
        del sender
        self._trip("mark_seen")
        self.seen.append(address)

    async def restart(self, sender: Sender) -> SenderReport:
        self.restarted.append(sender.instance)
        if self.while_restarting is not None:
            await self.while_restarting()
        self._trip("restart")
        return SenderReport(state=SenderState.CONNECTED)

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        self._trip("repair_webhook")
        self.repaired.append(f"{sender.instance} {webhook.url}")
        differed, self.webhooks_differ = self.webhooks_differ, False
        return differed

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        del delivery, secret
        return WebhookResult(genuine=False, status=401)

    async def check(self, server: Server) -> str:
        return f"the sink at {server.url}"

    async def aclose(self) -> None:
        await self._client.aclose()

    def _trip(self, call: str) -> None:
        if call in self.raises:
            raise self.raises[call]


UNREACHABLE = UnavailableError("the sink does not answer")
