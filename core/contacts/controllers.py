"""Routes of contacts; those of labels, audiences, the block list and imports stand beside this module."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from core import workbook_files
from core.contacts import exporting, queries, services, variables
from core.contacts.block_controllers import BlockController
from core.contacts.bulk_controllers import BulkController, ContactBlockController, DeletionController
from core.contacts.filters import MAXIMUM_LABELS, ContactFilter, Id, LabelFilter
from core.contacts.importing.controllers import ImportController
from core.contacts.label_controllers import LabelController
from core.contacts.public_controllers import PublicController
from core.contacts.schemas import ContactCreate, ContactRead, ContactUpdate
from core.contacts.sync_controllers import SyncController
from core.contacts.trial_controllers import TrialController
from core.errors import InvalidInputError
from core.listing import SearchQuery, parse_moment, read_search
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll, build_page, build_scroll
from core.plans.guards import has_room
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user
from core.spreadsheets import MEDIA_TYPE, download
from core.texts import text
from core.validation import WHOLE, validate
from core.versions import TAGGED, IfMatch, versioned


def contact_filter(  # noqa: PLR0913 - one for each parameter of the address
    *,
    label_id: Annotated[
        list[Id] | None, QueryParameter(description="Contacts with one of these labels; repeatable.")
    ] = None,
    status: Annotated[Literal[1, 2] | None, QueryParameter(description="1 active, 2 inactive.")] = None,
    type: Annotated[Literal[1, 2] | None, QueryParameter(description="1 person, 2 group.")] = None,  # noqa: A002
    blocked: Annotated[bool | None, QueryParameter(description="Only blocked ones, or only others.")] = None,
    created_from: Annotated[
        str | None, QueryParameter(max_length=40, format="date-time", description="Created then or later.")
    ] = None,
    created_to: Annotated[
        str | None, QueryParameter(max_length=40, format="date-time", description="Created before then.")
    ] = None,
    filters: Annotated[
        str | None,
        QueryParameter(max_length=10_000, description="All filters as JSON, as an audience has them, for the others."),
    ] = None,
) -> ContactFilter:
    """Provide ``contact_filter: ContactFilter`` to the list; raises ``InvalidInputError`` with what does not fit."""
    errors: dict[str, list[str]] = {}
    if label_id is not None and len(label_id) > MAXIMUM_LABELS:
        errors["label_id"] = [text("max_items", value=MAXIMUM_LABELS)]
    moments = {"created_from": created_from, "created_to": created_to}
    read = {name: None if written is None else parse_moment(written) for name, written in moments.items()}
    errors |= {name: [text("datetime")] for name in read if moments[name] is not None and read[name] is None}
    if errors:
        raise InvalidInputError(errors)
    named: dict[str, Any] = {"status": status, "type": type, "blocked": blocked, **read}
    if label_id:
        named["labels"] = LabelFilter(any=label_id)
    given = {name: value for name, value in named.items() if value is not None}
    return msgspec.structs.replace(_read_filters(filters) if filters else ContactFilter(), **given)


def _searching(wanted: ContactFilter, search: str | None) -> ContactFilter:
    return msgspec.structs.replace(wanted, search=search) if search else wanted


def _read_filters(written: str) -> ContactFilter:
    try:
        decoded: Any = msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        # A text, which filters are not.
        decoded = written
    try:
        found = validate(ContactFilter, decoded)
    except InvalidInputError as error:
        named = {"filters" if name == WHOLE else f"filters.{name}": told for name, told in error.errors.items()}
        raise InvalidInputError(named) from None
    assert isinstance(found, ContactFilter)  # noqa: S101 - what validate was asked for
    return found


FILTERS = {"contact_filter": Provide(contact_filter, sync_to_thread=False)}
PublicIdQuery = Annotated[Id | None, QueryParameter(description="Contacts of this audience.")]


class ContactController(Controller):
    """The tenant's contacts."""

    path = "/api/contacts"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        operation_id="ListContacts",
        summary="List the contacts",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_contacts(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        contact_filter: NamedDependency[ContactFilter],
        public_id: PublicIdQuery = None,
        cursor: Cursor = None,
    ) -> Page[ContactRead] | Scroll[ContactRead]:
        """List the tenant's contacts, the newest first.

        `search` finds parts of number, name (whatever its accents) or address; sorts by id, name, number, status,
        created_at, updated_at and last_inbound_at. With `cursor` the list is not counted, and as fast for a million
        contacts as for some: follow `meta.next_cursor` until it is null.
        """
        wanted = _searching(contact_filter, page_query.search)
        user = current_user(request)
        if cursor is None:
            contacts, total = await queries.list_contacts(user.id, page_query, wanted, public_id)
            return build_page(contacts, total, page_query, request)
        contacts, following = await queries.scroll_contacts(user.id, page_query, wanted, public_id, cursor)
        return build_scroll(contacts, page_query.per_page, following, request)

    @get(
        "/variables",
        operation_id="ListVariables",
        summary="List the names of variables",
        responses=problem_responses(401, 403),
    )
    async def list_variables(self, request: AnyRequest) -> Resource[list[str]]:
        """List the variables that contacts have, beside name and number: what a message text may use."""
        return Resource(list(await variables.list_names(current_user(request).id)))

    @post(
        operation_id="CreateContact",
        guards=[has_room("contacts")],
        summary="Make a contact",
        response_headers=TAGGED,
        responses=problem_responses(400, 401, 402, 403, 409, 413, 415, 422),
    )
    async def create_contact(
        self, request: AnyRequest, data: JSONBody[ContactCreate]
    ) -> Response[Resource[ContactRead]]:
        """Make a contact; 402 beyond the plan's contacts, 409 names the contact that has number or address already."""
        return versioned(await services.create_contact(current_user(request).id, data))

    @get(
        "/{contact_id:int}",
        operation_id="ShowContact",
        summary="Show a contact",
        response_headers=TAGGED,
        responses=problem_responses(401, 403, 404),
    )
    async def show_contact(self, request: AnyRequest, contact_id: FromPath[int]) -> Response[Resource[ContactRead]]:
        """Show one contact."""
        return versioned(await queries.get_contact(current_user(request).id, contact_id))

    @patch(
        "/{contact_id:int}",
        operation_id="UpdateContact",
        summary="Change a contact",
        response_headers=TAGGED,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def update_contact(
        self, request: AnyRequest, contact_id: FromPath[int], data: JSONBody[ContactUpdate], if_match: IfMatch = None
    ) -> Response[Resource[ContactRead]]:
        """Change a contact; what is left out stays, `variables`, `labels` and `addresses` are replaced whole.

        `If-Match` keeps it from undoing what another person did.
        """
        return versioned(await services.update_contact(current_user(request).id, contact_id, data, if_match))

    @delete(
        "/{contact_id:int}",
        operation_id="DeleteContact",
        summary="Delete a contact",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_contact(self, request: AnyRequest, contact_id: FromPath[int], if_match: IfMatch = None) -> None:
        """Delete a contact, which `/api/contacts/deletions` undoes; its place on the block list stays."""
        await services.delete_contact(current_user(request).id, contact_id, if_match)


class ContactDownloadController(Controller):
    """The tenant's contacts as a file."""

    path = "/api"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        "/contacts.csv",
        operation_id="DownloadContacts",
        summary="Download the contacts",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def download_contacts(
        self,
        request: AnyRequest,
        contact_filter: NamedDependency[ContactFilter],
        public_id: PublicIdQuery = None,
        search: SearchQuery = None,
    ) -> Stream:
        """Download the contacts as CSV (UTF-8), all of them or those of a filter, as the list's.

        An import takes the file as it is: texts a spreadsheet would run as a formula begin with an apostrophe here,
        and without it there.
        """
        wanted = _searching(contact_filter, read_search(search))
        table = await exporting.open_table(current_user(request).id, wanted, public_id)
        return await download("contacts.csv", table.csv())

    @get(
        "/contacts.xlsx",
        operation_id="DownloadContactsAsWorkbook",
        summary="Download the contacts for Excel",
        dependencies=FILTERS,
        media_type=workbook_files.MEDIA_TYPE,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def download_workbook(
        self,
        request: AnyRequest,
        contact_filter: NamedDependency[ContactFilter],
        public_id: PublicIdQuery = None,
        search: SearchQuery = None,
    ) -> Stream:
        """Download the same as an Excel workbook of texts, which an import takes as well.

        A sheet holds 1,048,575 contacts; further ones follow in another, which is imported by its name.
        """
        wanted = _searching(contact_filter, read_search(search))
        table = await exporting.open_table(current_user(request).id, wanted, public_id, workbook=True)
        pieces = workbook_files.write_workbook("Contacts", table.headers, table.portions())
        return await download("contacts.xlsx", pieces, workbook_files.MEDIA_TYPE)


CONTROLLERS: tuple[type[Controller], ...] = (
    ContactController,
    ContactDownloadController,
    BulkController,
    DeletionController,
    ContactBlockController,
    LabelController,
    PublicController,
    BlockController,
    ImportController,
    SyncController,
    TrialController,
)
