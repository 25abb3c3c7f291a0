"""Coming in: registration, sign-in with password and second factor, and acting for somebody."""

from core import database
from core.accounts import devices, lockouts, one_time, recovery, sessions, two_factor
from core.accounts.callers import Caller
from core.accounts.passwords import ensure_strong, hash_password, needs_rehash, verify_password
from core.accounts.schemas import (
    AwaitingConfirmation,
    Credentials,
    Registration,
    SignedIn,
    TwoFactorAnswer,
    TwoFactorChallenge,
)
from core.accounts.services import COLUMNS, NewUser, get_user, insert_user, read_user
from core.accounts.tables import Profile, SessionKind, TokenPurpose, UserStatus
from core.announcing import announce
from core.audit import services as audit
from core.errors import ConflictError, ForbiddenError, InvalidInputError
from core.events.catalogue import NewDevice
from core.runtime import config
from core.security import CurrentUser
from core.texts import text


async def register(new: Registration, caller: Caller) -> SignedIn | AwaitingConfirmation:
    """Make an account of one's own and sign in to it, or have its address confirmed first.

    Raises:
        ForbiddenError: ``[server] registration`` is off.
        InvalidInputError: The address is taken, or the password weak.
    """
    if not config().server.registration:
        raise ForbiddenError("Registration is closed: ask an administrator for an account.", code="registration_closed")
    await ensure_strong(new.password, (new.email, new.name))
    hashed = await hash_password(new.password)
    confirms = config().accounts.confirm_email
    async with database.unit_of_work():
        user = await insert_user(
            NewUser(
                email=new.email,
                name=new.name,
                password_hash=hashed,
                locale=new.locale,
                timezone=new.timezone,
                confirmed=not confirms,
            )
        )
        await audit.record("user.registered", user_id=user.id)
        if confirms:
            await recovery.request_confirmation(user.id)
            return AwaitingConfirmation(email=user.email)
        return await sign_in(user.id, caller, kind_of(cookie=new.cookie))


async def log_in(credentials: Credentials, caller: Caller) -> SignedIn | TwoFactorChallenge:
    """Sign in with address and password; who has a second factor gets a challenge for it.

    Raises:
        SignInLockedError: Too many sign-ins with this address, or from where the caller is, failed.
        InvalidInputError: They do not belong together; nothing tells whether the address is known.
        ForbiddenError: They do, and the account is suspended or its address not confirmed.
    """
    subjects = lockouts.subjects_of(credentials.email, caller.address)
    await lockouts.ensure_open(subjects)
    row = await database.fetch_row(
        "SELECT id, password, status, email_confirmed_at FROM users"
        " WHERE lower(email) = lower($1) AND deleted_at IS NULL",
        credentials.email.strip(),
    )
    good = await verify_password(credentials.password, row["password"] if row else None)
    if row is None or not good:
        await lockouts.note_failure(subjects)
        raise InvalidInputError({"email": [text("credentials")]})
    await lockouts.note_success(subjects)
    _ensure_usable(row["status"])
    if row["email_confirmed_at"] is None:
        raise ForbiddenError("The address is not confirmed: open the link that was mailed.", code="email_not_confirmed")
    if needs_rehash(row["password"]):
        hashed = await hash_password(credentials.password)
        await database.execute(
            "UPDATE users SET password = $2 WHERE id = $1 AND password = $3", row["id"], hashed, row["password"]
        )
    kind = kind_of(cookie=credentials.cookie)
    if await two_factor.is_on(row["id"]):
        challenge = await one_time.issue(row["id"], TokenPurpose.TWO_FACTOR, kind=kind)
        return TwoFactorChallenge(challenge=challenge, expires_in=int(one_time.LASTS[TokenPurpose.TWO_FACTOR]))
    return await _enter(row["id"], caller, kind)


async def verify_two_factor(answer: TwoFactorAnswer, caller: Caller) -> tuple[SignedIn, SessionKind]:
    """Finish a sign-in with a code; return also the kind that was asked for at its beginning.

    Raises as ``two_factor.pass_challenge``, and ``ForbiddenError``.
    """
    row = await two_factor.pass_challenge(answer.challenge, answer.code)
    user = await get_user(row["user_id"])
    _ensure_usable(user.status)
    kind = SessionKind(row["kind"])
    return await _enter(user.id, caller, kind), kind


async def act_as(actor: CurrentUser, user_id: int, reason: str, caller: Caller) -> SignedIn:
    """Open a session for another user, for an hour; everything done in it names who did it.

    Raises:
        NotFoundError: There is no such user.
        ConflictError: It is an administrator, oneself among them, or the account is suspended.
    """
    user = await get_user(user_id)
    if user.profile == Profile.ADMINISTRATOR or user.status != UserStatus.ACTIVE:
        raise ConflictError("One can act for active users who do not administer.", code="cannot_act_as")
    async with database.unit_of_work():
        token = await sessions.open_session(
            user.id, address=caller.address, user_agent=caller.user_agent, actor_id=actor.id
        )
        await audit.record("user.acted_as", user_id=actor.id, description=reason, facts={"user_id": user.id})
    return SignedIn(token=token, user=user, expires_in=sessions.ACTING_SECONDS)


async def sign_in(user_id: int, caller: Caller, kind: SessionKind = SessionKind.BEARER) -> SignedIn:
    """Open a session for a user whose right to it is proven, and tell them of a new device; joins the unit of work."""
    # The row is held from here on: of two sign-ins from one new device the second one knows it.
    before = await database.fetch_value("SELECT last_login_at FROM users WHERE id = $1 FOR UPDATE", user_id)
    rows = await database.fetch(f"UPDATE users SET last_login_at = now() WHERE id = $1 RETURNING {COLUMNS}", user_id)
    user = read_user(rows[0])
    address, user_agent = sessions.kept(caller.address, caller.user_agent)
    # Whoever signs in for the first time has no device yet that this could differ from.
    if before is not None and not await devices.is_known(user_id, address, user_agent):
        event = NewDevice(address=address, user_agent=user_agent)
        await announce(user_id, event, f"{NewDevice.type}:{user_id}:{user.last_login_at}")
    token = await sessions.open_session(user_id, address=address, user_agent=user_agent, kind=kind)
    return SignedIn(token=token, user=user, expires_in=sessions.session_seconds())


def kind_of(*, cookie: bool) -> SessionKind:
    """Return the kind of session that a sign-in asks for."""
    return SessionKind.COOKIE if cookie else SessionKind.BEARER


async def _enter(user_id: int, caller: Caller, kind: SessionKind) -> SignedIn:
    async with database.unit_of_work():
        await audit.record("user.signed_in", user_id=user_id, facts={"address": caller.address})
        return await sign_in(user_id, caller, kind)


def _ensure_usable(status: str) -> None:
    if status != UserStatus.ACTIVE:
        raise ForbiddenError("This account is suspended.", code="account_suspended")
