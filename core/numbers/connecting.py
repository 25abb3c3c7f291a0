"""Signing numbers in and out: every call to the provider stands outside units of work."""

import io

import segno

from core.audit import services as audit
from core.database import execute, fetch_value
from core.errors import ConflictError, ProviderFailedError
from core.numbers import recovery, services, silence
from core.numbers.calls import calling
from core.numbers.phones import parse_phone
from core.numbers.schemas import ChallengeRead, NumberRead
from core.numbers.senders import SenderRoute, load_route
from core.numbers.states import write_report
from core.numbers.tokens import StateTelling
from core.plugin import Picture, RefusedError, Screenshots, SenderReport, SenderState, SignIn, WebhookTarget
from core.runtime import config
from core.texts import text

QR_SCALE = 8
_PICTURES = frozenset({"image/png", "image/jpeg"})
"""Anything else, a page for instance, is not handed to a browser under our name."""
_WAITING = frozenset({SenderState.SIGN_IN, SenderState.STARTING})


async def connect(user_id: int, number_id: int) -> NumberRead:
    """Create or start the number on its server, with our webhook; what is missing then is a QR scan or nothing.

    A number that signs in with its server's token has nothing to be started: its state is asked for at once.

    Raises:
        NotFoundError: No such number.
        ConflictError: Numbers of this provider are neither signed in nor asked for their state.
        ProviderFailedError: The server did not do it.
    """
    number = await services.get_number(user_id, number_id)
    route = await load_route(number_id)
    report = await _open(route, number_id)
    await write_report(number_id, report, number.connection_at)
    # After the report, so that a number that is starting is not told of as connected.
    await silence.release(number_id)
    await audit.record("number.connection_asked", user_id=user_id, entity_id=number_id)
    return await services.get_number(user_id, number_id)


async def _open(route: SenderRoute, number_id: int) -> SenderReport:
    if not isinstance(route.provider, StateTelling):
        raise _unsupported()
    if not isinstance(route.provider, SignIn):
        async with calling(route.provider.name, "asking for a number's state"):
            return await route.provider.state(route.sender)
    token = await fetch_value("SELECT webhook_token FROM numbers WHERE id = $1", number_id)
    target = WebhookTarget(webhook_url(route.provider.name, str(token)))
    async with calling(route.provider.name, "connecting a number"):
        return await route.provider.open(route.sender, target)


async def disconnect(user_id: int, number_id: int) -> NumberRead:
    """Stop the number on its server; its sign-in is kept. Raises as ``connect``."""
    number, route, sign_in = await _find(user_id, number_id)
    await _note_asked(user_id, number_id)
    async with calling(route.provider.name, "disconnecting a number"):
        await sign_in.stop(route.sender)
    await audit.record("number.disconnected", user_id=user_id, entity_id=number_id)
    return await _write_stopped(user_id, number, "disconnected")


async def sign_out(user_id: int, number_id: int) -> NumberRead:
    """Forget the number's sign-in; the next connection needs a new one. Raises as ``connect``."""
    number, route, sign_in = await _find(user_id, number_id)
    await _note_asked(user_id, number_id)
    async with calling(route.provider.name, "signing a number out"):
        await sign_in.sign_out(route.sender)
    await audit.record("number.signed_out", user_id=user_id, entity_id=number_id)
    return await _write_stopped(user_id, number, "signed out")


async def restart(user_id: int, number_id: int) -> NumberRead:
    """Restart a number because its owner asks for it; raises as ``recovery.restart_number``."""
    await _note_asked(user_id, number_id)
    number = await recovery.restart_number(user_id, number_id)
    await audit.record("number.restarted", user_id=user_id, entity_id=number_id)
    return number


async def challenge(user_id: int, number_id: int, phone: str | None) -> ChallengeRead:
    """Return the QR text, or a pairing code for ``phone``, of a number that waits to be signed in.

    Raises:
        NotFoundError: No such number.
        InvalidInputError: ``phone`` is no phone number.
        ConflictError: The number is connected already, or not being connected.
        ProviderFailedError: The server did not say.
    """
    digits = parse_phone(phone) if phone else ""
    number, route, sign_in = await _find(user_id, number_id)
    kind = "pairing_code" if digits else "qr"
    if kind not in route.sender.capabilities.sign_in:
        raise ConflictError("The server of this number does not offer this way to sign in.", code="sign_in_unsupported")
    async with calling(route.provider.name, "asking for the sign-in"):
        report = await sign_in.state(route.sender)
    await write_report(number_id, report, number.connection_at)
    if report.state not in _WAITING:
        raise _not_waiting(report.state)
    async with calling(route.provider.name, "asking for the sign-in"):
        try:
            found = await sign_in.challenge(route.sender, digits)
        except RefusedError:
            raise _not_waiting(None) from None
    return ChallengeRead(kind=found.kind, value=found.value)


async def screenshot(user_id: int, number_id: int) -> Picture:
    """Return a picture of what the number's browser shows.

    Raises:
        NotFoundError: No such number.
        ConflictError: Its server runs no browser, or the number is not running.
        ProviderFailedError: The server did not show it, or showed something else.
    """
    await services.get_number(user_id, number_id)
    route = await load_route(number_id)
    if not (route.sender.capabilities.screenshots and isinstance(route.provider, Screenshots)):
        raise ConflictError("The server of this number runs no browser to show.", code="screenshot_unsupported")
    async with calling(route.provider.name, "taking a screenshot"):
        try:
            picture = await route.provider.screenshot(route.sender)
        except RefusedError:
            raise ConflictError("The number is not connected: connect it first.", code="not_connected") from None
    if picture.mimetype not in _PICTURES:
        raise ProviderFailedError(route.provider.name)
    return picture


def draw_qr(value: str) -> bytes:
    """Return the PNG picture of a QR text."""
    picture = io.BytesIO()
    segno.make(value, error="m", micro=False).save(picture, kind="png", scale=QR_SCALE, border=4)
    return picture.getvalue()


def webhook_url(plugin: str, token: str) -> str:
    """Return the address a service delivers events to."""
    return f"{config().server.base_url}/api/webhooks/{plugin}/{token}"


async def _find(user_id: int, number_id: int) -> tuple[NumberRead, SenderRoute, SignIn]:
    number = await services.get_number(user_id, number_id)
    route = await load_route(number_id)
    if not isinstance(route.provider, SignIn):
        raise _unsupported()
    return number, route, route.provider


async def _note_asked(user_id: int, number_id: int) -> None:
    """Note, before the server can tell us of it, that the end of a connection is what its owner wants."""
    await execute(
        "UPDATE numbers SET owner_asked_at = now() WHERE id = $1 AND user_id = $2 AND status_connection",
        number_id,
        user_id,
    )


async def _write_stopped(user_id: int, number: NumberRead, reason: str) -> NumberRead:
    report = SenderReport(state=SenderState.STOPPED, raw=reason)
    await write_report(number.id, report, number.connection_at)
    return await services.get_number(user_id, number.id)


def _unsupported() -> ConflictError:
    return ConflictError(text("no_sign_in"), code="sign_in_unsupported")


def _not_waiting(state: SenderState | None) -> ConflictError:
    if state is SenderState.CONNECTED:
        return ConflictError("The number is connected already: there is nothing to sign in.", code="already_connected")
    if state is None:
        return ConflictError("The number gives no code at this moment: try again shortly.", code="sign_in_not_ready")
    return ConflictError(
        "The number is not waiting to be signed in: connect it first (POST /api/numbers/{id}/connect).",
        code="not_connecting",
    )
