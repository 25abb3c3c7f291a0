"""Back-up and restore of the database with PostgreSQL's own programs.

A back-up does not know what was sent after it was made, so a restore pauses every campaign that would go on sending,
in the transaction that brings the rows back: no process ever sees one running.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from core import database
from core.config import PlatformConfig
from core.embedded.postgres import programs
from core.errors import OperatorError

# Restored scripts set an empty search path. The identifier is made wrong so that every later start pauses too.
PAUSE = """
UPDATE public.settings SET value = 'restored' WHERE key = 'system_identifier';
UPDATE public.campaigns SET status = 3, status_reason = 'database_restored', version = version + 1, updated_at = now()
WHERE status = 2;
UPDATE public.campaigns SET status_reason = 'database_restored', version = version + 1, updated_at = now()
WHERE status = 1 AND status_reason = 'scheduled' AND schedule_date <= now();
"""


async def back_up(config: PlatformConfig, target: Path, *, bundled: bool) -> None:
    """Write a consistent dump of the database (``pg_dump``'s custom format) to ``target``; nobody is disturbed.

    ``bundled`` takes the programs of the embedded PostgreSQL, else those on the path, which fit a server of one's own.

    Raises:
        OperatorError: ``target`` exists already, or the dump failed.
    """
    _make(target)
    try:
        await _run(_find("pg_dump", bundled=bundled), config, "--format=custom", f"--file={target}")
    except OperatorError:
        _discard(target)
        raise


async def restore(config: PlatformConfig, source: Path, *, bundled: bool) -> int:
    """Replace the database's content by a dump and pause what would send; return how many campaigns were paused.

    All or nothing: one transaction. Nothing else of the platform may run meanwhile.

    Raises:
        OperatorError: ``source`` is no dump, or it cannot be restored.
    """
    _ensure_file(source)
    with tempfile.TemporaryDirectory(prefix="recado-restore-") as folder:
        script = Path(folder) / "restore.sql"
        reading = ("--clean", "--if-exists", "--no-owner", f"--file={script}", str(source))
        await _run_program(_find("pg_restore", bundled=bundled), reading, {})
        _append(script, PAUSE)
        applying = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={script}")
        await _run(_find("psql", bundled=bundled), config, *applying)
    return await _count_paused(config)


async def ensure_alone(config: PlatformConfig) -> None:
    """Refuse to go on while any process of the platform is connected to the database."""
    connected = await _ask(
        config,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'recado'"
        " AND datname = current_database() AND pid <> pg_backend_pid()",
    )
    if connected:
        raise OperatorError("Recado is running on this database: stop every process of it first, then restore.")


async def _count_paused(config: PlatformConfig) -> int:
    return await _ask(
        config, "SELECT count(*) FROM campaigns WHERE status_reason = 'database_restored' AND deleted_at IS NULL"
    )


async def _ask(config: PlatformConfig, statement: str) -> int:
    if config.database.url is None:
        raise database.DatabaseNotConfiguredError
    connection = await asyncpg.connect(config.database.url.reveal())
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()


async def _run(program: str, config: PlatformConfig, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the configured database; the password stays out of the process list."""
    if config.database.url is None:
        raise database.DatabaseNotConfiguredError
    url = urlsplit(config.database.url.reveal())
    credentials, _, place = url.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    address = urlunsplit(url._replace(netloc=f"{user}@{place}" if user else place))
    password = {"PGPASSWORD": unquote(url.password)} if url.password else {}
    await _run_program(program, (*arguments, f"--dbname={address}"), password)


async def _run_program(program: str, arguments: Sequence[str], variables: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=os.environ | variables,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    if process.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no reason was given"]
        raise OperatorError(f"{Path(program).name} failed, and nothing was changed: {lines[0]}")


def _find(program: str, *, bundled: bool) -> str:
    own = None if bundled else shutil.which(program)
    return own or str(programs() / program)


def _make(target: Path) -> None:
    """Make the file for its owner alone: a dump holds everybody's contacts."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise OperatorError(f"{target} exists already: name another file.") from None
    except OSError as error:
        raise OperatorError(f"{target} cannot be written: {error.strerror or error}") from None


def _discard(target: Path) -> None:
    target.unlink(missing_ok=True)


def _ensure_file(source: Path) -> None:
    if not source.is_file():
        raise OperatorError(f"There is no file {source}.")


def _append(script: Path, text: str) -> None:
    with script.open("a", encoding="utf-8") as written:
        written.write(text)
