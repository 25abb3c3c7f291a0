"""The events of the platform: what happened, as frontends, realtime services and tenants' webhooks are told of it."""
