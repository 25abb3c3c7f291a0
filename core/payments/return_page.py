"""The page to which payers come back where nobody set one: it says what happens now, and knows nothing itself."""

from html import escape

from core.settings.typed import value_of
from core.texts import say

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Its style stands in the page; nothing else is loaded or run."""

_PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><title>{title} · {brand}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; display: grid; min-height: 100vh; place-items: center;
  background: #f6f7f7; color: #1b2224; }}
main {{ max-width: 28rem; margin: 1rem; padding: 2rem; background: #fff; border-top: .3rem solid {color}; }}
h1 {{ font-size: 1.3rem; margin: 0 0 .5rem; }} p {{ margin: 0; }}
</style></head>
<body><main><h1>{title}</h1><p>{body}</p></main></body>
</html>
"""
OUTCOMES = ("paid", "left", "portal")


async def render(outcome: str, language: str) -> str:
    """Return the page for ``paid``, ``left`` or ``portal``; anything else reads as the last of them."""
    known = outcome if outcome in OUTCOMES else OUTCOMES[-1]
    return _PAGE.format(
        language=escape(language),
        title=escape(say("pages", f"return_{known}_title", {}, language)),
        body=escape(say("pages", f"return_{known}_body", {}, language)),
        brand=escape(str(await value_of("brand.name"))),
        color=escape(str(await value_of("brand.color"))),
    )
