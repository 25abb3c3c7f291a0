"""Routes of a tenant's own configurations."""

from litestar import Controller, get, patch
from litestar.params import JSONBody

from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user
from core.settings import configurations
from core.settings.schemas import Configurations, ConfigurationsUpdate


class ConfigurationController(Controller):
    """What one decides for all of one's campaigns."""

    path = "/api/configurations"
    tags = ("accounts",)
    guards = (requires_user,)

    @get(operation_id="ShowConfigurations", summary="Show one's configurations", responses=problem_responses(401, 403))
    async def show(self, request: AnyRequest) -> Resource[Configurations]:
        """Return every configuration, with the defaults where nothing was decided."""
        return Resource(await configurations.read_configurations(current_user(request).id))

    @patch(
        operation_id="ChangeConfigurations",
        summary="Change one's configurations",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def change(self, request: AnyRequest, data: JSONBody[ConfigurationsUpdate]) -> Resource[Configurations]:
        """Replace the parts that are given; parts that are absent stay."""
        return Resource(await configurations.update_configurations(current_user(request).id, data))


CONTROLLERS: tuple[type[Controller], ...] = (ConfigurationController,)
