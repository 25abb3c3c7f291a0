"""Routes of the notifications and of the alarms."""

from typing import Annotated

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from core.notifications import alarms, inbox
from core.notifications.schemas import (
    AlarmRead,
    NotificationDetail,
    NotificationRead,
    ReadMark,
    ReadUpTo,
    Unread,
)
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import language_of, problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator, requires_user


class AlarmController(Controller):
    """What an administrator has to look at."""

    path = "/api/admin/alarms"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListAlarms", summary="List the alarms", responses=problem_responses(401, 403, 422))
    async def list_alarms(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        standing: Annotated[
            bool | None, QueryParameter(description="Only alarms whose cause lasts, or that are over.")
        ] = None,
    ) -> Page[AlarmRead]:
        """List the alarms, the newest first; sorts by id, raised_at and noticed_at."""
        language, timezone = language_of(request.scope), current_user(request).timezone
        found, total = await alarms.list_alarms(page_query, language, timezone, standing=standing)
        return build_page(found, total, page_query, request)

    @post(
        "/{alarm_id:int}/clear",
        operation_id="AdminClearAlarm",
        summary="End an alarm",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def clear_alarm(self, request: AnyRequest, alarm_id: FromPath[int]) -> Resource[AlarmRead]:
        """End an alarm by hand, and return it; one that is over stays as it is, and one that lasts is raised anew."""
        user = current_user(request)
        return Resource(await alarms.clear_by_hand(user.id, alarm_id, language_of(request.scope), user.timezone))


class NotificationController(Controller):
    """What the signed-in user was told of."""

    path = "/api/notifications"
    tags = ("notifications",)
    guards = (requires_user,)

    @get(operation_id="ListNotifications", summary="List the notifications", responses=problem_responses(401, 403, 422))
    async def list_notifications(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        unread: Annotated[bool | None, QueryParameter(description="Only what is unread, or what is read.")] = None,
        kind: Annotated[str | None, QueryParameter(max_length=60, description="Only this kind.")] = None,
    ) -> Page[NotificationRead]:
        """List the notifications, the newest first, in the language of the request; sorts by id and created_at."""
        user = current_user(request)
        found, total = await inbox.list_notifications(
            user.id, page_query, language_of(request.scope), user.timezone, unread=unread, kind=kind
        )
        return build_page(found, total, page_query, request)

    @get(
        "/unread",
        operation_id="CountUnreadNotifications",
        summary="Count what is unread",
        responses=problem_responses(401, 403),
    )
    async def count_unread(self, request: AnyRequest) -> Resource[Unread]:
        """Return how many notifications are unread."""
        return Resource(Unread(await inbox.count_unread(current_user(request).id)))

    @get(
        "/{notification_id:int}",
        operation_id="ShowNotification",
        summary="Show a notification",
        responses=problem_responses(401, 403, 404),
    )
    async def show_notification(
        self, request: AnyRequest, notification_id: FromPath[int]
    ) -> Resource[NotificationDetail]:
        """Show one notification with its event's body, and the latest of those that are folded into it."""
        user = current_user(request)
        language = language_of(request.scope)
        return Resource(await inbox.get_notification(user.id, notification_id, language, user.timezone))

    @patch(
        "/{notification_id:int}",
        operation_id="MarkNotification",
        summary="Mark a notification as read or unread",
        status_code=204,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def mark_notification(
        self, request: AnyRequest, notification_id: FromPath[int], data: JSONBody[ReadMark]
    ) -> None:
        """Mark one notification as read, or as unread again."""
        await inbox.mark_read(current_user(request).id, notification_id, read=data.read)

    @post(
        "/read",
        operation_id="ReadNotifications",
        summary="Mark notifications as read",
        status_code=200,
        responses=problem_responses(401, 403, 422),
    )
    async def read_notifications(self, request: AnyRequest, data: JSONBody[ReadUpTo]) -> Resource[Unread]:
        """Mark every notification as read, or those up to an id; return how many are unread then."""
        user_id = current_user(request).id
        await inbox.mark_all_read(user_id, data.up_to)
        return Resource(Unread(await inbox.count_unread(user_id)))


CONTROLLERS: tuple[type[Controller], ...] = (NotificationController, AlarmController)
