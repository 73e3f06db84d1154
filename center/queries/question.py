"""A question about the facts of one site: created once at the entry point, checked once, and passed on as one object.

An API route creates it from its parameters, a console page from its address. Each query turns it into a
`CheckedQuestion`: the same question with its window fixed, its machines named and everything in it checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Final, get_args
from zoneinfo import ZoneInfo

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from center.contract.store import Query
from center.model.buckets import Bucket
from center.model.schedule import Expected, expected
from center.model.times import BadQuestion, iso, window
from center.model.viewer import Viewer
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS, KPI_KEYS
from oee.model.facts import HOUR_NS, MINUTE_NS

BUCKETS: Final[tuple[Bucket, ...]] = get_args(Bucket)
MAX_CELLS: Final = 100_000
"""Buckets times machines of one answer: a year of hours for eleven machines, or of days for 270."""
_BUCKET_NS: Final = {"minute": MINUTE_NS, "hour": HOUR_NS, "shift": 8 * HOUR_NS}
FACT_GROUPS: Final = ("machine", "shift", "product", "calendar")

Name = dict[str, str]
"""Language to text."""
NextPage = Annotated[str | None, Field(description="Where the next page is; null on the last one.")]
"""Type of `next`: null until paging cuts the answer's rows."""

Ends = TypedDict("Ends", {"from": str, "to": str})
WindowAnswer = TypedDict("WindowAnswer", {"site": str, "from": str, "to": str, "timezone": str})
"""What every answer about `[from, to)` of a site says of its question. Times are ISO 8601 with an offset."""


class UnknownSite(LookupError):
    """No gateway ever sent anything for such a site or machine, or the viewer may not see it."""


@dataclass(frozen=True)
class Question:
    """A query about a site as requested. Hashable, so that it can be the key of a cached answer.

    machines: empty means all of the site. start_ns, end_ns: half-open window [ns UTC]; without an end up to the last
    complete minute, without a start 24 hours. bucket: length of a row; by: columns to group by; formula: formula set,
    "" for the site's own; kpis: keys of the KPIs to compute. until_now: the window has no end of its own.
    """

    viewer: Viewer
    site: str
    machines: tuple[str, ...] = ()
    start_ns: int | None = None
    end_ns: int | None = None
    bucket: str = "all"
    by: tuple[str, ...] = ("machine",)
    formula: str = ""
    kpis: tuple[str, ...] = KPI_KEYS
    until_now: bool = False

    def settled(self, now_ns: int) -> "Question":
        """The same question with both ends of its window fixed, on whole minutes. Raises `BadQuestion`."""
        start_ns, end_ns = window(self.start_ns, self.end_ns, now_ns)
        return replace(self, start_ns=start_ns, end_ns=end_ns, until_now=self.until_now or self.end_ns is None)


@dataclass(frozen=True)
class CheckedQuestion:
    """A checked question. machines: those asked for, or all of the site; start_ns, end_ns: on whole minutes [ns UTC]."""

    center: CenterState
    question: Question
    zone: ZoneInfo
    machines: tuple[str, ...]
    start_ns: int
    end_ns: int
    bucket: Bucket
    by: tuple[str, ...]

    def query(self, *further: str) -> Query:
        """The query to the store. further: groups that the answer needs in addition to `by`."""
        by = tuple(dict.fromkeys((*self.by, *further)))
        site, zone = self.question.site, self.zone.key
        return Query(site, self.start_ns, self.end_ns, zone, self.machines, bucket=self.bucket, by=by)

    def window(self) -> WindowAnswer:
        """What the answer says of its question."""
        return {
            "site": self.question.site,
            "from": iso(self.start_ns, self.zone),
            "to": iso(self.end_ns, self.zone),
            "timezone": self.zone.key,
        }

    @cached_property
    def expected(self) -> dict[str, Expected | None]:
        """By machine what its calendar says; None where no site file names a calendar for it."""
        computed: dict[tuple[tuple[int, int, int], ...], Expected] = {}
        out: dict[str, Expected | None] = {}
        for machine in self.machines:
            segments = self.center.ledger_cache.sites.segments(self.question.site, machine, self.start_ns, self.end_ns)
            if segments is None:
                out[machine] = None
                continue
            key = tuple((id(calendar), low, high) for calendar, low, high in segments)  # machines share calendars
            if key not in computed:
                computed[key] = expected(self.bucket, segments, (self.start_ns, self.end_ns))
            out[machine] = computed[key]
        return out


