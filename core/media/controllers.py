"""Routes of media files."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED

from core.errors import InvalidInputError
from core.forms import FILE, MULTIPART
from core.media import services, uploads
from core.media.schemas import MediaFetch, MediaRead
from core.media.services import OpenFile
from core.media.tables import MediaKind, MediaState
from core.pagination import Page, PageQuery, Resource, build_page
from core.plans.guards import has_feature
from core.problems import problem_responses
from core.security import current_user, requires_user
from core.texts import text

MediaId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The file's id.")]
Token = Annotated[str, PathParameter(description="Which file, until when, and our signature.")]
KindQuery = Annotated[MediaKind | None, QueryParameter(description="Only files of this kind.")]
MediaStateQuery = Annotated[
    str | None,
    QueryParameter(
        name="state", description="Only files in this state.", schema_extra={"enum": [*map(str, MediaState)]}
    ),
]
"""A plain text: Litestar keeps the name ``state`` for itself and would name another field in its error."""
HttpRequest = Request[Any, Any, Any]


@dataclass
class FileOperation(Operation):
    """Describes a route that answers a file, in whichever media type it is."""

    def __post_init__(self) -> None:
        """Say that it may be any."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            answer.content = {"*/*": OpenAPIMediaType(schema=Schema())}


@dataclass
class UploadOperation(Operation):
    """Describes the form that the handler reads by itself, part by part."""

    def __post_init__(self) -> None:
        """Say what the form holds."""
        fields: dict[str, Reference | Schema] = {
            FILE: Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="The file."),
            uploads.NAME_FIELD: Schema(
                type=OpenAPIType.STRING, description="The name that recipients see instead of the file's own."
            ),
        }
        form = Schema(type=OpenAPIType.OBJECT, properties=fields, required=[FILE])
        self.request_body = RequestBody(content={MULTIPART: OpenAPIMediaType(schema=form)}, required=True)


class MediaController(Controller):
    """The tenant's files."""

    path = "/api/media"
    tags = ("media",)
    guards = (requires_user,)

    @get(operation_id="ListMedia", summary="List the files", responses=problem_responses(401, 403, 422))
    async def list_media(
        self,
        request: HttpRequest,
        page_query: NamedDependency[PageQuery],
        kind: KindQuery = None,
        media_state: MediaStateQuery = None,
    ) -> Page[MediaRead]:
        """List files, newest first; ``search`` looks into names, and they sort by id, filename, size and created_at."""
        state = _parse_state(media_state)
        items, total = await services.list_media(current_user(request).id, page_query, kind, state)
        return build_page(items, total, page_query, request)

    @post(
        operation_id="UploadMedia",
        guards=[has_feature("medias")],
        summary="Upload a file",
        operation_class=UploadOperation,
        request_max_body_size=None,
        responses=problem_responses(400, 401, 402, 403, 413, 415, 422, 503),
    )
    async def upload_media(self, request: HttpRequest) -> Resource[MediaRead]:
        """Upload a file as a form; its type is found in its content, and its name counts for nothing.

        What is too large is refused while it is read. The same content under the same name is the same file.
        """
        kept = await uploads.upload(
            current_user(request).id,
            request.stream(),
            content_type=request.headers.get("content-type", ""),
            content_length=request.content_length,
        )
        return Resource(kept)

    @post(
        "/fetch",
        operation_id="FetchMedia",
        summary="Keep a file from the web",
        status_code=HTTP_202_ACCEPTED,
        responses=problem_responses(401, 402, 403, 409, 422),
    )
    async def fetch_media(self, request: HttpRequest, data: JSONBody[MediaFetch]) -> Resource[MediaRead]:
        """Have a file downloaded and kept; only addresses of the public internet are called.

        The answer is ``fetching``; show the file again to see when it is ``ready``, or why it ``failed``.
        """
        return Resource(await services.fetch_media(current_user(request).id, data))

    @get(
        "/{media_id:int}",
        operation_id="ShowMedia",
        summary="Show a file",
        responses=problem_responses(401, 403, 404),
    )
    async def show_media(self, request: HttpRequest, media_id: MediaId) -> Resource[MediaRead]:
        """Show what is known of a file."""
        return Resource(await services.get_media(current_user(request).id, media_id))

    @get(
        "/{media_id:int}/content",
        operation_id="DownloadMedia",
        summary="Download a file",
        operation_class=FileOperation,
        responses=problem_responses(401, 403, 404, 503),
    )
    async def download_media(self, request: HttpRequest, media_id: MediaId) -> Stream:
        """Download the content of one's own file; browsers save it and never show it."""
        return _stream(await services.open_media(current_user(request).id, media_id))

    @delete(
        "/{media_id:int}",
        operation_id="DeleteMedia",
        summary="Delete a file",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def delete_media(self, request: HttpRequest, media_id: MediaId) -> None:
        """Delete a file; 409 while a campaign that is scheduled, running or paused carries it."""
        await services.delete_media(current_user(request).id, media_id)


class MediaFileController(Controller):
    """Files by signed addresses, for messaging servers."""

    path = "/api/media/files"
    tags = ("media",)

    @get(
        "/{token:str}",
        operation_id="ReadSignedMedia",
        summary="Read a file by its signed address",
        operation_class=FileOperation,
        responses=problem_responses(403, 404, 503),
    )
    async def read_file(self, token: Token) -> Stream:
        """Return a file to whoever has its signed address, until that expires; nobody has to be signed in."""
        return _stream(await services.open_link(token))


def _stream(opened: OpenFile) -> Stream:
    return Stream(
        opened.content.parts(),
        media_type=opened.content_type,
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{quote(opened.filename, safe='')}",
            "content-length": str(opened.content.size),
            "content-security-policy": "sandbox; default-src 'none'",
        },
    )


def _parse_state(given: str | None) -> MediaState | None:
    try:
        return None if given is None else MediaState(given)
    except ValueError:
        raise InvalidInputError({"state": [text("choice", allowed=", ".join(MediaState))]}) from None


CONTROLLERS = (MediaController, MediaFileController)
