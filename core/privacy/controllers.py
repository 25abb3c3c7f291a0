"""Routes of personal data."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, PathParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from core.pagination import Resource
from core.privacy import erasure, exports, people, person_exports
from core.privacy.schemas import Erasure, ExportRead
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import NO_KEY, SCOPE, current_user, requires_administrator, requires_user

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


class OwnDataController(Controller):
    """What is held of the signed-in user."""

    path = "/api/auth"
    tags = ("accounts",)
    guards = (requires_user,)
    opt = {SCOPE: NO_KEY}  # noqa: RUF012 - Litestar's attribute

    @post(
        "/export",
        operation_id="RequestExport",
        summary="Ask for everything that is held of me",
        status_code=HTTP_202_ACCEPTED,
        responses=problem_responses(401, 403),
    )
    async def request_export(self, request: AnyRequest) -> Resource[ExportRead]:
        """Have a ZIP of JSON and CSV made in the background; one that is being made already is that one."""
        user = current_user(request)
        return Resource(await exports.request_export(user.id, user.actor_id or user.id))

    @get(
        "/export",
        operation_id="ShowExport",
        summary="Show my last export",
        responses=problem_responses(401, 403, 404),
    )
    async def show_export(self, request: AnyRequest) -> Resource[ExportRead]:
        """Tell whether the export is ready, and when its file is removed."""
        return Resource(await exports.latest_export(current_user(request).id))

    @get(
        "/export.zip",
        operation_id="DownloadExport",
        summary="Download my last export",
        media_type=ZIP,
        responses={**_FILE, **problem_responses(401, 403, 404, 503)},
    )
    async def download_export(self, request: AnyRequest) -> Stream:
        """Download the file; 404 while it is not ready, and once it was removed."""
        opened = await exports.open_export(current_user(request).id)
        headers = {"content-disposition": 'attachment; filename="export.zip"', "content-length": str(opened.size)}
        return Stream(opened.parts(), media_type=ZIP, headers=headers)

    @post(
        "/erase",
        operation_id="EraseMe",
        summary="Erase my account",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 429),
    )
    async def erase(self, request: AnyRequest, data: JSONBody[Erasure]) -> None:
        """Close one's account at once and erase what it holds, for good; payments stay, without a name."""
        await erasure.erase_self(current_user(request), data.password)


class UserDataController(Controller):
    """What is held of any user."""

    path = "/api/admin/users/{user_id:int}"
    tags = ("administration",)
    guards = (requires_administrator,)

    @post(
        "/export",
        operation_id="AdminRequestExport",
        summary="Have a user's export made",
        status_code=HTTP_202_ACCEPTED,
        responses=problem_responses(401, 403, 404),
    )
    async def request_export(self, request: AnyRequest, user_id: FromPath[int]) -> Resource[ExportRead]:
        """Have everything that is held of a user put together; the user downloads it."""
        return Resource(await exports.request_export(user_id, current_user(request).id))


CONTROLLERS: tuple[type[Controller], ...] = (ContactDataController, OwnDataController, UserDataController)
