"""Signed addresses of files: whoever has one may read that file until it expires, without signing in."""

import base64
import hashlib
import hmac
import re
import time

from core.crypto import signing_key
from core.runtime import config, runtime

PATH = "/api/media/files/"
_TOKEN = re.compile(r"(\d{1,19})\.(\d{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)


def sign(media_id: int) -> str:
    """Return the address under which a file may be read for ``[media] signed_url_minutes`` from now."""
    present = config()
    expires = int(time.time()) + present.media.signed_url_minutes * 60
    claim = f"{media_id}.{expires}"
    return f"{present.server.base_url}{PATH}{claim}.{_signature(claim)}"


def verify(token: str) -> int | None:
    """Return the id of the file that ``token`` opens, ``None`` when it was not signed by us or has expired."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    media_id, expires, signature = found.groups()
    if not hmac.compare_digest(signature, _signature(f"{media_id}.{expires}")) or int(expires) <= time.time():
        return None
    return int(media_id)


def _signature(claim: str) -> str:
    key = signing_key("media links", key=runtime().secret_key)
    digest = hmac.new(key, claim.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
