"""Does a message ask to be written to no more? It does when it is one of the tenant's words and nothing else.

A word inside a longer sentence is no request ("quando vai parar de chover?"). Case, accents, punctuation, emoji,
repeated letters and repeated words do not matter, and one slip of the finger does not, where the word is long enough
not to become another one by it.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from rapidfuzz.distance import OSA

LONGEST_MESSAGE = 120
"""Characters; nobody asks at such length with one word."""
TYPO_FROM = 5
"""Letters a word needs for a slip to be forgiven: "pare" and "para" are two words, "cancelar" and "canelar" one."""

_APART = re.compile(r"[^a-z0-9]+")
_REPEATED = re.compile(r"(.)\1+")


def asks_to_opt_out(message: str, words: Iterable[str]) -> bool:
    """Whether ``message`` is one of ``words``, each of which may be a phrase."""
    if len(message) > LONGEST_MESSAGE:
        return False
    said = _plain(message)
    return bool(said) and any(_same(said, _plain(word)) for word in words)


def _same(said: str, word: str) -> bool:
    if not word:
        return False
    if said == word or set(said.split()) == {word}:
        return True
    if _squeezed(said) == _squeezed(word):
        return True
    if len(word) < TYPO_FROM:
        # Two letters that changed places make no other word of these.
        return len(said) == len(word) and sorted(said) == sorted(word) and OSA.distance(said, word) == 1
    return OSA.distance(_squeezed(said), _squeezed(word), score_cutoff=1) <= 1


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    """Return the words of a text in small letters of the Latin alphabet, each parted by one space."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    without_accents = "".join(char for char in folded if not unicodedata.combining(char))
    return " ".join(part for part in _APART.split(without_accents) if part)


def _squeezed(text: str) -> str:
    return _REPEATED.sub(r"\1", text)
