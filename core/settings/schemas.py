"""Bodies of the settings' routes."""

from typing import Annotated, Any

import msgspec


class SettingRead(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of the platform."""

    key: Annotated[str, msgspec.Meta(examples=["retention.logs_days"])]
    value: Annotated[Any, msgspec.Meta(examples=[365])]
    default: Annotated[Any, msgspec.Meta(examples=[365])]
    description: str
    changed: bool
    """Somebody has set it."""


class SettingsUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Settings to change; ``null`` goes back to the default."""

    values: Annotated[dict[str, Any], msgspec.Meta(max_length=100, examples=[{"retention.logs_days": 90}])]
