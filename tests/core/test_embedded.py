import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from core.embedded import EmbeddedError, EmbeddedServers, EmbeddedUrls, embedded_servers, is_held, urls_of
from core.embedded.log import ServerLog, explain

OWNER = """
import asyncio, sys
from pathlib import Path
from core.embedded import embedded_servers

async def main():
    async with embedded_servers(Path(sys.argv[1]), durable=False):
        print("started", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def _query(urls: EmbeddedUrls, statement: str) -> object:
    connection = await asyncpg.connect(urls.database_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _servers_of(data: Path) -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter(["cmdline"]) if str(data) in " ".join(process.info["cmdline"] or [])
    ]


async def _wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        await asyncio.sleep(0.05)


def _sockets(urls: EmbeddedUrls) -> Path:
    return Path(urls.database_url.split("host=")[1])


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_what_is_written_is_there_after_a_restart(data: Path) -> None:
    async with embedded_servers(data) as urls:
        await _query(urls, "CREATE TABLE kept AS SELECT 'PostgreSQL' AS text")
        async with Redis.from_url(urls.redis_url, decode_responses=True) as client:
            await client.rpush("queue", "message")

    async with embedded_servers(data) as urls:
        kept = await _query(urls, "SELECT text FROM kept")
        async with Redis.from_url(urls.redis_url, decode_responses=True) as client:
            queued = await client.lrange("queue", 0, -1)

    assert (kept, queued) == ("PostgreSQL", ["message"])


async def test_extensions_know_letters_beyond_ascii(data: Path) -> None:
    async with embedded_servers(data, valkey=False, durable=False) as urls:
        for extension in ("pg_trgm", "unaccent", "citext"):
            await _query(urls, f"CREATE EXTENSION {extension}")

        assert await _query(urls, "SELECT unaccent(lower('JOÃO'))") == "joao"
        assert await _query(urls, "SELECT 'JOÃO'::citext = 'joão'::citext") is True
        assert await _query(urls, "SELECT similarity('ã', 'õ')") == 0.0
        assert await _query(urls, "SELECT similarity('ã', 'ã')") == 1.0


async def test_nobody_gets_in_without_the_password(data: Path) -> None:
    async with embedded_servers(data, durable=False) as urls:
        for user, password in (("recado", "wrong"), ("recado", None), ("postgres", "wrong")):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(host=str(_sockets(urls)), user=user, password=password, database="recado")
        reader, writer = await asyncio.open_unix_connection(_sockets(urls) / "valkey.sock")
        writer.write(b"PING\r\n")
        assert (await reader.readline()).startswith(b"-NOAUTH")
        writer.close()

        assert await _query(urls, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


async def test_everything_is_closed_to_other_users(data: Path) -> None:
    async with embedded_servers(data, durable=False) as urls:
        sockets = _sockets(urls)
        opened = [path for path in (data, sockets, *data.iterdir(), *sockets.iterdir()) if _mode(path) & 0o077]
        listening = [found for process in _servers_of(data) for found in process.net_connections("inet")]

    assert opened == []
    assert listening == []


async def test_no_password_shows_in_the_list_of_processes(data: Path) -> None:
    async with embedded_servers(data, durable=False):
        passwords = [(data / name).read_text().strip() for name in ("postgres.password", "valkey.password")]
        shown = " ".join(" ".join(process.cmdline()) for process in _servers_of(data))

    assert "postgres" in shown
    assert not any(password in shown for password in passwords)


async def test_servers_never_run_as_root(data: Path) -> None:
    async with embedded_servers(data, durable=False):
        owners = {process.uids().effective for process in _servers_of(data)}

    assert 0 not in owners
    assert len(owners) == 1


async def test_a_second_instance_is_told_who_holds_the_folder(data: Path) -> None:
    async with embedded_servers(data, postgres=False):
        with pytest.raises(
            EmbeddedError, match=rf"in use by another running recado \(process {os.getpid()}\): stop that"
        ):
            await EmbeddedServers(data).start()
        assert is_held(data)

    assert not is_held(data)


async def test_another_process_finds_the_addresses(data: Path) -> None:
    async with embedded_servers(data, durable=False) as urls:
        assert urls_of(data) == urls


async def test_another_major_version_is_refused(data: Path) -> None:
    async with embedded_servers(data, valkey=False, durable=False):
        pass
    (data / "postgres" / "PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedError, match=r"was written by PostgreSQL 17, this is 18: dump it"):
        await EmbeddedServers(data).start()


async def test_another_users_folder_is_refused(data: Path) -> None:
    foreign = data
    if os.geteuid() == 0:
        data.mkdir()
        os.chown(data, 12345, 12345)
    else:
        foreign = Path("/usr")

    with pytest.raises(
        EmbeddedError, match=r"belongs to the system user .*: start as .*, or set another \[paths\] data"
    ):
        await EmbeddedServers(foreign).start()


async def test_a_folder_with_other_files_is_left_alone(data: Path) -> None:
    data.mkdir(mode=0o755)
    (data / "letter.txt").write_text("mine")

    with pytest.raises(EmbeddedError, match="holds other files"):
        await EmbeddedServers(data).start()

    assert _mode(data) == 0o755
    assert [path.name for path in data.iterdir()] == ["letter.txt"]


async def test_a_full_disk_is_told_before_anything_is_written(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.embedded.folder.MINIMUM_FREE_BYTES", 10**18)

    with pytest.raises(EmbeddedError, match=r"The disk of .* is full: the embedded servers need \d+ MB free"):
        await EmbeddedServers(data).start()

    assert not (data / "postgres").exists()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "FATAL:  could not write lock file: No space left on device\n",
            "is full: the embedded servers need 500 MB free.",
        ),
        ("LOG:  starting\nFATAL:  could not map memory\n", "PostgreSQL cannot start: could not map memory"),
        ("Killed\n", "PostgreSQL cannot start: Killed"),
        ("", "PostgreSQL cannot start: it wrote nothing"),
    ],
)
def test_a_log_becomes_one_line(tmp_path: Path, written: str, told: str) -> None:
    log = ServerLog(tmp_path / "postgres.log")
    log.path.write_text(written)

    text = str(explain("PostgreSQL", log, 0, tmp_path))

    assert told in text
    assert "\n" not in text


async def test_a_server_that_cannot_start_leaves_nothing(data: Path) -> None:
    async with embedded_servers(data, durable=False):
        pass
    (data / "postgres" / "postgresql.conf").write_text("shared_buffers = nonsense\n")

    with pytest.raises(EmbeddedError, match=r"PostgreSQL cannot start: .*postgresql.conf.* \(more in .*postgres.log\)"):
        await EmbeddedServers(data).start()

    assert _servers_of(data) == []
    assert not is_held(data)


async def test_kill_of_the_owner_ends_the_servers_and_a_new_start_recovers(data: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(data)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner, owner.stdout as output:
        assert await asyncio.to_thread(output.readline) == "started\n"
        urls = urls_of(data)
        await _query(urls, "CREATE TABLE kept AS SELECT 7 AS number")
        owner.send_signal(signal.SIGKILL)
        owner.wait()

    async with embedded_servers(data, durable=False) as urls:
        assert await _query(urls, "SELECT number FROM kept") == 7

    await _wait_until(lambda: _servers_of(data) == [])


async def test_a_killed_postgres_recovers(data: Path) -> None:
    servers = EmbeddedServers(data, valkey=False)
    urls = await servers.start()
    await _query(urls, "CREATE TABLE kept AS SELECT 7 AS number")
    server = servers.running[0]
    assert server.process is not None
    server.process.kill()
    await server.process.wait()

    await server.start()

    assert await _query(urls, "SELECT number FROM kept") == 7
    await servers.stop()
    assert _servers_of(data) == []


async def test_a_stale_pid_that_is_another_program_now_does_not_matter(data: Path) -> None:
    async with embedded_servers(data, valkey=False, durable=False):
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
    (data / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    async with embedded_servers(data, valkey=False, durable=False) as urls:
        assert await _query(urls, "SELECT 1") == 1


async def test_a_half_made_cluster_is_made_again(data: Path) -> None:
    (data / "postgres.new").mkdir(parents=True, mode=0o700)
    (data / "postgres.new" / "PG_VERSION").write_text("18\n")
    (data / "lock").touch()

    async with embedded_servers(data, valkey=False, durable=False) as urls:
        assert await _query(urls, "SELECT 1") == 1

    assert not (data / "postgres.new").exists()


async def test_a_lost_password_is_made_anew(data: Path) -> None:
    async with embedded_servers(data, valkey=False, durable=False) as before:
        pass
    (data / "postgres.password").unlink()

    async with embedded_servers(data, valkey=False, durable=False) as urls:
        assert urls != before
        assert await _query(urls, "SELECT 1") == 1


async def test_sockets_of_a_long_path_stand_in_a_short_closed_folder(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30) / "data"

    async with embedded_servers(data, durable=False) as urls:
        sockets = _sockets(urls)
        assert await _query(urls, "SELECT 1") == 1
        assert _mode(sockets) == 0o700
        assert not sockets.is_relative_to(tmp_path)

    assert not sockets.exists()
