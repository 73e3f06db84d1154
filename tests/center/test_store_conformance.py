"""What every store must do. A store is supported when this suite passes with it."""

import importlib
import json
import math
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from center_plant import MONDAY, ZONE, batch, ns, stops_of
from influx_plant import influx_settings
from value_rows import gathered

from center import stores
from center.contract.store import (
    BeginSpans,
    BinsQuery,
    BinsValues,
    ForgetsMachines,
    KeepsCycles,
    Query,
    RolledUp,
    StopPage,
    StopQuery,
    ValueQuery,
)
from center.model.buckets import clock_edges, date_start_ns, first_date
from oee.model.facts import CYCLE_BINS, FACT_COLUMNS, HOUR_NS, MINUTE_NS, Stop, add_up, row_keys
from oee.model.states import State
from wire.values import read_values_body, values_bodies

ROOT = Path(__file__).parents[2]
SETTINGS = {"duckdb": lambda folder: {"file": str(folder / "facts.duckdb")}, "influxdb": influx_settings}
"""Kind to the settings under which the suite can open it."""
SEEN_WHOLE = {"duckdb"}
"""The stores whose readers see a write whole or not at all; of others they see it whole once `write` returned."""


def test_every_store_is_in_the_suite():
    files = {path.parent.name for path in Path(stores.__file__).parent.glob("*/store.py")}
    assert files == set(SETTINGS)


@pytest.fixture(params=sorted(SETTINGS))
def kind(request):
    return request.param


@pytest.fixture
def opener(kind, tmp_path):
    module = importlib.import_module(f"center.stores.{kind}.store")
    settings = SETTINGS[kind](tmp_path)
    return lambda: module.open_store(settings)


@pytest.fixture
def store(opener):
    opened = opener()
    yield opened
    opened.close()


def _random_rows(count, seed, days=3, zone=ZONE):
    """Rows of two machines over some days, several to a minute, with differences among them."""
    chance = random.Random(seed)
    start = date_start_ns(zone, MONDAY)
    numbers = defaultdict(int)
    rows = []
    for _ in range(count):
        t = start + chance.randrange(days * 1440) * MINUTE_NS
        machine = chance.choice(["press-1", "máy ép nhựa số 2"])
        rows.append(
            {
                "machine": machine,
                "t": t,
                "n": numbers[machine, t],
                "date": MONDAY + (t - start) // (1440 * MINUTE_NS),
                "calendar": chance.choice([0, 0, 0, 1, 2]),
                "shift": chance.choice(["Ca sáng", "Ca đêm", "-"]),
                "product": chance.choice(["1", "Ốp nhựa", "?"]),
                "running_ms": chance.randrange(-60_000, 60_001),
                "pieces_good": chance.randrange(-5, 50),
                "ideal_total_us": chance.randrange(10**9),
            }
        )
        numbers[machine, t] += 1
    return rows


def _bucket_of(row, bucket, zone, start_ns):
    if bucket == "all":
        return start_ns
    if bucket == "minute":
        return row["t"]
    if bucket == "hour":
        local = datetime.fromtimestamp(row["t"] // 10**9, zone)
        return row["t"] - (local.minute * 60 + local.second) * 10**9
    return date_start_ns(zone, int(first_date(bucket, np.array([row["date"]]))[0]))


def _truth(rows, query):
    zone = ZoneInfo(query.zone)
    by = [*query.by, *(["shift"] if query.bucket == "shift" else [])]
    sums = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        if query.start_ns <= row["t"] < query.end_ns and (not query.machines or row["machine"] in query.machines):
            key = (_bucket_of(row, query.bucket, zone, query.start_ns), *(row[name] for name in by))
            for index, name in enumerate(("running_ms", "pieces_good", "ideal_total_us")):
                sums[key][index] += row[name]
    return {key: tuple(value) for key, value in sums.items()}, by


def _answer(store, query, by):
    found = store.facts(query)
    columns = [found.minute_ns, *(getattr(found, name) for name in by)]
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    names = ("running_ms", "pieces_good", "ideal_total_us")
    values = list(zip(*(found.column(name).tolist() for name in names), strict=True))
    assert len(set(keys)) == len(keys)
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)
    return dict(zip(keys, values, strict=True))


