"""The provider: what the platform calls."""

from collections.abc import Sequence
from typing import Literal

import httpx
import msgspec

from core.plugin import (
    CannotTell,
    Capabilities,
    Finding,
    MessageKind,
    MisconfiguredError,
    Outcome,
    OutgoingMessage,
    Polled,
    Prepared,
    Secret,
    SeededServer,
    Sender,
    SenderReport,
    SenderState,
    Server,
    UncertainError,
    WebhookDelivery,
    WebhookResult,
    build_client,
)
from recado_telegram.connection import TelegramCredentials, ask, bot_id, method_url
from recado_telegram.messages import TEXT_METHOD, content_type, new_client_id, prepare_message
from recado_telegram.outcomes import read_outcome
from recado_telegram.updates import next_cursor, offset_after, read_update

GRACE_SECONDS = 60.0
LONGEST_POLL_SECONDS = 50
"""``LONG_POLL_MAX_TIMEOUT`` of the Bot API's server (Client.h)."""
ANSWER_SECONDS = 10.0
MOST_BOTS = 2000
"""Long polls at the same time; they must not take the connections of the sends."""
ABILITIES = Capabilities(
    receipts="none",
    media=(MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO),
    sign_in=("token",),
    typing=True,
    link_preview=True,
    inbound="poll",
    multi_session=False,
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    text_seconds: float
    media_seconds: float


class _Bot(msgspec.Struct):
    """https://core.telegram.org/bots/api#user, as ``getMe`` gives it."""

    id: int
    is_bot: Literal[True]
    first_name: str
    username: str = ""


class _WebhookInfo(msgspec.Struct):
    url: str


class TelegramProvider:
    """``MessagingProvider`` with ``EventPolling``, ``Typing`` and ``ServerSeeding``; numbers sign in by token."""

    name = "telegram"
    Credentials: type[msgspec.Struct] = TelegramCredentials
    unknown_grace_seconds = GRACE_SECONDS

    def __init__(self, limits: Limits, servers: Sequence[SeededServer] = ()) -> None:
        self._limits = limits
        self._servers = tuple(servers)
        self._http = build_client()
        self._polls = build_client(max_connections=MOST_BOTS)

    async def capabilities(self, server: Server) -> Capabilities:
        """Ask which bot the token is for; what a bot can do is the same for all."""
        bot = await self._me(server)
        return msgspec.structs.replace(ABILITIES, engine=f"@{bot.username}")

    async def check(self, server: Server) -> str:
        """Return for example ``Telegram bot @shop_bot``."""
        return f"Telegram bot @{(await self._me(server)).username}"

    def seeded_servers(self) -> Sequence[SeededServer]:
        """Return the bots of ``[[plugins.telegram.servers]]``."""
        return self._servers

    async def state(self, sender: Sender) -> SenderReport:
        """A known token is all that it takes, unless the bot's messages go to a webhook."""
        try:
            bot = await self._me(sender.server)
        except MisconfiguredError:
            return SenderReport(state=SenderState.FAILED, raw="unauthorized")
        webhook = await ask(
            self._http, sender.server, ("getWebhookInfo", {}), _WebhookInfo, doing="asking for the bot's webhook"
        )
        if webhook.url:
            return SenderReport(state=SenderState.NEEDS_PERSON, raw="webhook_set")
        return SenderReport(state=SenderState.CONNECTED, address=f"@{bot.username}", name=bot.first_name)

    def new_client_id(self) -> str:
        """Make an id of our own; Telegram takes none."""
        return new_client_id()

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        """Encode the request; its address is the id of a chat."""
        del sender  # the same for every bot
        return prepare_message(message, client_id)

    def send_timeout(self, kind: MessageKind) -> float:
        """Return the limit of the settings."""
        return self._limits.text_seconds if kind is MessageKind.TEXT else self._limits.media_seconds

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        """POST the prepared body once."""
        answer = await self._http.post_once(
            method_url(sender.server, prepared.path),
            content=prepared.body,
            headers={"Content-Type": content_type(prepared)},
            limit_seconds=(self._limits.text_seconds if prepared.path == TEXT_METHOD else self._limits.media_seconds),
        )
        return read_outcome(answer) if isinstance(answer, httpx.Response) else answer

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        """Bots cannot look up what they sent."""
        del prepared, sender, ids
        return CannotTell("no_lookup")

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        """Refuse every delivery: no webhook is set, so it is not from Telegram."""
        del delivery, secret
        return WebhookResult(genuine=False, status=404)

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        """Ask for what people wrote; Telegram keeps it for a day, and forgets what the next offset is above.

        ``allowed_updates`` stays as it is until it is given again, so it is given each time.
        """
        bot = bot_id(sender.server)
        parameters: dict[str, str | int] = {
            "timeout": min(int(wait_seconds), LONGEST_POLL_SECONDS),
            "allowed_updates": '["message"]',
        }
        offset = offset_after(cursor, bot)
        if offset is not None:
            parameters["offset"] = offset
        updates = await ask(
            self._polls,
            sender.server,
            ("getUpdates", parameters),
            list[msgspec.Raw],
            doing="asking for messages",
            limit_seconds=wait_seconds + ANSWER_SECONDS,
        )
        if not updates:
            return Polled(events=(), cursor=cursor)
        try:
            after = next_cursor(updates, bot)
        except msgspec.DecodeError:
            raise UncertainError("Telegram's updates have no numbers: check that the address is right.") from None
        return Polled(events=tuple(read_update(update) for update in updates), cursor=after)

    async def show_typing(self, sender: Sender, address: str, *, active: bool) -> None:
        """Show the sign, which ends by itself after 5 seconds or with the message."""
        if active:
            query = ("sendChatAction", {"chat_id": address, "action": "typing"})
            await ask(self._http, sender.server, query, bool, doing="showing the typing sign")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._polls.aclose()

    async def _me(self, server: Server) -> _Bot:
        return await ask(self._http, server, ("getMe", {}), _Bot, doing="asking which bot this is")
