"""Users, and by what they prove who they are."""

from enum import StrEnum

from piccolo.columns import JSONB, BigInt, BigSerial, Bytea, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.table import Table

from core.columns import CreatedAt, SoftDelete
from core.plans.tables import Plan


class UserStatus(StrEnum):
    """Whether an account may be used."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    CANCELED = "canceled"


class Profile(StrEnum):
    """What an account may do."""

    USER = "user"
    ADMINISTRATOR = "administrator"


class SessionKind(StrEnum):
    """How a session's token travels."""

    BEARER = "bearer"
    COOKIE = "cookie"


class TokenPurpose(StrEnum):
    """What a token that works once is for."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, no password
    CONFIRM_EMAIL = "confirm_email"
    TWO_FACTOR = "two_factor"


class User(SoftDelete, Table, tablename="users"):
    """A tenant or an administrator; ``email`` is unique without regard to case."""

    id = BigSerial(primary_key=True)
    email = Varchar(length=254)
    name = Varchar(length=120)
    password = Varchar(length=255, secret=True)
    status = Varchar(length=20, default=UserStatus.ACTIVE, choices=UserStatus)
    profile = Varchar(length=20, default=Profile.USER, choices=Profile)
    plan_id = ForeignKey(references=Plan, null=True)
    locale = Varchar(length=10, default="en")
    timezone = Varchar(length=64, default="America/Sao_Paulo")
    canceled_at = Timestamptz(default=None, null=True)
    due_access_at = Timestamptz(default=None, null=True)
    last_login_at = Timestamptz(default=None, null=True)
    email_confirmed_at = Timestamptz(default=None, null=True)


class UserSession(CreatedAt, Table, tablename="user_sessions"):
    """A signed-in device: the SHA-256 of its opaque token, sliding until ``expires_at``.

    ``kind`` says how the token travels, ``actor_id`` names the administrator who acts for the user.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False)
    token_hash = Bytea(unique=True, secret=True)
    kind = Varchar(length=10, default=SessionKind.BEARER, choices=SessionKind)
    actor_id = BigInt(null=True, default=None)
    user_agent = Varchar(length=255, default="")
    address = Varchar(length=64, default="")
    last_used_at = Timestamptz(null=True, default=None)
    expires_at = Timestamptz()
    revoked_at = Timestamptz(null=True, default=None)


class ReplacedToken(Table, tablename="replaced_tokens"):
    """A token that ``auth/refresh`` replaced; whoever shows it again has stolen it or was stolen from."""

    id = BigSerial(primary_key=True)
    session_id = ForeignKey(references=UserSession, null=False)
    token_hash = Bytea(unique=True, secret=True)
    replaced_at = Timestamptz()


class ApiKey(CreatedAt, Table, tablename="api_keys"):
    """A key for programs: the SHA-256 of it, its first characters for people, and what it may do."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False)
    name = Varchar(length=120)
    key_hash = Bytea(unique=True, secret=True)
    prefix = Varchar(length=12)
    scopes = JSONB(default="[]")
    last_used_at = Timestamptz(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class TwoFactor(CreatedAt, Table, tablename="user_two_factors"):
    """A user's second factor: the TOTP secret, encrypted, and the hashes of the recovery codes that are left.

    It counts from ``confirmed_at`` on; ``last_step`` is the last time step a code was taken from, so none works twice.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, unique=True)
    secret = Text(secret=True)
    recovery_hashes = JSONB(default="[]", secret=True)
    last_step = BigInt(default=0)
    confirmed_at = Timestamptz(null=True, default=None)


class AccountToken(CreatedAt, Table, tablename="account_tokens"):
    """A token that works once: to reset a password, to confirm an address, or the challenge of a second factor."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False)
    purpose = Varchar(length=20, choices=TokenPurpose)
    token_hash = Bytea(unique=True, secret=True)
    kind = Varchar(length=10, default=SessionKind.BEARER)
    attempts = Integer(default=0)
    expires_at = Timestamptz()
    used_at = Timestamptz(null=True, default=None)


class SignInFailure(Table, tablename="sign_in_failures"):
    """Failed sign-ins in a row of one account or one address, by the hash of it; nothing tells whether it exists."""

    id = BigSerial(primary_key=True)
    subject = Bytea(unique=True)
    failures = Integer(default=0)
    failed_at = Timestamptz()
    locked_until = Timestamptz(null=True, default=None)
