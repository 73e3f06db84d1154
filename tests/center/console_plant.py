"""A store with plausible history for the console: stretches of states, laid into minute facts, losses and stops.

`console_plant.py --days 30 --port 8099 --dir DIR` serves it for eyes; the time there stands still at 19:23.
"""

import argparse
import json
import socket
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from center.contract.ledger import Changes
from center.contract.store import Origin, RowBatch, StoreUnavailable
from center.model.site_revisions import compile_site
from center.model.sites import Owner, SiteRow
from center.runtime.state import CenterState, center_state
from center.stores.duckdb.store import open_store
from oee.model.calendars import cut, to_ns
from oee.model.facts import FACT, FACT_COLUMNS, MINUTE_NS, NO_FACTS, NO_LOSSES, Facts, Losses, Stop, make_table
from oee.model.states import CalendarClass, Quality, State
from wire.bodies import Clock, Live, LiveMachine, Status
from wire.values import Values

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
EVIL = "<script>window.broken = 1</script><b>Máy</b>"
EVIL_IMAGE = "<img src=x onerror='window.broken = 2'>"
REASONS = {
    "die-jam": ({"vi": "Kẹt khuôn", "en": "Die jam"}, State.BREAKDOWN),
    "hydraulics": ({"vi": "Hỏng thủy lực", "en": "Hydraulic fault"}, State.BREAKDOWN),
    "no-material": ({"vi": "Hết phôi", "en": "No blanks"}, State.STARVED),
    "bin-full": ({"vi": "Đầy thùng thành phẩm", "en": "Bin full"}, State.BLOCKED),
    "changeover": ({"vi": "Đổi khuôn", "en": "Die change"}, State.SETUP),
    "evil": ({"vi": EVIL_IMAGE, "en": EVIL_IMAGE}, State.BLOCKED),
    "cleaning": ({"vi": "Vệ sinh đầu ca", "en": "Cleaning"}, State.PLANNED_STOP),
}
PRODUCTS = {
    "1": ({"vi": "Ốp nhựa A", "en": "Cover A"}, 1.2),
    "2": ({"vi": "Nắp chai 28 mm", "en": "Bottle cap 28 mm"}, 2.4),
    "3": ({"vi": "Giá đỡ thép", "en": "Steel bracket"}, 3.6),
}
VALUES = {
    "press-plc.oil_temp": {"unit": "°C", "machines": ["press-2"]},
    "press-plc.current": {"unit": "A", "machines": ["press-2"]},
    "press-plc.recipe": {"machines": ["press-2"]},
}
# state, reason, who said so, mean length [s], how often it comes, at random
TROUBLES = (
    (State.MINOR_STOP, "", "count", 70, 50),
    (State.UNPLANNED_STOP, "", "count", 700, 8),
    (State.BREAKDOWN, "die-jam", "plc", 1500, 4),
    (State.BREAKDOWN, "hydraulics", "Trần Văn Hùng", 3300, 1),
    (State.STARVED, "no-material", "Nguyễn Thị Lan", 620, 6),
    (State.BLOCKED, "bin-full", "Nguyễn Thị Lan", 380, 4),
    (State.SETUP, "changeover", "product", 1300, 3),
    (State.PLANNED_STOP, "cleaning", "Nguyễn Thị Lan", 900, 3),
    (State.UNKNOWN, "", "", 1500, 1),
)


@dataclass(frozen=True)
class Made:
    """One machine as made up. trouble: mean running time between troubles [s]; live: what it does now."""

    site: str
    id: str
    name: dict[str, str]
    line: str
    trouble_s: float
    speed: float
    rejects: float
    live: State
    reason: str = ""


