"""``make bench``: measures every side in one run on servers of its own, and prints ratios as ``name=value``."""

import os
import tempfile
from pathlib import Path

import uvloop

from bench import dispatch
from core.config import PlatformConfig, load_config
from core.embedded import embedded_servers
from core.migrate import migrate
from core.startup import running_process


async def main() -> None:
    """Run all benchmarks."""
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
                await measure_dispatch(config)


async def measure_dispatch(config: PlatformConfig) -> None:
    """Print a table of messages per second and the ratios."""
    print(f"{'round':>5} {'platform':>9} {'bare':>9} {'naive':>9} {'httpx':>9} {'sink':>9}   messages per second")
    rounds: list[dict[str, float]] = []
    async for found in dispatch.measure_rounds(config):
        rounds.append(found)
        print(f"{len(rounds):>5} " + " ".join(f"{rate:9.0f}" for rate in found.values()), flush=True)
    ratios = {f"dispatch_vs_{other}": dispatch.ratio(rounds, other) for other in ("bare", "naive", "httpx")}
    print(f"The sink alone takes {dispatch.ratio(rounds, 'platform', of='sink'):.1f} times what the platform sends.")
    print(" ".join(f"{name}={value:.2f}" for name, value in ratios.items()))


if __name__ == "__main__":
    uvloop.run(main())
