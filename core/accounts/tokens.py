"""Tokens: random, shown once, known to the platform by their SHA-256 alone."""

import hashlib
import hmac
import secrets

from core.crypto import signing_key
from core.runtime import runtime

SESSION_PREFIX = "rcd_"
KEY_PREFIX = "rck_"
"""They tell what a credential is, to people and to secret scanners."""
TOKEN_LENGTH = len(SESSION_PREFIX) + 43


def new_token(prefix: str = "") -> str:
    """Make a token of 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """Return what is stored of a token; it needs no salt, since tokens are random."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(session_token: str) -> str:
    """Return what a page has to send with every change it makes by cookie: it proves that it could read our answer.

    A signed double-submit token, bound to the session (OWASP, Cross-Site Request Forgery Prevention).
    """
    key = signing_key("CSRF tokens", key=runtime().secret_key)
    return hmac.new(key, digest(session_token), hashlib.sha256).hexdigest()


def is_csrf_token(given: str, session_token: str) -> bool:
    """Whether ``given`` belongs to the session, in constant time."""
    return hmac.compare_digest(given.encode(), csrf_token(session_token).encode())
