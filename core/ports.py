"""Whether an address can be listened on, told before anything else is started."""

import errno
import socket
from contextlib import suppress

from core.errors import OperatorError


def check_port(host: str, port: int, setting: str) -> None:
    """Make sure that ``host`` and ``port`` can be listened on.

    Raises:
        OperatorError: They are taken, not this machine's or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"Port {port} on {host} is taken: stop what uses it, or set {setting} (recado up --port)."
        else:
            text = f"{host}:{port} cannot be listened on ({error.strerror or error}): set [server] host and port."
        raise OperatorError(text) from None


def find_port(host: str, preferred: int) -> int:
    """Return ``preferred`` where it can be listened on, else a port that is free at the moment."""
    for port in (preferred, 0):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            found: int = probe.getsockname()[1]
            return found
    raise OperatorError(f"No port on {host} is free.")
