"""What the InfluxDB store promises beyond the contract, against a real server that is killed, away and refusing."""

import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from center_plant import STREAM, batch, facts, losses, ns, running, stops_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from influx_plant import influx_settings, influxd, is_2x, shared_url
from servers import PATIENCE_S

from center.contract.store import Exportable, KeepsMarks, Origin, Query, RowBatch, StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey
from center.model.complaints import NotReady
from center.stores.influxdb.store import open_store
from config import Misconfigured
from oee.model.facts import MINUTE_NS, MS_NS, NO_FACTS, NO_LOSSES, Stop, add_up, row_keys
from oee.model.states import State
from wire.marks import Marks

ALL = Query("van-long", 0, 2**62)
T = ns("2026-03-02T08:00:00")


@pytest.fixture
def where(tmp_path):
    return influx_settings(tmp_path)


@pytest.fixture
def store(where):
    opened = open_store(where)
    yield opened
    opened.close()


def _line(store, line):
    """Writes a line as somebody else might."""
    store.database.server.write(store.database._rows_bucket, [line])


# texts


NASTY = st.text(
    st.one_of(
        st.sampled_from(" ,=\"'\\\n\r\t%/;$#*ốộẹĐ-.:\x00\x7f\u00a0\u200b𝕏"), st.characters(blacklist_categories=["Cs"])
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.tuples(NASTY.filter(bool), NASTY, NASTY, NASTY), min_size=1, max_size=20),
    site=NASTY.filter(bool),
)
def test_any_text_comes_back_as_it_was(store, texts, site):
    fact_rows = [
        {"t": T + i * MINUTE_NS, "machine": machine, "shift": shift, "product": product, "n": i, "cycles": 1}
        for i, (machine, shift, product, _) in enumerate(texts)
    ]
    loss_rows = [
        {"t": T + i * MINUTE_NS, "machine": machine, "state": State.BREAKDOWN, "reason": reason, "ms": 5, "n": i}
        for i, (machine, _, _, reason) in enumerate(texts)
    ]
    stops = [
        Stop(machine, product, T + i, None, State.SETUP, reason, shift, product, reason, i)
        for i, (machine, shift, product, reason) in enumerate(texts)
    ]
    stream = f"{abs(hash((site, *texts))):x}"
    site = f"{stream}{site}"
    made = batch(fact_rows, loss_rows, stops, site=site, stream=stream)
    store.write([made])
    kept = list(store.rows(site, T, T + 3600 * MINUTE_NS))
    (rows,) = [item for item in kept if item.origin.stream == stream]
    assert sorted(zip(row_keys(rows.facts), rows.facts.n)) == sorted(zip(row_keys(made.facts), made.facts.n))
    assert sorted(zip(row_keys(rows.losses), rows.losses.n)) == sorted(zip(row_keys(made.losses), made.losses.n))
    assert sorted((s for item in kept for s in item.stops), key=repr) == sorted(stops, key=repr)
    asked = {machine for machine, *_ in texts[:3]}
    found = store.facts(replace(ALL, site=site, machines=sorted(asked), by=("machine", "shift", "product")))
    assert set(found.machine.tolist()) == asked
    assert found.column("cycles").sum() == sum(machine in asked for machine, *_ in texts)


# refusals


def test_rows_that_are_too_old_are_named_and_the_others_stand(tmp_path):
    store = open_store(influx_settings(tmp_path, retention="104w"))
    now = time.time_ns() // MINUTE_NS * MINUTE_NS
    old = now - 900 * 1440 * MINUTE_NS
    rows = [{"t": now - i * MINUTE_NS, "cycles": 1} for i in range(50)]
    rows[7]["t"], rows[31]["t"] = old, old + MINUTE_NS
    with pytest.raises(
        StoreRefused, match=r"2 of 50 rows.*machine=press-1.* at 20\d\d-.*Z: beyond the retention policy"
    ):
        store.write([batch(rows)])
    assert store.facts(ALL).column("cycles").tolist() == [48]
    with pytest.raises(StoreRefused, match="20 of 20 rows"):
        store.write([batch([{"t": old + i * MINUTE_NS, "cycles": 1} for i in range(20)])])
    store.marks.save({StreamKey("van-long", "main", STREAM): Marks(5)})  # marks outlive any retention
    assert store.marks.load() == {StreamKey("van-long", "main", STREAM): Marks(5)}
    store.close()


def test_rows_with_a_column_that_is_no_integer_there_are_named(store):
    _line(store, f"facts,site=other cycles=1.5 {T}")
    rows = [{"t": T + i * MINUTE_NS, "running_ms": 5} for i in range(20)]
    rows[3]["cycles"] = rows[4]["cycles"] = 1
    with pytest.raises(StoreRefused, match=r"2 of 20 rows.*type conflict: cycles is integer here, float at the server"):
        store.write([batch(rows)])
    assert store.facts(replace(ALL, bucket="minute")).column("running_ms").sum() == 18 * 5


