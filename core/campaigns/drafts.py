"""What a campaign must be before it may be saved, and before it may be started."""

from collections.abc import Iterator, Sequence

from core import database
from core.campaigns.pacing import Pacing
from core.campaigns.rendering import TemplateError, compile_template, unknown_variables
from core.campaigns.schemas import CampaignCreate, LabelFilter, MessageCreate
from core.campaigns.tables import CampaignType
from core.contacts.variables import usable_names
from core.errors import InvalidInputError
from core.texts import text

Errors = dict[str, list[str]]


async def check_draft(user_id: int, draft: CampaignCreate, *, complete: bool = False) -> None:
    """Refuse a draft that cannot work; with ``complete`` also one that lacks what a start needs.

    Raises:
        InvalidInputError: Naming every field.
    """
    errors: Errors = {}
    for field, problem in _message_problems(draft):
        errors.setdefault(field, []).append(problem)
    for field, problem in _pacing_problems(draft.settings.pacing):
        errors.setdefault(field, []).append(problem)
    await _check_variables(user_id, draft, errors)
    await _check_rows(user_id, draft, errors)
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
    if draft.type is CampaignType.SIMPLIFIED and len(draft.messages) > 1:
        yield "messages", text("simplified_message")
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


def _pacing_problems(pacing: Pacing | None) -> Iterator[tuple[str, str]]:
    if pacing is None:
        return
    if pacing.delay_max < pacing.delay_min:
        yield "settings.pacing.delay_max", text("delay_order")
    for place, window in enumerate(pacing.windows):
        # Both are HH:MM, so the order of the texts is the order of the times.
        if window.end <= window.start:
            yield f"settings.pacing.windows.{place}.end", text("window_order")


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
    labels = draft.settings.labels or LabelFilter()
    wanted = {*labels.any, *labels.all, *labels.none}
    known = await database.fetch(
        "SELECT id FROM labels WHERE user_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL",
        user_id,
        sorted(wanted),
    )
    for label_id in sorted(wanted - {row["id"] for row in known}):
        errors.setdefault("settings.labels", []).append(text("no_such_label", id=label_id))


def _check_complete(draft: CampaignCreate, errors: Errors) -> None:
    if not draft.number_ids:
        errors.setdefault("number_ids", []).append(text("choose_number"))
    if not draft.messages:
        errors.setdefault("messages", []).append(text("write_message"))
    if draft.type is CampaignType.BY_LABELS:
        labels = draft.settings.labels
        if labels is None or not (labels.any or labels.all or labels.none):
            errors.setdefault("settings.labels", []).append(text("choose_label"))
    elif draft.public_id is None:
        errors.setdefault("public_id", []).append(text("choose_audience"))


async def store_numbers(campaign_id: int, number_ids: Sequence[int]) -> None:
    """Replace the numbers of a campaign, in their order and each once."""
    await database.execute("DELETE FROM campaign_numbers WHERE campaign_id = $1", campaign_id)
    await database.execute(
        "INSERT INTO campaign_numbers (campaign_id, number_id) SELECT $1, unnest($2::bigint[])",
        campaign_id,
        list(dict.fromkeys(number_ids)),
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
