"""The base of every plugin's settings."""

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The plugin's table in platform.toml: frozen, and a key it does not know stops the start.

    Describe each field with ``Annotated[..., msgspec.Meta(description="...", examples=[...])]``:
    ``platform.example.toml`` and the plugin's README table are made from that.
    """
