"""What the campaign routes take and give."""

import datetime as dt
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core.campaigns.entropy_schemas import EntropyLimit
from core.campaigns.pacing import Pacing
from core.campaigns.rendering import MAX_TEMPLATE_LENGTH
from core.campaigns.tables import CampaignStatus, CampaignType, MessageType, RecipientState
from core.contacts.filters import AudienceFilter
from core.media.schemas import MediaRead

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=160, examples=["Christmas offer"])]
Content = Annotated[
    str,
    msgspec.Meta(
        max_length=MAX_TEMPLATE_LENGTH,
        examples=["{Oi|Olá} {{ nome | first_word | default('amigo') }}, tudo bem?"],
    ),
]
Id = Annotated[int, msgspec.Meta(ge=1)]
Moment = Annotated[
    datetime,
    msgspec.Meta(
        description="With its offset, or a local time of settings.schedule.timezone.",
        examples=["2026-12-24T09:00:00-03:00"],
    ),
]


FAILOVER_MINUTES = 10.0


class MessageCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message of a campaign, in the order they are sent."""

    content: Content = ""
    """The text; of an image, a document or a video the caption, which may be empty."""
    delay: Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400, description="Seconds after the message before.")] = 0
    type_message: MessageType = MessageType.TEXT
    media_id: Id | None = None
    """The file, of all types but text."""
    media_url: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    """Where a file is fetched from once, instead of ``media_id``; it is kept, and shown as ``media_id`` afterwards."""


class LabelFilter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An audience by labels, for campaigns of type 4; evaluated at the start."""

    any: tuple[Id, ...] = ()
    all: tuple[Id, ...] = ()
    none: tuple[Id, ...] = ()


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How the ``schedule_date`` is meant."""

    timezone: Annotated[str, msgspec.Meta(max_length=60, examples=["America/Sao_Paulo"])] | None = None
    """The zone of a date without an offset; the account's own when absent."""
    missed: Literal["send", "skip", "ask"] = "ask"
    """What becomes of a campaign whose date passed while the platform was away."""
    max_lateness_minutes: Annotated[int, msgspec.Meta(ge=0, le=525_600)] = 60
    """So late it is still simply begun."""


class CampaignSettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Settings of a campaign; an absent ``pacing`` means the type's default."""

    pacing: Pacing | None = None
    stop_on_reply: bool = True
    check_numbers: bool = True
    link_preview: bool = False
    """Show a preview of the first link of a text, where the service can."""
    sticky: bool = True
    """Of several numbers a contact gets the one the contact last wrote to."""
    failover_minutes: Annotated[float, msgspec.Meta(ge=0, le=525_600)] | None = FAILOVER_MINUTES
    """After so long without its number, what was never tried goes to the campaign's other numbers; null: never."""
    schedule: Schedule = Schedule()
    labels: LabelFilter | None = None
    audiences: AudienceFilter | None = None
    """Audiences besides or instead of ``public_id``: one of ``any``, every one of ``all``, none of ``none``.

    A contact in several gets each message once.
    """
    entropy: EntropyLimit | None = None
    """How uniform its texts may be for it to start; null: as the account says."""


class CampaignCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new campaign, made as a draft."""

    name: Name
    type: CampaignType = CampaignType.STANDARD
    number_ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=50)] = ()
    public_id: Id | None = None
    schedule_date: Moment | None = None
    settings: CampaignSettings = msgspec.field(default_factory=CampaignSettings)
    messages: Annotated[tuple[MessageCreate, ...], msgspec.Meta(max_length=20)] = ()


class CampaignUpdate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Changes of a draft; what is absent stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    number_ids: Annotated[tuple[Id, ...], msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET
    public_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    schedule_date: Moment | msgspec.UnsetType | None = msgspec.UNSET
    settings: CampaignSettings | msgspec.UnsetType = msgspec.UNSET
    messages: Annotated[tuple[MessageCreate, ...], msgspec.Meta(max_length=20)] | msgspec.UnsetType = msgspec.UNSET


class MessageRead(msgspec.Struct, kw_only=True):
    """A message of a campaign."""

    id: int
    position: int
    delay: int
    content: str
    type_message: MessageType
    media_id: int | None
    media: MediaRead | None
    """The file; null for a text, and when the file was deleted."""


class Totals(msgspec.Struct, kw_only=True):
    """Recipient rows, one for each message and contact, by state.

    ``delivered``, ``readed`` and ``replied`` are among the sent ones; a leased row counts as pending.
    """

    total: int
    pending: int
    accepted: int
    sent: int
    delivered: int
    readed: int
    replied: int
    failed: int
    unknown: int
    skipped: int


class CampaignRead(msgspec.Struct, kw_only=True):
    """A campaign."""

    id: int
    name: str
    type: CampaignType
    status: CampaignStatus
    status_reason: str
    number_id: int | None
    number_ids: list[int]
    public_id: int | None
    schedule_date: datetime | None
    progress: int
    settings: CampaignSettings
    version: int
    started_at: datetime | None
    frozen_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    totals: Totals
    messages: list[MessageRead]


class CampaignListed(msgspec.Struct, kw_only=True):
    """A campaign as lists show it."""

    id: int
    name: str
    type: CampaignType
    status: CampaignStatus
    status_reason: str
    schedule_date: datetime | None
    progress: int
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    totals: Totals


class CampaignFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which campaigns are asked for."""

    user_id: int
    status: CampaignStatus | None = None
    search: str | None = None
    """Part of the name, whatever its case."""


