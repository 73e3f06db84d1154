"""Who makes a request, and what they may see: every query takes a `Viewer`, and there is no other filter. Pure.

A site that a viewer may not see is answered like one that does not exist, so that customers do not learn of each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Right = Literal["read", "write", "aim", "own", "watch", "admin"]
"""read: query; write: make declarations; aim: set targets; own: decide for the factory what others may see of it, which nobody at
the center can; watch: the center's own state; admin: accounts, enrolment and manual imports.
"""


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
        """Whether they may see the site."""
        return self.sites is None or site in self.sites

    def seen(self, sites: Iterable[str]) -> list[str]:
        """Those of these sites that they may see, in the same order."""
        return [site for site in sites if self.sees(site)]

    def may(self, right: Right) -> bool:
        """Whether they have the right."""
        return right in self.rights


EVERYTHING: Final = Viewer("center", None, frozenset({"read", "write", "aim", "watch", "admin"}))
"""The center itself, and local users where accounts are off."""
