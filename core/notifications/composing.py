"""From a delivery to what its notifier is given: the person as they are now, in their language, and what is folded."""

from collections.abc import Sequence

import msgspec
import structlog

from core import database
from core.crypto import DecryptionError, decrypt, signing_key
from core.events.catalogue import AlarmRaised, NotificationCreated, seal
from core.notifications.channels import Lane
from core.notifications.choices import choices_of, wanted
from core.notifications.claims import Delivery
from core.notifications.emails import render
from core.notifications.kinds import KINDS
from core.notifications.outbox import SEAL
from core.notifications.wording import text_of, title_of
from core.plugin import LiveEvent, Notification
from core.runtime import runtime

MOST_FOLDED = 5_000
"""Details that one mail is made of, the latest ones first; it lists fewer, and says how many there are."""

_TOLD = """
SELECT n.id, n.detail, n.created_at FROM notification_deliveries d JOIN notifications n ON n.id = d.notification_id
WHERE d.id = $1 OR d.into_id = $1 ORDER BY n.id DESC LIMIT $2
"""
_PERSON = "SELECT email, name, locale, timezone FROM users WHERE id = $1 AND deleted_at IS NULL"
_HEAD = """
SELECT h.id, h.times, h.created_at,
    (SELECT count(*) FROM notifications u WHERE u.user_id = h.user_id AND u.listed AND u.folded_into IS NULL
        AND u.read_at IS NULL AND u.planned_at IS NOT NULL) AS unread
FROM notifications n JOIN notifications h ON h.id = coalesce(n.folded_into, n.id) WHERE n.id = $1
"""
_log = structlog.get_logger(__name__)


class Person(msgspec.Struct, frozen=True):
    """Who is told."""

    email: str
    name: str
    locale: str
    timezone: str


def read_detail(kind: str, stored: str) -> msgspec.Struct | None:
    """Return the detail of a notification, ``None`` where an older version of the platform wrote it in another shape.

    Also where its key is gone.
    """
    found = KINDS.get(kind)
    if found is None:
        return None
    try:
        return msgspec.json.decode(decrypt(stored, purpose=SEAL), type=found.detail)
    except (msgspec.DecodeError, DecryptionError):
        _log.warning("notification_unreadable", kind=kind)
        return None


async def is_wanted(delivery: Delivery, lane: Lane) -> bool:
    """Whether the user still wants to be told there: what is folded waits, and they may have decided meanwhile."""
    kind = KINDS.get(delivery.kind)
    if kind is None:
        return True
    told = wanted(kind, await choices_of(delivery.user_id))
    return told.realtime if lane.channel == "realtime" else told.email or told.falls_back


async def compose(delivery: Delivery, lane: Lane) -> Notification | None:
    """Return what the lane's notifier is given, ``None`` where nobody is left to tell or nothing can be read."""
    row = await database.fetch_row(_PERSON, delivery.user_id)
    if row is None:
        return None
    person = msgspec.convert(dict(row), Person)
    rows = await database.fetch(_TOLD, delivery.id, MOST_FOLDED)
    read = [read_detail(delivery.kind, told["detail"]) for told in rows]
    details = [detail for detail in read if detail is not None]
    if not details:
        return None
    if lane.channel == "email":
        standing = await _without_what_is_over(details)
        return await _mail(delivery, person, standing) if standing else None
    return await _event(delivery, person, details[0], rows[0]["id"])


async def _without_what_is_over(details: Sequence[msgspec.Struct]) -> Sequence[msgspec.Struct]:
    """Leave out alarms that ended before they were mailed."""
    alarms = [detail.alarm_id for detail in details if isinstance(detail, AlarmRaised)]
    if not alarms:
        return details
    rows = await database.fetch("SELECT id FROM alarms WHERE id = ANY($1::bigint[]) AND cleared_at IS NOT NULL", alarms)
    over = {row["id"] for row in rows}
    return [detail for detail in details if not (isinstance(detail, AlarmRaised) and detail.alarm_id in over)]


async def _mail(delivery: Delivery, person: Person, details: Sequence[msgspec.Struct]) -> Notification:
    rendered = await render(delivery.kind, details, name=person.name, language=person.locale, timezone=person.timezone)
    # Keys are made of serial numbers: another installation that mails the same person has the same ones.
    installation = signing_key("mails", key=runtime().secret_key).hex()[:12]
    return Notification(
        key=f"{installation}:{delivery.key}",
        kind=delivery.kind,
        user_id=delivery.user_id,
        recipient=person.email,
        # A link may go to a stranger's address that somebody gave as theirs, under words of their own for a name.
        name=person.name if KINDS[delivery.kind].listed else "",
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )


async def _event(
    delivery: Delivery, person: Person, detail: msgspec.Struct, notification_id: int
) -> Notification | None:
    head = await database.fetch_row(_HEAD, notification_id)
    if head is None:
        return None
    title, text = (
        title_of(delivery.kind, detail, person.locale),
        text_of(delivery.kind, detail, person.locale, person.timezone),
    )
    created = NotificationCreated(
        notification_id=head["id"],
        kind=delivery.kind,
        title=title,
        text=text,
        count=head["times"],
        unread=head["unread"],
    )
    envelope = seal(created, event_id=f"ntf_{delivery.notification_id}", created_at=head["created_at"])
    event = LiveEvent(
        id=envelope.id,
        type=envelope.type,
        user_id=delivery.user_id,
        body=msgspec.Raw(msgspec.json.encode(envelope)),
    )
    return Notification(
        key=delivery.key,
        kind=delivery.kind,
        user_id=delivery.user_id,
        recipient="",
        name=person.name,
        subject=title,
        text=text,
        event=event,
    )
