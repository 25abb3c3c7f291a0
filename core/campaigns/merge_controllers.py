"""Routes of contacts that are one person; merging settles messages of campaigns, so it stands with them."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from core.campaigns import merging
from core.campaigns.merging import ContactMerge
from core.contacts import duplicates
from core.contacts.duplicates import DuplicateRead
from core.contacts.schemas import ContactRead
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class ContactMergeController(Controller):
    """Contacts that are one person."""

    path = "/api/contacts"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        "/duplicates",
        operation_id="ListDuplicates",
        summary="List contacts that are one person",
        responses=problem_responses(401, 403, 422),
    )
    async def list_duplicates(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[DuplicateRead]:
        """List contacts that services reach at one address, such as both forms of a Brazilian number; never guessed."""
        found, total = await duplicates.list_duplicates(current_user(request).id, page_query)
        return build_page(found, total, page_query, request)

    @post(
        "/{contact_id:int}/merge",
        operation_id="MergeContacts",
        summary="Merge contacts into one",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def merge_contacts(
        self, request: AnyRequest, contact_id: FromPath[int], data: JSONBody[ContactMerge]
    ) -> Resource[ContactRead]:
        """Merge others into this contact, which has their labels, audiences, addresses and history from then on.

        Who opted out or is blocked stays so, and nobody gets a message of a campaign twice. The others are gone for
        good.
        """
        return Resource(await merging.merge_contacts(current_user(request).id, contact_id, data))
