"""Reading an uploaded form as it arrives: the file goes to disk, and is refused as soon as it cannot be kept."""

from collections.abc import AsyncIterator

from litestar.exceptions import ClientException, InternalServerException
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from core.errors import ContentTypeError, InvalidInputError, MalformedError
from core.media import kinds, services
from core.media.receiving import Incoming, incoming, largest, too_large
from core.media.schemas import MediaRead
from core.plans.services import ensure_feature
from core.runtime import config
from core.texts import text

MULTIPART = "multipart/form-data"
FORM_BYTES = 2**16
"""What the boundaries, their headers and the other field of a form may take beside the file."""
FIELD = "file"
NAME_FIELD = "filename"
MAXIMUM_PARTS = 10


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
        form = await _Form(arriving).read(stream, boundary)
        if form.name is None:
            raise InvalidInputError({FIELD: [text("required")]})
        try:
            received = await arriving.finish()
        except kinds.UnknownFileError:
            raise InvalidInputError({FIELD: [text("file_type", accepted=kinds.ACCEPTED)]}) from None
        return await services.keep(user_id, arriving.file, received, form.given_name or form.name)


def find_boundary(content_type: str) -> str:
    """Return what separates the parts of a form; ``ContentTypeError`` when it is none."""
    try:
        found, options = parse_options_header(content_type)
    except ValueError:
        raise ContentTypeError(MULTIPART) from None
    if found.lower() != MULTIPART:
        raise ContentTypeError(MULTIPART)
    return str(options.get("boundary", ""))


class _Form:
    """The form so far; ``name`` is what the sender's machine calls the file, ``None`` until it has come."""

    def __init__(self, arriving: Incoming) -> None:
        self.name: str | None = None
        self._arriving = arriving
        self._field: str | None = None
        self._written = b""

    @property
    def given_name(self) -> str:
        """The name that shall stand instead."""
        return self._written.decode("utf-8", "replace")

    async def read(self, stream: AsyncIterator[bytes], boundary: str) -> "_Form":
        """Read the whole form."""
        try:
            with PushMultipartParser(boundary, max_segment_count=MAXIMUM_PARTS) as parser:
                async for part in stream:
                    for event in parser.parse(part):
                        self._take(event)
        except (MultipartError, UnicodeError):
            raise MalformedError(text("form_unreadable")) from None
        except (ClientException, InternalServerException):
            raise MalformedError(text("connection_ended")) from None
        return self

    def _take(self, event: object) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif isinstance(event, bytes | bytearray):
            self._go_on(bytes(event))

    def _begin(self, segment: MultipartSegment) -> None:
        name = str(segment.name)
        if name not in {FIELD, NAME_FIELD}:
            raise InvalidInputError({name[:60] or FIELD: [text("unknown_field")]})
        if name == FIELD:
            if self.name is not None:
                raise InvalidInputError({FIELD: [text("max_items", value=1)]})
            self.name = str(segment.filename or "")
        self._field = name

    def _go_on(self, part: bytes) -> None:
        if self._field == FIELD:
            self._arriving.write(part)
            return
        self._written += part
        if len(self._written) > FORM_BYTES:
            raise InvalidInputError({NAME_FIELD: [text("max_length", value=FORM_BYTES)]})
