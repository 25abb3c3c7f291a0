"""How uniform the texts of a campaign are: the limit, what a measurement found, and how it is shown."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Measuring = Literal["none", "running", "done", "outdated", "failed"]


class EntropyLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How uniform the texts of a campaign may be for it to start; WhatsApp blocks who sends many people the same."""

    max_share: Annotated[float, msgspec.Meta(gt=0, le=1, examples=[0.2])] | None = None
    """The largest share of a message's recipients that may get the very same text; null: any."""


class MessageEntropy(msgspec.Struct, frozen=True, kw_only=True):
    """How uniform one message is among the contacts that were looked at."""

    message_id: int
    position: int
    texts: int
    """Contacts that get a text with it; a file without a caption has none."""
    distinct: int
    """Different texts among those."""
    most_frequent_count: int
    """Contacts that get the most frequent text."""
    most_frequent_share: float
    """The same as a part of ``texts``, from 0 to 1; 0 where there are no texts."""
    most_frequent_text: str
    """At most its first 200 characters."""
    uniform: bool
    """Whether several people get the same text, and they are a larger share than the limit allows."""


class Entropy(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement found."""

    campaign_id: int
    version: int
    """The campaign's version that was measured."""
    contacts: int
    """Contacts of the audience that are not left out."""
    sampled: int
    """How many of them were looked at: 10,000 at most, chosen evenly and always the same."""
    max_share: float | None
    """The limit; null: none."""
    too_uniform: bool
    """Whether some message is, so that the campaign would not start."""
    messages: list[MessageEntropy]
    computed_at: datetime


class EntropyRead(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a campaign was measured, and what was found last."""

    campaign_id: int
    status: Measuring
    """``outdated``: what was found is of an earlier version; ``running``: a job waits or is at work."""
    version: int
    """The campaign's present version."""
    max_share: float | None
    """The limit in force, by which the result is judged; null: none."""
    job_id: int | None
    """The job that is at work, failed, or found the result."""
    error: str
    """Why the last measurement failed; empty when it did not."""
    result: Entropy | None
    """The last finished measurement, also while another one is running."""