@pytest.mark.parametrize("bucket", ["minute", "hour", "shift", "day", "week", "month", "all"])
@pytest.mark.parametrize("zone", ["Asia/Ho_Chi_Minh", "UTC", "Asia/Kolkata"])
def test_sums_equal_the_slow_truth(store, bucket, zone):
    rows = _random_rows(300, seed=1, zone=ZoneInfo(zone))
    store.write([batch(rows[:150], seq=1), batch(rows[150:], seq=2)])
    start = date_start_ns(ZoneInfo(zone), MONDAY)
    for by in [(), ("machine", "calendar"), ("machine", "shift", "product", "calendar")]:
        for low, high, machines in [
            (start, start + 3 * 1440 * MINUTE_NS, ()),
            (start + 37 * MINUTE_NS, start + 2000 * MINUTE_NS, ("máy ép nhựa số 2",)),
        ]:
            query = Query("van-long", low, high, zone, machines, bucket, by)
            truth, names = _truth(rows, query)
            assert _answer(store, query, names) == truth


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_hours_follow_the_wall_clock_over_a_change_of_the_offset(store, day):
    zone = ZoneInfo("Europe/Berlin")
    start = ns(day, zone)
    rows = [{"t": start + i * MINUTE_NS, "running_ms": 60_000} for i in range(1500)]
    store.write([batch(rows)])
    query = Query("van-long", start, start + 1500 * MINUTE_NS, "Europe/Berlin", bucket="hour")
    found = store.facts(query)
    truth = defaultdict(int)
    for row in rows:
        truth[_bucket_of(row, "hour", zone, start)] += 60_000
    assert dict(zip(found.minute_ns.tolist(), found.column("running_ms").tolist(), strict=True)) == truth


