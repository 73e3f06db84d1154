"""A center of many factories of two trades, each with a name of its own for everything, and a quarter of days of theirs."""

import json
from datetime import date, timedelta

from center_plant import facts, ns, site_body
from sqlalchemy import create_engine

from center.accounts.schema import prepare_accounts
from center.contract.ledger import Changes
from center.contract.store import Origin, RowBatch
from center.database.benchmark import Consent, prepare_benchmark, say_consent
from center.model.sites import Owner, SiteRow
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import NO_LOSSES

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)
NOW_NS = ns("2026-04-15T09:00:00")
GIVEN_NS = ns("2026-03-20T09:00:00")
PLANNED_MS = 56_700_000
"""Of a day's two shifts."""
SITES = {f"xuong-{name}": trade for trade, names in (
    ("metal", ("lim", "sen", "tre", "que", "dao", "mai", "cau", "gao")),
    ("plastics", ("ngo", "bac", "vang")),
) for name in names}  # fmt: skip


def names_of(site):
    """Everything at a site that has a name."""
    return [site, f"{site}-may", f"{site}-hang", f"{site}-chu", f"Công ty {site}", f"Máy {site}", f"Hàng {site}"]


def days(first, last):
    found = (first + timedelta(number) for number in range((last - first).days + 1))
    return [day for day in found if day.weekday() < 6]


def fill(center, site, trade, number, *, product_source="timed", limit_s=300.0, last=LAST):
    """A site with one machine, and its quarter."""
    machine, product = f"{site}-may", f"{site}-hang"
    body = site_body(
        (machine,), FIRST.toordinal(), name={"vi": f"Công ty {site}", "en": f"Company {site}"}, trade=trade
    )
    body["valid_from_ns"] = ns("2025-12-01")
    body["machines"][machine] |= {"name": {"vi": f"Máy {site}"}, "kind": "press", "minor_stop_at_most_s": limit_s}
    named = {"vi": f"Hàng {site}", "en": f"Goods {site}"}
    body["products"] = {product: {"name": named, "ideal_s": 4.0, "source": product_source}}
    start_ns = body["valid_from_ns"]
    changes = Changes(
        sites=[SiteRow(site, "main", "0" * 16, start_ns, json.dumps(body))],
        owners=[Owner(site, machine, "main", start_ns)],
    )
    center.commit((), changes)
    center.ledger_cache.adopt(changes)
    work(center, site, number, last=last)


def work(center, site, number, first=FIRST, last=LAST, seq=1):
    """Days of work: the machine ran `(60 + 2 number) %` of its time, with a little noise by day and week."""
    machine, product = f"{site}-may", f"{site}-hang"
    rows = []
    for day in days(first, last):
        share = 0.60 + 0.02 * number + 0.01 * (day.weekday() - 2.5) + 0.004 * (day.isocalendar().week % 3 - 1)
        running = round(PLANNED_MS * share)
        pieces = running // 5000
        rows.append(
            {
                "machine": machine, "t": ns(f"{day.isoformat()}T08:00:00"), "product": product,
                "date": (day - date(1970, 1, 1)).days, "running_ms": running, "running_ideal_known_ms": running,
                "setup_ms": PLANNED_MS // 20, "unplanned_stop_ms": PLANNED_MS - running - PLANNED_MS // 20,
                "pieces_total": pieces, "pieces_judged": pieces, "pieces_good": pieces - number,
                "ideal_total_us": pieces * 4_000_000, "ideal_judged_us": pieces * 4_000_000,
                "ideal_good_us": (pieces - number) * 4_000_000,
            }
        )  # fmt: skip
    center.store.write([RowBatch(Origin(site, "main", f"{number:032x}"), seq, facts(rows), NO_LOSSES, [])])


def make(folder, sites=SITES, **more):
    """The center, without any consent."""
    clock = [NOW_NS]
    center = center_state(open_store({"file": str(folder / "facts.duckdb")}), now_ns=lambda: clock[0])
    for number, (site, trade) in enumerate(sites.items()):
        fill(center, site, trade, number, **more.get(site, {}))
    return center, clock


def database(folder, name="bench"):
    engine = create_engine(f"sqlite:///{folder}/{name}.sqlite")
    prepare_accounts(engine)
    prepare_benchmark(engine)
    return engine


def consent(engine, site, at_ns=GIVEN_NS, *, given=True):
    say_consent(engine, Consent(site, given, f"{site}-chu", at_ns), lambda *_: None)
