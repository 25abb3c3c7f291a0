"""Who erases an account: the domain that knows what every other holds registers itself here."""

from collections.abc import Awaitable, Callable

Eraser = Callable[[int, int], Awaitable[None]]

_erasers: list[Eraser] = []


def account_eraser(eraser: Eraser) -> Eraser:
    """Register the coroutine function that erases: called with who asks for it and whose account it is."""
    if eraser not in _erasers:
        _erasers.append(eraser)
    return eraser


async def erase_user(actor_id: int, user_id: int) -> None:
    """Erase an account.

    Raises:
        NotFoundError: There is no such user.
        ConflictError: No active administrator would be left.
    """
    for erase in _erasers:
        await erase(actor_id, user_id)
