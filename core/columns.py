"""Columns that most tables share."""

from piccolo.columns import Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow


class CreatedAt:
    """Mixin: when the row was made (UTC)."""

    created_at = Timestamptz(default=TimestamptzNow(), null=False)


class Timestamps(CreatedAt):
    """Mixin: when the row was made and last changed (UTC)."""

    updated_at = Timestamptz(default=TimestamptzNow(), null=False)


class SoftDelete(Timestamps):
    """Mixin: the row's timestamps and when it was deleted; lists hide it, unique keys ignore it."""

    deleted_at = Timestamptz(default=None, null=True)
