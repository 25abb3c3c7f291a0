"""What the API takes and shows of changes of many contacts, and of deletions."""

from datetime import datetime
from typing import Annotated

import msgspec

from core.contacts.schemas import Selection

Reason = Annotated[str, msgspec.Meta(max_length=120, examples=["asked by phone"])]


class BlockSelection(Selection, frozen=True, kw_only=True):
    """Contacts to block, and why."""

    reason: Reason = ""


class ContactBlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a contact is blocked."""

    reason: Reason = ""


class Deleted(msgspec.Struct, frozen=True):
    """How many contacts were deleted, and by which id that is undone."""

    affected: int
    deletion_id: int


class DeletionRead(msgspec.Struct, frozen=True, kw_only=True):
    """A deletion of contacts that can be undone."""

    id: int
    job_id: int | None
    """The job that deletes them, where they were named by a filter."""
    contacts: int
    """Who was deleted."""
    restored: int
    """Who of them came back."""
    undo_until: datetime
    created_at: datetime
    updated_at: datetime
