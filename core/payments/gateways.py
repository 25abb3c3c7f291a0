"""The gateways that are enabled, and what each takes."""

from collections.abc import Sequence

from core.errors import ConflictError, InvalidInputError
from core.payments.schemas import GatewayRead
from core.plugin import PaymentGateway
from core.runtime import providers
from core.texts import text


def list_gateways() -> Sequence[GatewayRead]:
    """Return what can be paid with; nothing means that an administrator assigns plans."""
    return [_read(gateway) for _, gateway in sorted(providers().gateways_by_name.items())]


def choose(name: str | None) -> PaymentGateway:
    """Return the gateway of this name; without a name, the only one there is.

    Raises:
        ConflictError: None is enabled.
        InvalidInputError: There is none of this name, or there are several to choose from.
    """
    known = providers().gateways_by_name
    if not known:
        raise ConflictError(
            "Nothing can be paid here: no gateway is enabled, and an administrator assigns the plans.",
            code="no_gateway",
        )
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        raise InvalidInputError({"gateway": [text("gateway_choice", choices=", ".join(sorted(known)))]})
    return known[name]


def _read(gateway: PaymentGateway) -> GatewayRead:
    able = gateway.capabilities
    return GatewayRead(
        name=gateway.name,
        currencies=able.currencies,
        intervals=able.intervals,
        plan_change=able.plan_change,
        proration=able.proration,
        portal=able.portal,
        refund=able.refund,
        trials=able.trials,
        resume=able.resume,
        coupons=able.coupons,
    )
