"""Whether a sign-in comes from a device that its user was not seen with before.

The sessions that are kept anyway tell: those that last, and those that ended by themselves or were signed out of less
than ``sessions.KEPT_FOR`` ago. What was taken away makes no device known, since it may have been a thief's: by a new
password, from another device, by an administrator. After that, one's own other devices are told of once more.

A device is known when one of those sessions had the same browser on the same system, whatever their versions, in the
same network. Either alone would say little: browsers are few, and a network has many people in it. A network is so wide
that the next address from the same provider at home is most often in it. A device that was used with another network,
or not for so long that its session is forgotten, is told of once more: better one notice too many.

What an administrator opened to act for the user is nobody's device.
"""

import ipaddress
import re

from core import database

NETWORK_BITS = {4: 16, 6: 32}
"""How much of an address names its network: about what an access provider hands out in one place."""

_VERSIONS = re.compile(r"[\d._]+")
_SEEN = """
SELECT DISTINCT address, user_agent FROM user_sessions WHERE user_id = $1 AND actor_id IS NULL AND revoked_at IS NULL
"""


async def is_known(user_id: int, address: str, user_agent: str) -> bool:
    """Return whether the user was seen with this device; call it before the session of the sign-in is opened."""
    rows = await database.fetch(_SEEN, user_id)
    device = _device(address, user_agent)
    return any(_device(row["address"], row["user_agent"]) == device for row in rows)


def _device(address: str, user_agent: str) -> tuple[str, str]:
    return _VERSIONS.sub("", user_agent), network_of(address)


def network_of(address: str) -> str:
    """Return the network of an address, or what stands there when it is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, NETWORK_BITS[found.version]), strict=False))
