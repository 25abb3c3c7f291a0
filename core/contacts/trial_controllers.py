"""The route of test messages."""

from litestar import Controller, post
from litestar.params import FromPath, JSONBody

from core.contacts import trials
from core.contacts.schemas import TrialMessageCreate, TrialMessageRead
from core.idempotency.middleware import IDEMPOTENT_CALL
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import SCOPE, current_user, requires_user


class TrialController(Controller):
    """Texts outside any campaign."""

    path = "/api/numbers/{number_id:int}/test-message"
    tags = ("numbers",)
    guards = (requires_user,)

    @post(
        operation_id="SendTestMessage",
        opt={SCOPE: "send"},
        summary="Send a test message",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 502),
    )
    async def send_test_message(
        self, request: AnyRequest, number_id: FromPath[int], data: JSONBody[TrialMessageCreate]
    ) -> Resource[TrialMessageRead]:
        """Send a text to a phone or an address at once; ``outcome`` says what became of it. At most 20 an hour."""
        return Resource(await trials.send_test_message(current_user(request).id, number_id, data))
