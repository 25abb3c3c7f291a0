"""From a credential to the user it stands for: session tokens and API keys."""

from core.accounts import answers, api_keys, sessions
from core.accounts.answers import Answer
from core.accounts.tables import UserStatus
from core.accounts.tokens import KEY_PREFIX, SESSION_PREFIX, TOKEN_LENGTH, digest, is_csrf_token
from core.errors import ForbiddenError, NotSignedInError
from core.security import Credential, CurrentUser


async def authenticate(credential: Credential, known: object = None) -> CurrentUser:
    """Return the user of a credential; see ``core.security.Authenticator``.

    ``known`` is what the cache held of it, where somebody has asked the cache already: nothing is ``b""`` then.
    """
    token = credential.token
    if len(token) != TOKEN_LENGTH:
        raise NotSignedInError
    token_hash = digest(token)
    answer = answers.decode(known) if known is not None else await answers.recall(token_hash)
    if answer is None:
        answer = await _look_up(token, token_hash)
    _ensure_right_way(answer, credential)
    if answer.status != UserStatus.ACTIVE:
        raise ForbiddenError("This account is suspended.", code="account_suspended")
    return answer.user


def cache_key(token: str) -> str | None:
    """Return where the cache keeps what it knows of a token; ``None`` for what cannot be one."""
    if len(token) != TOKEN_LENGTH or not token.startswith((SESSION_PREFIX, KEY_PREFIX)):
        return None
    return answers.key_of(digest(token))


async def _look_up(token: str, token_hash: bytes) -> Answer:
    if token.startswith(SESSION_PREFIX):
        return await sessions.look_up(token_hash)
    if token.startswith(KEY_PREFIX):
        return await api_keys.look_up(token_hash)
    raise NotSignedInError


def _ensure_right_way(answer: Answer, credential: Credential) -> None:
    """A cookie's token works as a cookie alone, and changes nothing without the proof that our page sent it."""
    by_cookie = answer.user.kind == "cookie"
    if by_cookie != credential.by_cookie:
        raise NotSignedInError
    if by_cookie and credential.changes and not is_csrf_token(credential.csrf, credential.token):
        raise ForbiddenError(
            "The request lacks the X-CSRF-Token of this sign-in: send the csrf_token that came with it.",
            code="csrf_token",
        )
