"""Routes of labels."""

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from core.contacts import labels
from core.contacts.schemas import LabelCreate, LabelRead, LabelUpdate
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class LabelController(Controller):
    """The tenant's labels."""

    path = "/api/labels"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(operation_id="ListLabels", summary="List the labels", responses=problem_responses(401, 403, 422))
    async def list_labels(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[LabelRead]:
        """List the tenant's labels by name; sorts by name, created_at and updated_at."""
        found, total = await labels.list_labels(current_user(request).id, page_query)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreateLabel",
        summary="Make a label",
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
    )
    async def create_label(self, request: AnyRequest, data: JSONBody[LabelCreate]) -> Resource[LabelRead]:
        """Make a label; 409 when one of this name exists, whatever its case."""
        return Resource(await labels.create_label(current_user(request).id, data))

    @get(
        "/{label_id:int}", operation_id="ShowLabel", summary="Show a label", responses=problem_responses(401, 403, 404)
    )
    async def show_label(self, request: AnyRequest, label_id: FromPath[int]) -> Resource[LabelRead]:
        """Show one label."""
        return Resource(await labels.get_label(current_user(request).id, label_id))

    @patch(
        "/{label_id:int}",
        operation_id="UpdateLabel",
        summary="Change a label",
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def update_label(
        self, request: AnyRequest, label_id: FromPath[int], data: JSONBody[LabelUpdate]
    ) -> Resource[LabelRead]:
        """Change a label; what is left out stays."""
        return Resource(await labels.update_label(current_user(request).id, label_id, data))

    @delete(
        "/{label_id:int}",
        operation_id="DeleteLabel",
        summary="Delete a label",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def delete_label(self, request: AnyRequest, label_id: FromPath[int]) -> None:
        """Delete a label and take it off every contact; 409 while a dynamic audience asks for it."""
        await labels.delete_label(current_user(request).id, label_id)
