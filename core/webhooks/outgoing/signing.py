"""How a delivery is signed, as Standard Webhooks 1.0 says, so that every library for it verifies ours.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: the secret is ``whsec_`` and
24 to 64 random bytes in base64; the signature is HMAC-SHA256 over ``id.timestamp.body``, written ``v1,<base64>``, and
the header holds several of them, separated by spaces, while a secret is being replaced.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence

from core.crypto import decrypt, encrypt

SEAL = "webhook_endpoints.secret"
PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """Make a secret as it is shown to its tenant, once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def conceal(secret: str) -> str:
    """Return a secret as it is stored."""
    return encrypt(secret, purpose=SEAL)


def reveal(stored: str) -> str:
    """Return a stored secret; raises ``DecryptionError`` where it cannot be read."""
    return decrypt(stored, purpose=SEAL)


def headers_of(event_id: str, timestamp: int, body: bytes, shown: Sequence[str]) -> Mapping[str, str]:
    """Return the headers that prove a delivery: ``timestamp`` in Unix seconds, ``shown`` the secrets to sign with."""
    return {
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": " ".join(_signature(event_id, timestamp, body, secret) for secret in shown),
    }


def _signature(event_id: str, timestamp: int, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    found = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(found).decode()}"
