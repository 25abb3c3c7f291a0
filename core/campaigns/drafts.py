"""What a campaign must be before it may be saved, and before it may be started."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from core import database
from core.accounts.schemas import is_timezone
from core.campaigns.attachments import check_files, file_problems, store_files
from core.campaigns.pacing import Pacing
from core.campaigns.rendering import TemplateError, compile_template, unknown_variables
from core.campaigns.schemas import CampaignCreate, CampaignUpdate, LabelFilter, MessageCreate
from core.campaigns.tables import CampaignType, MessageType
from core.campaigns.windows import Holidays, public_holidays
from core.contacts.audience import load_audiences
from core.contacts.filters import AudienceFilter
from core.contacts.variables import usable_names
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.texts import text

Errors = dict[str, list[str]]
KNOWN_YEAR = 2026
"""Any year tells whether the holidays of a place are known."""


async def check_draft(user_id: int, draft: CampaignCreate, *, complete: bool = False) -> None:
    """Refuse a draft that cannot work; with ``complete`` also one that lacks what a start needs.

    Raises:
        InvalidInputError: Naming every field.
    """
    errors: Errors = {}
    for field, problem in _message_problems(draft):
        errors.setdefault(field, []).append(problem)
    for field, problem in pacing_problems(draft.settings.pacing, "settings.pacing"):
        errors.setdefault(field, []).append(problem)
    zone = draft.settings.schedule.timezone
    if zone is not None and not is_timezone(zone):
        errors["settings.schedule.timezone"] = [text("timezone")]
    await _check_variables(user_id, draft, errors)
    await _check_rows(user_id, draft, errors)
    await check_files(user_id, draft, errors, complete=complete)
    if complete:
        _check_complete(draft, errors)
    if errors:
        raise InvalidInputError(errors)


def _message_problems(draft: CampaignCreate) -> Iterator[tuple[str, str]]:
    for place, message in enumerate(draft.messages):
        try:
            compile_template(message.content)
        except TemplateError as error:
            yield f"messages.{place}.content", error.args[0]
        for field, problem in file_problems(message):
            yield f"messages.{place}.{field}", problem
    if draft.type is CampaignType.SIMPLIFIED and len(draft.messages) > 1:
        yield "messages", text("simplified_message")
    if draft.type is CampaignType.SIMPLIFIED:
        for place, message in enumerate(draft.messages):
            if message.type_message is not MessageType.TEXT:
                yield f"messages.{place}.type_message", text("simplified_text")
    if draft.type is CampaignType.BY_LABELS and draft.public_id is not None:
        yield "public_id", text("by_labels_audience")
    if draft.type is not CampaignType.BY_LABELS and draft.settings.labels is not None:
        yield "settings.labels", text("labels_type")


async def _check_variables(user_id: int, draft: CampaignCreate, errors: Errors) -> None:
    """A variable no contact has is a slip of the pen: it would be empty for everybody."""
    known = await usable_names(user_id)
    for place, message in enumerate(draft.messages):
        field = f"messages.{place}.content"
        if field not in errors:
            problems: list[str] = list(unknown_variables(message.content, known))
            errors.update({field: problems} if problems else {})


def pacing_problems(pacing: Pacing | None, field: str) -> Iterator[tuple[str, str]]:
    """Yield what cannot work of a pacing that stands under ``field``: (field, problem)."""
    if pacing is None:
        return
    if pacing.delay_max < pacing.delay_min:
        yield f"{field}.delay_max", text("delay_order")
    for place, window in enumerate(pacing.windows):
        # Both are HH:MM, so the order of the texts is the order of the times.
        if window.end <= window.start:
            yield f"{field}.windows.{place}.end", text("window_order")
    if pacing.holidays is not None:
        yield from _holiday_problems(pacing.holidays, f"{field}.holidays")


def _holiday_problems(closed_on: Holidays, field: str) -> Iterator[tuple[str, str]]:
    if closed_on.country is None:
        if closed_on.subdivision is not None:
            yield f"{field}.subdivision", text("holiday_country")
        return
    try:
        public_holidays(closed_on.country, closed_on.subdivision, KNOWN_YEAR)
    except NotImplementedError:
        unknown = "country" if closed_on.subdivision is None else "subdivision"
        yield f"{field}.{unknown}", text("holidays_unknown")


async def _check_rows(user_id: int, draft: CampaignCreate, errors: Errors) -> None:
    """Everything a draft points at must be the tenant's own."""
    own = await database.fetch(
        "SELECT id FROM numbers WHERE user_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL",
        user_id,
        list(draft.number_ids),
    )
    for number_id in sorted(set(draft.number_ids) - {row["id"] for row in own}):
        errors.setdefault("number_ids", []).append(text("no_such_number", id=number_id))
    if draft.public_id is not None:
        found = await database.fetch_value(
            "SELECT id FROM publics WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL", user_id, draft.public_id
        )
        if found is None:
            errors.setdefault("public_id", []).append(text("no_such_audience", id=draft.public_id))
    await _check_audiences(user_id, draft.settings.audiences, errors)
    labels = draft.settings.labels or LabelFilter()
    wanted = {*labels.any, *labels.all, *labels.none}
    known = await database.fetch(
        "SELECT id FROM labels WHERE user_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL",
        user_id,
        sorted(wanted),
    )
    for label_id in sorted(wanted - {row["id"] for row in known}):
        errors.setdefault("settings.labels", []).append(text("no_such_label", id=label_id))


