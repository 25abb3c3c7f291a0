from tests.core.campaigns.conftest import plugin, provider, relay, sink, sink_url, stranger, tenant, user

__all__ = ("plugin", "provider", "relay", "sink", "sink_url", "stranger", "tenant", "user")
