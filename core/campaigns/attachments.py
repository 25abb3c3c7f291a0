"""The files that messages of a campaign carry: which may stand in a draft, and what goes out with a message."""

from collections.abc import Iterator, Sequence

import msgspec
import structlog

from core import database, outbound
from core.campaigns.schemas import CampaignCreate, MessageCreate
from core.campaigns.status_events import tell
from core.campaigns.tables import MessageType
from core.errors import InvalidInputError
from core.media.kinds import fits
from core.media.services import begin_fetch, find_media
from core.media.tables import MediaState
from core.plans.services import ensure_feature
from core.plugin import Capabilities, MessageKind
from core.texts import Text, text

MEDIA_MISSING = "media_missing"
"""Why a campaign is paused whose file is gone, and why its message was not sent."""

Errors = dict[str, list[str]]

_log = structlog.get_logger(__name__)


def file_problems(message: MessageCreate) -> Iterator[tuple[str, Text]]:
    """Yield what does not go together within one message: field and problem."""
    has_file = message.media_id is not None or message.media_url is not None
    if message.type_message is MessageType.TEXT:
        if not message.content:
            yield "content", text("min_length", value=1)
        if has_file:
            yield "type_message", text("file_of_text")
        return
    if not has_file:
        yield "media_id", text("file_or_address")
    elif message.media_id is not None and message.media_url is not None:
        yield "media_url", text("file_and_address")
    if message.type_message is MessageType.AUDIO and message.content:
        yield "content", text("no_caption")


async def check_addresses(messages: Sequence[MessageCreate]) -> None:
    """Refuse addresses that may not be called, before anything is locked: a name may have to be looked up.

    Raises:
        InvalidInputError: Naming every one.
    """
    problems: Errors = {}
    for place, message in enumerate(messages):
        problem = await outbound.find_problem(message.media_url) if message.media_url is not None else None
        if problem is not None:
            problems[f"messages.{place}.media_url"] = [problem]
    if problems:
        raise InvalidInputError(problems)


async def check_files(user_id: int, draft: CampaignCreate, errors: Errors, *, complete: bool) -> None:
    """Add what is wrong with the files of a draft; with ``complete`` all of them have to be there.

    Raises:
        PlanLimitError: It carries files, which the plan does not include.
    """
    wanted = {
        place: message for place, message in enumerate(draft.messages) if message.type_message != MessageType.TEXT
    }
    if not wanted:
        return
    await ensure_feature(user_id, "medias")
    ids = [message.media_id for message in wanted.values() if message.media_id is not None]
    files = await find_media(user_id, ids, lock=True)
    for place, message in wanted.items():
        if message.media_id is None:
            if complete and message.media_url is not None:
                errors.setdefault(f"messages.{place}.media_url", []).append(text("file_first"))
            continue
        file, field = files.get(message.media_id), f"messages.{place}.media_id"
        if file is None:
            errors.setdefault(field, []).append(text("no_such_file"))
        elif file.kind is not None and not fits(file.kind, message.type_message):
            errors.setdefault(field, []).append(text("file_kind"))
        elif complete and file.state is not MediaState.READY:
            errors.setdefault(field, []).append(text(f"file_{file.state.value}"))
    await _check_numbers(draft, wanted, errors)


async def _check_numbers(draft: CampaignCreate, wanted: dict[int, MessageCreate], errors: Errors) -> None:
    """Add the messages that a number of the draft cannot send, as far as its server was ever probed."""
    rows = await database.fetch(
        "SELECT n.id, s.capabilities FROM numbers n JOIN servers s ON s.id = n.server_id"
        " WHERE n.id = ANY($1::bigint[]) AND s.capabilities <> '{}' ORDER BY n.id",
        list(draft.number_ids),
    )
    able = {row["id"]: msgspec.json.decode(row["capabilities"], type=Capabilities).media for row in rows}
    for place, message in wanted.items():
        for number_id, kinds in able.items():
            if MessageKind[message.type_message.name] not in kinds:
                problem = text("file_not_sent_by", number_id=number_id)
                errors.setdefault(f"messages.{place}.type_message", []).append(problem)


async def store_files(campaign_id: int, messages: Sequence[MessageCreate]) -> None:
    """Write the files of a campaign's stored messages, and have those that came as addresses fetched."""
    if all(message.media_id is None and message.media_url is None for message in messages):
        return
    user_id = await database.fetch_value("SELECT user_id FROM campaigns WHERE id = $1", campaign_id)
    assert isinstance(user_id, int)  # noqa: S101 - the caller has just written it
    ids = [
        await begin_fetch(user_id, message.media_url) if message.media_url is not None else message.media_id
        for message in messages
    ]
    await database.execute(
        "UPDATE messages m SET media_id = n.media_id, media_path = nullif(f.path, '')"
        " FROM unnest($2::bigint[]) WITH ORDINALITY AS n(media_id, place) LEFT JOIN media f ON f.id = n.media_id"
        " WHERE m.campaign_id = $1 AND m.deleted_at IS NULL AND m.position = n.place",
        campaign_id,
        ids,
    )


async def pause_without_file(campaign_id: int) -> None:
    """Pause a campaign whose file is gone, so that nobody is left out for it; whoever mends it resumes it."""
    async with database.unit_of_work():
        paused = await database.execute(
            "UPDATE campaigns SET status = 3, status_reason = $2, version = version + 1, updated_at = now()"
            " WHERE id = $1 AND status = 2",
            campaign_id,
            MEDIA_MISSING,
        )
        if paused:
            await tell(campaign_id)
    if paused:
        _log.warning("campaign_paused", campaign_id=campaign_id, reason=MEDIA_MISSING)
