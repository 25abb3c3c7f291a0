"""Contacts, audiences (``publics``), labels, the block list and imports."""

from enum import IntEnum

from piccolo.columns import (
    JSONB,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    ForeignKey,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import CreatedAt, SoftDelete, Timestamps


class ContactType(IntEnum):
    """What a contact is."""

    PERSON = 1
    GROUP = 2


class ContactStatus(IntEnum):
    """Whether anything may be sent to a contact."""

    ACTIVE = 1
    INACTIVE = 2


class PublicType(IntEnum):
    """How an audience comes to its contacts."""

    BY_HAND = 1
    DYNAMIC = 2
    IMPORT = 3


class Contact(SoftDelete, Table, tablename="contacts"):
    """A person (type 1) or group (type 2); ``number`` is E.164 digits, ``labels`` a list of label ids.

    ``source`` is how it came to be, empty where nobody knows. A deleted one has the ``deletion_id`` by which it can
    come back, or is ``merged_into`` the contact that has its history.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    number = Varchar(length=32, default=None, null=True)
    name = Varchar(length=160, default="")
    variables = JSONB(default="{}")
    labels = JSONB(default="[]")
    type = SmallInt(default=ContactType.PERSON)
    status = SmallInt(default=ContactStatus.ACTIVE)
    last_inbound_at = Timestamptz(default=None, null=True)
    blocked_at = Timestamptz(default=None, null=True)
    source = Varchar(length=10, default="")
    deletion_id = BigInt(default=None, null=True)
    merged_into = BigInt(default=None, null=True)


class ContactDeletion(Timestamps, Table, tablename="contact_deletions"):
    """A deletion of contacts that can be undone for some days; of ``contacts`` rows, ``restored`` came back."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    job_id = BigInt(default=None, null=True)
    contacts = BigInt(default=0)
    restored = BigInt(default=0)


class BulkSelection(Table, tablename="bulk_selections"):
    """Contacts that a job is going to change together, as its filter found them when it was asked for."""

    id = BigSerial(primary_key=True)
    job_id = BigInt()
    contact_ids = Array(base_column=BigInt())


class ContactEvent(CreatedAt, Table, tablename="contact_events"):
    """What somebody decided of a contact: ``blocked``, ``unblocked``, ``opted_out``, ``opted_in`` or ``merged``.

    ``source`` says how: ``hand`` or ``word``, the one in ``reason`` then, written to the number after the campaign.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    contact_id = BigInt()
    kind = Varchar(length=20)
    source = Varchar(length=10, default="")
    reason = Varchar(length=120, default="")
    number_id = BigInt(default=None, null=True)
    campaign_id = BigInt(default=None, null=True)


class ContactAddress(Table, tablename="contact_addresses"):
    """What a provider calls a contact: listed from a number, or given; ``number`` is the contact's at that time."""

    id = BigSerial(primary_key=True)
    contact_id = BigInt()
    provider = Varchar(length=60)
    number = Varchar(length=32)
    address = Varchar(length=120, default="")
    checked_at = Timestamptz()


class Public(SoftDelete, Table, tablename="publics"):
    """An audience: chosen by hand (1), dynamic (2, by ``filters``) or from an import (3).

    ``counted`` is how many contacts a job last found in a large one, at ``counted_at``.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    name = Varchar(length=120)
    description = Varchar(length=500, default="")
    type = SmallInt(default=PublicType.BY_HAND)
    filters = JSONB(default="{}")
    counted = BigInt(default=None, null=True)
    counted_at = Timestamptz(default=None, null=True)


class Label(SoftDelete, Table, tablename="labels"):
    """A tenant's label; ``color`` is ``#rrggbb``."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    name = Varchar(length=80)
    color = Varchar(length=7, default="#888888")


class PublicByContact(Timestamps, Table, tablename="public_by_contacts"):
    """A contact's membership of an audience."""

    id = BigSerial(primary_key=True)
    public_id = BigInt()
    contact_id = BigInt()


class BlockContact(Timestamps, Table, tablename="block_contacts"):
    """A number, or else an address, this tenant never writes to, whether or not it is a contact."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    number = Varchar(length=32, default=None, null=True)
    address = Varchar(length=120, default=None, null=True)
    reason = Varchar(length=120, default="")


class ContactVariable(CreatedAt, Table, tablename="contact_variables"):
    """The name of a variable that some contact of this tenant has or had."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    name = Varchar(length=60)


class Suppression(CreatedAt, Table, tablename="suppressions"):
    """One form of somebody who opted out of this tenant's messages, as an HMAC-SHA256; it outlives the contact."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    digest = Bytea()


class SyncEntry(Table, tablename="contact_sync_entries"):
    """One contact as a number's address book listed it, kept while its job stores the contacts."""

    id = BigSerial(primary_key=True)
    job_id = BigInt()
    address = Varchar(length=120)
    phone = Varchar(length=32, default="")
    name = Varchar(length=160, default="")
    is_group = Boolean(default=False)


class Import(Timestamps, Table, tablename="imports"):
    """One uploaded file and what became of its rows; the work itself is a job.

    ``mapping`` says what each column means and how the file is written, ``options`` what its sender chose;
    ``file_removed_at`` is when the file went, ``undo_job_id`` the job that takes the import back.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    job_id = BigInt(default=None, null=True)
    public_id = BigInt(default=None, null=True)
    filename = Varchar(length=255)
    path = Varchar(length=500)
    mapping = JSONB(default="{}")
    options = JSONB(default="{}")
    default_country = Varchar(length=2, default="BR")
    header = Boolean(default=True)
    rows_total = Integer(default=0)
    rows_created = Integer(default=0)
    rows_updated = Integer(default=0)
    rows_skipped = Integer(default=0)
    rows_failed = Integer(default=0)
    file_removed_at = Timestamptz(default=None, null=True)
    undo_job_id = BigInt(default=None, null=True)


class ImportMapping(Timestamps, Table, tablename="import_mappings"):
    """What a tenant took the columns of a file for, proposed for the next file with the same headers.

    ``headers`` is the SHA-256 of the headers' keys in alphabetical order, ``mapping`` says key by key what each is.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    headers = Bytea()
    mapping = JSONB(default="{}")


class ImportStep(Table, tablename="import_steps"):
    """One batch of an import, kept for its undo: ids of the contacts and labels it made, and of those that joined.

    ``created_at`` is the moment that every row of the batch has as its own.
    """

    id = BigSerial(primary_key=True)
    import_id = BigInt()
    made = Array(base_column=BigInt())
    joined = Array(base_column=BigInt())
    labels = Array(base_column=BigInt())
    created_at = Timestamptz()


class ImportChange(Table, tablename="import_changes"):
    """What a contact was before an import changed it, and what the import made of it, kept for its undo."""

    id = BigSerial(primary_key=True)
    import_id = BigInt()
    contact_id = BigInt()
    name = Varchar(length=160, default="")
    variables = JSONB(default="{}")
    labels = JSONB(default="[]")
    updated_at = Timestamptz()
    written_name = Varchar(length=160, default="")
    written_variables = JSONB(default="{}")
    written_labels = JSONB(default="[]")
    written_at = Timestamptz()


class ImportFailure(CreatedAt, Table, tablename="import_errors"):
    """One row that did not go in: where it stood and why; ``row`` is a JSON list of its cells."""

    id = BigSerial(primary_key=True)
    import_id = BigInt()
    line = Integer()
    column = Varchar(length=120, default="")
    value = Varchar(length=500, default="")
    reason = Varchar(length=255)
    row = Text(default="")
