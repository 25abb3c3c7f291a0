"""How the service proves who calls: written from its documentation, and sharing nothing with the plugin's own signer.

https://pusher.com/docs/channels/library_auth_reference/rest-api#authentication.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from plugins.pusher.simulator.options import Options

_WINDOW_SECONDS = 600


class Refused(Exception):  # noqa: N818 - carries an answer, is no error of the simulator
    """Ends a request with a status and a line that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.status = status
        self.message = message


def prove(method: str, path: str, query: Mapping[str, str], body: bytes, options: Options) -> None:
    """Prove a request to the API; raises ``Refused`` with 401."""
    if query.get("auth_key") != options.key:
        raise Refused(401, f"Unknown auth_key: {query.get('auth_key', '')}")
    if query.get("auth_version") != "1.0":
        raise Refused(401, "Version required, and 1.0 is the only one")
    stamp = query.get("auth_timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > _WINDOW_SECONDS:
        raise Refused(401, f"Timestamp expired: Given timestamp ({stamp}) not within {_WINDOW_SECONDS}s of server time")
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    if body and not hmac.compare_digest(md5.encode(), query.get("body_md5", "").encode()):
        raise Refused(401, "Invalid body_md5: it is not that of the body")
    lowered = {name.lower(): value for name, value in query.items() if name != "auth_signature"}
    signed = "\n".join((method, path, "&".join("=".join(pair) for pair in sorted(lowered.items()))))
    if not _fits(signed, query.get("auth_signature", ""), options):
        raise Refused(401, "Invalid signature: you should have sent HmacSHA256Hex of method, path and query")


def may_join(socket_id: str, channel: str, auth: str, options: Options) -> bool:
    """Say whether ``auth`` is the permission of this connection for this channel."""
    key, _, signature = auth.partition(":")
    return key == options.key and _fits(f"{socket_id}:{channel}", signature, options)


def _fits(text: str, signature: str, options: Options) -> bool:
    expected = hmac.digest(options.secret.encode(), text.encode(), "sha256").hex()
    return hmac.compare_digest(expected.encode(), signature.encode())
