"""The `site` body: what this gateway's numbers are about."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wire.bodies import SiteBody

SENT: Final = "site_sent"
"""The outbox's setting that holds the digest of the last body put into it."""

AUTHOR: Final = "author"
"""The outbox's setting that holds `<site>/<gateway>`: in whose name its envelopes are delivered."""


def site_body(described: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """The body as it travels, valid from now on. Raises pydantic's `ValidationError` if a field is missing."""
    return SiteBody.model_validate({**described, "valid_from_ns": now_ns}).model_dump(mode="json")


def digest(body: Mapping[str, Any]) -> str:
    """What changes when the body says something else; from when on it is valid does not count."""
    said = {key: value for key, value in body.items() if key not in ("valid_from_ns", "made_ns")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def news(described: Mapping[str, Any], settings: Mapping[str, str], now_ns: int) -> tuple[dict[str, Any], str] | None:
    """The body to send and its digest, or None if the last one sent from this outbox said the same."""
    body = site_body(described, now_ns)
    said = digest(body)
    return None if settings.get(SENT) == said else (body, said)


@dataclass(frozen=True)
class SiteNews:
    """The site's body for a time that was computed anew: it takes the place of those that held before.

    describe: `config.description` of the site.
    """

    describe: Callable[[int], Mapping[str, Any]]
    now_ns: Callable[[], int]

    def __call__(self, valid_from_ns: int) -> tuple[list[tuple[str, Any]], dict[str, str]]:
        """Contents and settings of a commit."""
        described = {**self.describe(valid_from_ns), "made_ns": self.now_ns()}
        body = site_body(described, valid_from_ns)
        return [("site", body)], {SENT: digest(body)}
