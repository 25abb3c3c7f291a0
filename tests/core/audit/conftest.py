from tests.core.numbers.messaging import admin, messaging, platform, start_waha, tenant, waha
from tests.core.payments.conftest import shop

__all__ = ("admin", "messaging", "platform", "shop", "start_waha", "tenant", "waha")
