"""What the media routes take and give."""

from datetime import datetime
from typing import Annotated

import msgspec

from core.media.tables import MediaKind, MediaState

Address = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000, examples=["https://shop.example.com/offer.jpg"])]


class MediaFetch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A file to be downloaded and kept."""

    url: Address
    filename: Annotated[str, msgspec.Meta(max_length=300, examples=["Offer.jpg"])] = ""
    """Shown to recipients of documents; by default the last part of the address."""


class MediaRead(msgspec.Struct, kw_only=True):
    """A file that messages may carry."""

    id: int
    kind: MediaKind | None
    """As ``type_message`` of messages: 2 image, 3 audio, 4 document, 5 video; null until it is known."""
    filename: str
    content_type: str
    size: int
    """In bytes."""
    sha256: str
    source_url: str | None
    state: MediaState
    reason: str
    """Why it could not be fetched."""
    created_at: datetime
    updated_at: datetime
