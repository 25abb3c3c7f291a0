"""Files that messages carry."""

from enum import IntEnum, StrEnum

from piccolo.columns import BigInt, BigSerial, ForeignKey, SmallInt, Text, Varchar
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import SoftDelete


class MediaKind(IntEnum):
    """What a file is, in the numbers of ``messages.type_message``."""

    IMAGE = 2
    AUDIO = 3
    DOCUMENT = 4
    VIDEO = 5


class MediaState(StrEnum):
    """Whether a file is there."""

    FETCHING = "fetching"
    READY = "ready"
    FAILED = "failed"


class Media(SoftDelete, Table, tablename="media"):
    """A file of a tenant; rows with the same content share ``path``, their key in the store."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    kind = SmallInt(default=None, null=True)
    filename = Varchar(length=160)
    content_type = Varchar(length=120, default="")
    size = BigInt(default=0)
    sha256 = Varchar(length=64, default="")
    path = Varchar(length=80, default="")
    source_url = Text(default=None, null=True)
    state = Varchar(length=10, default=MediaState.FETCHING)
    reason = Varchar(length=60, default="")