def check(center: CenterState, question: Question, groups: Sequence[str] = FACT_GROUPS) -> CheckedQuestion:
    """The question, checked. groups: what `by` may hold. Raises `BadQuestion` or `UnknownSite`."""
    zone = zone_of(center, question.viewer, question.site)
    require_machines(center, question.site, question.machines)
    bucket = next((name for name in BUCKETS if name == question.bucket), None)
    if bucket is None:
        raise BadQuestion(f"bucket: {question.bucket[:40]!r}; there are {', '.join(BUCKETS)}")
    for name in question.by:
        if name not in groups:
            raise BadQuestion(f"by: {name[:40]!r}; there are {', '.join(groups)}")
    low, high = window(question.start_ns, question.end_ns, center.now_ns())
    machines = tuple(dict.fromkeys(question.machines)) or tuple(center.ledger_cache.sites.machines(question.site))
    buckets = 1 if bucket == "all" else (high - low) // _BUCKET_NS.get(bucket, 24 * HOUR_NS) + 1
    if buckets * max(len(machines) if "machine" in question.by else 1, 1) > MAX_CELLS:
        raise BadQuestion(
            f"{buckets} buckets for {len(machines)} machines are more than {MAX_CELLS} rows; "
            "ask for a longer bucket, a shorter window or fewer machines"
        )
    by = tuple(dict.fromkeys(("shift", *question.by) if bucket == "shift" else question.by))
    return CheckedQuestion(center, question, zone, machines, low, high, bucket, by)


def require_machines(center: CenterState, site: str, machines: Sequence[str]) -> None:
    """Raises `UnknownSite` for a machine that the site does not have."""
    machines_of_site = center.ledger_cache.sites.machines(site)
    for machine in machines:
        if machine not in machines_of_site:
            raise UnknownSite(
                f"machine {machine[:64]!r} is unknown in site {site!r}; it has {', '.join(machines_of_site)[:200]}"
            )


def unknown(site: str) -> UnknownSite:
    """The same error for a site that never sent anything and for one that the viewer may not see."""
    return UnknownSite(f"site {site[:64]!r} is unknown here; GET /api/v1/sites lists those that are known")


def zone_of(center: CenterState, viewer: Viewer, site: str) -> ZoneInfo:
    """The site's time zone, UTC until a site file names one. Raises `UnknownSite`, also if the viewer may not see it."""
    current = center.ledger_cache.sites.current(site)
    if not viewer.sees(site) or (current is None and site not in center.ledger_cache.sites.ids()):
        raise unknown(site)
    return current.zone if current else ZoneInfo("UTC")


def sites_of(center: CenterState, viewer: Viewer, site: str = "") -> list[str]:
    """The site asked for, or without one all that the viewer may see. Raises `UnknownSite`."""
    if site:
        zone_of(center, viewer, site)
        return [site]
    return viewer.seen(center.ledger_cache.sites.ids())


def formula_of(center: CenterState, site: str, formula: str = "") -> str:
    """The formula set asked for, or the site's. Raises `BadQuestion`."""
    if formula and formula not in FORMULAS:
        raise BadQuestion(f"formula: {formula[:40]!r}; there are {', '.join(FORMULAS)}")
    current = center.ledger_cache.sites.current(site)
    own = current.body.formula if current and current.body.formula in FORMULAS else FORMULAS[0]
    return formula or own
