import httpx
import msgspec
import pytest
from recado_telegram.outcomes import read_outcome

from core.plugin import Accepted, Outcome, Rejected, Retryable, SenderStopped, Unknown


def _failure(status: int, description: str, **parameters: int) -> httpx.Response:
    body = {"ok": False, "error_code": status, "description": description, "parameters": parameters}
    return httpx.Response(status, content=msgspec.json.encode(body))


def test_a_message_is_named_by_its_chat_and_number() -> None:
    body = b'{"ok": true, "result": {"message_id": 7, "date": 1, "chat": {"id": -1001, "type": "private"}}}'
    assert read_outcome(httpx.Response(200, content=body)) == Accepted(("-1001:7",), "-1001")


@pytest.mark.parametrize(
    ("status", "description", "outcome"),
    [
        (400, "Bad Request: chat not found", Rejected("chat_not_found")),
        (400, "Bad Request: message is too long", Rejected("text_too_long")),
        (400, "Bad Request: message caption is too long", Rejected("caption_too_long")),
        (400, "Bad Request: message text is empty", Rejected("text_empty")),
        (400, "Bad Request: failed to get HTTP URL content", Retryable("media_unreachable")),
        (400, "Bad Request: wrong type of the web page content", Rejected("media_refused")),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", Rejected("media_refused")),
        (400, "Bad Request: something new", Rejected("bad_request")),
        (401, "Unauthorized", SenderStopped("unauthorized", scope="server")),
        (403, "Forbidden: bot was blocked by the user", Rejected("blocked_by_recipient")),
        (403, "Forbidden: user is deactivated", Rejected("account_deleted")),
        (403, "Forbidden: bot can't initiate conversation with a user", Rejected("bot_not_started")),
        (403, "Forbidden: something new", Rejected("forbidden")),
        (404, "Not Found", SenderStopped("unauthorized", scope="server")),
        (413, "Request Entity Too Large", Rejected("too_large")),
        (500, "Internal Server Error", Unknown("http_500")),
        (502, "Bad Gateway", Unknown("http_502")),
    ],
)
def test_refusals(status: int, description: str, outcome: Outcome) -> None:
    assert read_outcome(_failure(status, description)) == outcome


def test_telegram_says_how_long_to_wait() -> None:
    answer = _failure(429, "Too Many Requests: retry after 35", retry_after=35)
    assert read_outcome(answer) == Retryable("too_many_requests", 35.0, scope="sender")


def test_a_redirect_may_have_been_followed_by_somebody() -> None:
    answer = httpx.Response(302, headers={"location": "https://example.com"})
    assert read_outcome(answer) == Unknown("redirected", sender_stopped=True)


def test_a_refusal_in_nobodys_words_proves_nothing() -> None:
    assert read_outcome(httpx.Response(403, content=b"<html>proxy</html>")) == Unknown("http_403")
