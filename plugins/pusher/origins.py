"""Addresses of a server that is compatible with Pusher, as the settings write them."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


class Origin(msgspec.Struct, frozen=True):
    """Where a server answers; ``host`` is a name, an IPv4 address, or an IPv6 address in its brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def parse_origin(setting: str, text: str) -> Origin:
    """Read the value of a setting.

    Raises:
        ValueError: It is no address; the text names the setting and what to enter.
    """
    try:
        found = urlsplit(text)
        port = found.port
    except ValueError:
        raise _refusal(setting, text, "has no usable host or port (1 to 65535)") from None
    # Python passes over what stands between the bracket and the port.
    if found.netloc.startswith("[") and found.netloc.partition("]")[2][:1] not in {"", ":"}:
        raise _refusal(setting, text, "has no usable host")
    if found.scheme not in _DEFAULT_PORTS or found.username is not None or found.path or found.query or found.fragment:
        raise _refusal(setting, text, "is not a scheme, a host and a port alone")
    if port == 0:
        raise _refusal(setting, text, "has the port 0")
    host = _host(found.hostname or "", bracketed=found.netloc.startswith("["))
    if not host:
        raise _refusal(setting, text, "has no usable host")
    return Origin(found.scheme, host, port or _DEFAULT_PORTS[found.scheme])


def _host(name: str, *, bracketed: bool) -> str:
    """Return the host as URLs write it, in ASCII; empty where it is none."""
    try:
        if bracketed:
            address = ipaddress.IPv6Address(name)
            return "" if address.scope_id else f"[{address}]"
        encoded = name.encode("idna").decode()
    except ValueError:
        return ""
    return encoded if _NAME.fullmatch(encoded) else ""


def _refusal(setting: str, text: str, problem: str) -> ValueError:
    return ValueError(
        f"{setting} is {text!r}, which {problem}; enter the scheme, the host and, where it is not the usual one, the"
        " port, such as http://127.0.0.1:6001, http://[::1]:6001 or https://live.example.com"
    )
