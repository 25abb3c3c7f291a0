"""Routes of one's own API keys."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from core.accounts import api_keys
from core.accounts.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import NO_KEY, SCOPE, current_user, requires_user


class ApiKeyController(Controller):
    """Keys for programs; a key cannot make or end keys."""

    path = "/api/api-keys"
    tags = ("accounts",)
    guards = (requires_user,)
    opt = {SCOPE: NO_KEY}  # noqa: RUF012 - Litestar's attribute

    @get(operation_id="ListApiKeys", summary="List my API keys", responses=problem_responses(401, 403, 422))
    async def list_keys(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[ApiKeyRead]:
        """List one's API keys, the newest first; sorts by id, name, created_at and last_used_at."""
        found, total = await api_keys.list_keys(current_user(request), page_query)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreateApiKey",
        summary="Make an API key",
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
    )
    async def create_key(self, request: AnyRequest, data: JSONBody[ApiKeyCreate]) -> Resource[ApiKeyCreated]:
        """Make an API key for ``Authorization: Bearer``; the key is shown in this answer alone."""
        return Resource(await api_keys.create_key(current_user(request), data))

    @delete(
        "/{key_id:int}",
        operation_id="DeleteApiKey",
        summary="Delete an API key",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_key(self, request: AnyRequest, key_id: FromPath[int]) -> None:
        """End an API key at once, everywhere."""
        await api_keys.revoke_key(current_user(request), key_id)