MACHINES = (
    Made("van-long", "press-1", {"vi": "Máy dập 1", "en": "Press 1"}, "stamping", 2000, 0.93, 0.012, State.RUNNING),
    Made("van-long", "press-2", {"vi": "Máy dập 2", "en": "Press 2"}, "stamping", 900, 0.86, 0.031, State.BREAKDOWN, "die-jam"),
    Made("van-long", "inj-7", {"vi": "Máy ép nhựa 7", "en": "Injection 7"}, "moulding", 2600, 0.97, 0.006, State.RUNNING),
    Made("van-long", "inj-8", {"vi": "Máy ép nhựa 8", "en": "Injection 8"}, "moulding", 1500, 0.9, 0.02, State.STARVED, "no-material"),
    Made("hoa-binh", "sew-3", {"vi": "Máy may 3", "en": "Sewing machine 3"}, "sewing", 1100, 0.78, -1, State.MINOR_STOP),
    Made("hoa-binh", "cut-1", {"vi": EVIL, "en": EVIL}, "sewing", 1800, 0.88, 0.01, State.RUNNING),
)  # fmt: skip
SITES = {
    "van-long": {"vi": "Nhựa Vân Long", "en": "Van Long Plastics"},
    "hoa-binh": {"vi": "May Hòa Bình", "en": "Hoa Binh Garment"},
}


def site_body(site: str, since_ns: int) -> dict:
    shifts = [
        {"name": "A", "weekdays": [0, 1, 2, 3, 4, 5, 6], "start_s": 6 * 3600, "end_s": 14 * 3600, "breaks": [[36000, 36900]]},
        {"name": "B", "weekdays": [0, 1, 2, 3, 4, 5, 6], "start_s": 14 * 3600, "end_s": 22 * 3600, "breaks": [[64800, 66600]]},
    ]  # fmt: skip
    return {
        "config_hash": "0" * 16,
        "valid_from_ns": since_ns,
        "name": SITES[site],
        "timezone": ZONE.key,
        "machines": {made.id: {"name": made.name, "line": made.line} for made in MACHINES if made.site == site},
        "products": {
            key: {"name": name, "ideal_s": ideal, "source": "timed"} for key, (name, ideal) in PRODUCTS.items()
        },
        "reasons": {key: {"name": name, "state": state.word} for key, (name, state) in REASONS.items()},
        "calendars": {"": {"shifts": shifts}},
        "values": VALUES if site == "van-long" else {},
    }


def stretches(made: Made, calendar, start_ns: int, end_ns: int, rng: np.random.Generator):
    """Yields (start_ns, end_ns, class, date, shift, product, state, reason, by); runs only in scheduled time."""
    weights = np.array([row[4] for row in TROUBLES], float)
    product = str(rng.integers(1, 4))
    for row in zip(*(column.tolist() for column in vars(cut(calendar, start_ns, end_ns)).values()), strict=True):
        low, high, code, day, shift = row
        if code != CalendarClass.SCHEDULED:
            yield low, high, code, day, shift, product, State.UNPLANNED_STOP, "", "plc"
            continue
        at = low
        while at < high:
            until = min(at + int(rng.exponential(made.trouble_s) * 1000 + 20_000) * 1_000_000, high)
            yield at, until, code, day, shift, product, State.RUNNING, "", ""
            at = until
            if at < high:
                state, reason, by, mean_s, _ = TROUBLES[rng.choice(len(TROUBLES), p=weights / weights.sum())]
                reason = "evil" if reason == "bin-full" and made.id == "cut-1" else reason
                until = min(at + int(rng.gamma(2, mean_s / 2) * 1000 + 5000) * 1_000_000, high)
                yield at, until, code, day, shift, product, state, reason, by
                product = str(rng.integers(1, 4)) if state is State.SETUP else product
                at = until


