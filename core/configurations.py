"""``/api/configurations``: what a tenant sets for everything of theirs, gathered from the domains it concerns."""

from typing import Annotated

import msgspec
from litestar import Controller, get, patch
from litestar.params import JSONBody

from core import database
from core.accounts.schemas import Locale, Timezone
from core.accounts.services import change_user, get_user
from core.campaigns.defaults import default_pacing, entropy_limit, set_default_pacing, set_entropy_limit
from core.campaigns.entropy_schemas import EntropyLimit
from core.campaigns.pacing import Pacing
from core.contacts.country_settings import country_of, set_country
from core.contacts.opt_out_settings import OptOut, opt_out_of, set_opt_out
from core.notifications.choices import NotificationChoices, choices_of, set_choices
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class ConfigurationsRead(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's settings as they are in force."""

    pacing: Pacing
    """What standard, simplified and campaigns by labels get when they bring no pacing of their own."""
    entropy: EntropyLimit
    """How uniform the texts of a campaign without a limit of its own may be for it to start."""
    opt_out: OptOut
    """How people stop one's messages by writing back."""
    timezone: Timezone
    """In which one's days, hours and windows are counted."""
    locale: Locale
    """The language of e-mails, reports and of what is kept for later."""
    country: str
    """Whose numbers those without a country code are (ISO 3166)."""
    notifications: NotificationChoices
    """What one is told, and where."""


class ConfigurationsUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a tenant's settings; what is absent stays, and null goes back to the platform's own."""

    pacing: Pacing | msgspec.UnsetType | None = msgspec.UNSET
    entropy: EntropyLimit | msgspec.UnsetType | None = msgspec.UNSET
    opt_out: OptOut | msgspec.UnsetType | None = msgspec.UNSET
    timezone: Timezone | msgspec.UnsetType = msgspec.UNSET
    locale: Locale | msgspec.UnsetType = msgspec.UNSET
    country: Annotated[str, msgspec.Meta(min_length=2, max_length=2, examples=["BR"])] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    notifications: NotificationChoices | msgspec.UnsetType | None = msgspec.UNSET


class ConfigurationController(Controller):
    """Settings of the signed-in user."""

    path = "/api/configurations"
    tags = ("platform",)
    guards = (requires_user,)

    @get(operation_id="ShowConfigurations", summary="Show one's settings", responses=problem_responses(401, 403))
    async def get_configurations(self, request: AnyRequest) -> Resource[ConfigurationsRead]:
        """Return the settings in force, one's own or the platform's."""
        return await self._read(current_user(request).id)

    @patch(
        operation_id="UpdateConfigurations",
        summary="Change one's settings",
        responses=problem_responses(401, 403, 422),
    )
    async def update_configurations(
        self, request: AnyRequest, data: JSONBody[ConfigurationsUpdate]
    ) -> Resource[ConfigurationsRead]:
        """Change settings for what is made from now on; campaigns made before keep theirs."""
        user_id = current_user(request).id
        async with database.unit_of_work():
            await self._write(user_id, data)
        return await self._read(user_id)

    async def _write(self, user_id: int, data: ConfigurationsUpdate) -> None:
        if data.pacing is not msgspec.UNSET:
            await set_default_pacing(user_id, data.pacing)
        if data.entropy is not msgspec.UNSET:
            await set_entropy_limit(user_id, data.entropy)
        if data.opt_out is not msgspec.UNSET:
            await set_opt_out(user_id, data.opt_out)
        if data.country is not msgspec.UNSET:
            await set_country(user_id, data.country)
        if data.notifications is not msgspec.UNSET:
            await set_choices(user_id, data.notifications)
        own = {"timezone": data.timezone, "locale": data.locale}
        changed = {name: value for name, value in own.items() if value is not msgspec.UNSET}
        if changed:
            await change_user(user_id, changed)

    async def _read(self, user_id: int) -> Resource[ConfigurationsRead]:
        user = await get_user(user_id)
        return Resource(
            ConfigurationsRead(
                pacing=await default_pacing(user_id),
                entropy=await entropy_limit(user_id),
                opt_out=await opt_out_of(user_id),
                timezone=user.timezone,
                locale=user.locale,
                country=await country_of(user_id),
                notifications=await choices_of(user_id),
            )
        )


CONTROLLERS: tuple[type[Controller], ...] = (ConfigurationController,)
