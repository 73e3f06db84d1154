"""The nearest known word to one that was mistyped."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that looks most like it, or ""."""
    by_fold = {item.casefold(): item for item in known}
    found = get_close_matches(word.casefold(), by_fold, 1, cutoff)
    return by_fold[found[0]] if found else ""
