"""A service that is asked for its events, over HTTP, and the plugin's provider for it: numbers sign in by a token."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.params import FromPath, Parameter

from core.plugin import (
    AnyEvent,
    CannotTell,
    Capabilities,
    Finding,
    MessageInEvent,
    MessageKind,
    Outcome,
    OutgoingMessage,
    Polled,
    Prepared,
    Rejected,
    Secret,
    Sender,
    SenderReport,
    SenderState,
    Server,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
    build_client,
    decode,
)

NAME = "mailbox"
TOKEN = "mailbox-token"
AT = datetime(2027, 1, 1, 12, tzinfo=UTC)


class MailboxCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailbox server row needs."""

    token: Secret


class Letter(msgspec.Struct):
    """One event: who wrote what; without a text it is of a kind that the plugin does not know."""

    id: int
    sender: str
    text: str


class Asked(msgspec.Struct, frozen=True):
    """One request for events."""

    instance: str
    after: int


class Mailbox:
    """The service: keeps letters for each instance, and whoever asks waits for one."""

    def __init__(self) -> None:
        self.url = ""
        self.letters: dict[str, list[Letter]] = defaultdict(list)
        self.asked: list[Asked] = []
        self.refusals: list[int] = []
        """Statuses that the next requests for events are answered with."""
        self.state: dict[str, str] = {}
        self.waits = True
        self.waiting: set[str] = set()
        """Instances of which somebody waits for a letter at this moment."""
        self.token = TOKEN
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, instance: str, sender: str, text: str) -> None:
        """Let somebody write."""
        async with self._changed:
            letters = self.letters[instance]
            letters.append(Letter(len(letters) + 1, sender, text))
            self._changed.notify_all()

    async def close(self) -> None:
        """Answer whoever still waits."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def application(self) -> Litestar:
        """Build the server."""

        @get("/{instance:str}/state")
        async def state(request: Request[Any, Any, Any], instance: FromPath[str]) -> Response[dict[str, str]]:
            if not self._knows(request):
                return Response({}, status_code=HTTPStatus.UNAUTHORIZED)
            return Response({"state": self.state.get(instance, "connected")})

        @get("/{instance:str}/letters")
        async def letters(
            request: Request[Any, Any, Any],
            instance: FromPath[str],
            after: Annotated[int, Parameter()],
            wait: Annotated[float, Parameter()],
        ) -> Response[list[Letter]]:
            self.asked.append(Asked(instance, after))
            if self.refusals:
                return Response([], status_code=self.refusals.pop(0))
            if not self._knows(request):
                return Response([], status_code=HTTPStatus.UNAUTHORIZED)
            return Response(await self._wait(instance, after, wait if self.waits else 0))

        return Litestar([state, letters], openapi_config=None)

    def _knows(self, request: Request[Any, Any, Any]) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    async def _wait(self, instance: str, after: int, seconds: float) -> list[Letter]:
        def fresh() -> list[Letter]:
            return [letter for letter in self.letters[instance] if letter.id > after]

        self.waiting.add(instance)
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._closed or bool(fresh()))
        except TimeoutError:
            pass
        finally:
            self.waiting.discard(instance)
        return fresh()


class MailboxProvider:
    """The plugin's provider: asked for events, and for the state alone."""

    name = NAME
    Credentials: type[msgspec.Struct] = MailboxCredentials
    unknown_grace_seconds = 60.0

    def __init__(self) -> None:
        self._http = build_client()

    async def capabilities(self, server: Server) -> Capabilities:
        del server
        return Capabilities(version="1", sign_in=("token",), inbound="poll")

    async def state(self, sender: Sender) -> SenderReport:
        """Ask for the state of an instance."""
        answer = await self._get(sender, "state", {})
        return SenderReport(
            state=SenderState(decode(answer, dict[str, str], "asking for the state")["state"]), address="@mailbox"
        )

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        """Ask for what came after ``cursor``."""
        params = {"after": cursor or "0", "wait": f"{wait_seconds:g}"}
        letters = decode(await self._get(sender, "letters", params), list[Letter], "asking for events")
        events: tuple[AnyEvent, ...] = tuple(_event(letter) for letter in letters)
        return Polled(events=events, cursor=str(letters[-1].id) if letters else cursor)

    async def _get(self, sender: Sender, part: str, params: dict[str, str]) -> Any:
        credentials = sender.server.credentials
        assert isinstance(credentials, MailboxCredentials)
        request = self._http.build_request(
            "GET",
            f"{sender.server.url}/{sender.instance}/{part}",
            params=params,
            headers={"Authorization": f"Bearer {credentials.token.reveal()}"},
        )
        return await self._http.call(request, doing="asking", limit_seconds=60)

    def new_client_id(self) -> str:
        return secrets.token_hex(8)

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        del sender
        return Prepared(message, client_id, "/", b"")

    def send_timeout(self, kind: MessageKind) -> float:
        del kind
        return 1.0

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        del prepared, sender
        return Rejected("reads_only")

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        del prepared, sender, ids
        return CannotTell("reads_only")

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        del delivery, secret
        return WebhookResult(genuine=False, status=401)

    async def check(self, server: Server) -> str:
        return f"the mailbox at {server.url}"

    async def aclose(self) -> None:
        await self._http.aclose()


def _event(letter: Letter) -> AnyEvent:
    if not letter.text:
        return UnknownEvent(dedupe_key=f"unknown:{letter.id}", name="empty letter")
    return MessageInEvent(
        dedupe_key=f"letter:{letter.id}", id=str(letter.id), address=letter.sender, text=letter.text, at=AT
    )
