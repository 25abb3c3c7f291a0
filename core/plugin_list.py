"""``GET /api/plugins``: what the enabled plugins add."""

from litestar import Controller, get

from core.pagination import Resource
from core.plugin.registry import PluginInfo
from core.problems import problem_responses
from core.runtime import providers
from core.security import requires_user


class PluginController(Controller):
    """The plugins of this installation."""

    path = "/api/plugins"
    tags = ("platform",)
    guards = (requires_user,)

    @get(operation_id="ListPlugins", summary="List the plugins", responses=problem_responses(401, 403))
    async def list_plugins(self) -> Resource[list[PluginInfo]]:
        """List every configured plugin with the providers, gateways and notifiers it adds."""
        return Resource(list(providers().plugins))


CONTROLLERS: tuple[type[Controller], ...] = (PluginController,)
