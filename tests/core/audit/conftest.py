from tests.core.numbers.messaging import admin, messaging, platform, start_waha, tenant, waha

__all__ = ("admin", "messaging", "platform", "start_waha", "tenant", "waha")
