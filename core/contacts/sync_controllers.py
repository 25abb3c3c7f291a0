"""Routes of the sync of contacts."""

from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_202_ACCEPTED

from core.contacts import sync
from core.contacts.schemas import SyncCreate
from core.idempotency.middleware import IDEMPOTENT
from core.jobs.schemas import JobRead
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class SyncController(Controller):
    """The contacts a number knows."""

    path = "/api/numbers/{number_id:int}/sync"
    tags = ("contacts",)
    guards = (requires_user,)

    @post(
        operation_id="SyncContacts",
        summary="Sync the contacts of a number",
        status_code=HTTP_202_ACCEPTED,
        middleware=[IDEMPOTENT],
        responses=problem_responses(400, 401, 402, 403, 404, 409, 413, 415, 422, 502),
    )
    async def sync_contacts(
        self, request: AnyRequest, number_id: FromPath[int], data: JSONBody[SyncCreate]
    ) -> Resource[JobRead]:
        """Take the people and groups a connected number knows into the contacts, in the background.

        Who is a contact already is filled where empty; nobody is subscribed again. The job's result counts them.
        """
        return Resource(await sync.request_sync(current_user(request).id, number_id, data))
