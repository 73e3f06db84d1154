"""The `site` body: describes the machines and calendars behind this gateway's numbers."""

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wire.site import SiteBody, sendable

SENT: Final = "site_sent"
"""The outbox's setting that holds the digest of the last `site` body stored in it."""

AUTHOR: Final = "author"
"""The outbox's setting that holds `<site>/<gateway>`: in whose name its envelopes are delivered."""

KNOWS: Final = "center_knows"
"""The outbox's setting that holds the additions that the center understood when the last `site` body was stored, by commas."""

CommitExtras = tuple[Sequence[tuple[str, Any]], Mapping[str, str]]
"""Contents of envelopes, and settings, that a commit stores beside its batch."""


def site_body(description: Mapping[str, Any], valid_from_ns: int, knows: Container[str] = ()) -> dict[str, Any]:
    """The body as it is sent, valid from `valid_from_ns` on. knows: what the center understands (`Receipt.knows`). Raises
    pydantic's `ValidationError` if a field is missing.
    """
    return sendable(SiteBody.model_validate({**description, "valid_from_ns": valid_from_ns}), knows)


def digest(body: Mapping[str, Any]) -> str:
    """A digest of the body without its times: equal for bodies that describe the same."""
    compared = {key: value for key, value in body.items() if key not in ("valid_from_ns", "made_ns")}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class SiteAnnouncement:
    """The body for the next commit, unless the last one in the outbox described the same. knows: as in `site_body`."""

    knows: frozenset[str] = frozenset()
    _latest: Mapping[str, Any] | None = None
    _due: Mapping[str, Any] | None = None
    _valid_from_ns: int = 0

    def announce(self, description: Mapping[str, Any], valid_from_ns: int) -> None:
        """Makes a description due, valid from `valid_from_ns` on [ns]."""
        self._latest = self._due = description
        self._valid_from_ns = valid_from_ns

    def repeat(self, now_ns: int) -> None:
        """Makes the last description due again, since the outbox has new streams."""
        if self._latest is not None:
            self.announce(self._latest, now_ns)

    def learn(self, knows: Iterable[str], now_ns: int) -> None:
        """The center says what it understands: if that has changed, the description is due again."""
        if self.knows != (new := frozenset(knows)):
            self.knows = new
            self.repeat(now_ns)

    @property
    def announced(self) -> bool:
        """Whether the site was announced in this run."""
        return self._latest is not None

    @property
    def due(self) -> Mapping[str, Any] | None:
        """The description for the next commit; None if there is none."""
        return self._due

    def extras(self, settings: Mapping[str, str]) -> CommitExtras:
        """What a commit to an outbox with these settings stores for the due description."""
        if self._due is None:
            return (), {}
        body = site_body(self._due, self._valid_from_ns, self.knows)
        body_digest, knows = digest(body), {KNOWS: ",".join(sorted(self.knows))}
        return ((), knows) if settings.get(SENT) == body_digest else ([("site", body)], {SENT: body_digest, **knows})

    def stored(self, description: Mapping[str, Any] | None) -> None:
        """A commit stored this description."""
        if self._due is description:
            self._due = None


@dataclass(frozen=True)
class SiteRevision:
    """The `site` body for time that was computed again; it replaces the earlier bodies for that time.

    describe: `config.description` of the site; now_ns: gateway time; announced: what is announced of the present.
    """

    describe: Callable[[int], Mapping[str, Any]]
    now_ns: Callable[[], int]
    announced: SiteAnnouncement

    def __call__(self, valid_from_ns: int) -> CommitExtras:
        """What a commit stores."""
        description = {**self.describe(valid_from_ns), "made_ns": self.now_ns()}
        body = site_body(description, valid_from_ns, self.announced.knows)
        return [("site", body)], {SENT: digest(body)}