class RecipientRead(msgspec.Struct, kw_only=True):
    """One message to one contact; ``delivered``, ``readed`` and ``error`` are the seed's booleans."""

    id: int
    message_id: int
    contact_id: int
    contact_name: str
    number: str
    position: int
    number_id: int | None
    state: RecipientState
    reason: str
    attempt: int
    delivered: bool
    readed: bool
    error: bool
    needs_attention: bool
    due_at: datetime | None
    accepted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    replied_at: datetime | None


class PreviewedMessage(msgspec.Struct, kw_only=True):
    """A message as one contact gets it; ``text`` is the caption where there is a file."""

    message_id: int
    position: int
    type_message: MessageType
    text: Annotated[str, msgspec.Meta(examples=["Olá Maria, tudo bem?"])]


class Preview(msgspec.Struct, kw_only=True):
    """Everything that a campaign sends to one contact."""

    contact_id: int
    contact_name: str
    number: str
    messages: list[PreviewedMessage]


class Explanation(msgspec.Struct, kw_only=True):
    """Why a campaign is or is not sending at this moment."""

    sending: bool
    reasons: list["Blocker"]
    next_due_at: datetime | None


class Blocker(msgspec.Struct, kw_only=True):
    """One reason, with the number it concerns and when it ends, as far as that is known."""

    code: str
    text: str
    number_id: int | None = None
    until: datetime | None = None


class PlanReason(msgspec.Struct, kw_only=True):
    """A rule that makes a number wait, or that keeps it from sending."""

    code: str
    text: str
    seconds: int
    """How long it was waited for, in all."""


class PlannedDay(msgspec.Struct, kw_only=True):
    """What one number sends on one calendar day of the tenant's zone."""

    date: dt.date
    messages: int
    begins_at: datetime
    ends_at: datetime


class PlannedNumber(msgspec.Struct, kw_only=True):
    """One number's share of a campaign; the reasons stand in the order of what they cost."""

    number_id: int
    messages: int
    ends_at: datetime | None
    days: list[PlannedDay]
    reasons: list[PlanReason]


class FlightPlan(msgspec.Struct, kw_only=True):
    """What a campaign will send, or has left to send."""

    campaign_id: int
    contacts: int
    included: int
    excluded: Annotated[dict[str, int], msgspec.Meta(examples=[{"opted_out": 3, "no_whatsapp": 12}])]
    """Reason to contacts that get nothing."""
    messages: int
    unplanned: int
    """Messages whose time cannot be told: nobody may send them, or they come later than in 366 days."""
    begins_at: datetime | None
    ends_at: datetime | None
    """Null when nothing is sent, or some of it is unplanned."""
    numbers: list[PlannedNumber]


ResolveAction = Literal["retry", "assume_sent"]


class Resolve(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a person decides of a recipient row in doubt."""

    action: ResolveAction


class ResolveMany(Resolve, forbid_unknown_fields=True, kw_only=True):
    """What a person decides of every recipient row in doubt."""

    reasons: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=60)], ...], msgspec.Meta(max_length=50)] = ()
    """Only rows with one of these reasons; all when empty."""


class Retry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which failed rows are sent again; all when nothing is named."""

    reasons: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=60)], ...], msgspec.Meta(max_length=50)] = ()
    """As the report lists them."""
    classes: tuple[Literal["refused", "gave_up", "network"], ...] = ()
    """``refused`` by the server, ``gave_up`` after five tries or a day, or failed on WhatsApp's ``network``."""


class Duplicate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the copy of a campaign is called."""

    name: Name | None = None
