"""Become another process that cannot outlive its parent; run by path, before anything of the product is imported.

``python -I -S launcher.py PARENT SIGNAL OWNER COMMAND...``: drop to ``OWNER`` (``-``, ``uid:gid`` or
``uid:gid:reach``), ask the kernel for ``SIGNAL`` when ``PARENT`` dies, then become ``COMMAND``. A launcher is used
instead of a function between fork and exec, which may deadlock in a process with threads.
"""

import ctypes
import os
import struct
import sys

PR_SET_PDEATHSIG = 1
PR_CAPBSET_READ = 23
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522
EXIT_CANNOT_START = 126


def main(arguments: list[str]) -> int:
    """Become the command; returns only when that is impossible."""
    parent, death_signal, owner, *command = arguments
    try:
        if owner != "-":
            _drop_to(owner)
        # After the change of user, which would clear it.
        if sys.platform == "linux":
            _prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent):
            return 0
        os.umask(0o077)
        os.execv(command[0], command)  # noqa: S606 - the caller's own command, no shell
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror or error}\n")
    return EXIT_CANNOT_START


def _drop_to(owner: str) -> None:
    uid, gid, *reach = owner.split(":")
    if reach:
        # Else the rights end with the user, and access(2) would never count them, which initdb asks.
        _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    if reach:
        _keep_reach()


def _keep_reach() -> None:
    """Keep of all rights the one to pass through folders that are closed to other users, such as ``/root``."""
    offered = _prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH)
    capability = CAP_DAC_READ_SEARCH if offered else CAP_DAC_OVERRIDE
    bits = 1 << capability
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable, for the low and the high 32 capabilities.
    sets = struct.pack("6I", bits, bits, bits, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, sets):
        raise OSError(ctypes.get_errno(), "its folders are closed to other users; open them or move them")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def _prctl(*arguments: int) -> int:
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[1:5]]
    result: int = ctypes.CDLL(None, use_errno=True).prctl(arguments[0], *padded)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