def test_an_offset_of_half_an_hour_puts_no_minute_into_two_hours(store):
    zone = ZoneInfo("Australia/Lord_Howe")
    start = ns("2026-04-05", zone)
    rows = [{"t": start + i * MINUTE_NS, "running_ms": 60_000} for i in range(600)]
    store.write([batch(rows)])
    end = start + 600 * MINUTE_NS
    found = store.facts(Query("van-long", start, end, zone.key, bucket="hour"))
    assert found.column("running_ms").sum() == 600 * 60_000
    assert found.minute_ns.tolist() == clock_edges("hour", zone, start, end).tolist()
    assert (np.diff([*found.minute_ns, end]) // 1_000_000 == found.column("running_ms")).all()


def test_a_night_shift_belongs_to_the_date_on_which_it_began(store):
    evening, morning = ns("2026-03-02T23:59:00"), ns("2026-03-03T00:00:00")
    rows = [{"t": evening, "shift": "C", "pieces_good": 1}, {"t": morning, "shift": "C", "pieces_good": 2}]
    store.write([batch(rows)])
    window = (ns("2026-03-01"), ns("2026-03-05"))
    by_date = {
        bucket: store.facts(Query("van-long", *window, ZONE.key, bucket=bucket)) for bucket in ("shift", "day", "hour")
    }
    for bucket in ("shift", "day"):
        assert by_date[bucket].minute_ns.tolist() == [ns("2026-03-02")]
        assert by_date[bucket].column("pieces_good").tolist() == [3]
    assert by_date["shift"].shift.tolist() == ["C"]
    assert by_date["hour"].minute_ns.tolist() == [ns("2026-03-02T23:00:00"), morning]


def test_order_repetition_and_grouping_change_nothing(store):
    rows = _random_rows(200, seed=2)
    query = Query("van-long", 0, 2**62, ZONE.key, bucket="hour", by=("machine", "shift", "product", "calendar"))
    chance = random.Random(3)
    for _ in range(3):
        chance.shuffle(rows)
        pieces = [rows[i : i + 50] for i in range(0, 200, 50)]
        store.write([batch(piece, seq=seq) for seq, piece in enumerate(pieces)])
        store.write([batch(pieces[0]), batch(pieces[0]), batch(pieces[2])])
    truth, names = _truth(rows, query)
    assert _answer(store, query, names) == truth


def test_streams_add_up_and_sites_stay_apart(store):
    row = {"t": ns("2026-03-02T08:00:00"), "running_ms": 1000}
    store.write([batch([row], stream="0" * 16), batch([row], stream="1" * 16), batch([row], site="other")])
    for site, expected in (("van-long", 2000), ("other", 1000), ("nobody", 0)):
        assert store.facts(Query(site, 0, 2**62)).column("running_ms").sum() == expected


def test_losses_keep_states_and_reasons_apart(store):
    t = ns("2026-03-02T08:00:00")
    rows = [
        {"t": t, "state": State.BREAKDOWN, "reason": "kẹt khuôn", "ms": 50_000, "n": 0},
        {"t": t, "state": State.BREAKDOWN, "reason": "kẹt khuôn", "ms": -20_000, "n": 1},
        {"t": t, "state": State.BREAKDOWN, "reason": "", "ms": 7, "pieces": 3, "n": 2},
        {"t": t + MINUTE_NS, "state": State.SETUP, "ms": 60_000},
    ]
    store.write([batch(loss_rows=rows)])
    store.write([batch(loss_rows=rows[1:3])])
    found = store.losses(Query("van-long", 0, 2**62, ZONE.key, bucket="day", by=("machine", "state", "reason")))
    assert list(zip(found.state.tolist(), found.reason.tolist(), found.sums.tolist(), strict=True)) == [
        (State.BREAKDOWN, "", [7, 3]),
        (State.BREAKDOWN, "kẹt khuôn", [30_000, 0]),
        (State.SETUP, "", [60_000, 0]),
    ]
    total = store.losses(Query("van-long", 0, 2**62, by=("machine",)))
    assert total.sums.tolist() == [[90_007, 3]]


def test_a_year_is_read_by_day_week_and_month_with_what_came_late(store):
    """Before its sums are added up, afterwards, and when late rows came into hours long past."""
    start = date_start_ns(ZONE, MONDAY)
    now_ns = start + 400 * 1440 * MINUTE_NS
    rows = _random_rows(600, seed=6, days=1)
    for number, row in enumerate(rows):  # two hours of every ninth day
        days = number % 40 * 9
        minute = days * 1440 + 480 + (row["t"] - start) // MINUTE_NS % 120
        row |= {"t": start + minute * MINUTE_NS, "date": MONDAY + days, "n": number}
    parts = [rows[:560], rows[560:590], rows[590:]]
    known = []
    for seq, part in enumerate(parts):
        store.write([batch(part, seq=seq)])
        known += part
        for summed in (False, True):
            while summed and isinstance(store, RolledUp) and store.roll_up(now_ns, leased=True):
                pass
            for bucket in ("shift", "day", "week", "month", "all"):
                query = Query("van-long", start, now_ns, ZONE.key, ("máy ép nhựa số 2",), bucket, ("calendar",))
                truth, names = _truth(known, query)
                assert _answer(store, query, names) == truth


def _stop(revision, start, end, number="1", state=State.UNPLANNED_STOP, reason="", machine="press-1"):
    return Stop(machine, number, start, end, state, reason, "plc", "1", "", revision)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 0, 2)])
def test_the_highest_revision_of_a_stop_wins_in_any_order(store, order):
    t = ns("2026-03-02T08:00:00")
    told = [_stop(0, t, None), _stop(1, t, t + 10), _stop(2, t, t + 20, state=State.BREAKDOWN, reason="kẹt khuôn")]
    for number in order:
        store.write([batch(stops=[told[number]], seq=number)])
    assert stops_of(store, t, t + MINUTE_NS) == [told[2]]


