"""Telegram keeps the contract of every messaging provider: ``recado conformance telegram``."""

from typing import ClassVar

from core.plugin import MessageKind, OutgoingMessage, Secret, Sender, Server
from core.plugin.testing import Answer, MessagingProviderContract, PollAnswers, Subject
from recado_telegram.connection import TelegramCredentials
from recado_telegram.provider import ABILITIES, Limits, TelegramProvider

TOKEN = "4242:token-of-a-bot"  # noqa: S105 - of a bot that does not exist
_ME = b'{"ok": true, "result": {"id": 4242, "is_bot": true, "first_name": "Shop", "username": "shop_bot"}}'
_UPDATES = b"""{"ok": true, "result": [
    {"update_id": 7, "message": {"message_id": 3, "date": 1795441639, "text": "Stop",
        "from": {"id": 1001, "is_bot": false, "first_name": "Ana"}, "chat": {"id": 1001, "type": "private"}}},
    {"update_id": 8, "callback_query": {"id": "1", "data": "yes"}}
]}"""


class TelegramContract(MessagingProviderContract):
    """What Telegram answers, for the checks that every provider goes through."""

    accepted = Answer(200, b'{"ok": true, "result": {"message_id": 9, "date": 1, "chat": {"id": 1001}}}')
    rejected = Answer(403, b'{"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}')
    too_many = Answer(
        429,
        b'{"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 7",'
        b' "parameters": {"retry_after": 7}}',
    )
    probe: ClassVar = {f"/bot{TOKEN}/getMe": Answer(200, _ME)}
    polls = PollAnswers(routes={f"/bot{TOKEN}/getUpdates": Answer(200, _UPDATES)}, known=1)

    def subject(self, url: str) -> Subject:
        """Make a bot on the server at ``url``."""
        provider = TelegramProvider(Limits(text_seconds=0.5, media_seconds=0.5))
        sender = Sender(
            number_id=17,
            instance="bot",
            server=Server(id=1, url=url, credentials=TelegramCredentials(token=Secret(TOKEN))),
            capabilities=ABILITIES,
            webhook_secret=Secret("unused"),
        )
        return Subject(provider, sender, OutgoingMessage("1001", MessageKind.TEXT, "Hello"))
