"""What holds for a tenant's campaigns that do not bring their own: the pacing, and how uniform texts may be."""

import msgspec

from core import database
from core.campaigns.drafts import pacing_problems
from core.campaigns.entropy_schemas import EntropyLimit
from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.errors import InvalidInputError
from core.settings.services import get_configuration, put_configuration, remove_configuration

KEY = "pacing"
ENTROPY_KEY = "entropy"


async def default_pacing(user_id: int) -> Pacing:
    """Return the tenant's own default, else the platform's."""
    stored = await get_configuration(user_id, KEY)
    return DEFAULT_PACING if stored is None else msgspec.json.decode(stored, type=Pacing)


async def set_default_pacing(user_id: int, pacing: Pacing | None) -> None:
    """Set the tenant's default for campaigns made from now on; ``None`` goes back to the platform's.

    Raises:
        InvalidInputError: Naming every field that cannot be used, under ``pacing``.
    """
    if pacing is None:
        await remove_configuration(user_id, KEY)
        return
    errors: dict[str, list[str]] = {}
    for field, problem in pacing_problems(pacing, "pacing"):
        errors.setdefault(field, []).append(problem)
    if errors:
        raise InvalidInputError(errors)
    await put_configuration(user_id, KEY, msgspec.json.encode(pacing).decode())


async def entropy_limit(user_id: int) -> EntropyLimit:
    """Return how uniform the tenant lets texts be; without a limit unless they set one."""
    stored = await get_configuration(user_id, ENTROPY_KEY)
    return EntropyLimit() if stored is None else msgspec.json.decode(stored, type=EntropyLimit)


async def set_entropy_limit(user_id: int, limit: EntropyLimit | None) -> None:
    """Set the limit for every start from now on of campaigns without one of their own; ``None`` takes it away."""
    if limit is None:
        await remove_configuration(user_id, ENTROPY_KEY)
    else:
        await put_configuration(user_id, ENTROPY_KEY, database.encode_json(limit))
