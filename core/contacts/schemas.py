"""What the API takes and shows of contacts, labels, audiences and the block list."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core.contacts.filters import ContactFilter, Id, LabelIds
from core.texts import text

MAXIMUM_VARIABLES = 50
MAXIMUM_SELECTED = 1000
OWN_FIELDS = frozenset({"nome", "name", "nombre", "numero", "number", "telefone", "phone"})
"""Names that stand for a contact's own name and number in a template, so no variable can have them."""

Name = Annotated[str, msgspec.Meta(max_length=160, examples=["Padaria Aurora"])]
WrittenNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=60, examples=["(11) 91234-5678"])]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", description="ISO 3166 code.", examples=["BR"])]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[^\W\d]\w{0,59}$")]
VariableValue = Annotated[str, msgspec.Meta(max_length=1000)]
Variables = Annotated[
    dict[VariableName, VariableValue],
    msgspec.Meta(max_length=MAXIMUM_VARIABLES, examples=[{"cidade": "Campinas"}]),
]
Address = Annotated[str, msgspec.Meta(pattern=r"^\S{3,120}$")]
Addresses = Annotated[
    dict[str, Address],
    msgspec.Meta(
        max_length=10,
        description="Provider to address: of a group, or of a person whom the service does not know by a number.",
        examples=[{}],
    ),
]
Ids = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAXIMUM_SELECTED)]
Color = Annotated[str, msgspec.Meta(pattern="^#[0-9a-fA-F]{6}$", examples=["#2f855a"])]
ContactType = Literal[1, 2]
ContactStatus = Literal[1, 2]


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is taken."""


class _Changes(_Input, frozen=True, kw_only=True):
    """Base of what a ``PATCH`` takes: what is absent stays."""


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is shown."""

    id: int
    created_at: datetime
    updated_at: datetime


class ContactCreate(_Input, frozen=True, kw_only=True):
    """A new contact: a person (type 1) with a number, addresses or both, or a group (type 2) with addresses alone."""

    number: WrittenNumber | None = None
    name: Name = ""
    variables: Variables = {}
    labels: LabelIds = []
    type: ContactType = 1
    status: ContactStatus = 1
    addresses: Addresses = {}
    country: (
        Annotated[
            Country,
            msgspec.Meta(description="Whose number it is, when it has no country code; absent, as the account says."),
        ]
        | None
    ) = None


class ContactUpdate(_Changes, frozen=True, kw_only=True):
    """Changes of a contact; ``variables``, ``labels`` and ``addresses`` replace what was there."""

    number: WrittenNumber | msgspec.UnsetType = msgspec.UNSET
    name: Name | msgspec.UnsetType = msgspec.UNSET
    variables: Variables | msgspec.UnsetType = msgspec.UNSET
    labels: LabelIds | msgspec.UnsetType = msgspec.UNSET
    status: ContactStatus | msgspec.UnsetType = msgspec.UNSET
    addresses: Addresses | msgspec.UnsetType = msgspec.UNSET
    country: Country | None = None


class ContactRead(_Shown, frozen=True, kw_only=True):
    """A contact."""

    number: str | None
    """Digits of E.164."""
    name: str
    variables: dict[str, str]
    labels: list[int]
    type: int
    """1 a person, 2 a group."""
    status: int
    """1 active, 2 inactive: nothing is sent to it."""
    addresses: dict[str, str]
    """What each provider calls it, where that is known."""
    blocked: bool
    """It is on the block list or opted out."""
    source: Annotated[str, msgspec.Meta(examples=["manual"])]
    """Where it came from, which is what its consent goes back to: ``manual`` (by hand), ``api`` (with an API key),
    ``import`` or ``sync``; empty where that is not known."""
    last_inbound_at: datetime | None
    version: Annotated[str, msgspec.Meta(examples=["5f0c9a1d2b3e4f60"])]
    """A digest of what people decide of it, which `If-Match` takes in quotes: messages that come in keep it."""


class Selection(_Input, frozen=True, kw_only=True):
    """Contacts by id, or by filter; exactly one of the two."""

    ids: Ids | None = None
    filter: ContactFilter | None = None
    public_id: Annotated[
        Id | None, msgspec.Meta(description="With `filter`: only contacts of this audience.", examples=[None])
    ] = None

    def __post_init__(self) -> None:
        """Refuse a selection that says both or nothing."""
        if (self.ids is None) == (self.filter is None):
            raise ValueError(text("ids_or_filter"))
        if self.ids is not None and self.public_id is not None:
            raise ValueError(text("public_narrows"))