def test_stops_of_a_window(store):
    t = ns("2026-03-02T08:00:00")
    store.write(
        [
            batch(
                stops=[
                    _stop(0, t, t + 100, "ends before"),
                    _stop(0, t, t + 101, "reaches in"),
                    _stop(0, t + 150, None, "lasts"),
                    _stop(0, t + 199, t + 400, "reaches out"),
                    _stop(0, t + 200, t + 300, "begins after"),
                    _stop(0, t + 150, None, "vanished"),
                    _stop(1, t + 150, t + 150, "vanished"),
                    _stop(0, t + 150, None, "other", machine="press-2"),
                ]
            )
        ]
    )
    assert [stop.id for stop in stops_of(store, t + 100, t + 200, ["press-1"])] == [
        "reaches in",
        "lasts",
        "reaches out",
    ]
    assert len(stops_of(store, t + 100, t + 200)) == 4
    assert store.stops(StopQuery("other", t, t + 1000)) == StopPage([], 0)


def _told_stops(chance, t):
    """Revisions of stops of three machines: none of a machine overlap, some vanish, the last may go on."""
    out = []
    for machine in ("press-1", "press-2", "máy ép % 2"):
        begin = t
        for number in range(60):
            begin += chance.randrange(1, 90) * 10**9
            end = begin + chance.randrange(1, 40) * 10**9
            state = chance.choice([State.MINOR_STOP, State.UNPLANNED_STOP, State.SETUP])
            reason, product = chance.choice(["", "", "kẹt khuôn", "50 %"]), chance.choice(["1", "2"])
            first = Stop(machine, f"{machine}/{number}", begin, None, State.UNPLANNED_STOP, "", "plc", product, "", 0)
            last = replace(first, end_ns=end, state=state, reason=reason, revision=1)
            out += [first] if number == 59 else [first, last]
            out += [replace(last, end_ns=begin, revision=2)] if chance.random() < 0.1 and number < 59 else []
            begin = end
    chance.shuffle(out)
    return out


def _wanted(revisions, query):
    """What the contract demands, in plain Python: the page's stops and how many there are."""
    latest = {}
    for stop in sorted(revisions, key=lambda stop: stop.revision):
        latest[stop.machine, stop.id] = stop

    def length(stop):
        return max((query.now_ns if stop.end_ns is None else stop.end_ns) - stop.start_ns, 0)

    def began(stop):
        return query.began_in is None or any(
            stop.machine in item.machines and low <= stop.start_ns < high
            for item in query.began_in
            for low, high in zip(item.start_ns.tolist(), item.end_ns.tolist(), strict=True)
        )

    found = [
        stop
        for stop in latest.values()
        if stop.start_ns < query.end_ns
        and (stop.end_ns is None or stop.end_ns > max(query.start_ns, stop.start_ns))
        and (not query.machines or stop.machine in query.machines)
        and (not query.states or stop.state in query.states)
        and (not query.reasons or stop.reason in query.reasons)
        and (not query.products or stop.product in query.products)
        and length(stop) >= query.shortest_ns
        and (query.others_last or began(stop))
    ]
    keys = {
        "machine": lambda stop: (stop.machine, stop.start_ns),
        "latest": lambda stop: (-stop.start_ns, stop.machine),
        "longest": lambda stop: (-length(stop), -stop.start_ns, stop.machine),
    }
    found.sort(key=lambda stop: (not began(stop), keys[query.order](stop)))
    until = None if query.most is None else query.first + query.most
    return StopPage(found[query.first : until], len(found))


