"""Forms with a file, read as they arrive: what is too large or wrong is refused before the rest of it came."""

from collections.abc import AsyncIterator, Callable, Collection

from litestar.exceptions import ClientException, InternalServerException
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from core.errors import ContentTypeError, InvalidInputError, MalformedError
from core.texts import text

MULTIPART = "multipart/form-data"
FILE = "file"
FIELD_BYTES = 2**16
"""What one field beside the file may take."""
FORM_BYTES = 2**20
"""What boundaries, headers and fields may take together beside the file."""
MAXIMUM_PARTS = 30


def find_boundary(content_type: str) -> str:
    """Return what separates the parts of a form; ``ContentTypeError`` when it is none."""
    try:
        found, options = parse_options_header(content_type)
    except ValueError:
        raise ContentTypeError(MULTIPART) from None
    if found.lower() != MULTIPART:
        raise ContentTypeError(MULTIPART)
    return str(options.get("boundary", ""))


class Form:
    """A form that is being read: its texts in ``fields``, and its file's name, ``None`` while none has come.

    ``write`` takes the file, part by part.
    """

    def __init__(self, allowed: Collection[str], write: Callable[[bytes], object]) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._allowed = allowed
        self._write = write
        self._seen: set[str] = set()
        self._segment: MultipartSegment | None = None
        self._written = b""

    async def read(self, stream: AsyncIterator[bytes], boundary: str) -> "Form":
        """Read the whole form.

        Raises:
            MalformedError: It is no form, or was cut off.
            InvalidInputError: A field is unknown, comes twice or is too long.
        """
        try:
            with PushMultipartParser(boundary, max_segment_count=MAXIMUM_PARTS) as parser:
                async for part in stream:
                    for event in parser.parse(part):
                        self._take(event)
        except (MultipartError, UnicodeError, LookupError):
            raise MalformedError(text("form_unreadable")) from None
        except (ClientException, InternalServerException):
            raise MalformedError(text("connection_ended")) from None
        return self

    def _take(self, event: object) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif isinstance(event, bytes | bytearray):
            self._go_on(bytes(event))
        elif self._segment is not None and self._segment.name != FILE:
            self.fields[self._segment.name] = self._written.decode(self._segment.charset or "utf-8")

    def _begin(self, segment: MultipartSegment) -> None:
        name = segment.name
        if name != FILE and name not in self._allowed:
            raise InvalidInputError({name[:60] or FILE: [text("unknown_field")]})
        if name in self._seen:
            raise InvalidInputError({name: [text("max_items", value=1)]})
        self._seen.add(name)
        if name == FILE:
            self.filename = segment.filename
        self._segment = segment
        self._written = b""

    def _go_on(self, part: bytes) -> None:
        if self._segment is None:
            return
        if self._segment.name == FILE:
            self._write(part)
            return
        self._written += part
        if len(self._written) > FIELD_BYTES:
            raise InvalidInputError({self._segment.name: [text("max_length", value=FIELD_BYTES)]})
