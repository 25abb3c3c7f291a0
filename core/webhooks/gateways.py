"""Receive a delivery of a payment gateway: verify, store what it hints at, answer; nothing else happens before."""

import msgspec
import structlog

from core import database
from core.crypto import DecryptionError, decrypt
from core.errors import NotFoundError, NotReadyError
from core.plugin import GatewayVerdict, PaymentGateway, Secret, WebhookDelivery
from core.runtime import providers
from core.texts import text
from core.webhooks import log
from core.webhooks.inbox import build_row
from core.webhooks.services import REFUSED, Answer, count_refusal, store_rows
from core.webhooks.targets import Target

SEAL = "gateway_webhooks.secret"
NO_NUMBER = 0
"""A gateway's events belong to no number."""

_log = structlog.get_logger(__name__)


async def receive(name: str, delivery: WebhookDelivery, address: str) -> Answer:
    """Judge a gateway's delivery and store its hints; once the answer is returned they are committed.

    A gateway's deliveries are judged from whatever address they come: one that is lost may be a payment that is lost.

    Raises:
        NotFoundError: There is no such gateway.
        NotReadyError: It could not be judged or stored: the gateway has to repeat it.
        TooManyRefusedError: Too many that were not genuine came from this address.
    """
    gateway = providers().gateways_by_name.get(name)
    if gateway is None:
        await count_refusal(address)
        raise NotFoundError("webhook")
    target = Target(NO_NUMBER, name, Secret(""))
    verdict = await _judge(gateway, delivery, target)
    if not verdict.genuine:
        await count_refusal(address)
        await log.write_refused(target, "the signature does not fit", REFUSED.status)
        return REFUSED
    if verdict.warning:
        _log.warning("gateway_webhook_warning", gateway=name, warning=verdict.warning)
    # The keys of all gateways share one column.
    hints = [msgspec.structs.replace(hint, dedupe_key=f"{name}:{hint.dedupe_key}") for hint in verdict.hints]
    await store_rows([build_row(name, NO_NUMBER, hint) for hint in hints])
    await log.write_genuine(target, len(hints), verdict.payload, verdict.status)
    return Answer(verdict.status, b"", "text/plain")


async def _judge(gateway: PaymentGateway, delivery: WebhookDelivery, target: Target) -> GatewayVerdict:
    secrets = await _secrets(gateway.name)
    try:
        return gateway.receive(delivery, secrets)
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("webhook_not_judged", plugin=gateway.name)
        await log.write_refused(target, "the plugin failed to judge it, see the log", NotReadyError.status_code)
        raise NotReadyError("The delivery could not be judged.", code="webhook_not_judged") from None


async def _secrets(name: str) -> list[Secret]:
    """Return the secrets of the addresses that are registered at a gateway, the newest first.

    Read here and not through core.payments, which stands above the inbox. One that was replaced counts for two days
    more: what was signed with it is repeated for that long.
    """
    rows = await database.fetch(
        "SELECT secret FROM gateway_webhooks WHERE gateway = $1"
        " AND (retired_at IS NULL OR retired_at > now() - interval '2 days') ORDER BY id DESC",
        name,
    )
    try:
        return [Secret(decrypt(row["secret"], purpose=SEAL)) for row in rows]
    except DecryptionError as error:
        _log.error("webhook_secret_unreadable", gateway=name, reason=str(error))
        raise NotReadyError(text("webhook_not_verified"), code="secrets_unreadable") from None
