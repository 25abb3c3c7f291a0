"""The two cookies of a sign-in in a browser: the token, which no script reads, and the CSRF token, which ours do."""

from typing import Any

from litestar import Response
from litestar.datastructures import Cookie

from core.accounts.tokens import csrf_token
from core.runtime import config
from core.security import CSRF_COOKIE, SESSION_COOKIE


def set_cookies(response: Response[Any], token: str, seconds: int) -> None:
    """Sign the browser in for ``seconds`` without use."""
    response.cookies.append(_cookie(SESSION_COOKIE, token, seconds, httponly=True))
    response.cookies.append(_cookie(CSRF_COOKIE, csrf_token(token), seconds, httponly=False))


def clear_cookies(response: Response[Any]) -> None:
    """Sign the browser out."""
    response.cookies.append(_cookie(SESSION_COOKIE, "", 0, httponly=True))
    response.cookies.append(_cookie(CSRF_COOKIE, "", 0, httponly=False))


def _cookie(name: str, value: str, seconds: int, *, httponly: bool) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        max_age=seconds,
        path="/",
        httponly=httponly,
        secure=config().server.public_url.startswith("https://"),
        samesite="lax",
    )
