"""Routes of imports."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, MultipartBody
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from core.contacts import imports
from core.contacts.import_options import ImportOptions, ImportRead
from core.errors import ContentTypeError, InvalidInputError, MalformedError
from core.idempotency.middleware import IDEMPOTENT
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import handle, problem_responses
from core.request import AnyRequest
from core.security import Connection, current_user, requires_user
from core.texts import text
from core.validation import validate

MULTIPART = "multipart/form-data"
FORM_BYTES = 2**20
"""What the other fields and the boundaries of a form may take beside the file."""


class ImportForm(msgspec.Struct, kw_only=True):
    """The fields of an upload."""

    file: Annotated[UploadFile | None, msgspec.Meta(description="The CSV file, at most 64 MiB.")] = None
    public_id: Annotated[str | None, msgspec.Meta(description="An audience to put every contact of the file into.")] = (
        None
    )
    public_name: Annotated[
        str | None, msgspec.Meta(description="The name of an audience to make for them instead.")
    ] = None
    labels: Annotated[
        str | None, msgspec.Meta(description="Label ids, as a JSON list or with commas, for every contact of the file.")
    ] = None
    default_country: Annotated[
        str | None,
        msgspec.Meta(
            description="Whose numbers those without a country code are; ISO 3166; absent, as the account says."
        ),
    ] = None
    mapping: Annotated[
        str | None,
        msgspec.Meta(
            description="A JSON object: header to `number`, `name`, `labels`, `ignore` or `variables.<name>`.",
            examples=['{"Apelido": "name", "CPF": "ignore"}'],
        ),
    ] = None
    duplicates: Annotated[
        str | None,
        msgspec.Meta(description="`fill` (default) fills empty fields of contacts that exist, `skip` leaves them."),
    ] = None
    start: Annotated[str | None, msgspec.Meta(description="`true` starts the import at once.")] = None


def requires_multipart(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: 415 before anything is read, unless a form with files was sent."""
    sent = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != MULTIPART:
        raise ContentTypeError(MULTIPART)


def unreadable_form(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Handle text in a form that is not in the encoding it claims, which Litestar lets through as it is raised."""
    unreadable = isinstance(error, UnicodeDecodeError) or type(error) is LookupError
    return handle(request, MalformedError(text("form_encoding")) if unreadable else error)


class ImportController(Controller):
    """The tenant's files of contacts."""

    path = "/api/imports"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(operation_id="ListImports", summary="List the imports", responses=problem_responses(401, 403, 422))
    async def list_imports(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[ImportRead]:
        """List the tenant's imports, the newest first; sorts by created_at, filename and rows_total."""
        found, total = await imports.list_imports(current_user(request).id, page_query)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreateImport",
        summary="Upload a file of contacts",
        guards=[requires_multipart],
        exception_handlers={UnicodeDecodeError: unreadable_form, LookupError: unreadable_form},
        request_max_body_size=imports.MAXIMUM_BYTES + FORM_BYTES,
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_import(self, request: AnyRequest, data: MultipartBody[ImportForm]) -> Resource[ImportRead]:
        """Upload a CSV file; 422 when it is none, or has no rows or no column with numbers.

        Delimiter, encoding and the meaning of the columns are found out and told; start the import with
        `start=true` or `POST /api/imports/{id}/start`.
        """
        file, options = _read_form(data)
        user = current_user(request)
        return Resource(await imports.upload_import(user.id, file.file, file.filename, options))

    @get(
        "/{import_id:int}",
        operation_id="ShowImport",
        summary="Show an import",
        responses=problem_responses(401, 403, 404),
    )
    async def show_import(self, request: AnyRequest, import_id: FromPath[int]) -> Resource[ImportRead]:
        """Show one import, its progress and what became of its rows."""
        return Resource(await imports.get_import(current_user(request).id, import_id))

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
        return Resource(await imports.start_import(current_user(request).id, import_id))

    @get(
        "/{import_id:int}/errors.csv",
        operation_id="DownloadImportErrors",
        summary="Download the rows that did not go in",
        media_type="text/csv",
        responses=problem_responses(401, 403, 404),
    )
    async def download_errors(self, request: AnyRequest, import_id: FromPath[int]) -> Stream:
        """Return the rows that did not go in, in the layout of the upload, with the reason in the last column.

        Cells that a spreadsheet would run as a formula begin with an apostrophe; the corrected file can be uploaded.
        """
        lines = await imports.error_file(current_user(request).id, import_id)
        headers = {"content-disposition": f'attachment; filename="import-{import_id}-errors.csv"'}
        return Stream(lines, media_type="text/csv; charset=utf-8", headers=headers)


def _read_form(form: ImportForm) -> tuple[UploadFile, ImportOptions]:
    """Return the file and the options of an upload; raises ``InvalidInputError`` with every field that is wrong."""
    errors: dict[str, list[str]] = {}
    if form.file is None:
        errors["file"] = [text("required")]
    written: dict[str, Any] = {
        name: value
        for name in ("public_name", "default_country", "duplicates")
        if (value := getattr(form, name)) is not None
    }
    if form.public_id:
        written["public_id"] = int(form.public_id) if form.public_id.isdecimal() else form.public_id
    if form.labels:
        written["labels"] = _json(form.labels if form.labels.lstrip().startswith("[") else f"[{form.labels}]")
    if form.mapping:
        written["mapping"] = _json(form.mapping)
    if form.start:
        written["start"] = {"true": True, "1": True, "false": False, "0": False}.get(form.start.lower(), form.start)
    try:
        options = validate(ImportOptions, written)
    except InvalidInputError as error:
        errors.update(error.errors)
        options = None
    if form.file is None or not isinstance(options, ImportOptions):
        raise InvalidInputError(errors)
    return form.file, options


def _json(written: str) -> Any:
    """Decode a field that holds JSON; what is none stays a text, which no such field accepts."""
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return written
