"""``make bench``: measures every side in one run on servers of its own, and prints ratios as ``name=value``.

``python -m bench.run NAME ...`` (``make bench only=NAME``) runs some: dispatch, workers, lanes, webhooks, api, scale,
lists, export, imports, streams.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench import api, dispatch, export, imports, lanes, lists, scale, streams, webhooks, workers
from core.config import PlatformConfig, load_config
from core.embedded import embedded_servers
from core.migrate import migrate
from core.startup import running_process

GOALS = {
    "dispatch_vs_bare": (">=", 0.85),
    "dispatch_vs_naive": (">=", 2.0),
    "dispatch_vs_httpx": (">=", 5.0),
    "two_workers": (">=", 1.8),
    "lane_lateness_p99_ms": ("<=", 500.0),
    "lane_rss_mb": ("<=", 300.0),
    "webhooks_vs_verify": (">=", 0.4),
    "api_vs_bare": (">=", 0.5),
    "freeze_vs_bare": ("<=", 1.5),
    "worker_rss_1m_vs_1k": ("<=", 1.1),
    "start_1m_vs_1k": ("<=", 1.5),
    "pause_1m_vs_1k": ("<=", 1.5),
    "progress_1m_vs_1k": ("<=", 1.5),
    "lists_1m_vs_10k": ("<=", 3.0),
    "export_vs_copy": ("<=", 2.0),
    "import_vs_copy": ("<=", 2.0),
    "import_rss_mb": ("<=", 150.0),
    "sse_rss_mb": ("<=", 200.0),
}

Ratios = dict[str, float]


async def main() -> None:
    """Run all benchmarks, or those named."""
    names = sys.argv[1:] or list(BENCHES)
    found: Ratios = {}
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as folder:
        async with embedded_servers(Path(folder) / "data") as urls:
            os.environ |= {
                "RECADO_DATABASE_URL": urls.database_url,
                "RECADO_REDIS_URL": urls.redis_url,
                "RECADO_DATA": str(Path(folder) / "data"),
            }
            config = load_config()
            await migrate(config)
            async with running_process(config):
                for name in names:
                    found |= await BENCHES[name](config)
    for name, value in found.items():
        sign, goal = GOALS[name]
        held = value >= goal if sign == ">=" else value <= goal
        print(f"{name:>20} {value:8.2f}   goal {sign} {goal:<5g} {'held' if held else 'NOT held'}")
    print(" ".join(f"{name}={value:.2f}" for name, value in found.items()))


async def measure_dispatch(config: PlatformConfig) -> Ratios:
    """Print a table of messages per second."""
    print(f"{'round':>5} {'platform':>9} {'bare':>9} {'naive':>9} {'httpx':>9} {'sink':>9}   messages per second")
    rounds: list[dict[str, float]] = []
    async for found in dispatch.measure_rounds(config):
        rounds.append(found)
        print(f"{len(rounds):>5} " + " ".join(f"{rate:9.0f}" for rate in found.values()), flush=True)
    print(f"The sink alone takes {dispatch.ratio(rounds, 'platform', of='sink'):.1f} times what the platform sends.")
    return {f"dispatch_vs_{other}": dispatch.ratio(rounds, other) for other in ("bare", "naive", "httpx")}


async def measure_workers(_: PlatformConfig) -> Ratios:
    """Print a table of messages per second."""
    print(f"{'pair':>5} {'one':>9} {'two':>9}   messages per second of worker processes")
    pairs: list[tuple[float, float]] = []
    async for one, two in workers.measure_pairs():
        pairs.append((one, two))
        print(f"{len(pairs):>5} {one:9.0f} {two:9.0f}", flush=True)
    return {"two_workers": workers.ratio(pairs)}


async def measure_lanes(_: PlatformConfig) -> Ratios:
    """Print how late two thousand paced numbers send."""
    found = await lanes.measure()
    print(
        f"2,000 numbers, {found.messages_per_second:.0f} messages per second: late by {found.late_median_ms:.0f} ms"
        f" (median), {found.late_p99_ms:.0f} ms (99th percentile)."
    )
    return {"lane_lateness_p99_ms": found.late_p99_ms, "lane_rss_mb": found.rss_mb}


async def measure_webhooks(_: PlatformConfig) -> Ratios:
    """Print a table of acknowledgements per second."""
    print(f"{'round':>5} {'platform':>9} {'verify':>9}   acknowledgements per second of one API process")
    rounds: list[tuple[float, float]] = []
    async for platform, bare in webhooks.measure_rounds():
        rounds.append((platform, bare))
        print(f"{len(rounds):>5} {platform:9.0f} {bare:9.0f}", flush=True)
    return {"webhooks_vs_verify": webhooks.ratio(rounds)}


async def measure_api(_: PlatformConfig) -> Ratios:
    """Print a table of requests per second, and what each step of the chain costs."""
    print(f"{'round':>5} {'platform':>9} {'bare':>9}   requests per second for a page of {api.ROWS} campaigns")
    rounds: list[tuple[float, float]] = []
    async for platform, bare in api.measure_rounds():
        rounds.append((platform, bare))
        print(f"{len(rounds):>5} {platform:9.0f} {bare:9.0f}", flush=True)
    for name, microseconds in (await api.measure_steps()).items():
        print(f"{name:>24} {microseconds:9.0f} us")
    return {"api_vs_bare": api.ratio(rounds)}


async def measure_scale(_: PlatformConfig) -> Ratios:
    """Print what a million recipients cost."""
    found = await scale.measure()
    print(f"{'pair':>5} {'freeze':>9} {'bare':>9}   seconds for a million recipients")
    for place, (freeze, bare) in enumerate(found.freezes, 1):
        print(f"{place:>5} {freeze:9.1f} {bare:9.1f}")
    print(f"{'call':>20} {'million':>9} {'thousand':>9}   milliseconds")
    for name, (million, thousand) in found.calls.items():
        print(f"{name:>20} {million * 1000:9.2f} {thousand * 1000:9.2f}", flush=True)
    print(f"A worker's memory: {found.peaks_mb[0]:.0f} MB and {found.peaks_mb[1]:.0f} MB.")
    ratios = {name: million / thousand for name, (million, thousand) in found.calls.items()}
    return {
        "freeze_vs_bare": statistics.median(freeze / bare for freeze, bare in found.freezes),
        "worker_rss_1m_vs_1k": found.peaks_mb[0] / found.peaks_mb[1],
        **ratios,
    }


async def measure_lists(_: PlatformConfig) -> Ratios:
    """Print how long a part of the list of contacts takes; what counts is the slowest way beside its fellow."""
    print(f"{'list of contacts':>22} {'million':>9} {'10,000':>9} {'ratio':>6}   milliseconds, 95th percentile")
    found = await lists.measure()
    for read in found:
        print(f"{read.name:>22} {read.many:9.2f} {read.few:9.2f} {read.ratio:6.2f}")
    return {"lists_1m_vs_10k": max(read.ratio for read in found)}


async def measure_export(config: PlatformConfig) -> Ratios:
    """Print a table of contacts per second, and how long a workbook takes."""
    print(f"{'round':>5} {'platform':>9} {'bare':>9} {'bare CSV':>9}   contacts per second of a file of a million")
    rounds: list[export.Round] = []
    async for found in export.measure_rounds(config):
        rounds.append(found)
        rates = [lists.MANY / seconds for seconds in (found.platform, found.bare, found.bare_csv)]
        print(f"{len(rounds):>5} " + " ".join(f"{rate:9.0f}" for rate in rates), flush=True)
        if found.workbook is not None:
            print(f"As a workbook: {lists.MANY / found.workbook:.0f} contacts per second.")
    return {"export_vs_copy": statistics.median(found.platform / found.bare for found in rounds)}


async def measure_imports(config: PlatformConfig) -> Ratios:
    """Print how long a file of a million contacts takes."""
    print(f"{'pair':>5} {'import':>9} {'COPY':>9} {'memory':>9}   seconds for a million rows, megabytes")
    pairs = []
    async for found in imports.measure_pairs(config):
        pairs.append(found)
        print(f"{len(pairs):>5} {found.platform:9.1f} {found.bare:9.1f} {found.peak_mb:9.0f}", flush=True)
    return {
        "import_vs_copy": statistics.median(found.ratio for found in pairs),
        "import_rss_mb": max(found.peak_mb for found in pairs),
    }


async def measure_streams(_: PlatformConfig) -> Ratios:
    """Print what open connections for live events take."""
    found = await streams.measure()
    each_kb = (found.rss_mb - found.before_mb) * 1024 / streams.CONNECTIONS
    print(
        f"An API process: {found.before_mb:.0f} MB at its start, {found.rss_mb:.0f} MB with {streams.CONNECTIONS}"
        f" connections for live events ({each_kb:.0f} KB each)."
    )
    return {"sse_rss_mb": found.rss_mb}


BENCHES: dict[str, Callable[[PlatformConfig], Awaitable[Ratios]]] = {
    "dispatch": measure_dispatch,
    "workers": measure_workers,
    "lanes": measure_lanes,
    "webhooks": measure_webhooks,
    "api": measure_api,
    "scale": measure_scale,
    "lists": measure_lists,
    "export": measure_export,
    "imports": measure_imports,
    "streams": measure_streams,
}


if __name__ == "__main__":
    uvloop.run(main())
