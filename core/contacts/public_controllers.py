"""Routes of audiences and of the contacts in them."""

from typing import Annotated, Literal

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from core.contacts import counting, publics, queries
from core.contacts.filters import ContactFilter
from core.contacts.schemas import (
    Affected,
    AudienceCount,
    AudienceCountCreate,
    ContactRead,
    PublicCreate,
    PublicRead,
    PublicUpdate,
    Selection,
)
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll, build_page, build_scroll
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class PublicController(Controller):
    """The tenant's audiences."""

    path = "/api/publics"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(operation_id="ListPublics", summary="List the audiences", responses=problem_responses(401, 403, 422))
    async def list_publics(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        type: Annotated[  # noqa: A002
            Literal[1, 2, 3] | None, QueryParameter(description="1 by hand, 2 dynamic, 3 from an import.")
        ] = None,
    ) -> Page[PublicRead]:
        """List the tenant's audiences, the newest first; sorts by name, type, created_at and updated_at."""
        found, total = await publics.list_publics(current_user(request).id, page_query, type)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreatePublic",
        summary="Make an audience",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_public(self, request: AnyRequest, data: JSONBody[PublicCreate]) -> Resource[PublicRead]:
        """Make an audience: chosen by hand (1), dynamic (2, by `filters`) or to import into (3)."""
        return Resource(await publics.create_public(current_user(request).id, data))

    @get(
        "/{public_id:int}",
        operation_id="ShowPublic",
        summary="Show an audience",
        responses=problem_responses(401, 403, 404),
    )
    async def show_public(self, request: AnyRequest, public_id: FromPath[int]) -> Resource[PublicRead]:
        """Show one audience and how many contacts it has now."""
        return Resource(await publics.get_public(current_user(request).id, public_id))

    @patch(
        "/{public_id:int}",
        operation_id="UpdatePublic",
        summary="Change an audience",
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def update_public(
        self, request: AnyRequest, public_id: FromPath[int], data: JSONBody[PublicUpdate]
    ) -> Resource[PublicRead]:
        """Change an audience; what is left out stays, `filters` are replaced whole."""
        return Resource(await publics.update_public(current_user(request).id, public_id, data))

    @delete(
        "/{public_id:int}",
        operation_id="DeletePublic",
        summary="Delete an audience",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_public(self, request: AnyRequest, public_id: FromPath[int]) -> None:
        """Delete an audience; its contacts stay."""
        await publics.delete_public(current_user(request).id, public_id)

    @post(
        "/count",
        operation_id="CountAudience",
        summary="Count whom filters describe",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def count_audience(self, request: AnyRequest, data: JSONBody[AudienceCountCreate]) -> Resource[AudienceCount]:
        """Say how many contacts filters describe, while they are chosen: exact up to 100,000, estimated beyond."""
        return Resource(await counting.count_filters(current_user(request).id, data.filters))

    @get(
        "/{public_id:int}/contacts",
        operation_id="ListPublicContacts",
        summary="List the contacts of an audience",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_public_contacts(
        self,
        request: AnyRequest,
        public_id: FromPath[int],
        page_query: NamedDependency[PageQuery],
        cursor: Cursor = None,
    ) -> Page[ContactRead] | Scroll[ContactRead]:
        """List the contacts an audience has now, by page or by cursor; searches and sorts as the list of all does."""
        wanted = ContactFilter(search=page_query.search)
        user = current_user(request)
        if cursor is None:
            contacts, total = await queries.list_contacts(user.id, page_query, wanted, public_id)
            return build_page(contacts, total, page_query, request)
        contacts, following = await queries.scroll_contacts(user.id, page_query, wanted, public_id, cursor)
        return build_scroll(contacts, page_query.per_page, following, request)

    @post(
        "/{public_id:int}/contacts",
        operation_id="AddPublicContacts",
        summary="Put contacts into an audience",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def add_public_contacts(
        self, request: AnyRequest, public_id: FromPath[int], data: JSONBody[Selection]
    ) -> Resource[Affected]:
        """Put contacts, by id or by filter, into an audience; 409 when it is dynamic."""
        return Resource(Affected(await publics.add_contacts(current_user(request).id, public_id, data)))

    @post(
        "/{public_id:int}/contacts/remove",
        operation_id="RemovePublicContacts",
        summary="Take contacts out of an audience",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def remove_public_contacts(
        self, request: AnyRequest, public_id: FromPath[int], data: JSONBody[Selection]
    ) -> Resource[Affected]:
        """Take contacts, by id or by filter, out of an audience; 409 when it is dynamic."""
        return Resource(Affected(await publics.remove_contacts(current_user(request).id, public_id, data)))

    @delete(
        "/{public_id:int}/contacts/{contact_id:int}",
        operation_id="RemovePublicContact",
        summary="Take a contact out of an audience",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def remove_public_contact(
        self, request: AnyRequest, public_id: FromPath[int], contact_id: FromPath[int]
    ) -> None:
        """Take one contact out of an audience; 409 when it is dynamic."""
        await publics.remove_contacts(current_user(request).id, public_id, Selection(ids=[contact_id]))
