"""Machines, lines, shifts, products or sites side by side, by one formula set, over one window."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NotRequired
from zoneinfo import ZoneInfo

from center.model.sites import Sites, site_machine
from center.model.times import BadQuestion, iso
from center.model.viewer import Viewer
from center.queries.question import MAX_CELLS, Ends, Name, NextPage, Question, require_machines, zone_of
from center.queries.trend import TrendRow, trend
from center.runtime.state import CenterState
from oee.kpi.kpi import FORMULAS, KPI_KEYS

Machines = Mapping[str, tuple[str, ...]]
"""Site to machines; none means all of the site."""
_DEFAULT: Final = FORMULAS[0]


COMPARED: Final = ("machine", "line", "shift", "product", "site")
"""What can stand side by side. All but machines are sums of machines, of one site each."""


class ComparedRow(TrendRow):
    """A machine of a site, or all machines of one line, shift, product or site; `machine` is empty then."""

    site: str
    site_name: Name
    machine_name: Name


class ComparedAnswer(Ends):
    """Several sites over `[from, to)`, by one formula set."""

    by: str
    bucket: str
    formula: str
    order: str
    rows: list[ComparedRow]
    next: NotRequired[NextPage]


def machines_of(center: CenterState, viewer: Viewer, sites: Sequence[str], machines: Sequence[str]) -> Machines:
    """What to compare: whole sites, machines as `site/machine`, or without either everything that the viewer may see.

    Raises `UnknownSite` or `BadQuestion`.
    """
    wanted: dict[str, list[str]] = {site: [] for site in sites}
    for text in machines:
        site, slash, machine = text.partition("/")
        if not slash:
            raise BadQuestion(f"machine: {text[:64]!r}; write it with its site, as SITE/MACHINE")
        if site not in sites:
            wanted.setdefault(site, []).append(machine)
    if not wanted:
        wanted = {site: [] for site in viewer.seen(center.ledger_cache.sites.ids())}
    for site, chosen in wanted.items():
        zone_of(center, viewer, site)
        require_machines(center, site, chosen)
    return {site: tuple(dict.fromkeys(chosen)) for site, chosen in wanted.items()}


def compare(
    center: CenterState,
    question: Question,
    machines: Machines,
    zone: ZoneInfo,
    order: str = "oee",
    by: str = COMPARED[0],
) -> ComparedAnswer:
    """A row for each machine (or what else `by` says) and bucket: names, sums and KPIs; the lowest value of `order` first,
    null last. Ratios are ratios of sums.

    question: with a settled window; its site and machines are replaced by each of `machines` in turn. zone: of the
    window's ends in the answer. Different formula sets cannot be compared, so one computes all; buckets follow each
    site's own zone and calendar. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    if order not in KPI_KEYS:
        raise BadQuestion(f"order: {order[:40]!r}; there are {', '.join(KPI_KEYS)}")
    if by not in COMPARED:
        raise BadQuestion(f"by: {by[:40]!r}; there are {', '.join(COMPARED)}")
    groups = () if by == "site" else (by,)
    base = replace(question, formula=question.formula or _DEFAULT, by=groups)
    rows: list[ComparedRow] = []
    for site, chosen in machines.items():
        if not center.ledger_cache.sites.machines(site):
            continue
        rows += _site_rows(center, replace(base, site=site, machines=chosen))
        if len(rows) > MAX_CELLS:
            raise BadQuestion(
                f"these machines have more than {MAX_CELLS} rows; ask for a longer bucket, a shorter window or fewer machines"
            )
    if base.bucket == "all":
        rows.sort(key=lambda row: (row["kpis"][order] is None, row["kpis"][order] or 0.0, row["site"], str(row[by])))  # type: ignore[literal-required]  # a name of `COMPARED`
    start_ns, end_ns = base.start_ns or 0, base.end_ns or 0
    ends: Ends = {"from": iso(start_ns, zone), "to": iso(end_ns, zone)}
    return {
        **ends,
        "by": by,
        "bucket": base.bucket,
        "formula": base.formula,
        "order": order,
        "rows": rows,
        "next": None,
    }


def site_name(sites: Sites, site: str) -> Name:
    """A site's name by language; its id while no site body names it."""
    current = sites.current(site)
    return current.body.name if current else {"vi": site, "en": site}


def _site_rows(center: CenterState, question: Question) -> list[ComparedRow]:
    site, sites = question.site, center.ledger_cache.sites
    rows: list[ComparedRow] = []
    for row in trend(center, question)["rows"]:
        machine, named = row["machine"], site_machine(sites, site, row["machine"])
        machine_name = named.name if named else {"vi": machine, "en": machine}
        head = {"site": site, "site_name": site_name(sites, site), "machine": machine, "machine_name": machine_name}
        rows.append({**head, **row})  # type: ignore[typeddict-item]
    return rows