def test_stops_are_chosen_ordered_and_cut_into_pages_by_the_store(store):
    chance, t = random.Random(11), ns("2026-03-02T08:00:00")
    revisions = _told_stops(chance, t)
    for seq, first in enumerate(range(0, len(revisions), 50)):
        store.write([batch(stops=revisions[first : first + 50], seq=seq)])
    now = max(stop.start_ns for stop in revisions) + 100 * 10**9
    edges = np.arange(t, now, 300 * 10**9)
    spans = [
        BeginSpans(("press-1", "máy ép % 2"), edges, edges + 100 * 10**9),
        BeginSpans(("press-2",), edges[:3], edges[:3] + 10**9),
    ]
    for _ in range(120):
        low = t + chance.randrange(0, 60) * MINUTE_NS
        query = StopQuery(
            "van-long",
            low,
            low + chance.randrange(1, 60) * MINUTE_NS,
            chance.choice([(), (), ("press-2",), ("press-1", "máy ép % 2")]),
            states=chance.choice([(), (State.SETUP,), (State.UNPLANNED_STOP, State.MINOR_STOP)]),
            reasons=chance.choice([(), ("",), ("50 %", "kẹt khuôn")]),
            products=chance.choice([(), ("1",)]),
            shortest_ns=chance.choice([0, 0, 20 * 10**9]),
            now_ns=now,
            began_in=chance.choice([None, spans, spans[:1], []]),
            others_last=chance.random() < 0.5,
            order=chance.choice(["machine", "latest", "longest"]),
            first=chance.choice([0, 0, 3, 500]),
            most=chance.choice([None, 1, 12]),
        )
        assert store.stops(query) == _wanted(revisions, query), query


def test_an_empty_store_answers(store):
    assert len(store.facts(Query("van-long", 0, 2**62, bucket="day"))) == 0
    assert store.facts(Query("van-long", 0, 2**62)).sums.shape == (0, len(FACT_COLUMNS))
    assert len(store.losses(Query("van-long", 0, 2**62))) == 0
    store.write([])
    store.write([batch()])


def test_what_was_written_is_there_after_a_restart(opener):
    first = opener()
    rows = _random_rows(50, seed=4)
    first.write([batch(rows)])
    before = first.facts(Query("van-long", 0, 2**62, bucket="minute"))
    first.close()
    second = opener()
    second.write([batch(rows)])
    after = second.facts(Query("van-long", 0, 2**62, bucket="minute"))
    second.close()
    assert (before.sums == after.sums).all()


_WRITER = """
import importlib, json, sys
sys.path[:0] = [{root!r}, {here!r}, {here!r} + "/.."]
from center_plant import batch, running
store = importlib.import_module("center.stores." + sys.argv[1] + ".store").open_store(json.loads(sys.argv[2]))
for seq in range(1, 100000):
    store.write([batch(running(seq * 60_000_000_000, 1), seq=seq)])
    print(seq, flush=True)
"""


