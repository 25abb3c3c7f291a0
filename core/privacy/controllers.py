"""Routes of personal data."""

from typing import Annotated

from litestar import Controller, Response, delete, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from core.privacy import people, person_exports
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import NO_KEY, SCOPE, current_user, requires_user

ContactId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The contact's id.")]
ZIP = "application/zip"
_FILE = {200: ResponseSpec(bytes, description="The file.", media_type=ZIP)}


class ContactDataController(Controller):
    """What is held of one contact."""

    path = "/api/contacts/{contact_id:int}"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        "/export.zip",
        operation_id="ExportContact",
        summary="Export what is held of a contact",
        media_type=ZIP,
        responses={**_FILE, **problem_responses(401, 403, 404)},
    )
    async def export_contact(self, request: AnyRequest, contact_id: ContactId) -> Response[bytes]:
        """Return a ZIP of JSON and CSV: profile, addresses, messages with their times, replies, opt-outs, origin."""
        content = await person_exports.export_contact(current_user(request).id, contact_id)
        name = f'attachment; filename="contact-{contact_id}.zip"'
        return Response(content, media_type=ZIP, headers={"content-disposition": name})

    @delete(
        "/personal-data",
        operation_id="EraseContact",
        summary="Erase a contact",
        opt={SCOPE: NO_KEY},
        responses=problem_responses(401, 403, 404, 409),
    )
    async def erase_contact(self, request: AnyRequest, contact_id: ContactId) -> None:
        """Erase who a contact was, for good; counts stay, and a hash that keeps the person from being written to."""
        await people.erase_contact(current_user(request).id, contact_id)


CONTROLLERS: tuple[type[Controller], ...] = (ContactDataController,)
