"""The `site` body: the description of what this gateway's numbers are about."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wire.bodies import SiteBody

SENT: Final = "site_sent"
"""The outbox's setting that holds the digest of the last body put into it."""

AUTHOR: Final = "author"
"""The outbox's setting that holds `<site>/<gateway>`: in whose name its envelopes are delivered."""

CommitExtras = tuple[Sequence[tuple[str, Any]], Mapping[str, str]]
"""Contents of envelopes, and settings, that a commit stores beside its batch."""


def site_body(described: Mapping[str, Any], valid_from_ns: int) -> dict[str, Any]:
    """The body as it is sent, valid from then on. Raises pydantic's `ValidationError` if a field is missing."""
    return SiteBody.model_validate({**described, "valid_from_ns": valid_from_ns}).model_dump(mode="json")


def digest(body: Mapping[str, Any]) -> str:
    """Equal for bodies that describe the same; from when on they are valid does not count."""
    compared = {key: value for key, value in body.items() if key not in ("valid_from_ns", "made_ns")}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class SiteAnnouncement:
    """The body that the next commit brings, unless the last one in the outbox described the same."""

    _latest: Mapping[str, Any] | None = None
    _due: Mapping[str, Any] | None = None
    _valid_from_ns: int = 0

    def announce(self, described: Mapping[str, Any], valid_from_ns: int) -> None:
        """The site as it is described now, valid from then on [ns]."""
        self._latest = self._due = described
        self._valid_from_ns = valid_from_ns

    def repeat(self, now_ns: int) -> None:
        """The outbox begins with new streams: the last body is due again."""
        if self._latest is not None:
            self.announce(self._latest, now_ns)

    @property
    def announced(self) -> bool:
        """Whether the site was announced in this run."""
        return self._latest is not None

    @property
    def due(self) -> Mapping[str, Any] | None:
        """The description that waits to be announced; None if none does."""
        return self._due

    def extras(self, settings: Mapping[str, str]) -> CommitExtras:
        """What a commit to an outbox with these settings stores of what is due."""
        if self._due is None:
            return (), {}
        body = site_body(self._due, self._valid_from_ns)
        own = digest(body)
        return ((), {}) if settings.get(SENT) == own else ([("site", body)], {SENT: own})

    def stored(self, described: Mapping[str, Any] | None) -> None:
        """A commit brought this description."""
        if self._due is described:
            self._due = None


@dataclass(frozen=True)
class SiteRevision:
    """The site's body for a time that was computed again: it replaces those that were valid before.

    describe: `config.description` of the site; now_ns: gateway time.
    """

    describe: Callable[[int], Mapping[str, Any]]
    now_ns: Callable[[], int]

    def __call__(self, valid_from_ns: int) -> CommitExtras:
        """What a commit stores."""
        described = {**self.describe(valid_from_ns), "made_ns": self.now_ns()}
        body = site_body(described, valid_from_ns)
        return [("site", body)], {SENT: digest(body)}
