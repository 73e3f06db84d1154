"""Formats of numbers and times in Vietnamese and English.

Vietnamese: decimal comma, dots between thousands, 14:05 21/09/2026. English: decimal point, commas, ISO dates.
An unknown value is a dash, never a zero.
"""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from itertools import pairwise
from typing import Any, Final

from words.catalogue import NOTHING, say

_SECOND_MS: Final = 1000
_DAY_MS: Final = 86_400_000
_HALF_HOUR_MS: Final = 1_800_000
_UNITS: Final = (("d", _DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", _SECOND_MS))
_SWAP: Final = str.maketrans(",.", ".,")


def number(value: float | None, lang: str, digits: int = 0) -> str:
    """A number with thousands separators and `digits` decimals; None is a dash."""
    if value is None:
        return NOTHING
    text = f"{value:,.{digits}f}"
    text = text.removeprefix("-") if not float(text.replace(",", "")) else text  # no "-0"
    text = text.replace("-", "−")
    return text.translate(_SWAP) if lang == "vi" else text


def percent(ratio: float | None, lang: str, digits: int = 1) -> str:
    """A ratio [1] in percent; None is a dash."""
    if ratio is None:
        return NOTHING
    return f"{number(ratio * 100, lang, digits)}\u00a0%" if lang == "vi" else f"{number(ratio * 100, lang, digits)}%"


def duration(ms: float | None, lang: str) -> str:
    """A length of time [ms] in its two largest units; None is a dash."""
    if ms is None:
        return NOTHING
    sign, rest_ms = ("−" if ms < 0 else ""), abs(ms)
    if rest_ms < 10 * _SECOND_MS:
        return sign + say("duration.s", lang, n=number(rest_ms / 1000, lang, 1 if rest_ms else 0))
    for (large, large_ms), (small, small_ms) in pairwise(_UNITS):
        count = round(rest_ms / small_ms)  # rounded first, so that 59.9 s is a minute and not 60 s
        if count * small_ms < large_ms:
            continue
        major, minor = divmod(count, large_ms // small_ms)
        parts = [say(f"duration.{large}", lang, n=number(major, lang))]
        parts += [say(f"duration.{small}", lang, n=number(minor, lang))] if minor else []
        return sign + " ".join(parts)
    return sign + say("duration.s", lang, n=number(rest_ms / 1000, lang))


def hours(ms: float, lang: str) -> str:
    """A length of time [ms] as `duration` writes it, a day and more in whole hours: days of a calendar with shifts mislead."""
    if abs(ms) < _DAY_MS - _HALF_HOUR_MS:  # from there on `duration` rounds to a day
        return duration(ms, lang)
    return say("duration.h", lang, n=number(ms / 3_600_000, lang))


def day_text(day: date, lang: str) -> str:
    """A date as people write it."""
    return f"{day:%d/%m/%Y}" if lang == "vi" else day.isoformat()


def moment(when: datetime | None, lang: str) -> str:
    """Date and time of day in the zone of `when`; None is a dash."""
    if when is None:
        return NOTHING
    return f"{when:%H:%M %d/%m/%Y}" if lang == "vi" else f"{when:%Y-%m-%d %H:%M}"


def value_text(value: Any, lang: str) -> str:
    """A value read from a device, as people read it: on/off, a whole number without separators, few decimals."""
    if isinstance(value, bool):
        return say("check.on" if value else "check.off", lang)
    if isinstance(value, int):
        return str(value)  # as the machine's display shows it: no dots that could be taken for decimal signs
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.3g}" if value and not 1e-3 <= size < 1e9 else number(value, lang, 3 if size < 100 else 1)
    return "—" if value is None else str(value)


def refusal(why: str, zone: tzinfo, lang: str) -> str:
    """The reason as a sentence; "" for none. zone: the site's, for a detail that is a time.

    An unknown code, from a newer gateway, is returned unchanged.
    """
    code, _, detail = why.partition(" ")
    try:
        at = datetime.fromisoformat(detail) if code == "too_old" else None
    except ValueError:
        at = None
    try:
        if at is not None and at.tzinfo is not None:
            return say("declare.why.too_old_before", lang, at=moment(at.astimezone(zone), lang))
        return say(f"declare.why.{code}", lang, detail=detail).rstrip() if code else ""
    except KeyError:
        return why


def fault_text(code: str, values: Mapping[str, str], lang: str, part: str = "") -> str:
    """What was observed of a faulty device or tag; part: `causes` for its usual causes, `look` for what to inspect. What a newer
    program says in another way is returned as code and values, its causes as "".
    """
    key = f"fault.{code}.{part}" if part else f"fault.{code}"
    try:
        return say(key, lang, **{name: text for name, text in values.items() if name != "lang"})
    except KeyError:
        return "" if part else " ".join([code, *(f"{name}={text}" for name, text in values.items())])


def link_trouble(code: str, values: Mapping[str, str], lang: str) -> str:
    """A trouble of a gateway's link as a sentence. What a newer gateway says in another way is returned as code and values."""
    try:
        return say(f"link.{code}", lang, **{name: text for name, text in values.items() if name != "lang"})
    except KeyError:
        return " ".join([code, *(f"{name}={text}" for name, text in values.items())])
