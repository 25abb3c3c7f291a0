"""The data folder: whose it is, who holds it, and where the sockets of its servers stand."""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from core.errors import OperatorError
from core.processes import Identity
from core.secret_key import KEY_FILE

ACCOUNT = "recado-data"
"""System user that the servers run as when the platform is started by root, which PostgreSQL refuses to be."""

MINIMUM_FREE_BYTES = 500_000_000
SOCKET_PATH_LIMIT = 103
"""Bytes a unix socket's path may have everywhere: Linux allows 107, macOS 103."""

_LONGEST_SOCKET = ".s.PGSQL.5432"
_OWN_NAMES = {"lock", KEY_FILE, "postgres", "valkey", "media"}


class EmbeddedError(OperatorError):
    """The embedded servers cannot run; ``str(error)`` is one line that says what to do."""


class DataFolder(msgspec.Struct, frozen=True, kw_only=True):
    """An open data folder; its lock is held until ``open_folder`` ends."""

    path: Path
    sockets: Path
    """Folder of the servers' sockets; closed to others like the data folder itself."""
    identity: Identity | None
    """The system user the servers run as, ``None`` for this process's own."""

    def give(self, path: Path) -> None:
        """Make ``path`` belong to the user the servers run as."""
        if self.identity is not None:
            os.chown(path, self.identity.uid, self.identity.gid)


@contextmanager
def open_folder(path: Path, programs: Path) -> Iterator[DataFolder]:
    """Create ``path`` where needed, check it and hold its lock; ``programs`` is what the servers must be able to reach.

    Raises:
        EmbeddedError: It is in use, another user's, no data folder, or its disk is full or not writable.
    """
    path = path.absolute()
    with _told_errors(path):
        identity = _identity(path, programs)
        _prepare(path, identity)
        lock = _lock(path)
    try:
        with _told_errors(path):
            _check_space(path)
            folder = DataFolder(path=path, sockets=_make_sockets(path, identity), identity=identity)
            os.pwrite(lock, f"{os.getpid()}\n{folder.sockets}\n".encode(), 0)
        yield folder
        with suppress(OSError):
            folder.sockets.rmdir()
    finally:
        os.ftruncate(lock, 0)
        os.close(lock)


def is_held(path: Path) -> bool:
    """Whether a running instance holds the data folder ``path``."""
    try:
        handle = os.open(path / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def sockets_of_holder(path: Path) -> Path:
    """Where the instance that holds ``path`` keeps its sockets, as it wrote into the lock."""
    lines = (path / "lock").read_text(encoding="utf-8").splitlines()
    if len(lines) < 2:  # noqa: PLR2004 - its process, its sockets
        raise EmbeddedError(f"The recado that holds {path} is still starting: try again in a moment.")
    return Path(lines[1])


def _choose_sockets(path: Path) -> Path:
    """In the data folder, or in a short folder made from its name when that path is too long."""
    if _fits(path / "run"):
        return path / "run"
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    runtime = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    for parent in (runtime, tempfile.gettempdir(), "/tmp"):  # noqa: S108 - owner and mode are checked before use
        short = Path(parent, f"recado-{digest}")
        if parent and os.access(parent, os.W_OK) and _fits(short):
            return short
    raise EmbeddedError(f"The path {path} is too long for a socket: set a shorter [paths] data.")


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT


@contextmanager
def _told_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EmbeddedError(_no_space(path)) from None
        reason = error.strerror or str(error)
        raise EmbeddedError(
            f"The data folder {path} cannot be used ({reason}): mend its rights, or set another [paths] data."
        ) from None


def _no_space(path: Path) -> str:
    return f"The disk of {path} is full: the embedded servers need {MINIMUM_FREE_BYTES // 1_000_000} MB free."


def _check_space(path: Path) -> None:
    if shutil.disk_usage(path).free < MINIMUM_FREE_BYTES:
        raise EmbeddedError(_no_space(path))


def _prepare(path: Path, identity: Identity | None) -> None:
    if not path.exists():
        path.mkdir(mode=0o700, parents=True)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise EmbeddedError(f"The data folder {path} is a file: set another [paths] data.")
    allowed = {os.geteuid()} if identity is None else {os.geteuid(), identity.uid}
    if status.st_uid not in allowed:
        name = _user_name(status.st_uid)
        raise EmbeddedError(
            f"The data folder {path} belongs to the system user {name}: start as {name}, or set another [paths] data."
        )
    names = {entry.name for entry in path.iterdir()}
    # Owner and mode are about to change, which must not happen to somebody's home or the root folder.
    if names and not names & _OWN_NAMES:
        raise EmbeddedError(f"The folder {path} holds other files: set [paths] data to an empty or new folder.")
    path.chmod(0o700)
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)


def _lock(path: Path) -> int:
    handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode("utf-8", "replace").split("\n")[0] or "starting"
        os.close(handle)
        raise EmbeddedError(
            f"The data folder {path} is in use by another running recado (process {holder}): "
            "stop that one, or set another [paths] data."
        ) from None
    os.ftruncate(handle, 0)
    return handle


def _make_sockets(path: Path, identity: Identity | None) -> Path:
    folder = _choose_sockets(path)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    owners = {os.geteuid()} if identity is None else {os.geteuid(), identity.uid}
    # A folder in a shared place may have been put there by somebody else first.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners:
        raise EmbeddedError(f"The folder {folder} is somebody else's: remove it, or set a shorter [paths] data.")
    folder.chmod(0o700)
    if identity is not None:
        os.chown(folder, identity.uid, identity.gid)
    return folder


def _identity(path: Path, programs: Path) -> Identity | None:
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        account = _make_account()
    closed = any(not folder.stat().st_mode & stat.S_IXOTH for folder in (*_existing(path.parent), *programs.parents))
    return Identity(name=ACCOUNT, uid=account.pw_uid, gid=account.pw_gid, reach=closed)


def _existing(folder: Path) -> list[Path]:
    return [parent for parent in (folder, *folder.parents) if parent.exists()]


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*command, ACCOUNT], check=True, capture_output=True)  # noqa: S603 - nothing of it is input
        return pwd.getpwnam(ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root and the system user {ACCOUNT} cannot be made: "
            f"type `useradd --system {ACCOUNT}`, or start as an ordinary user."
        ) from None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"
