"""Routes that change many contacts, undo deletions, and block one contact."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from core.contacts import bulk, contact_blocks, deletions
from core.contacts.bulk import Change
from core.contacts.bulk_schemas import BlockSelection, ContactBlock, Deleted, DeletionRead
from core.contacts.schemas import Affected, ContactRead, LabelSelection, Selection
from core.idempotency.middleware import IDEMPOTENT
from core.jobs.schemas import JobRead
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import answer_spec, problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user

_ACCEPTED = "A job changes the contacts that the filter described at this moment."


def _answers(at_once: type) -> dict[int, ResponseSpec]:
    return {
        HTTP_200_OK: answer_spec(at_once, "The contacts that were named by id are changed."),
        HTTP_202_ACCEPTED: answer_spec(Resource[JobRead], _ACCEPTED),
        **problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    }


async def _change(request: AnyRequest, selection: Selection, change: Change) -> Response[Any]:
    user_id = current_user(request).id
    if selection.filter is not None:
        job = await bulk.request_change(user_id, selection, change)
        return Response(Resource(job), status_code=HTTP_202_ACCEPTED)
    if change.action == "delete":
        return Response(Resource(Deleted(*await bulk.delete_now(user_id, selection))), status_code=HTTP_200_OK)
    return Response(Resource(Affected(await bulk.change_now(user_id, selection, change))), status_code=HTTP_200_OK)


class BulkController(Controller):
    """Changes of many contacts: those named by id at once, those of a filter by a job."""

    path = "/api/contacts/bulk"
    tags = ("contacts",)
    guards = (requires_user,)

    @post(
        "/delete",
        operation_id="DeleteContacts",
        summary="Delete many contacts",
        status_code=HTTP_200_OK,
        middleware=[IDEMPOTENT],
        responses=_answers(Resource[Deleted]),
    )
    async def delete_contacts(self, request: AnyRequest, data: JSONBody[Selection]) -> Response[Any]:
        """Delete the contacts that are named by id, or all of a filter by a job; `deletion_id` undoes it."""
        return await _change(request, data, Change(action="delete"))

    @post(
        "/labels",
        operation_id="LabelContacts",
        summary="Label many contacts",
        status_code=HTTP_200_OK,
        middleware=[IDEMPOTENT],
        responses=_answers(Resource[Affected]),
    )
    async def label_contacts(self, request: AnyRequest, data: JSONBody[LabelSelection]) -> Response[Any]:
        """Put labels on contacts and take others off, at once or for a filter by a job; tells how many that changed."""
        return await _change(request, data, Change(action="label", add=data.add, remove=data.remove))

    @post(
        "/block",
        operation_id="BlockContacts",
        summary="Block many contacts",
        status_code=HTTP_200_OK,
        middleware=[IDEMPOTENT],
        responses=_answers(Resource[Affected]),
    )
    async def block_contacts(self, request: AnyRequest, data: JSONBody[BlockSelection]) -> Response[Any]:
        """Put contacts on the block list, at once or for a filter by a job; tells how many were not on it so."""
        return await _change(request, data, Change(action="block", reason=data.reason))

    @post(
        "/unblock",
        operation_id="UnblockContacts",
        summary="Unblock many contacts",
        status_code=HTTP_200_OK,
        middleware=[IDEMPOTENT],
        responses=_answers(Resource[Affected]),
    )
    async def unblock_contacts(self, request: AnyRequest, data: JSONBody[Selection]) -> Response[Any]:
        """Take contacts off the block list and end their opt-outs, at once or for a filter by a job."""
        return await _change(request, data, Change(action="unblock"))


class DeletionController(Controller):
    """Deletions of contacts that can be undone."""

    path = "/api/contacts/deletions"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        operation_id="ListContactDeletions",
        summary="List the deletions of contacts",
        responses=problem_responses(401, 403, 422),
    )
    async def list_deletions(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[DeletionRead]:
        """List what was deleted in the last 30 days, the newest first; sorts by created_at and contacts."""
        found, total = await deletions.list_deletions(current_user(request).id, page_query)
        return build_page(found, total, page_query, request)

    @post(
        "/{deletion_id:int}/undo",
        operation_id="UndoContactDeletion",
        summary="Undo a deletion of contacts",
        status_code=HTTP_202_ACCEPTED,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 402, 403, 404, 409),
    )
    async def undo_deletion(self, request: AnyRequest, deletion_id: FromPath[int]) -> Resource[JobRead]:
        """Bring contacts back with labels, memberships and addresses, within 30 days, in the background.

        The job's result counts who is `restored`, whose number or address another contact has now (`taken`), and for
        whom the plan has no room (`over_plan`): those can be brought back later.
        """
        return Resource(await deletions.request_undo(current_user(request).id, deletion_id))


class ContactBlockController(Controller):
    """Whether anything may be written to one contact."""

    path = "/api/contacts/{contact_id:int}"
    tags = ("contacts",)
    guards = (requires_user,)

    @post(
        "/block",
        operation_id="BlockContact",
        summary="Block a contact",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def block_contact(
        self, request: AnyRequest, contact_id: FromPath[int], data: JSONBody[ContactBlock]
    ) -> Resource[ContactRead]:
        """Put a contact's number on the block list, or its addresses where it has none; repeatable."""
        return Resource(await contact_blocks.block_contact(current_user(request).id, contact_id, data.reason))

    @post(
        "/unblock",
        operation_id="UnblockContact",
        summary="Unblock a contact",
        status_code=HTTP_200_OK,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def unblock_contact(self, request: AnyRequest, contact_id: FromPath[int]) -> Resource[ContactRead]:
        """Take a contact off the block list and end its opt-out; repeatable."""
        return Resource(await contact_blocks.unblock_contact(current_user(request).id, contact_id))
