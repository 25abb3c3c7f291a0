"""What an Evolution server's answer to a send means: was it sent, was it certainly not, or can nobody say.

The server looks the number up, and uploads a file, before it sends; what fails then is answered 500, or 400 with
``exists: false``. Whatever fails from the send on, the writing into its own database after it included, is answered 400
with the error's text (source of 1.8 and 2.3), and proves nothing. Nor does a closed connection, whoever tells of it.
"""

from collections.abc import Callable
from typing import Annotated

import httpx
import msgspec

from core.plugin import (
    Accepted,
    MessageKind,
    Outcome,
    Prepared,
    Rejected,
    Retryable,
    SenderStopped,
    Unknown,
    retry_after,
)
from plugins.evolution.connection import is_group, jid_of
from plugins.evolution.failures import Failure, read_failure, read_part

_UNAVAILABLE = Unknown("unavailable", sender_stopped=True)
_CLOSED = Unknown("connection_closed", sender_stopped=True)
_UPLOAD_FAILED = "Media upload failed on all hosts"
# Of Node and its HTTP client while the server fetches the file's address.
_FETCH_TEXTS = ("AxiosError", "ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH")
# Said by the route itself, before anything else is done, of an address without a dot in its host.
_ADDRESS_REFUSED = "must be a url or base64"

_NO_GROUP = ("[object Object]", "Cannot read properties of undefined (reading 'id')")
"""What comes of a group that the server cannot ask WhatsApp about, before anything is sent to it.

From 2.3 on ``NotFoundException('Group not found')``, an object without a text, is thrown before the send
(``sendMessageWithTyping``); before, ``whatsappNumber`` reads the ``id`` of nothing. The number may have left the group,
but the same comes of any question to WhatsApp that fails.
"""

_BY_STATUS: dict[int, Outcome] = {
    401: SenderStopped("unauthorized", scope="server"),
    403: SenderStopped("forbidden"),
    405: SenderStopped("no_such_route"),
    413: Rejected("too_large"),
    502: _UNAVAILABLE,
}


LONGEST_ID = 128
"""Longer ids and addresses are none of WhatsApp's."""
_ID = msgspec.Meta(max_length=LONGEST_ID)


class Key(msgspec.Struct, rename="camel"):
    """A message's key, the same in answers, the store and webhooks; servers write null where they know nothing."""

    id: Annotated[str, _ID]
    remote_jid: Annotated[str, _ID] | None = None
    from_me: bool | None = False
    remote_jid_alt: Annotated[str, _ID] | None = None


class _Sent(msgspec.Struct):
    key: Key


def read_outcome(response: httpx.Response, prepared: Prepared) -> Outcome:
    """Classify the response to ``prepared``.

    ``Retryable``, ``Rejected`` and ``SenderStopped`` only where the server certainly did not send.
    """
    status = response.status_code
    if status in {200, 201}:
        sent = read_part(response.content, _Sent)
        if sent is None or not sent.key.id:
            return Unknown("no_message_id")
        return Accepted((sent.key.id,), jid_of(sent.key.remote_jid) if sent.key.remote_jid else "")
    if status in _READERS:
        return _READERS[status](read_failure(response.content), prepared)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Retryable("too_many_requests", retry_after(response), scope="server")
    if response.is_redirect:
        return Unknown("redirected", sender_stopped=True)
    return _BY_STATUS.get(status, Unknown(f"http_{status}"))


def _read_bad_request(failure: Failure, prepared: Prepared) -> Outcome:
    if _is_unknown_group(failure, prepared):
        return Retryable("group_unknown")
    if failure.not_on_whatsapp:
        return Rejected("no_whatsapp")
    if failure.invalid:
        return Rejected("bad_request")
    if failure.offline or failure.says("Connection Closed"):
        return _CLOSED
    if failure.says(_ADDRESS_REFUSED):
        return Retryable("media_address_refused", scope="server")
    return Unknown("engine_error")


def _is_unknown_group(failure: Failure, prepared: Prepared) -> bool:
    return is_group(prepared.message.address) and any(text in _NO_GROUP for text in failure.texts)


def _read_server_error(failure: Failure, prepared: Prepared) -> Outcome:
    if _is_unknown_group(failure, prepared):
        return Retryable("group_unknown")
    if failure.offline or failure.says("Connection Closed"):
        return _CLOSED
    # Only the look-up before the send leaves the engine's words as they are: later ones come with "Error: ".
    if "rate-overlimit" in failure.texts:
        return Retryable("rate_overlimit", scope="sender")
    if prepared.message.kind is not MessageKind.TEXT:
        if failure.says(_UPLOAD_FAILED):
            return Retryable("media_upload_failed")
        if any(failure.says(text) for text in _FETCH_TEXTS):
            return Retryable("media_unreachable", scope="server")
    return Unknown("server_error")


def _read_missing(failure: Failure, _: Prepared) -> Outcome:
    return SenderStopped("instance_missing" if failure.says("instance does not exist") else "no_such_route")


def _read_unavailable(failure: Failure, _: Prepared) -> Outcome:
    return SenderStopped("license_required", scope="server") if failure.license_required else _UNAVAILABLE


_READERS: dict[int, Callable[[Failure, Prepared], Outcome]] = {
    400: _read_bad_request,
    404: _read_missing,
    500: _read_server_error,
    503: _read_unavailable,
}