def test_success_survives_kill_9(kind, tmp_path):
    """What `write` returned for is there; what it did not return for is there whole or not at all."""
    import json

    settings = SETTINGS[kind](tmp_path)
    code = _WRITER.format(root=str(ROOT), here=str(Path(__file__).parent))
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, kind, json.dumps(settings)], stdout=subprocess.PIPE)
        last = 0
        for line in process.stdout:
            last = int(line)
            if last >= 25:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        process.wait()
        last = int(rest[-1]) if rest else last
        store = importlib.import_module(f"center.stores.{kind}.store").open_store(settings)
        found = store.facts(Query("van-long", 0, 2**62, bucket="minute"))
        store.close()
        assert set(range(1, last + 1)) <= set((found.minute_ns // MINUTE_NS).tolist())
        assert (found.column("pieces_good") == 10).all()


def test_readers_see_whole_writes_while_one_writes(store, kind):
    """Each write adds the same number to two machines; no reader ever sees one without the other, or, of stores that
    promise less, ever sees a sum that no rows explain.
    """
    stop, seen, wrong = threading.Event(), [], []

    def read():
        while not stop.is_set():
            sums = store.facts(Query("van-long", 0, 2**62, by=("machine",))).column("running_ms").tolist()
            seen.append(sums)
            whole = not sums or (len(sums) == 2 and sums[0] == sums[1])
            if not whole if kind in SEEN_WHOLE else any(value % 7 for value in sums):
                wrong.append(sums)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(60):
        t = (number + 1) * MINUTE_NS
        store.write([batch([{"t": t, "machine": name, "running_ms": 7} for name in ("a", "b")], seq=number)])
    stop.set()
    for thread in threads:
        thread.join()
    assert seen
    assert not wrong
    assert store.facts(Query("van-long", 0, 2**62, by=("machine",))).column("running_ms").tolist() == [420, 420]


def test_the_store_and_the_plain_sum_agree(store):
    """`oee.model.facts.add_up`, the definition, over the same rows."""
    made = batch(_random_rows(120, seed=5))
    store.write([made])
    found = store.facts(Query("van-long", 0, 2**62, bucket="minute", by=("machine", "calendar", "shift", "product")))
    assert found.sums.sum(axis=0).tolist() == add_up([made.facts]).sums.sum(axis=0).tolist()
    assert len(found) == len({key[:3] + key[4:] for key in _keys(made.facts)})


def _keys(table):
    return row_keys(table)


def _value_batch(rows, gateway="main"):
    columns = {}
    for tag, t_ns, value, quality in rows:
        columns.setdefault(tag, []).append((t_ns // 1000, value, quality))
    return [
        replace(batch(gateway=gateway), values=read_values_body(json.loads(json.dumps(body))))
        for body in values_bodies(gathered(columns))
    ]


def _value_rows(found):
    return {
        gateway: [
            (tag, t_ns, text if text is not None else None if math.isnan(number) else number, quality)
            for tag, t_ns, number, text, quality in zip(
                *(getattr(rows, name).tolist() for name in ("tag", "t_ns", "number", "text", "quality")), strict=True
            )
        ]
        for gateway, rows in found.items()
    }


def test_process_values_come_back_as_they_were_and_once(store):
    start = ns("2026-03-02T08:00:00")
    rows = [
        ("plc.nhiệt độ, dầu", start - HOUR_NS, 20.0, 0),
        ("plc.nhiệt độ, dầu", start - MINUTE_NS, 21.4, 0),
        ("plc.nhiệt độ, dầu", start, -0.1, 1),
        ("plc.nhiệt độ, dầu", start + 1000, None, 3),
        ("plc.recipe", start + 5_000_000, 'Ốp "nhựa" \\ A', 0),
        ("plc.recipe", start + MINUTE_NS, "", 0),
        ("plc.strokes", start - 30 * HOUR_NS, 7, 0),
        ("plc.strokes", start + 2 * MINUTE_NS, 2**31, 0),
    ]
    ask = ValueQuery(
        "van-long", ("plc.nhiệt độ, dầu", "plc.recipe", "plc.strokes"), start, start + HOUR_NS, 25 * HOUR_NS, 100
    )
    for _ in range(2):
        store.write([*_value_batch(rows), *_value_batch([("plc.recipe", start, 3.5, 0)], "second")])
    found = _value_rows(store.values(ask))
    held = [row for row in rows if row[1] != start - HOUR_NS and row[0:2] != ("plc.strokes", start - 30 * HOUR_NS)]
    assert found == {"main": held, "second": [("plc.recipe", start, 3.5, 0)]}
    assert _value_rows(store.values(replace(ask, gateway="second"))) == {"second": found["second"]}
    assert _value_rows(store.values(replace(ask, site="other"))) == {}
    assert _value_rows(store.values(replace(ask, tags=()))) == {}
    few = store.values(replace(ask, limit=2, gateway="main", back_ns=0))
    assert _value_rows(few) == {"main": held[1:3]}
    store.forget_values(start + 1000)
    assert [row[1] - start for row in _value_rows(store.values(ask))["main"]] == [
        1000,
        5_000_000,
        MINUTE_NS,
        2 * MINUTE_NS,
    ]


def test_bins_of_process_values_keep_extremes_gaps_and_what_held_before(store):
    """As the slow truth over the rows: in random rows, with gaps, texts and doubtful values in any order within a bin."""
    if not isinstance(store, BinsValues):
        pytest.skip("an optional capability")
    start, chance = ns("2026-03-02T08:00:00"), random.Random(4)
    rows = [("plc.temp", start - 40 * MINUTE_NS, 11.5, 0), ("plc.strokes", start - MINUTE_NS, None, 3)]
    for tag in ("plc.temp", "plc.strokes"):
        times = sorted(chance.sample(range(0, 3600, 7), 160))
        for second in times:
            kind = chance.choice(["number"] * 6 + ["doubtful", "bad", "gap", "text"])
            value = {"bad": None, "gap": None, "text": "A"}.get(kind, round(chance.uniform(-50, 50), 2))
            quality = {"doubtful": 1, "bad": 2, "gap": 3}.get(kind, 0)
            rows.append((tag, start + second * 10**9, value, quality))
    store.write(_value_batch(sorted(rows)))
    for width_s, count in ((60, 60), (97, 38), (3600, 1), (1, 3600)):
        query = BinsQuery("van-long", ("plc.temp", "plc.strokes"), start, width_s, count, 25 * HOUR_NS)
        found = store.value_bins(query)
        assert list(found) == ["main"]
        bins = found["main"]
        mine = list(
            zip(*(getattr(bins, name).tolist() for name in ("tag", "bin", "low", "high", "last", "lost")), strict=True)
        )
        assert [_with_none(row) for row in mine] == [_with_none(row) for row in _slow_bins(rows, query)]
    assert store.value_bins(replace(query, site="other")) == {}
    assert store.value_bins(replace(query, tags=())) == {}
    assert store.value_bins(replace(query, gateway="second")) == {}


def _with_none(row):
    return tuple(None if item != item else item for item in row)  # noqa: PLR0124  # NaN


def _slow_bins(rows, query):
    out = []
    for tag in sorted(query.tags):
        binned = {}
        for _, t_ns, value, _ in sorted(row for row in rows if row[0] == tag):
            place = (t_ns - query.start_ns) // (query.width_s * 10**9)
            number = value if isinstance(value, float) else math.nan
            binned.setdefault(place if place >= 0 else -1, []).append(number)
        for place, numbers in sorted(binned.items()):
            known = [number for number in (numbers[-1:] if place < 0 else numbers) if not math.isnan(number)]
            low, high = (min(known), max(known)) if known else (math.nan, math.nan)
            out.append((tag, place, low, high, numbers[-1], any(map(math.isnan, numbers))))
    return out


def _random_histograms(seed, hours=50):
    chance = random.Random(seed)
    start = date_start_ns(ZONE, MONDAY)
    numbers, rows = defaultdict(int), []
    for _ in range(60):
        hour = chance.randrange(hours)
        machine = chance.choice(["press-1", "máy ép nhựa số 2"])
        row = {
            "machine": machine,
            "t": start + hour * HOUR_NS,
            "n": numbers[machine, hour],
            "date": MONDAY + hour // 24,
            "shift": chance.choice(["Ca sáng", "-"]),
            "product": chance.choice(["1", "Ốp nhựa"]),
            "bins": {chance.randrange(CYCLE_BINS): chance.choice([-2, -1, 1, 7, 3600]) for _ in range(5)},
        }
        numbers[machine, hour] += 1
        rows.append(row)
    return rows


def _histogram_truth(rows, start_ns=0, end_ns=2**62, machines=()):
    sums = defaultdict(int)
    for row in rows:
        if start_ns <= row["t"] < end_ns and (not machines or row["machine"] in machines):
            for place, cycles in row["bins"].items():
                sums[row["machine"], row["date"], row["shift"], row["product"], place] += cycles
    return [(*key, cycles) for key, cycles in sorted(sums.items()) if cycles]


def _histogram_rows(found):
    names = ("machine", "business_date", "shift", "product", "bin", "cycles")
    assert not found.minute_ns.any() and not found.n.any() and not found.calendar.any()
    return list(zip(*(getattr(found, name).tolist() for name in names), strict=True))


def test_histograms_add_up_in_any_order_once_and_go_with_their_machine(store):
    if not isinstance(store, KeepsCycles):
        pytest.skip("an optional capability")
    rows, start = _random_histograms(3), date_start_ns(ZONE, MONDAY)
    parts = [batch(cycle_rows=rows[index::3], seq=index) for index in range(3)]
    assert not len(store.cycles("van-long", 0, 2**62))
    store.write([parts[2], batch(cycle_rows=rows[:1], site="other")])
    store.write([*parts, parts[0]])
    for window in ((0, 2**62), (start + 7 * HOUR_NS, start + 31 * HOUR_NS)):
        for machines in ((), ("máy ép nhựa số 2",)):
            found = store.cycles("van-long", *window, machines)
            assert _histogram_rows(found) == _histogram_truth(rows, *window, machines)
    assert _histogram_rows(store.cycles("other", 0, 2**62)) == _histogram_truth(rows[:1])
    assert not len(store.cycles("nobody", 0, 2**62))
    store.forget_machine("van-long", "press-1")
    assert _histogram_rows(store.cycles("van-long", 0, 2**62)) == _histogram_truth(rows, machines=["máy ép nhựa số 2"])
    assert len(store.cycles("other", 0, 2**62))


def test_histograms_are_exported_as_they_were_written(store):
    """Written again, they change nothing, and into an empty store they are the same."""
    if not isinstance(store, KeepsCycles):
        pytest.skip("an optional capability")
    rows = _random_histograms(4)
    facts_too = [{"t": row["t"], "machine": row["machine"], "running_ms": 1} for row in rows if not row["n"]]
    store.write([batch(facts_too, cycle_rows=rows[:30]), batch(cycle_rows=rows[30:], stream="1" * 16)])
    (site, (start_ns, end_ns)), *others = store.extent().items()
    assert not others
    exported = [
        *store.rows(site, start_ns, start_ns + 24 * HOUR_NS),
        *store.rows(site, start_ns + 24 * HOUR_NS, end_ns),
    ]
    streams = {item.origin.stream for item in exported if len(item.cycles)}
    assert len(streams) == 2
    before = _histogram_rows(store.cycles(site, 0, 2**62))
    assert before == _histogram_truth(rows)
    store.write(exported)
    assert _histogram_rows(store.cycles(site, 0, 2**62)) == before
    store.write([replace(item, origin=replace(item.origin, site="copy")) for item in exported])
    assert _histogram_rows(store.cycles("copy", 0, 2**62)) == before


@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_forgotten_machine_is_in_no_answer_and_the_others_are_untouched(store, rolled_up):
    """Rows, sums of hours and days, losses and stops; forgetting it again changes nothing, and new rows count anew."""
    assert isinstance(store, ForgetsMachines)
    rows = _random_rows(400, 5)
    store.write([batch(rows)])
    loss = {"machine": "press-1", "t": rows[0]["t"], "date": MONDAY, "state": State.BREAKDOWN, "reason": "jam", "ms": 5}
    stop = Stop("press-1", "1", rows[0]["t"], rows[0]["t"] + 10**9, State.BREAKDOWN, "jam", "plc", "1", "", 0)
    others = [replace(stop, machine="máy ép nhựa số 2")]
    store.write([batch((), [loss, loss | {"machine": others[0].machine}], [stop, *others], seq=2)])
    query = Query("van-long", date_start_ns(ZONE, MONDAY), date_start_ns(ZONE, MONDAY + 3), ZONE.key, bucket="day")
    if rolled_up and isinstance(store, RolledUp):
        while store.roll_up(ns("2026-10-01T00:00:00+07:00"), leased=True):
            pass
    assert _answer(store, query, query.by) == _truth(rows, query)[0]
    for _ in range(2):
        store.forget_machine("van-long", "press-1")
        left = [row for row in rows if row["machine"] != "press-1"]
        for bucket in ("all", "hour", "day", "minute"):
            asked = replace(query, bucket=bucket)
            assert _answer(store, asked, asked.by) == _truth(left, asked)[0]
        assert set(store.losses(query).machine.tolist()) == {others[0].machine}
        assert stops_of(store, query.start_ns, query.end_ns) == others
    store.write([batch(rows[:50], seq=3)])
    again = [*left, *(row for row in rows[:50] if row["machine"] == "press-1")]
    assert _answer(store, query, query.by) == _truth(again, query)[0]
