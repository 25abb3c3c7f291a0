"""Piccolo's entry point: the engine and the domains with tables, in the order of their foreign keys."""

import os

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

DOMAINS = (
    "plans",
    "accounts",
    "settings",
    "audit",
    "jobs",
    "numbers",
    "contacts",
    "campaigns",
    "payments",
    "webhooks",
)


class Engine(PostgresEngine):
    """Piccolo's engine without the connection it opens while it is imported; ``open_pool`` checks the version."""

    async def check_version(self) -> None:
        """Do nothing: the address is not known yet."""

    async def prep_database(self) -> None:
        """Do nothing: migrations create the extensions."""


DB = Engine(config={"dsn": os.environ.get("RECADO_DATABASE_URL", "")})

APP_REGISTRY = AppRegistry(apps=[f"core.{domain}.piccolo_app" for domain in DOMAINS])