async def _check_audiences(user_id: int, audiences: AudienceFilter | None, errors: Errors) -> None:
    try:
        await load_audiences(user_id, audiences.ids if audiences is not None else ())
    except NotFoundError as error:
        missing = text("no_such_audience", id=error.params["identifier"])
        errors.setdefault("settings.audiences", []).append(missing)
    except ConflictError as error:
        errors.setdefault("settings.audiences", []).append(error.args[0])


def _check_complete(draft: CampaignCreate, errors: Errors) -> None:
    if not draft.number_ids:
        errors.setdefault("number_ids", []).append(text("choose_number"))
    if not draft.messages:
        errors.setdefault("messages", []).append(text("write_message"))
    if draft.type is CampaignType.BY_LABELS:
        labels = draft.settings.labels
        if labels is None or not (labels.any or labels.all or labels.none):
            errors.setdefault("settings.labels", []).append(text("choose_label"))
    elif draft.public_id is None and not _names_audiences(draft.settings.audiences):
        errors.setdefault("public_id", []).append(text("choose_audience"))


def _names_audiences(audiences: AudienceFilter | None) -> bool:
    """Whether somebody is meant, not only somebody left out."""
    return audiences is not None and bool(audiences.any or audiences.all)


def check_running_change(before: CampaignCreate, after: CampaignCreate) -> None:
    """Refuse what cannot change once rows are frozen.

    Raises:
        InvalidInputError: Naming every field.
    """
    errors: Errors = {}
    for field, same in (
        ("public_id", before.public_id == after.public_id),
        ("schedule_date", before.schedule_date == after.schedule_date),
        ("settings.labels", before.settings.labels == after.settings.labels),
        ("settings.audiences", before.settings.audiences == after.settings.audiences),
        ("settings.pacing.window_zone", _window_zone(before) == _window_zone(after)),
        ("messages", len(before.messages) == len(after.messages)),
    ):
        if not same:
            errors[field] = [text("campaign_begun")]
    frozen = set().union(*(compile_template(message.content).names for message in before.messages))
    for place, message in enumerate(after.messages):
        for name in sorted(compile_template(message.content).names - frozen):
            errors.setdefault(f"messages.{place}.content", []).append(_not_frozen(name, frozen))
    if errors:
        raise InvalidInputError(errors)


def _window_zone(draft: CampaignCreate) -> str:
    return (draft.settings.pacing or Pacing()).window_zone


async def check_numbers_taken_out(campaign_id: int, before: CampaignCreate, after: CampaignCreate) -> None:
    """Refuse to take out a number that alone knows what became of a message.

    Raises:
        InvalidInputError: Naming each such number.
    """
    rows = await database.fetch(
        "SELECT DISTINCT number_id FROM message_by_contacts WHERE campaign_id = $1 AND number_id = ANY($2::bigint[])"
        " AND state IN ('leased', 'unknown') ORDER BY number_id",
        campaign_id,
        sorted(set(before.number_ids) - set(after.number_ids)),
    )
    if rows:
        told = [text("number_in_doubt", id=row["number_id"]) for row in rows]
        raise InvalidInputError({"number_ids": told})


