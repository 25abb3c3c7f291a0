"""Routes of the block list."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_204_NO_CONTENT

from core.contacts import blocking
from core.contacts.schemas import BlockCreate, BlockRead, BlockRemove
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class BlockController(Controller):
    """Numbers and addresses the tenant never writes to."""

    path = "/api/block-contacts"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(operation_id="ListBlockedNumbers", summary="List the block list", responses=problem_responses(401, 403, 422))
    async def list_blocks(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[BlockRead]:
        """List the block list, the newest first; sorts by number and created_at."""
        blocks, total = await blocking.list_blocks(current_user(request).id, page_query)
        return build_page(blocks, total, page_query, request)

    @post(
        operation_id="BlockNumber",
        summary="Block a number or an address",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def block_number(self, request: AnyRequest, data: JSONBody[BlockCreate]) -> Resource[BlockRead]:
        """Block a number, or an address as a service gives it, contact or not; repeatable."""
        return Resource(await blocking.block(current_user(request).id, data))

    @get(
        "/{block_id:int}",
        operation_id="ShowBlockedNumber",
        summary="Show a blocked number",
        responses=problem_responses(401, 403, 404),
    )
    async def show_block(self, request: AnyRequest, block_id: FromPath[int]) -> Resource[BlockRead]:
        """Show one entry of the block list."""
        return Resource(await blocking.get_block(current_user(request).id, block_id))

    @delete(
        "/{block_id:int}",
        operation_id="UnblockNumber",
        summary="Unblock a number",
        responses=problem_responses(401, 403, 404),
    )
    async def unblock(self, request: AnyRequest, block_id: FromPath[int]) -> None:
        """Take an entry off the block list; an opt-out of that number or address ends with it."""
        await blocking.unblock(current_user(request).id, block_id)

    @post(
        "/remove",
        operation_id="UnblockWrittenNumber",
        summary="Unblock a number as it is written",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def unblock_number(self, request: AnyRequest, data: JSONBody[BlockRemove]) -> None:
        """Take a number or address off the block list, and end its opt-out; 404 when it is neither of the two."""
        await blocking.unblock_written(current_user(request).id, data)
