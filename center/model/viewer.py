"""Who asks, and what of the center they may see: every question takes a `Viewer`, and there is no other filter. Pure.

A site that is not the viewer's is answered as one that does not exist, so that nobody learns who else is served here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Right = Literal["read", "write", "watch", "admin"]
"""read: ask; write: declare and enter what people know; watch: the center's own state; admin: accounts, enrolment and
what is brought in by hand."""


@dataclass(frozen=True)
class Viewer:
    """An account or a token at this moment. sites: those that it may see, None for all; name: for the audit;
    user: id of a person's account.
    """

    name: str
    sites: frozenset[str] | None
    rights: frozenset[Right]
    user: int | None = None

    def sees(self, site: str) -> bool:
        """Whether the site is theirs."""
        return self.sites is None or site in self.sites

    def seen(self, sites: Iterable[str]) -> list[str]:
        """Of these sites those that are theirs, in order."""
        return [site for site in sites if self.sees(site)]

    def may(self, right: Right) -> bool:
        """Whether they have a right."""
        return right in self.rights


EVERYTHING: Final = Viewer("center", None, frozenset({"read", "write", "watch", "admin"}))
"""The center itself, and whoever sits at its machine where accounts are off."""
