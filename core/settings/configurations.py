"""Read and change what a tenant has decided for all campaigns."""

import msgspec
from msgspec import UNSET

from core import database
from core.settings.schemas import Configurations, ConfigurationsUpdate, OptOut
from core.settings.services import get_configuration, put_configuration

OPT_OUT = "opt_out"


async def read_configurations(user_id: int) -> Configurations:
    """Return what this tenant has decided."""
    return Configurations(opt_out=await opt_out_of(user_id))


async def update_configurations(user_id: int, wanted: ConfigurationsUpdate) -> Configurations:
    """Replace the parts that are given and return all of them."""
    if wanted.opt_out is not UNSET:
        await put_configuration(user_id, OPT_OUT, database.encode_json(wanted.opt_out))
    return await read_configurations(user_id)


async def opt_out_of(user_id: int) -> OptOut:
    """Return how people stop this tenant's messages."""
    stored = await get_configuration(user_id, OPT_OUT)
    return OptOut() if stored is None else msgspec.json.decode(stored, type=OptOut)
