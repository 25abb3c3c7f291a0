"""Routes of the platform's settings."""

from litestar import Controller, get, patch
from litestar.params import JSONBody

from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator
from core.settings import typed
from core.settings.schemas import SettingRead, SettingsUpdate


class SettingController(Controller):
    """What an administrator may set while the platform runs; the rest stands in platform.toml."""

    path = "/api/admin/settings"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListSettings", summary="List the settings", responses=problem_responses(401, 403))
    async def list_settings(self) -> Resource[list[SettingRead]]:
        """List every setting with its value, its default and what it means; secrets are masked."""
        return Resource(await typed.list_settings())

    @patch(
        operation_id="AdminUpdateSettings",
        summary="Change settings",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def change_settings(self, request: AnyRequest, data: JSONBody[SettingsUpdate]) -> Resource[list[SettingRead]]:
        """Change settings, all that are named or none of them."""
        return Resource(await typed.change_settings(current_user(request).id, data.values))


CONTROLLERS: tuple[type[Controller], ...] = (SettingController,)
