"""The two signatures of Pusher Channels: of a request to the API, and of a browser's subscription.

https://pusher.com/docs/channels/library_auth_reference/rest-api#authentication and
https://pusher.com/docs/channels/library_auth_reference/auth-signatures.
"""

import hashlib
import hmac

from core.plugin import Secret


def sign_request(method: str, path: str, body: bytes, *, key: str, secret: Secret, at: int) -> dict[str, str]:
    """Return the query of a request with these exact bytes, signed at a Unix time in seconds."""
    query = {"auth_key": key, "auth_timestamp": str(at), "auth_version": "1.0"}
    if body:
        # The service prescribes MD5; what protects the body is the HMAC that holds it.
        query["body_md5"] = hashlib.md5(body, usedforsecurity=False).hexdigest()
    # Sorted by name, and not escaped as in an address.
    joined = "&".join(f"{name}={query[name]}" for name in sorted(query))
    return {**query, "auth_signature": _hmac(secret, f"{method}\n{path}\n{joined}")}


def sign_subscription(socket_id: str, channel: str, *, key: str, secret: Secret) -> str:
    """Return the permission of one connection for one channel: the key and the signature.

    Whoever calls it has proved both: a ``:`` in either would sign what stands for something else.
    """
    return f"{key}:{_hmac(secret, f'{socket_id}:{channel}')}"


def _hmac(secret: Secret, text: str) -> str:
    return hmac.new(secret.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()
