"""The version of the platform."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version


@lru_cache(maxsize=1)
def platform_version() -> str:
    """Return the installed version; a checkout that was never installed has none."""
    try:
        return version("recado")
    except PackageNotFoundError:
        return "unreleased"
