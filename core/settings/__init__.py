"""Settings of the platform and of each tenant."""
