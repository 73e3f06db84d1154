"""Machines of several sites beside each other, by one formula set, over one window."""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.model.times import BadQuestion, iso
from center.model.viewer import Viewer
from center.queries.scope import MAX_CELLS, UnknownSite, zone_of
from center.queries.trend import trend
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS, KPI_KEYS

Machines = dict[str, tuple[str, ...]]
"""Site to machines; none means all of the site."""
_DEFAULT: Final = FORMULAS[0]


def named(center: CenterState, viewer: Viewer, sites: Sequence[str], machines: Sequence[str]) -> Machines:
    """What is compared: whole sites, machines as `site/machine`, or without either everything that the viewer sees.

    Raises `UnknownSite` or `BadQuestion`.
    """
    asked: dict[str, list[str]] = {site: [] for site in sites}
    for text in machines:
        site, slash, machine = text.partition("/")
        if not slash:
            raise BadQuestion(f"machine: {text[:64]!r}; write it with its site, as SITE/MACHINE")
        if site not in sites:
            asked.setdefault(site, []).append(machine)
    if not asked:
        asked = {site: [] for site in viewer.seen(center.ledger_cache.sites.ids())}
    for site, mine in asked.items():
        zone_of(center, viewer, site)
        known = center.ledger_cache.sites.machines(site)
        for machine in mine:
            if machine not in known:
                raise UnknownSite(
                    f"machine {machine[:64]!r} is unknown in site {site!r}; it has {', '.join(known)[:200]}"
                )
    return {site: tuple(dict.fromkeys(mine)) for site, mine in asked.items()}


def compare(
    center: CenterState,
    viewer: Viewer,
    machines: Machines,
    window: tuple[int, int],
    zone: ZoneInfo,
    *,
    bucket: str = "all",
    formula: str = "",
    order: str = "oee",
) -> dict[str, Any]:
    """A row for each machine (and bucket): names, sums and KPIs; the lowest value of `order` first, null last.

    window: half-open, on whole minutes [ns UTC]; zone: of its ends in the answer. Different formula sets cannot be compared, so all are computed by
    one; buckets follow each site's own zone and calendar. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    if order not in KPI_KEYS:
        raise BadQuestion(f"order: {order[:40]!r}; there are {', '.join(KPI_KEYS)}")
    rows = []
    for site, mine in machines.items():
        if not center.ledger_cache.sites.machines(site):
            continue
        found = trend(
            center, viewer, site, mine, bucket=bucket, start_ns=window[0], end_ns=window[1], formula=formula or _DEFAULT
        )
        current = center.ledger_cache.sites.current(site)
        site_name = current.body.name if current else {"vi": site, "en": site}
        for row in found["rows"]:
            told = center.ledger_cache.sites.described(site, row["machine"])
            head = {"site": site, "site_name": site_name, "machine": row["machine"]}
            head["machine_name"] = told.name if told else {"vi": row["machine"], "en": row["machine"]}
            rows.append(head | row)
        if len(rows) > MAX_CELLS:
            raise BadQuestion(
                f"these machines have more than {MAX_CELLS} rows; ask for a longer bucket, a shorter window or fewer machines"
            )
    if bucket == "all":
        rows.sort(key=lambda row: (row["kpis"][order] is None, row["kpis"][order] or 0.0, row["site"], row["machine"]))
    ends = {"from": iso(window[0], zone), "to": iso(window[1], zone)}
    return ends | {"bucket": bucket, "formula": formula or _DEFAULT, "order": order, "rows": rows}
