"""Routes of imports."""

from dataclasses import dataclass
from typing import Annotated

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from core.contacts.importing import services
from core.contacts.importing.error_files import error_file
from core.contacts.importing.previews import MAXIMUM_PREVIEW_ROWS, PREVIEW_ROWS, preview_import
from core.contacts.importing.schemas import ImportRead, ImportUpdate, PreviewRead
from core.contacts.importing.undo import request_undo
from core.contacts.importing.uploads import receive_import
from core.forms import FILE, MULTIPART
from core.idempotency.middleware import IDEMPOTENT
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import language_of, problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user
from core.spreadsheets import MEDIA_TYPE, download

Rows = Annotated[int, QueryParameter(ge=1, le=MAXIMUM_PREVIEW_ROWS, description="How many rows.")]

_FIELDS = {
    "public_id": "An audience to put every contact of the file into.",
    "public_name": "The name of an audience to make for them instead.",
    "label_name": "The name of a label for every contact, made where there is none yet.",
    "labels": "Label ids, as a JSON list or with commas, for every contact of the file.",
    "default_country": "Whose numbers those without a country code are; ISO 3166; absent, as the account says.",
    "mapping": "A JSON object: header, or `column_3`, to `number`, `name`, `labels`, `ignore` or `variables.<name>`.",
    "header": "`true` or `false`: whether a row names the columns; found out when absent.",
    "encoding": "`utf-8`, `utf-16le`, `utf-16be`, `windows-1252`, `macintosh` or `ibm850`; found out when absent.",
    "delimiter": "`;`, `,`, `|` or `tab`; found out when absent.",
    "sheet": "The sheet of a workbook to read; absent, the first visible one.",
    "duplicates": "`fill` (default) fills empty fields of contacts that exist, `skip` leaves them, `overwrite` lets the"
    " file's cells win.",
    "policies": "A JSON object for fields of contacts that exist: `name`, `variables` or `variables.<name>` to `keep`,"
    " `fill` or `overwrite`, and `labels` to `keep`, `add` or `replace`.",
    "start": "`true` starts the import at once.",
}


@dataclass
class ImportOperation(Operation):
    """Describes the form that is read part by part."""

    def __post_init__(self) -> None:
        """Say what the form holds."""
        fields: dict[str, Reference | Schema] = {
            FILE: Schema(
                type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="A CSV file or a workbook (.xlsx)."
            )
        }
        fields |= {name: Schema(type=OpenAPIType.STRING, description=said) for name, said in _FIELDS.items()}
        form = Schema(type=OpenAPIType.OBJECT, properties=fields, required=[FILE])
        self.request_body = RequestBody(content={MULTIPART: OpenAPIMediaType(schema=form)}, required=True)


class ImportController(Controller):
    """The tenant's files of contacts."""

    path = "/api/imports"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(operation_id="ListImports", summary="List the imports", responses=problem_responses(401, 403, 422))
    async def list_imports(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[ImportRead]:
        """List the tenant's imports, the newest first; sorts by created_at, filename and rows_total."""
        found, total = await services.list_imports(current_user(request).id, page_query)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreateImport",
        summary="Upload a file of contacts",
        operation_class=ImportOperation,
        request_max_body_size=None,
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_import(self, request: AnyRequest) -> Resource[ImportRead]:
        """Upload a CSV file or a workbook (.xlsx); 422 when it is neither, or has no rows or no column with numbers.

        Delimiter, encoding and the meaning of the columns are found out and told. Look at them with
        `GET /api/imports/{id}/preview`, change them with `PATCH /api/imports/{id}`, and start the import with
        `POST /api/imports/{id}/start`, or at once with `start=true`.
        """
        kept = await receive_import(
            current_user(request).id,
            request.stream(),
            content_type=request.headers.get("content-type", ""),
            content_length=request.content_length,
        )
        return Resource(kept)

    @get(
        "/{import_id:int}",
        operation_id="ShowImport",
        summary="Show an import",
        responses=problem_responses(401, 403, 404),
    )
    async def show_import(self, request: AnyRequest, import_id: FromPath[int]) -> Resource[ImportRead]:
        """Show one import, its progress and what became of its rows."""
        return Resource(await services.get_import(current_user(request).id, import_id))

    @patch(
        "/{import_id:int}",
        operation_id="UpdateImport",
        summary="Change an import before it starts",
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def update_import(
        self, request: AnyRequest, import_id: FromPath[int], data: JSONBody[ImportUpdate]
    ) -> Resource[ImportRead]:
        """Change what is made of the file; 409 once it was started.

        What is left out stays, `mapping` is replaced whole.
        A mapping that was chosen is kept when the import starts, and proposed for the next file with these headers.
        """
        return Resource(await services.update_import(current_user(request).id, import_id, data))

    @get(
        "/{import_id:int}/preview",
        operation_id="PreviewImport",
        summary="Show the first rows as they would be stored",
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def preview_import(
        self, request: AnyRequest, import_id: FromPath[int], rows: Rows = PREVIEW_ROWS
    ) -> Resource[PreviewRead]:
        """Show the first rows as they would be stored, or why they would not be; nothing changes.

        Of a contact that exists already, or an earlier row made, the values are those that the policies leave it with.
        409 once the file is gone, as it is when the import is done.
        """
        language = language_of(request.scope)
        return Resource(await preview_import(current_user(request).id, import_id, rows, language))

    @post(
        "/{import_id:int}/start",
        operation_id="StartImport",
        summary="Start an import",
        status_code=HTTP_200_OK,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 404, 409),
    )
    async def start_import(self, request: AnyRequest, import_id: FromPath[int]) -> Resource[ImportRead]:
        """Start an import, or go on with one that failed or was canceled; 409 when it runs or is done."""
        return Resource(await services.start_import(current_user(request).id, import_id))

    @post(
        "/{import_id:int}/undo",
        operation_id="UndoImport",
        summary="Take an import back",
        status_code=HTTP_200_OK,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def undo_import(self, request: AnyRequest, import_id: FromPath[int]) -> Resource[ImportRead]:
        """Take an import back in the background; `undo` of the import tells how far that is, and what it did.

        The contacts, labels, audience and memberships that it made go, and what it changed has its earlier values
        again; what was changed since stays. 409 while the import has not ended, 30 days after it has, and the second
        time.
        """
        user_id = current_user(request).id
        await request_undo(user_id, import_id)
        return Resource(await services.get_import(user_id, import_id))

    @get(
        "/{import_id:int}/errors.csv",
        operation_id="DownloadImportErrors",
        summary="Download the rows that did not go in",
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 404),
    )
    async def download_errors(self, request: AnyRequest, import_id: FromPath[int]) -> Stream:
        """Return the rows that did not go in, in the layout of the upload, with the reason in the last column.

        Cells that a spreadsheet would run as a formula begin with an apostrophe; the corrected file can be uploaded.
        """
        lines = await error_file(current_user(request).id, import_id)
        return await download(f"import-{import_id}-errors.csv", lines)
