"""What the Bot API's answer to a send means.

The descriptions are those of the server itself: https://github.com/tdlib/telegram-bot-api, Client.cpp,
``fail_query_with_error``. A refusal (4xx with ``ok`` false) comes before anything is sent.
"""

import httpx
import msgspec

from core.plugin import Accepted, Outcome, Rejected, Retryable, SenderStopped, Unknown, retry_after
from recado_telegram.connection import Failure, read_failure

_REFUSED: tuple[tuple[str, str], ...] = (
    ("blocked by the user", "blocked_by_recipient"),
    ("user is deactivated", "account_deleted"),
    ("initiate conversation", "bot_not_started"),
    ("was kicked", "bot_removed"),
    ("chat not found", "chat_not_found"),
    ("user not found", "chat_not_found"),
    ("caption is too long", "caption_too_long"),
    ("message is too long", "text_too_long"),
    ("text is empty", "text_empty"),
    ("wrong type of the web page content", "media_refused"),
    ("wrong file identifier/HTTP URL", "media_refused"),
    ("PHOTO_INVALID_DIMENSIONS", "media_refused"),
    ("IMAGE_PROCESS_FAILED", "media_refused"),
)
"""Parts of descriptions, and the code of the refusal."""
_BY_STATUS: dict[int, Outcome] = {
    401: SenderStopped("unauthorized", scope="server"),
    # Of a token that has not the form of one; nothing else is called by a path of ours.
    404: SenderStopped("unauthorized", scope="server"),
    413: Rejected("too_large"),
}
_MEDIA_AWAY = "failed to get HTTP URL content"


class _Chat(msgspec.Struct):
    id: int


class _Message(msgspec.Struct):
    message_id: int
    chat: _Chat


class _Sent(msgspec.Struct):
    result: _Message


def read_outcome(response: httpx.Response) -> Outcome:
    """Classify the response to a send."""
    status = response.status_code
    failure = read_failure(response)
    if status == httpx.codes.OK:
        return _read_success(response.content)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == httpx.codes.TOO_MANY_REQUESTS:
        # Telegram does not say whether the chat or the bot is the one that is too quick: the bot waits.
        asked = failure.parameters.retry_after if failure is not None else None
        return Retryable("too_many_requests", asked or retry_after(response), scope="sender")
    if response.is_redirect:
        return Unknown("redirected", sender_stopped=True)
    if failure is not None and response.is_client_error:
        return _read_refusal(status, failure)
    return Unknown(f"http_{status}")


def _read_success(body: bytes) -> Outcome:
    try:
        sent = msgspec.json.decode(body, type=_Sent).result
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unknown("no_message_id")
    # The number of a message is its chat's own.
    return Accepted((f"{sent.chat.id}:{sent.message_id}",), str(sent.chat.id))


def _read_refusal(status: int, failure: Failure) -> Outcome:
    text = failure.description
    if _MEDIA_AWAY in text:
        return Retryable("media_unreachable")
    for part, code in _REFUSED:
        if part in text:
            return Rejected(code)
    return Rejected("forbidden" if status == httpx.codes.FORBIDDEN else "bad_request")