def tables(made: Made, calendar, start_ns: int, end_ns: int, rng: np.random.Generator):
    """Facts, losses and stops of one machine."""
    facts: dict[tuple, np.ndarray] = {}
    losses: dict[tuple, np.ndarray] = {}
    stops: list[Stop] = []
    owed = 0.0
    for low, high, code, day, shift, product, state, reason, by in stretches(made, calendar, start_ns, end_ns, rng):
        if state is not State.RUNNING:
            to = str(int(product) % 3 + 1) if state is State.SETUP else ""
            stops.append(
                Stop(
                    made.id,
                    str(low // 1_000_000),
                    low,
                    high if high < end_ns else None,
                    state,
                    reason,
                    by,
                    product,
                    to,
                    1,
                )
            )
        minute = low // MINUTE_NS * MINUTE_NS
        first = True
        while minute < high:
            ms = (min(high, minute + MINUTE_NS) - max(low, minute)) // 1_000_000
            key = (made.id, minute, int(code), day, shift, product)
            row = facts.setdefault(key, np.zeros(len(FACT_COLUMNS), np.int64))
            row[FACT[f"{state.word}_ms"]] += ms
            if state is State.RUNNING:
                row[FACT["running_ideal_known_ms"]] += ms
                ideal_s = PRODUCTS[product][1]
                owed += ms / 1000 / ideal_s * made.speed * rng.uniform(0.9, 1.08)
                count, owed = int(owed), owed % 1
                bad = int(rng.binomial(count, made.rejects)) if made.rejects >= 0 else 0
                _count(row, count, bad, int(ideal_s * 1e6), judged=made.rejects >= 0)
            else:
                if state is State.MINOR_STOP:
                    row[FACT["minor_stop_ideal_known_ms"]] += ms
                lost = losses.setdefault((*key, int(state), reason), np.zeros(2, np.int64))
                lost[0] += ms
                if first and code == CalendarClass.SCHEDULED and high < end_ns:
                    _close(row, state, (high - low) // 1_000_000)
            first = False
            minute += MINUTE_NS
    return (
        make_table(Facts, list(facts), np.array(list(facts.values())), _numbers(facts)),
        make_table(Losses, list(losses), np.array(list(losses.values())), _numbers(losses)),
        stops,
    )


def _numbers(keys) -> np.ndarray:
    """Each row's number within its machine and minute, which are the first two of its key."""
    seen: dict[tuple, int] = {}
    out = []
    for key in keys:
        out.append(seen.get(key[:2], 0))
        seen[key[:2]] = out[-1] + 1
    return np.array(out, np.int64)


def _count(row: np.ndarray, count: int, bad: int, ideal_us: int, *, judged: bool) -> None:
    row[FACT["pieces_total"]] += count
    row[FACT["ideal_total_us"]] += count * ideal_us
    row[FACT["cycles"]] += count
    if judged:
        for name, number in (("judged", count), ("good", count - bad), ("process_reject", bad)):
            row[FACT[f"pieces_{name}"]] += number
            row[FACT[f"ideal_{name}_us"]] += number * ideal_us


def _close(row: np.ndarray, state: State, length_ms: int) -> None:
    row[FACT["stops"]] += 1
    row[FACT["stops_ms"]] += length_ms
    if state is State.BREAKDOWN:
        row[FACT["failures"]] += 1
        row[FACT["failures_ms"]] += length_ms


def make(path: Path, days: int, now_ns: int, silent: str = "hoa-binh") -> CenterState:
    """A center over a new DuckDB file with history up to now; the gateway of `silent` went away 41 minutes ago."""
    made_before = path.exists()
    store = open_store({"file": str(path)})
    center = center_state(store, now_ns=lambda: now_ns, name="Trung tâm hỗ trợ Bắc Ninh")
    today = datetime.fromtimestamp(now_ns // 1_000_000_000, ZONE).date()
    start_ns = to_ns(datetime.combine(today - timedelta(days=days), datetime.min.time(), ZONE))
    rng = np.random.default_rng(7)
    for site in SITES:
        body = site_body(site, start_ns)
        calendar = compile_site(body).calendars[""]
        end_ns = (now_ns - (41 * MINUTE_NS if site == silent else 0)) // MINUTE_NS * MINUTE_NS
        owners = [Owner(site, made.id, "main", start_ns) for made in MACHINES if made.site == site]
        changes = Changes(sites=[SiteRow(site, "main", "0" * 16, start_ns, json.dumps(body))], owners=owners)
        center.commit((), changes)
        center.ledger_cache.adopt(changes)
        for number, made in enumerate(item for item in MACHINES if item.site == site and not made_before):
            facts, losses, found = tables(made, calendar, start_ns, end_ns, rng)
            center.store.write([RowBatch(Origin(site, "main", f"{number:032x}"), 1, facts, losses, found)])
        if site == "van-long" and not made_before:
            center.store.write(
                [RowBatch(Origin(site, "main", "v" * 32), 1, NO_FACTS, NO_LOSSES, (), _values(start_ns, end_ns, rng))]
            )
        heard_ns = end_ns if site == silent else now_ns
        _speak(center, site, heard_ns, rng)
    return center


def _values(start_ns: int, end_ns: int, rng: np.random.Generator) -> Values:
    """An oil temperature each 20 s, with one spike of a second and an hour without it each day; a current, and a recipe."""
    t_ns = np.arange(start_ns, end_ns, 20_000_000_000)
    seconds = (t_ns - start_ns) / 1e9
    temp = np.round(44 + 6 * np.sin(seconds / 9000) + rng.normal(0, 0.3, len(t_ns)), 1)
    lost = (seconds % 86_400 >= 34_000) & (seconds % 86_400 < 37_600)
    temp[(seconds % 86_400 >= 50_000) & (seconds % 86_400 < 50_020)] = 78.5
    current = np.round(np.where(seconds % 5400 < 4200, 31 + rng.normal(0, 2, len(t_ns)), 4.0), 1)
    parts = [
        ("press-plc.current", t_ns, current, None, np.zeros(len(t_ns), np.uint8)),
        ("press-plc.oil_temp", t_ns, np.where(lost, np.nan, temp), None, np.where(lost, Quality.GAP, Quality.GOOD)),
        (
            "press-plc.recipe",
            t_ns[::4000],
            np.full(len(t_ns[::4000]), np.nan),
            "A7",
            np.zeros(len(t_ns[::4000]), np.uint8),
        ),
    ]
    columns = []
    for tag, times, numbers, text, quality in parts:
        columns.append(
            (
                np.full(len(times), tag, object),
                times,
                numbers,
                np.full(len(times), text, object),
                quality.astype(np.uint8),
            )
        )
    return Values(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _speak(center: CenterState, site: str, now_ns: int, rng: np.random.Generator) -> None:
    said = {
        made.id: LiveMachine(
            state=made.live.word,
            since_ns=now_ns - int(rng.integers(40, 4000)) * 1_000_000_000,
            reason=made.reason,
            product=str(rng.integers(1, 4)),
            shift="A",
            pieces=int(rng.integers(200, 9000)),
        )
        for made in MACHINES
        if made.site == site
    }
    center.pictures.record_live(site, "main", Live(at_ns=now_ns, machines=said), now_ns)
    center.pictures.record_status(site, "main", STATUS[site](now_ns), now_ns)


STATUS = {
    "van-long": lambda now_ns: Status(
        online=True,
        at_ns=now_ns,
        waiting=0,
        version="0.1.0",
        config_hash="5f3a1c9e77d204ab",
        devices={"press-plc": True, "injector-7": True, "io": False},
        health={"tags_per_s": 41.5, "poll_late_p99_s": 0.021, "unknown_share": 0.004, "rss_mb": 61.2, "outbox_mb": 188.4,
                "uptime_s": 912_000.0},
        clock=Clock(by="ntp", error_s=0.0),
    ),
    "hoa-binh": lambda now_ns: Status(
        online=True,
        at_ns=now_ns,
        waiting=37,
        oldest_ns=now_ns - 95 * MINUTE_NS,
        version="0.1.0",
        devices={"io": True},
        health={"rss_mb": 55.0, "uptime_s": 5_700.0, "cannot_store": 1.0},
        clock=Clock(by="nobody", wall_error_s=-14_000.0, wall_steps=1, held_since_ns=now_ns - 95 * MINUTE_NS, held_rows=48_210),
    ),
}  # fmt: skip
"""One gateway in order, and one with every trouble that a gateway can have."""


class Leaky:
    """A store that is away, slow or broken while files of these names exist."""

    def __init__(self, store, flag: Path) -> None:
        self._store, self._flag = store, flag

    def __getattr__(self, name: str):
        if name in ("facts", "losses", "stops") and self._flag.exists():
            raise StoreUnavailable("the test took it away")
        while name == "facts" and self._flag.with_name("slow").exists():
            time.sleep(0.05)
        if name == "losses" and self._flag.with_name("broken").exists():
            raise RuntimeError("the test broke it")
        return getattr(self._store, name)


PASSWORD = "một mật khẩu dài"
PEOPLE = {"hoa": ("admin", []), "lan": ("engineer", ["van-long"]), "hung": ("factory", ["hoa-binh"])}


def with_accounts(center, folder):
    """The application that asks who it is: three people, one of each role."""
    from argon2 import PasswordHasher

    from center.accounts import passwords, people
    from center.accounts.api import add_accounts
    from center.accounts.audit import Actor
    from center.accounts.identify import Accounts, add_sessions
    from center.accounts.schema import open_accounts
    from center.api.app import create_app

    # the same function, cheaper: a test logs in on each of its pages
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    accounts = Accounts(open_accounts(f"sqlite:///{folder}/accounts.sqlite"))
    for name, (role, sites) in PEOPLE.items():
        people.add_user(accounts.engine, 1, Actor("test"), name, role=role, sites=sites, password=PASSWORD)
    app = create_app(center, accounts.identify)
    add_accounts(app, accounts.engine)
    add_sessions(app, accounts)
    return app, accounts


def _pages(center_app):
    """The addresses of the console's pages: NiceGUI's, and the plain ones about a site."""
    from nicegui import app

    paths = {getattr(route, "path", "") for route in app.routes if "GET" in (getattr(route, "methods", None) or ())}
    plain = {
        getattr(route, "path", "") for route in center_app.routes if "GET" in (getattr(route, "methods", None) or ())
    }
    paths |= {path for path in plain if "{site}" in path and not path.startswith("/api/")}
    return sorted(path for path in paths if path and not path.startswith(("/_nicegui", "/console/", "/favicon")))


def add_some_alerts(app, center, engine) -> None:
    """Four alerts: two that nobody has taken on, one that somebody has, one that is over; the page, and a broken channel."""
    from center.database import alert_messages
    from center.database.alerts import acknowledge_alert, begin_alert
    from center.model.alerts.alert import AlertKey, AlertRecord
    from center.model.alerts.owed import Owed
    from center.outgoing.alerts.api import add_alerts
    from center.outgoing.alerts.channels import NotTold
    from center.outgoing.alerts.page import add_alert_page
    from config.alerts import AlertsModel

    channels = {
        "maintenance": {"address_file": "zalo"},
        "lan": {"mail": ["lan@example.vn"]},
        "new": {"address_file": "x"},
    }
    send = [
        {"to": ["maintenance", "lan"], "sites": ["van-long"]},
        {"to": ["lan"], "sites": ["van-long"], "lines": ["stamping"], "kinds": ["stop", "call"], "after": "30min", "quiet": "ignore"},
        {"to": ["new"], "sites": ["hoa-binh"]},
    ]  # fmt: skip
    differs = {"van-long": {"stop": {"longer": "5min"}, "quiet": ["22:00-06:00"], "off": ["coverage"]}}
    settings = AlertsModel.model_validate({"channels": channels, "send": send, "sites": differs})
    add_alerts(app, center, engine, settings, lambda *_: None)
    now_ns, names = center.now_ns(), {made.id: made.name for made in MACHINES}
    for number, key, minutes, detail in (
        ("1", AlertKey("van-long", "stop", "press-2"), 31, {"state": "breakdown", "reason": "die-jam"}),
        ("2", AlertKey("hoa-binh", "no_data", "", "main"), 41, {"machines": 2}),
        (
            "3",
            AlertKey("van-long", "oee", "inj-8", "", "2026-03-05 B"),
            90,
            {"oee": 0.41, "target": 0.65, "shift": "B"},
        ),
        ("4", AlertKey("van-long", "call", "press-1", "", "c1"), 200, {"call": "maintenance", "by": "andon/t1"}),
    ):
        told = detail | {"site": SITES[key.site]} | ({"machine": names[key.machine]} if key.machine else {})
        begun_ns = now_ns - minutes * MINUTE_NS
        begin_alert(engine, AlertRecord(number, key, begun_ns, begun_ns, "main", (), detail=told))
    acknowledge_alert(engine, "3", "lan", now_ns - 60 * MINUTE_NS)
    alert_messages.enqueue(
        engine, [Owed("1", "begun", "maintenance"), Owed("1", "begun", "lan/lan@example.vn")], now_ns
    )
    alert_messages.mark_sent(engine, [Owed("1", "begun", "lan/lan@example.vn")], now_ns, lambda *_: 0, {})
    over = AlertRecord("4", AlertKey("van-long", "call"), 0, 0)
    alert_messages.end_alert(engine, over, "over", now_ns - 180 * MINUTE_NS, lambda *_: 0)
    why = NotTold("alert.said", detail="Failed to send Zalo notification: error=401").why
    alert_messages.save_outlet(
        engine, alert_messages.OutletRecord("maintenance", 3, now_ns, now_ns - 25 * MINUTE_NS, 0, why)
    )
    alert_messages.save_outlet(
        engine, alert_messages.OutletRecord("lan/lan@example.vn", sent_ns=now_ns - 31 * MINUTE_NS)
    )
    add_alert_page(app, center, app.state.alerts)


def main() -> None:
    import uvicorn

    from center.api.app import create_app
    from center.api.declarations import add_declarations
    from center.api.targets import add_targets
    from center.console import mount
    from center.database.declarations import open_declarations
    from center.ingest.declaration_sender import DeclarationSender
    from center.outgoing.monthly.api import add_months
    from center.outgoing.monthly.desk import MonthDesk
    from center.outgoing.monthly.page import add_month_pages
    from center.outgoing.monthly.plan import PlanDesk, add_maintenance
    from center.outgoing.monthly.plan_page import add_plan_pages
    from center.outgoing.reports.api import add_report, add_report_mails
    from center.outgoing.reports.page import add_report_page

    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--accounts", action="store_true")
    parser.add_argument("--alerts", action="store_true")
    parser.add_argument("--dir", type=Path, required=True)
    asked = parser.parse_args()
    midnight = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    center = make(asked.dir / "console.duckdb", asked.days, to_ns(midnight) + (19 * 60 + 23) * MINUTE_NS)
    center = replace(center, store=Leaky(center.store, asked.dir / "away"))
    if asked.accounts:
        app, accounts = with_accounts(center, asked.dir)
    else:
        app, accounts = create_app(center), None
    said = open_declarations(f"sqlite:///{asked.dir}/declarations.sqlite")
    add_declarations(app, center, DeclarationSender(said, lambda *_: None, center.now_ns))
    add_targets(app, center, said, lambda *_: None)
    add_report(app, center)
    add_report_mails(app, center, said)
    add_report_page(app, center)
    add_months(app, MonthDesk(center, said, lambda *_: None, lambda: "0" * 64))
    add_maintenance(app, PlanDesk(center, said, lambda *_: None))
    add_month_pages(app, app.state.months)
    add_plan_pages(app, app.state.maintenance)
    if asked.alerts:
        add_some_alerts(app, center, said)
    mount(app, center, accounts)
    (asked.dir / "pages").write_text("\n".join(_pages(app)))
    listener = socket.create_server(("127.0.0.1", asked.port))
    (asked.dir / "url.part").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    (asked.dir / "url.part").rename(asked.dir / "url")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).run([listener])


if __name__ == "__main__":
    main()