def _not_frozen(name: str, frozen: set[str]) -> str:
    if frozen:
        return text("variable_not_frozen", name=name, listed=", ".join(sorted(frozen)))
    return text("no_variable_frozen", name=name)


async def localize(user_id: int, draft: CampaignCreate) -> datetime | None:
    """Return when a draft shall start: a date without an offset is one of its ``timezone``, else of the tenant's."""
    moment = draft.schedule_date
    if moment is None or moment.tzinfo is not None:
        return moment
    zone = draft.settings.schedule.timezone
    if zone is None:
        zone = str(await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user_id))
    return moment.replace(tzinfo=ZoneInfo(zone))


async def load_draft(row: asyncpg.Record, changes: CampaignUpdate | None = None) -> CampaignCreate:
    """Put a stored campaign and its changes together, to be checked as a whole."""
    numbers = await database.fetch(
        "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY id", row["id"]
    )
    messages = await database.fetch(
        "SELECT content, delay, type_message, media_id FROM messages WHERE campaign_id = $1 AND deleted_at IS NULL"
        " ORDER BY position",
        row["id"],
    )
    stored = {
        "name": row["name"],
        "number_ids": [number["number_id"] for number in numbers],
        "public_id": row["public_id"],
        "schedule_date": row["schedule_date"],
        "settings": msgspec.json.decode(row["settings"]),
        "messages": [dict(message) for message in messages],
    }
    wanted = msgspec.structs.asdict(changes) if changes is not None else {}
    changed = {name: value for name, value in wanted.items() if value is not msgspec.UNSET}
    return msgspec.convert({"type": row["type"], **stored, **changed}, CampaignCreate, from_attributes=True)


async def fill_in(user_id: int, draft: CampaignCreate) -> CampaignCreate:
    """Choose a number for a simplified draft without one: of those in use one that is connected, and the oldest.

    A tenant without any gets the draft back as it was.
    """
    if draft.type is not CampaignType.SIMPLIFIED or draft.number_ids:
        return draft
    found = await database.fetch_value(
        "SELECT id FROM numbers WHERE user_id = $1 AND status AND deleted_at IS NULL"
        " ORDER BY status_connection DESC, id LIMIT 1",
        user_id,
    )
    return msgspec.structs.replace(draft, number_ids=(found,)) if isinstance(found, int) else draft


async def replace_contents(campaign_id: int, messages: Sequence[MessageCreate]) -> None:
    """Change the messages of a campaign that has begun in place, so that its rows go on pointing at them."""
    await database.execute(
        "UPDATE messages m SET content = n.content, delay = n.delay, type_message = n.type_message, updated_at = now()"
        " FROM unnest($2::int[], $3::text[], $4::smallint[])"
        " WITH ORDINALITY AS n(delay, content, type_message, place)"
        " WHERE m.campaign_id = $1 AND m.deleted_at IS NULL AND m.position = n.place",
        campaign_id,
        [message.delay for message in messages],
        [message.content for message in messages],
        [message.type_message for message in messages],
    )
    await store_files(campaign_id, messages)


async def store_numbers(campaign_id: int, number_ids: Sequence[int]) -> None:
    """Replace the numbers of a campaign, in their order and each once; the first also stands in its row."""
    await database.execute("DELETE FROM campaign_numbers WHERE campaign_id = $1", campaign_id)
    await database.execute(
        "INSERT INTO campaign_numbers (campaign_id, number_id) SELECT $1, unnest($2::bigint[])",
        campaign_id,
        list(dict.fromkeys(number_ids)),
    )
    await database.execute(
        "UPDATE campaigns SET number_id = $2 WHERE id = $1", campaign_id, next(iter(number_ids), None)
    )


async def store_messages(campaign_id: int, messages: Sequence[MessageCreate]) -> None:
    """Replace the messages of a campaign that has not started."""
    await database.execute("DELETE FROM messages WHERE campaign_id = $1", campaign_id)
    await database.execute(
        "INSERT INTO messages (campaign_id, position, delay, content, type_message)"
        " SELECT $1, m.place, m.delay, m.content, m.type_message FROM unnest($2::int[], $3::text[], $4::smallint[])"
        " WITH ORDINALITY AS m(delay, content, type_message, place)",
        campaign_id,
        [message.delay for message in messages],
        [message.content for message in messages],
        [message.type_message for message in messages],
    )
    await store_files(campaign_id, messages)
