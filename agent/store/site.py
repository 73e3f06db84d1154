"""The `site` body: describes the machines and calendars behind this gateway's numbers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wire.bodies import SiteBody

SENT: Final = "site_sent"
"""The outbox's setting that holds the digest of the last `site` body stored in it."""

AUTHOR: Final = "author"
"""The outbox's setting that holds `<site>/<gateway>`: in whose name its envelopes are delivered."""

CommitExtras = tuple[Sequence[tuple[str, Any]], Mapping[str, str]]
"""Contents of envelopes, and settings, that a commit stores beside its batch."""


def site_body(description: Mapping[str, Any], valid_from_ns: int) -> dict[str, Any]:
    """The body as it is sent, valid from `valid_from_ns` on. Raises pydantic's `ValidationError` if a field is missing."""
    body = SiteBody.model_validate({**description, "valid_from_ns": valid_from_ns}).model_dump(mode="json")
    if not body["targets"]:
        del body["targets"]  # an older center would not understand it
    return body


def digest(body: Mapping[str, Any]) -> str:
    """A digest of the body without its times: equal for bodies that describe the same."""
    compared = {key: value for key, value in body.items() if key not in ("valid_from_ns", "made_ns")}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:32]


@dataclass
class SiteAnnouncement:
    """The body for the next commit, unless the last one in the outbox described the same."""

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
        body = site_body(self._due, self._valid_from_ns)
        body_digest = digest(body)
        return ((), {}) if settings.get(SENT) == body_digest else ([("site", body)], {SENT: body_digest})

    def stored(self, description: Mapping[str, Any] | None) -> None:
        """A commit stored this description."""
        if self._due is description:
            self._due = None


@dataclass(frozen=True)
class SiteRevision:
    """The `site` body for time that was computed again; it replaces the earlier bodies for that time.

    describe: `config.description` of the site; now_ns: gateway time.
    """

    describe: Callable[[int], Mapping[str, Any]]
    now_ns: Callable[[], int]

    def __call__(self, valid_from_ns: int) -> CommitExtras:
        """What a commit stores."""
        description = {**self.describe(valid_from_ns), "made_ns": self.now_ns()}
        body = site_body(description, valid_from_ns)
        return [("site", body)], {SENT: digest(body)}