class LabelSelection(Selection, frozen=True, kw_only=True):
    """Labels to put on the selected contacts, and labels to take off."""

    add: Annotated[LabelIds, msgspec.Meta(examples=[[3]])] = []
    remove: Annotated[LabelIds, msgspec.Meta(examples=[[7]])] = []

    def __post_init__(self) -> None:
        """Refuse what would change nothing or contradicts itself."""
        Selection.__post_init__(self)
        if not self.add and not self.remove:
            raise ValueError(text("labels_to_change"))
        if set(self.add) & set(self.remove):
            raise ValueError(text("labels_both"))


class Affected(msgspec.Struct, frozen=True):
    """How many rows a bulk action changed."""

    affected: int


class SyncCreate(_Input, frozen=True, kw_only=True):
    """Which contacts of a number's address book and chats are wanted, and what they are labelled with."""

    people: bool = True
    groups: bool = True
    label_id: Annotated[
        Id | None, msgspec.Meta(description="A label for every contact that is listed.", examples=[None])
    ] = None
    label_name: (
        Annotated[
            str, msgspec.Meta(min_length=1, max_length=80, description="Instead: its name; made where it is missing.")
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        """Refuse what lists nobody or names two labels."""
        if not self.people and not self.groups:
            raise ValueError(text("people_or_groups"))
        if self.label_id is not None and self.label_name is not None:
            raise ValueError(text("label_twice"))


class LabelCreate(_Input, frozen=True, kw_only=True):
    """A new label."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80, examples=["Clientes"])]
    color: Color = "#888888"


class LabelUpdate(_Changes, frozen=True, kw_only=True):
    """Changes of a label."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)] | msgspec.UnsetType = msgspec.UNSET
    color: Color | msgspec.UnsetType = msgspec.UNSET


class LabelRead(_Shown, frozen=True, kw_only=True):
    """A label."""

    name: str
    color: str


class PublicCreate(_Input, frozen=True, kw_only=True):
    """A new audience: 1 chosen by hand, 2 dynamic (then ``filters``), 3 to import into."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120, examples=["Clientes de Campinas"])]
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    type: Literal[1, 2, 3] = 1
    filters: ContactFilter | None = None


class PublicUpdate(_Changes, frozen=True, kw_only=True):
    """Changes of an audience; ``filters`` replaces all filters of a dynamic one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)] | msgspec.UnsetType = msgspec.UNSET
    description: Annotated[str, msgspec.Meta(max_length=500)] | msgspec.UnsetType = msgspec.UNSET
    filters: ContactFilter | msgspec.UnsetType = msgspec.UNSET


class PublicRead(_Shown, frozen=True, kw_only=True):
    """An audience."""

    name: str
    description: str
    type: int
    filters: ContactFilter | None
    contacts_count: int
    """Contacts it has, blocked ones included."""
    count_is_exact: bool
    """False where it has more than 100,000 and nobody counted them lately: a job does so now."""
    counted_at: datetime | None
    """When a job counted them; null where they were counted for this answer, or are estimated."""


class AudienceCountCreate(_Input, frozen=True, kw_only=True):
    """Filters to count the contacts of."""

    filters: ContactFilter


class AudienceCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many contacts filters describe: exact up to 100,000, estimated beyond."""

    contacts_count: int
    count_is_exact: bool


class BlockRemove(_Input, frozen=True, kw_only=True):
    """A number, or an address as a service gives it, to take off the block list."""

    number: WrittenNumber | None = None
    address: Annotated[Address, msgspec.Meta(description="Instead of a number.")] | None = None
    country: Country | None = None


class BlockCreate(BlockRemove, frozen=True, kw_only=True):
    """A number, or an address as a service gives it, nothing is to be sent to."""

    reason: Annotated[str, msgspec.Meta(max_length=120)] = ""


class BlockRead(_Shown, frozen=True, kw_only=True):
    """An entry of the block list, a number or an address; it outlives the contact."""

    number: str | None
    address: str | None
    reason: str


class TrialMessageCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text sent at once, outside any campaign."""

    phone: Annotated[WrittenNumber | None, msgspec.Meta(examples=["+5511987654321"])] = None
    address: Annotated[
        Address | None,
        msgspec.Meta(
            description="Instead of a phone: where the service reaches somebody it knows by no number.", examples=[None]
        ),
    ] = None
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class TrialMessageRead(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the test message."""

    outcome: Literal["accepted", "retryable", "unknown", "rejected", "sender_stopped"]
    """``unknown``: it may have been sent. ``retryable``, ``rejected`` and ``sender_stopped``: it was not."""
    code: str
    ids: tuple[str, ...]
    address: str
