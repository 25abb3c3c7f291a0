from tests.core.numbers.messaging import admin, tenant

__all__ = ("admin", "tenant")
