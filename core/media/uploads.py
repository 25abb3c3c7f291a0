"""Reading an uploaded form as it arrives: the file goes to disk, and is refused as soon as it cannot be kept."""

from collections.abc import AsyncIterator

from core.errors import InvalidInputError
from core.forms import FILE, FORM_BYTES, Form, find_boundary
from core.media import kinds, services
from core.media.receiving import incoming, largest, too_large
from core.media.schemas import MediaRead
from core.plans.services import ensure_feature
from core.runtime import config
from core.texts import text

NAME_FIELD = "filename"


async def upload(
    user_id: int, stream: AsyncIterator[bytes], *, content_type: str, content_length: int | None
) -> MediaRead:
    """Keep the file of a form that is being sent.

    Raises:
        PlanLimitError: The plan includes no media.
        ContentTypeError: It is no form with files.
        TooLargeError: It is larger than it may be; told before more than that was read.
        InvalidInputError: There is no file in it, or it is of a type that cannot be sent.
    """
    boundary = find_boundary(content_type)
    await ensure_feature(user_id, "medias")
    limit = largest(config().media)
    if content_length is not None and content_length > limit + FORM_BYTES:
        raise too_large(limit)
    with incoming() as arriving:
        form = await Form([NAME_FIELD], arriving.write).read(stream, boundary)
        if form.filename is None:
            raise InvalidInputError({FILE: [text("required")]})
        try:
            received = await arriving.finish()
        except kinds.UnknownFileError:
            raise InvalidInputError({FILE: [text("file_type", accepted=kinds.ACCEPTED)]}) from None
        return await services.keep(user_id, arriving.file, received, form.fields.get(NAME_FIELD) or form.filename)
