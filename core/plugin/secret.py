"""A string that never shows itself."""

import hmac


class Secret:
    """A secret value: ``repr`` and ``str`` show ``***``; ``reveal()`` gives the text.

    In platform.toml a secret is written ``{ env = "NAME" }`` or ``{ file = "path" }``.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself; keep it out of logs, errors and exports."""
        return self._value

    def matches(self, other: str) -> bool:
        """Compare with ``other`` in constant time."""
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)
