"""Values as people read them. Pure."""

from typing import Any

from words import number, say


def value_text(value: Any, lang: str) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return say("check.on" if value else "check.off", lang)
    if isinstance(value, int):
        return str(value)  # as the machine's display shows it: no dots that could be taken for decimal signs
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.3g}" if value and not 1e-3 <= size < 1e9 else number(value, lang, 3 if size < 100 else 1)
    return "—" if value is None else str(value)
