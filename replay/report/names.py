"""Names of machines, products, shifts and reasons in a language."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import words
from oee.model.facts import NO_SHIFT, UNKNOWN_PRODUCT
from replay.drive import ReplayResult
from replay.read.conflicts import Conflict

_KNOWN_BY: Final = ("plc", "count", "product", "calendar")


def named(names: Mapping[str, str] | None, key: str, lang: str) -> str:
    """The name in a language, else any name, else the key."""
    return (names or {}).get(lang) or next(iter((names or {}).values()), "") or key


class SiteNames:
    """The site file's names of machines, products, shifts and reasons, in one language."""

    def __init__(self, result: ReplayResult, lang: str) -> None:
        self._site, self._lang = result.site, lang
        self.zone = ZoneInfo(result.site.timezone)

    def machine(self, key: str) -> str:
        """A machine's name."""
        return named(self._site.machines[key].name, key, self._lang) if key in self._site.machines else key

    def product(self, key: str) -> str:
        """A product's name; "unknown product" for one that the site file does not have."""
        if key == UNKNOWN_PRODUCT:
            return words.say("product.unknown", self._lang)
        return named(self._site.products[key].name, key, self._lang) if key in self._site.products else key

    def shift(self, key: str) -> str:
        """A shift's name."""
        return words.say("shift.none", self._lang) if key == NO_SHIFT else key

    def order(self, key: str) -> str:
        """An order's number."""
        return key or words.say("replay.no_order", self._lang)

    def reason(self, key: str) -> str:
        """A reason's name, or that none was given."""
        if not key:
            return words.say("reason.none", self._lang)
        return named(self._site.reasons[key].name, key, self._lang) if key in self._site.reasons else key

    def by(self, who: str) -> str:
        """The source of a state."""
        return words.say(f"replay.by.{who}", self._lang) if who in _KNOWN_BY else who

    def moment(self, t_ns: int) -> str:
        """An instant on the site's clock."""
        return words.moment(datetime.fromtimestamp(t_ns // 10**9, UTC).astimezone(self.zone), self._lang)


def complain(items: Sequence[Conflict], lang: str) -> list[str]:
    """Conflicts as lines."""
    out = []
    for item in items:
        text = words.complaint(item, lang)
        out.append(words.say("replay.more", lang, text=text, n=item.count - 1) if item.count > 1 else text)
    return out
