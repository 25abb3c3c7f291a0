"""Users and their sessions."""

from enum import StrEnum

from piccolo.columns import BigSerial, Bytea, ForeignKey, Timestamptz, Varchar
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


class User(SoftDelete, Table, tablename="users"):
    """A tenant or an administrator; ``email`` is unique without regard to case."""

    id = BigSerial(primary_key=True)
    email = Varchar(length=254)
    name = Varchar(length=120)
    password = Varchar(length=255, secret=True)
    status = Varchar(length=20, default=UserStatus.ACTIVE, choices=UserStatus)
    profile = Varchar(length=20, default=Profile.USER, choices=Profile)
    plan_id = ForeignKey(references=Plan, null=True)
    stripe_id = Varchar(length=255, default=None, null=True)
    locale = Varchar(length=10, default="en")
    timezone = Varchar(length=64, default="America/Sao_Paulo")
    canceled_at = Timestamptz(default=None, null=True)
    due_access_at = Timestamptz(default=None, null=True)
    last_login_at = Timestamptz(default=None, null=True)


class UserSession(CreatedAt, Table, tablename="user_sessions"):
    """A signed-in device: the SHA-256 of its opaque token, sliding until ``expires_at``."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False)
    token_hash = Bytea(unique=True, secret=True)
    user_agent = Varchar(length=255, default="")
    address = Varchar(length=64, default="")
    last_used_at = Timestamptz(null=True, default=None)
    expires_at = Timestamptz()
    revoked_at = Timestamptz(null=True, default=None)