def test_a_row_number_that_would_reach_into_the_next_minute_is_refused(store):
    store.write([batch([{"t": T, "n": 59_999, "cycles": 1}, {"t": T + MINUTE_NS, "cycles": 1}])])
    found = store.facts(Query("van-long", T, T + MINUTE_NS))
    assert found.column("cycles").tolist() == [1]
    with pytest.raises(StoreRefused, match="row 60000"):
        store.write([batch([{"t": T, "n": 60_000, "cycles": 1}])])


# the server away, killed, protected


def test_a_server_that_is_away_is_said_and_comes_back_with_everything(tmp_path):
    with influxd(tmp_path) as server:
        store = open_store(server.settings)
        store.write([batch(running(T, 5))])
        server.kill()
        for question in (lambda: store.write([batch(running(T, 9))]), lambda: store.facts(ALL), store.marks.load):
            with pytest.raises(StoreUnavailable, match=server.url):
                question()
        with pytest.raises(NotReady, match="no answer"):
            open_store(server.settings)
        server.start()
        assert store.facts(ALL).column("pieces_good").tolist() == [50]
        store.write([batch(running(T, 9))])
        assert store.facts(ALL).column("pieces_good").tolist() == [90]
        store.close()


def test_what_was_acknowledged_outlives_kill_9_of_the_server(tmp_path):
    with influxd(tmp_path) as server:
        store = open_store(server.settings)
        done = 0
        for _ in range(3):
            killer = threading.Timer(0.4, server.kill)
            killer.start()
            try:
                while True:
                    store.write([batch(running(T + done * 10 * MINUTE_NS, 10), seq=done)])
                    done += 1
            except StoreUnavailable:
                killer.join()
            server.start()
            found = store.facts(replace(ALL, bucket="minute"))
            minutes = set(((found.minute_ns - T) // MINUTE_NS).tolist())
            assert set(range(done * 10)) <= minutes
            whole = found.minute_ns < T + done * 10 * MINUTE_NS
            assert (found.column("pieces_good")[whole] == 10).all()
        assert done > 10
        store.close()


def test_what_was_accepted_outlives_kill_9_of_the_server_at_once(tmp_path):
    """Killed after each accepted write, before anything else can make it durable."""
    with influxd(tmp_path) as server:
        store = open_store(server.settings)
        for seq in range(1, 7):
            store.write([batch(running(T + seq * MINUTE_NS, 1), [], [_stop(seq)], seq=seq)])
            store.marks.save({StreamKey("van-long", "main", STREAM): Marks(seq)})
            server.kill()
            server.start()
            found = store.facts(replace(ALL, bucket="minute"))
            assert found.column("pieces_good").tolist() == [10] * seq
            assert [stop.revision for stop in stops_of(store, T, T + 60 * MINUTE_NS)] == [*range(1, seq + 1)]
            assert store.marks.load() == {StreamKey("van-long", "main", STREAM): Marks(seq)}
        store.close()


def _stop(number):
    start_ns = T + number * MINUTE_NS
    return Stop("press-1", str(start_ns // MS_NS), start_ns, start_ns + 5, State.SETUP, "", "plc", "1", "", number)


def test_a_password_is_asked_for_and_given(tmp_path):
    if is_2x():
        pytest.skip("2.x knows tokens; a wrong one is tested for each start")
    (tmp_path / "password").write_text("mật: k,=\n", encoding="utf-8")
    with influxd(tmp_path, auth=True) as server:
        create = "CREATE USER nhip WITH PASSWORD 'mật: k,=' WITH ALL PRIVILEGES"
        data = urllib.parse.urlencode({"q": create}).encode()
        urllib.request.urlopen(f"{server.url}/query", data=data).close()
        with pytest.raises(Misconfigured, match="401"):
            open_store(server.settings)
        store = open_store(
            server.settings | {"username": "nhip", "password_file": str(tmp_path / "password"), "database": "nhip"}
        )
        store.write([batch(running(T, 5))])
        assert store.facts(ALL).column("pieces_good").tolist() == [50]
        store.close()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"url": "influx.example"}, "url: http"),
        ({"database": "a b"}, "letters, digits"),
        ({"retention": "soon"}, "104w"),
        ({"retention": "1h"}, "short_retention"),
        ({"size": 3}, "unknown_key"),
        ({"timeout_s": "soon"}, "whole number"),
        ({"replication": 0}, "whole number"),
        ({"token_file": "/no/such/file"}, "No such file"),
        ({"token_file": __file__}, "ASCII"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, more, words):
    with pytest.raises(Misconfigured, match=words):
        open_store({"url": "http://127.0.0.1:9"} | more)


def test_a_retention_is_never_shortened_by_a_setting(tmp_path):
    open_store(influx_settings(tmp_path, retention="104w")).close()
    open_store(influx_settings(tmp_path)).close()  # says nothing, leaves it
    open_store(influx_settings(tmp_path, retention="728d")).close()
    with pytest.raises(Misconfigured, match="by hand"):
        open_store(influx_settings(tmp_path, retention="52w"))


# stops that reach into a window


def test_a_stop_reaches_in_from_long_before_and_behind_many_that_vanished(store):
    day = 1440 * MINUTE_NS
    long = Stop("press-1", str(T // MS_NS), T, None, State.BREAKDOWN, "", "plc", "1", "", 0)
    gone = []
    for i in range(300):
        start = T + day + i * MINUTE_NS
        told = Stop("press-1", str(start // MS_NS), start, start + 5, State.UNPLANNED_STOP, "", "plc", "1", "", 0)
        gone += [told, replace(told, end_ns=start, revision=1)]
    store.write([batch(stops=[long, *gone])])
    late = T + 400 * day
    assert stops_of(store, late, late + day) == [long]
    assert stops_of(store, late, late + day, ["press-1"]) == [long]
    store.write([batch(stops=[replace(long, end_ns=late, revision=1)])])
    assert stops_of(store, late, late + day) == []
    assert [stop.end_ns for stop in stops_of(store, late - day, late)] == [late]


def test_many_stops_and_revisions_equal_the_embedded_store(store, tmp_path):
    import random

    from center.stores.duckdb import store as duckdb

    chance = random.Random(7)
    stops = []
    for machine in ("a", "b"):
        t = T
        for _ in range(150):
            t += chance.randrange(1, 120) * MINUTE_NS
            end = t + chance.randrange(1, 600) * MINUTE_NS
            told = Stop(machine, str(t // MS_NS), t, None, State.UNPLANNED_STOP, "", "plc", "1", "", 0)
            final = end if chance.random() < 0.7 else t
            stops += [told, replace(told, end_ns=end, revision=1), replace(told, end_ns=final, revision=2)]
            t = end
    chance.shuffle(stops)
    other = duckdb.open_store({"file": str(tmp_path / "f.duckdb")})
    for which in (store, other):
        which.write([batch(stops=stops)])
    for _ in range(30):
        low = T + chance.randrange(0, 60_000) * MINUTE_NS
        high = low + chance.randrange(1, 3000) * MINUTE_NS
        for machines in ((), ("b",)):
            assert stops_of(store, low, high, machines) == stops_of(other, low, high, machines)
    other.close()


# what a copy needs


def test_rows_come_out_as_they_went_in(store):
    assert isinstance(store, Exportable)
    assert isinstance(store, KeepsMarks)
    made = [
        batch(running(T, 30), [{"t": T, "state": State.SETUP, "ms": 9, "n": 3}], stream="0" * 16),
        batch([{"t": T, "n": 1, "running_ms": -5}, {"t": T, "n": 2, "product": "2"}], stream="1" * 16),
        RowBatch(
            Origin("van-long", "", ""),
            0,
            NO_FACTS,
            NO_LOSSES,
            [Stop("m", "x", T, None, State.SETUP, "", "", "", "", 4)],
        ),
    ]
    store.write(made)
    assert store.extent() == {"van-long": (T, T + 30 * MINUTE_NS)}
    found = list(store.rows("van-long", T, T + 30 * MINUTE_NS))
    assert [item.origin.stream for item in found] == ["", "0" * 16, "1" * 16] or len(found) == 3
    for item in made[:2]:
        (same,) = [other for other in found if other.origin.stream == item.origin.stream]
        assert sorted(zip(row_keys(same.facts), same.facts.n.tolist(), same.facts.sums.tolist())) == sorted(
            zip(row_keys(item.facts), item.facts.n.tolist(), item.facts.sums.tolist())
        )
        assert add_up([same.losses]).sums.tolist() == add_up([item.losses]).sums.tolist()
    assert [stop for item in found for stop in item.stops] == list(made[2].stops)
    assert add_up([item.facts for item in found]).sums.sum() == add_up([item.facts for item in made]).sums.sum()


def test_two_processes_of_a_center_write_without_harm(store, where):
    """Nothing is locked: N ingest workers may write; the same rows fall on each other."""
    code = (
        "import json, sys; sys.path[:0] = json.loads(sys.argv[2])\n"
        "from center_plant import batch, running\nfrom center.stores.influxdb.store import open_store\n"
        f"open_store(json.loads(sys.argv[1])).write([batch(running({T}, 60))])"
    )
    import json

    paths = [str(Path(__file__).parents[index]) for index in (2, 0, 1)]
    command = [sys.executable, "-c", code, json.dumps(where), json.dumps(paths)]
    others = [subprocess.Popen(command) for _ in range(2)]
    assert [other.wait(PATIENCE_S) for other in others] == [0, 0]
    assert shared_url() == where["url"]
    assert store.facts(ALL).column("pieces_good").tolist() == [600]
    assert len(facts([])) == len(losses([])) == 0


def test_a_question_about_very_many_machines_is_posted(store):
    names = [f"máy ép nhựa số {number}" for number in range(600)]
    store.write([batch([{"t": T, "machine": name, "cycles": 1} for name in names])])
    found = store.facts(replace(ALL, machines=names[:500], by=("machine",)))
    assert len(found) == 500
    assert stops_of(store, T, T + MINUTE_NS, names) == []
