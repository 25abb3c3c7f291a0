"""A file of a million contacts imported by a worker process, beside the bare statements that would store it."""

import asyncio
import csv
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import msgspec

from bench.dispatch import worker_process
from bench.lanes import peak_mb
from core import database
from core.config import PlatformConfig
from core.contacts.importing.schemas import ImportOptions
from core.contacts.importing.services import get_import, keep_upload, start_import
from core.jobs.tables import JobStatus

ROWS = 1_000_000
TWICE = 20
"""Every so manieth row has the number of an earlier one: 5 %."""
PRESENT = 1_000_000
PAIRS = 3
SETTLE_SECONDS = 3.0
LOOK_SECONDS = 0.2
FORMS = ("+55{0}9{1}{2}", "({0}) 9{1}-{2}", "55 {0} 9{1} {2}", "0{0} 9{1}.{2}")
_DIGITS = re.compile(r"\D")
_BRAZIL = re.compile(r"(?:55)?0?(\d{2}9\d{8})")

_STAGE = "CREATE TEMPORARY TABLE staged (number text, name text, variables jsonb) ON COMMIT DROP"
_UPSERT = """
INSERT INTO contacts AS c (user_id, number, name, variables, labels, type, status, created_at, updated_at)
SELECT DISTINCT ON (number) $1::bigint, number, name, variables, '[]'::jsonb, 1, 1, now(), now() FROM staged
ON CONFLICT (user_id, number) WHERE deleted_at IS NULL AND number IS NOT NULL DO UPDATE SET
    name = CASE WHEN c.name = '' THEN excluded.name ELSE c.name END, variables = excluded.variables || c.variables,
    updated_at = now()
"""


class Pair(msgspec.Struct, frozen=True):
    """Seconds of an import and of the bare statements for the same file, and the megabytes of the import's process."""

    platform: float
    bare: float
    peak_mb: float

    @property
    def ratio(self) -> float:
        """How much longer the platform takes."""
        return self.platform / self.bare


async def measure_pairs(config: PlatformConfig) -> AsyncIterator[Pair]:
    """Import the file both ways, in turn, each for a tenant who has a million contacts already."""
    folder = config.data_folder
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    path = folder / "bench.csv"
    await asyncio.to_thread(_write, path)
    for place in range(PAIRS):
        if place % 2:
            platform, peak = await _import(path)
            bare = await _bare(path)
        else:
            bare = await _bare(path)
            platform, peak = await _import(path)
        yield Pair(platform, bare, peak)


def _write(path: Path) -> None:
    """Write the file: four ways of writing a number, and every twentieth number for the second time."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, delimiter=";")
        rows.writerow(["nome", "telefone", "cidade", "produto"])
        for row in range(ROWS):
            line = row - TWICE // 2 if row % TWICE == TWICE - 1 else row
            digits = f"{line * 7919 % 100_000_000:08d}"
            number = FORMS[row % len(FORMS)].format(11 + line % 9, digits[:4], digits[4:])
            rows.writerow([f"Contato {line} da Silva", number, f"Cidade {line % 500}", f"Produto {line % 50}"])


async def _tenant() -> int:
    """Make a tenant with a million contacts, whose plan has room for more."""
    plan_id = await database.fetch_value(
        "INSERT INTO plans (name, unlimited, numbers_limit, contacts_limit, campaigns_limit)"
        " VALUES ('Bench', true, 1, 1, 1) RETURNING id"
    )
    user_id = await database.fetch_value(
        "INSERT INTO users (email, name, password, plan_id) VALUES ($1, 'Bench', '', $2) RETURNING id",
        f"{secrets.token_hex(8)}@example.com",
        plan_id,
    )
    # The area code 21 is not in the file.
    await database.execute(
        "INSERT INTO contacts (user_id, number, name, variables) SELECT $1, (5521900000000 + n * 37::bigint)::text,"
        " 'Contato ' || n, jsonb_build_object('cidade', 'Cidade ' || n % 500) FROM generate_series(1, $2::int) n",
        user_id,
        PRESENT,
    )
    await database.execute("VACUUM ANALYZE contacts")
    return int(str(user_id))


async def _bare(path: Path) -> float:
    """Parse with ``csv``, take the digits of Brazilian mobiles by one pattern, ``COPY`` and upsert, in one process."""
    user_id = await _tenant()
    begun = time.perf_counter()
    async with database.unit_of_work(), database.connection() as connection:
        await connection.execute(_STAGE)
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, delimiter=";")
            next(rows)
            await _copy(connection, rows)
        await connection.execute(_UPSERT, user_id)
    return time.perf_counter() - begun


async def _copy(connection: asyncpg.Connection, rows: Iterator[list[str]]) -> None:
    def staged() -> Iterator[tuple[str, str, str]]:
        for name, written, city, product in rows:
            found = _BRAZIL.fullmatch(_DIGITS.sub("", written))
            if found is not None:
                yield "55" + found[1], name, database.encode_json({"cidade": city, "produto": product})

    await connection.copy_records_to_table("staged", records=staged(), columns=["number", "name", "variables"])


async def _import(path: Path) -> tuple[float, float]:
    """Upload the file, then have a worker process do the job; only that counts."""
    user_id = await _tenant()
    copy = path.with_name("imports") / "bench.upload"
    await asyncio.to_thread(copy.parent.mkdir, exist_ok=True)
    await asyncio.to_thread(copy.write_bytes, await asyncio.to_thread(path.read_bytes))
    kept = await keep_upload(user_id, copy, "bench.csv", ImportOptions())
    with worker_process() as worker:
        await asyncio.sleep(SETTLE_SECONDS)
        await start_import(user_id, kept.id)
        while (await get_import(user_id, kept.id)).status in {JobStatus.WAITING, JobStatus.RUNNING}:  # noqa: ASYNC110 - another process
            await asyncio.sleep(LOOK_SECONDS)
        peak = peak_mb(worker.pid)
    done = await get_import(user_id, kept.id)
    expected = ROWS - ROWS // TWICE
    if done.status != JobStatus.DONE or done.rows_created != expected or done.rows_skipped != ROWS // TWICE:
        raise RuntimeError(f"The import did not do its work: {done}")
    if done.started_at is None or done.finished_at is None:
        raise RuntimeError("The import has no times.")
    return (done.finished_at - done.started_at).total_seconds(), peak
