"""Piccolo's entry point: the engine and the domains with tables, in the order of their foreign keys."""

import os
from contextlib import suppress
from types import TracebackType

import asyncpg
from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

DOMAINS = (
    "plans",
    "accounts",
    "settings",
    "audit",
    "jobs",
    "idempotency",
    "numbers",
    "contacts",
    "media",
    "campaigns",
    "payments",
    "webhooks",
    "notifications",
    "privacy",
)


class Transaction(PostgresTransaction):
    """Piccolo's transaction that lets go of its connection whatever happens.

    Piccolo's own keeps the connection, and stays the task's current transaction, when its commit or rollback fails.
    """

    async def __aenter__(self) -> PostgresTransaction:
        """Begin, or join the task's transaction."""
        if self._parent is not None:
            return self._parent
        pool = self.engine.pool
        self.connection = await (pool.acquire() if pool else self.engine.get_new_connection())
        self.transaction = self.connection.transaction()
        try:
            await self.transaction.start()
        except BaseException:
            await self._let_go()
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Commit, or roll back; an error of the block is not hidden by one of the rollback."""
        if self._parent is not None:
            return error is None
        try:
            # Migrations may have ended it by hand.
            if not (self._committed or self._rolled_back):
                await self._end(error)
        finally:
            self.engine.current_transaction.reset(self.context)
            await self._let_go()
        return error is None

    async def _end(self, error: BaseException | None) -> None:
        if error is None:
            await self.transaction.commit()
            return
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await self.transaction.rollback()

    async def _let_go(self) -> None:
        if self.engine.pool:
            await self.engine.pool.release(self.connection)
        else:
            await self.connection.close()


class Engine(PostgresEngine):
    """Piccolo's engine without the connection it opens while it is imported; ``open_pool`` checks the version."""

    async def check_version(self) -> None:
        """Do nothing: the address is not known yet."""

    async def prep_database(self) -> None:
        """Do nothing: migrations create the extensions."""

    def transaction(self, allow_nested: bool = True) -> Transaction:  # noqa: FBT001, FBT002 - Piccolo's signature
        """Return a transaction of this engine; see ``core.database.unit_of_work``."""
        return Transaction(engine=self, allow_nested=allow_nested)


DB = Engine(config={"dsn": os.environ.get("RECADO_DATABASE_URL", "")})

APP_REGISTRY = AppRegistry(apps=[f"core.{domain}.piccolo_app" for domain in DOMAINS])
