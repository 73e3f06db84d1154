"""Which site, machines, window and groups a question is about, checked once for all questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, get_args
from zoneinfo import ZoneInfo

from center.contract.store import Query
from center.model.buckets import HOUR_NS, Bucket
from center.model.schedule import Expected, expected
from center.model.times import BadQuestion, iso, window
from center.model.viewer import Viewer
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS
from oee.model.facts import MINUTE_NS

BUCKETS: Final[tuple[Bucket, ...]] = get_args(Bucket)
MAX_CELLS: Final = 100_000
"""Buckets times machines of one answer: a year of hours for eleven machines, or of days for 270."""
_BUCKET_NS: Final = {"minute": MINUTE_NS, "hour": HOUR_NS, "shift": 8 * HOUR_NS}


class UnknownSite(LookupError):
    """No gateway ever spoke for such a site or machine, or it is not the viewer's."""


@dataclass(frozen=True)
class Scope:
    """A checked question. machines: those asked for, or all of the site."""

    center: CenterState
    viewer: Viewer
    site: str
    zone: ZoneInfo
    machines: tuple[str, ...]
    start_ns: int
    end_ns: int
    bucket: Bucket
    by: tuple[str, ...]

    def query(self, *further: str) -> Query:
        """The same for the store; further: groups that the answer needs beside `by`."""
        by = tuple(dict.fromkeys((*self.by, *further)))
        return Query(self.site, self.start_ns, self.end_ns, self.zone.key, self.machines, bucket=self.bucket, by=by)

    def window(self) -> dict[str, str]:
        """What every answer says of its question."""
        return {
            "site": self.site,
            "from": iso(self.start_ns, self.zone),
            "to": iso(self.end_ns, self.zone),
            "timezone": self.zone.key,
        }

    @cached_property
    def expected(self) -> dict[str, Expected | None]:
        """By machine what its calendar says; None where no site file tells."""
        known: dict[tuple[tuple[int, int, int], ...], Expected] = {}
        out: dict[str, Expected | None] = {}
        for machine in self.machines:
            segments = self.center.ledger_cache.sites.segments(self.site, machine, self.start_ns, self.end_ns)
            if segments is None:
                out[machine] = None
                continue
            same = tuple((id(calendar), low, high) for calendar, low, high in segments)  # machines share calendars
            if same not in known:
                known[same] = expected(self.bucket, segments, (self.start_ns, self.end_ns))
            out[machine] = known[same]
        return out


def unknown(site: str) -> UnknownSite:
    """What is said of a site that never spoke, and of one that is not the viewer's."""
    return UnknownSite(f"site {site[:64]!r} is unknown here; GET /api/v1/sites lists those that ever spoke")


def zone_of(center: CenterState, viewer: Viewer, site: str) -> ZoneInfo:
    """The site's zone, UTC until a site file says. Raises `UnknownSite`, also for a site that is not the viewer's."""
    current = center.ledger_cache.sites.current(site)
    if not viewer.sees(site) or (current is None and site not in center.ledger_cache.sites.ids()):
        raise unknown(site)
    return current.zone if current else ZoneInfo("UTC")


def formula_of(center: CenterState, site: str, formula: str = "") -> str:
    """The formula set asked for, or the site's. Raises `BadQuestion`."""
    if formula and formula not in FORMULAS:
        raise BadQuestion(f"formula: {formula[:40]!r}; there are {', '.join(FORMULAS)}")
    current = center.ledger_cache.sites.current(site)
    own = current.body.formula if current and current.body.formula in FORMULAS else FORMULAS[0]
    return formula or own


def scope(
    center: CenterState,
    viewer: Viewer,
    site: str,
    machines: Sequence[str] = (),
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    bucket: str = "all",
    by: Sequence[str] = ("machine",),
    groups: Sequence[str] = ("machine", "shift", "product", "calendar"),
) -> Scope:
    """The checked question. groups: what `by` may hold. Raises `BadQuestion` or `UnknownSite`."""
    zone = zone_of(center, viewer, site)
    known = center.ledger_cache.sites.machines(site)
    for machine in machines:
        if machine not in known:
            raise UnknownSite(f"machine {machine[:64]!r} is unknown in site {site!r}; it has {', '.join(known)[:200]}")
    if bucket not in BUCKETS:
        raise BadQuestion(f"bucket: {bucket[:40]!r}; there are {', '.join(BUCKETS)}")
    for name in by:
        if name not in groups:
            raise BadQuestion(f"by: {name[:40]!r}; there are {', '.join(groups)}")
    low, high = window(start_ns, end_ns, center.now_ns())
    asked = tuple(dict.fromkeys(machines)) or tuple(known)
    buckets = 1 if bucket == "all" else (high - low) // _BUCKET_NS.get(bucket, 24 * HOUR_NS) + 1
    if buckets * max(len(asked) if "machine" in by else 1, 1) > MAX_CELLS:
        raise BadQuestion(
            f"{buckets} buckets for {len(asked)} machines are more than {MAX_CELLS} rows; "
            "ask for a longer bucket, a shorter window or fewer machines"
        )
    grouped = ("shift", *by) if bucket == "shift" else tuple(by)
    return Scope(
        center,
        viewer,
        site,
        zone,
        asked,
        low,
        high,
        next(b for b in BUCKETS if b == bucket),
        tuple(dict.fromkeys(grouped)),
    )
