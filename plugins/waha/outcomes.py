"""What WAHA's answer to a send means: was it sent, was it certainly not, or can nobody say."""

from datetime import datetime

import httpx
import msgspec

from core.plugin import Accepted, Outcome, Prepared, Rejected, Retryable, SenderStopped, Unknown, retry_after
from plugins.waha.connection import UNREADABLE, plain_address, split_id
from plugins.waha.messages import TEXT_PATH
from plugins.waha.restrictions import RESTRICTED, Refusal

# Codes of Node while WAHA fetches ``file.url``: nothing was sent to WhatsApp yet.
_FETCH_CODES = {"ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"}

_STOPPED_CODES = {"STOPPED": "session_stopped", "SCAN_QR_CODE": "session_signed_out", "FAILED": "session_failed"}

_BY_EXCEPTION: dict[str, Outcome] = {
    "rate-overlimit": Retryable("rate_overlimit", scope="sender"),
    "Connection Closed": Unknown("connection_closed", sender_stopped=True),
    "DEADLINE_EXCEEDED": Unknown("deadline_exceeded"),
    "Maximum execution time is exceeded": Unknown("lock_timeout"),
}
_BY_STATUS: dict[int, Outcome] = {
    401: SenderStopped("unauthorized", scope="server"),
    403: SenderStopped("forbidden"),
    405: SenderStopped("no_such_route"),
    413: Rejected("too_large"),
    501: Rejected("not_supported_by_engine"),
    502: Unknown("unavailable", sender_stopped=True),
    503: Unknown("unavailable", sender_stopped=True),
}


class _Key(msgspec.Struct):
    id: str = ""
    remote_jid: object = msgspec.field(name="remoteJid", default="")


class _WebjsId(msgspec.Struct):
    id: str = ""
    remote: object = ""


class _Inner(msgspec.Struct):
    key: _Key


class _Sent(msgspec.Struct):
    """The parts of a success that hold an id; their place depends on engine and endpoint."""

    key: _Key | None = None
    id: _WebjsId | str | None = None


class _SentInside(msgspec.Struct):
    inner: _Inner = msgspec.field(name="_data")


class _Exception(msgspec.Struct):
    message: object = ""
    code: object = ""
    data: object = None


class _Failure(msgspec.Struct):
    """A failure's body; the rest of it echoes the request, personal data included, and is never kept."""

    error: object = ""
    message: object = ""
    status: object = ""
    exception: _Exception = msgspec.field(default_factory=_Exception)


_decode_sent = msgspec.json.Decoder(_Sent).decode
_decode_failure = msgspec.json.Decoder(_Failure).decode


def read_outcome(response: httpx.Response, prepared: Prepared) -> Outcome:
    """Classify the response to ``prepared``.

    ``Retryable``, ``Rejected`` and ``SenderStopped`` only where WAHA certainly did not send.
    """
    status = response.status_code
    if status in {200, 201}:
        return _read_success(response.content)
    failure = _read_failure(response.content)
    if status == httpx.codes.INTERNAL_SERVER_ERROR:
        return _read_exception(failure.exception, prepared)
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return _read_unprocessable(failure, prepared)
    return _read_status(response, failure)


def find_id(body: bytes) -> tuple[str, str]:
    """Return raw id and chat of a sent message in any engine's shape; empty where there is none."""
    try:
        sent = _decode_sent(body)
        if sent.key is None and sent.id is None:
            sent.key = msgspec.json.decode(body, type=_SentInside).inner.key
    except UNREADABLE:
        return "", ""
    if sent.key is not None and sent.key.id:
        return sent.key.id, _address(sent.key.remote_jid)
    if isinstance(sent.id, _WebjsId):
        return sent.id.id, _address(sent.id.remote)
    return split_id(sent.id) if sent.id else ("", "")


def _address(value: object) -> str:
    return plain_address(value) if isinstance(value, str) else ""


def _read_success(body: bytes) -> Outcome:
    raw_id, address = find_id(body)
    return Accepted((raw_id,), address) if raw_id else Unknown("no_message_id")


def _read_failure(body: bytes) -> _Failure:
    try:
        return _decode_failure(body)
    except UNREADABLE:
        return _Failure()


def _read_exception(exception: _Exception, prepared: Prepared) -> Outcome:
    text = str(exception.message)
    if f"error {RESTRICTED}" in text:
        return SenderStopped("new_contacts_restricted", _named_end(exception), scope="new_contacts")
    for part, outcome in _BY_EXCEPTION.items():
        if part in text:
            return outcome
    if exception.data == httpx.codes.TOO_MANY_REQUESTS:
        return _BY_EXCEPTION["rate-overlimit"]
    if exception.code in _FETCH_CODES and prepared.path != TEXT_PATH:
        return Retryable("media_unreachable", scope="server")
    return Unknown("server_error")


def _named_end(exception: _Exception) -> datetime | None:
    """Return until when strangers are refused, where the exception carries what acknowledgements do."""
    try:
        return msgspec.convert(exception.data, Refusal).named_end()
    except msgspec.ValidationError:
        return None


def _read_unprocessable(failure: _Failure, prepared: Prepared) -> Outcome:
    text = f"{failure.error} {failure.message}"
    if isinstance(failure.status, str) and failure.status:
        if failure.status in {"STARTING", "WORKING"}:
            return Retryable("session_starting", scope="sender")
        return SenderStopped(_STOPPED_CODES.get(failure.status, "session_needs_person"))
    if "does not exist" in text:
        return SenderStopped("session_missing")
    if "Plus version" in text and prepared.path != TEXT_PATH:
        return Rejected("media_not_supported")
    if "Plus" in text:
        return SenderStopped("session_not_supported")
    return Rejected("unprocessable")


def _read_status(response: httpx.Response, failure: _Failure) -> Outcome:
    status = response.status_code
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == httpx.codes.NOT_FOUND:
        return SenderStopped("session_missing" if failure.message == "Session not found" else "no_such_route")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Retryable("too_many_requests", retry_after(response), scope="server")
    if response.is_redirect:
        return Unknown("redirected", sender_stopped=True)
    if response.is_client_error and status != httpx.codes.REQUEST_TIMEOUT:
        return Rejected("bad_request")
    return Unknown(f"http_{status}")
