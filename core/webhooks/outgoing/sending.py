"""One attempt: a signed POST to an address that a tenant gave, through the guard of ``core.outbound``."""

import structlog

from core import outbound
from core.crypto import DecryptionError
from core.outbound import OutboundError
from core.version import platform_version
from core.webhooks.outgoing.claims import Claimed, Outcome
from core.webhooks.outgoing.signing import headers_of, reveal

ATTEMPT_SECONDS = 10.0
KEPT_BYTES = 1000
"""How much of an answer's body is kept."""
SUCCESS = range(200, 300)
REDIRECTS = range(300, 400)

_log = structlog.get_logger(__name__)


async def attempt(claimed: Claimed) -> Outcome:
    """Send a delivery once and return what came of it; raises nothing that a receiver could cause."""
    content = claimed.body.encode()
    try:
        secrets = [reveal(stored) for stored in (claimed.secret, *claimed.previous_secrets)]
    except DecryptionError as error:
        _log.error("webhook_secret_unreadable", endpoint_id=claimed.endpoint_id, reason=str(error))
        return Outcome(error="secret_unreadable")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"{outbound.USER_AGENT}/{platform_version()}",
        **headers_of(claimed.event_id, claimed.timestamp, content, secrets),
    }
    try:
        answer = await outbound.post(claimed.url, content, headers, seconds=ATTEMPT_SECONDS, keep=KEPT_BYTES)
    except OutboundError as error:
        return Outcome(error=error.code)
    # PostgreSQL's text holds no NUL.
    shown = answer.body.decode("utf-8", "replace").replace("\0", "\ufffd")
    return Outcome(status=answer.status, body=shown, error=_judge(answer.status))


def _judge(status: int) -> str:
    if status in SUCCESS:
        return ""
    return "redirect" if status in REDIRECTS else "status"
