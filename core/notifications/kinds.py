"""What people are told of: each kind with the event that causes it, where it is told, and how often at most."""

from datetime import timedelta
from typing import Any, Literal

import msgspec

from core.events import catalogue
from core.events.catalogue import Event

MutableKind = Literal[
    "campaign_started",
    "campaign_waiting",
    "campaign_paused",
    "campaign_completed",
    "campaign_needs_attention",
    "number_connected",
    "number_disconnected",
    "number_restricted",
    "import_finished",
    "payment_succeeded",
    "payment_failed",
    "payment_refunded",
    "plan_changed",
    "access_ends",
    "trial_ends",
    "new_device",
    "webhook_disabled",
]
"""What a user can mute; a changed password or a link that one asked for cannot be."""


class ResetLink(msgspec.Struct, frozen=True, kw_only=True):
    """The detail of what is mailed with a link that works once."""

    link: str


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of notification."""

    name: str
    detail: type[msgspec.Struct]
    """The shape of its detail: the event that causes it, where one does."""
    listed: bool = True
    """It stands in the user's list of notifications; a link that signs somebody in does not."""
    email: bool = True
    """It is mailed unless the user decides otherwise."""
    matters: bool = False
    """It is mailed when no realtime service can be reached, also to who did not ask for mails of this kind."""
    folds: bool = True
    """Several of one kind within some minutes become one."""
    topic: str = ""
    """The field of the detail by which they fold: only those that agree in it become one."""
    repeats: bool = False
    """A mail whose fate is unknown goes out once more, with the same Message-ID: two receipts are better than none."""
    muted: bool = True
    """The user may mute it."""
    security: bool = False
    """It concerns the security of the account: who takes no mails gets it all the same, unless they muted this kind."""
    lasts: timedelta = timedelta(hours=24)
    """After so long it is told nowhere but in the list: a link has ended by then, and news are old."""


_RECEIPTS = timedelta(days=7)


def _of(event: type[Event], name: str = "", **options: Any) -> Kind:
    return Kind(name=name or event.type.replace(".", "_"), detail=event, **options)


_ALL = (
    _of(catalogue.CampaignStarted, email=False),
    _of(catalogue.CampaignWaiting, email=False, matters=True),
    _of(catalogue.CampaignPaused, matters=True),
    _of(catalogue.CampaignCompleted),
    _of(catalogue.CampaignNeedsAttention, matters=True),
    _of(catalogue.NumberConnected, email=False),
    _of(catalogue.NumberDisconnected, matters=True),
    _of(catalogue.NumberRestricted, matters=True),
    _of(catalogue.ImportFinished, email=False),
    _of(catalogue.PaymentSucceeded, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    _of(catalogue.PaymentFailed, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    _of(catalogue.PaymentRefunded, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    _of(catalogue.PlanChanged, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    _of(catalogue.AccessEnds, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    _of(catalogue.TrialEnds, folds=False, repeats=True, matters=True, lasts=_RECEIPTS),
    # The second one is the one that matters, when the first was the user's own new phone.
    _of(catalogue.NewDevice, "new_device", folds=False, matters=True, security=True),
    _of(catalogue.PasswordChanged, "password_changed", folds=False, repeats=True, matters=True, muted=False),
    _of(catalogue.WebhookDisabled, matters=True),
    _of(catalogue.AlarmRaised, "alarm_raised", topic="kind", matters=True, muted=False),
    Kind(
        name="password_reset",
        detail=ResetLink,
        listed=False,
        folds=False,
        repeats=True,
        muted=False,
        lasts=timedelta(hours=1),
    ),
    Kind(
        name="confirm_email",
        detail=ResetLink,
        listed=False,
        folds=False,
        repeats=True,
        muted=False,
        lasts=timedelta(days=3),
    ),
)

KINDS = {kind.name: kind for kind in _ALL}
"""Every kind by its name."""
OF_EVENT = {kind.detail: kind for kind in _ALL if issubclass(kind.detail, Event)}
"""The kind that tells of an event, by the event's class."""
