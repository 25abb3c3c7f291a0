import msgspec
import pytest

from core.campaigns import editing
from core.campaigns.defaults import default_pacing, set_default_pacing
from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate
from core.campaigns.tables import CampaignType
from core.errors import InvalidInputError
from tests.core.campaigns.making import campaign_row, give_plan
from tests.factories import Member

OWN = Pacing(delay_min=5, delay_max=9, per_day=40)


async def _pacing_of(campaign_id: int) -> Pacing | None:
    return msgspec.json.decode((await campaign_row(campaign_id))["settings"], type=CampaignSettings).pacing


@pytest.mark.parametrize("kind", [CampaignType.STANDARD, CampaignType.SIMPLIFIED, CampaignType.BY_LABELS])
async def test_a_campaign_without_pacing_gets_the_tenants(user: Member, kind: CampaignType) -> None:
    await give_plan(user.id)
    await set_default_pacing(user.id, OWN)
    assert await _pacing_of(await editing.create_campaign(user.id, CampaignCreate(name="x", type=kind))) == OWN


async def test_a_custom_one_gets_none_and_one_with_its_own_keeps_it(user: Member) -> None:
    await give_plan(user.id)
    await set_default_pacing(user.id, OWN)
    custom = CampaignCreate(name="x", type=CampaignType.CUSTOM)
    assert await _pacing_of(await editing.create_campaign(user.id, custom)) is None
    brought = CampaignCreate(name="x", settings=CampaignSettings(pacing=Pacing(per_day=1)))
    assert await _pacing_of(await editing.create_campaign(user.id, brought)) == Pacing(per_day=1)


async def test_a_later_default_changes_no_campaign(user: Member) -> None:
    await give_plan(user.id)
    campaign_id = await editing.create_campaign(user.id, CampaignCreate(name="x"))
    await set_default_pacing(user.id, OWN)
    await editing.update_campaign(user.id, campaign_id, CampaignUpdate(name="y"))
    assert await _pacing_of(campaign_id) == DEFAULT_PACING


async def test_is_the_tenants_alone(user: Member, other_user: Member) -> None:
    await set_default_pacing(user.id, OWN)
    assert (await default_pacing(user.id), await default_pacing(other_user.id)) == (OWN, DEFAULT_PACING)
    await set_default_pacing(user.id, None)
    assert await default_pacing(user.id) == DEFAULT_PACING


async def test_one_that_cannot_work_is_refused(user: Member) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await set_default_pacing(user.id, Pacing(delay_min=5, delay_max=1))
    assert set(caught.value.errors) == {"pacing.delay_max"}
    assert await default_pacing(user.id) == DEFAULT_PACING
