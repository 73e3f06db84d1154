"""What the InfluxDB store asks of a server: requests of 2.x against a recorder, statements and lines as text.

No 2.x server runs here: what is checked is that the requests are those of its documented API, no more.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from center_plant import STREAM, batch, ns
from hypothesis import given
from hypothesis import strategies as st
from servers import PATIENCE_S

from center.contract.store import Query, StoreRefused, StoreUnavailable
from center.contract.streams import StreamKey
from center.stores.influxdb.codec import queries as ask
from center.stores.influxdb.codec.escape import literal, pack, unpack
from center.stores.influxdb.codec.lines import batch_lines, mark_lines
from center.stores.influxdb.codec.refusals import Blame, all_refused, blame, reason
from center.stores.influxdb.server import BATCH_LINES, Address, InfluxServer
from center.stores.influxdb.store import open_store
from config import Misconfigured
from oee.model.facts import MINUTE_NS
from oee.model.states import State
from wire.marks import Marks

T = ns("2026-03-02T08:00:00")


class Recorder:
    """A tiny 2.x: organizations, buckets and mappings that it is told of, and writes answered as scripted. It has no rows, and
    keeps the list of series apart.
    """

    def __init__(self):
        self.seen, self.buckets, self.dbrps, self.answers, self.listed = [], [], [], [], []

    def reply(self, method, path, query, body, headers):
        if path == "/query":
            return 200, {"results": [{} for _ in query["q"][0].split("; ")]}
        if path == "/api/v2/write" and body.startswith("series,"):
            self.listed.append((query["bucket"], body))
            return 204, None
        self.seen.append((method, path, query, body, headers.get("Authorization")))
        if path == "/api/v2/orgs":
            return 200, {"orgs": [{"id": "o1", "name": "nhip"}] if query["org"] == ["nhip"] else []}
        if path == "/api/v2/write":
            return self.answers.pop(0) if self.answers else (204, None)
        kind, name = (self.buckets, "buckets") if path.endswith("buckets") else (self.dbrps, "content")
        if method == "POST":
            kind.append(json.loads(body) | {"id": f"b{len(kind)}"})
            return 201, kind[-1]
        key = "name" if name == "buckets" else "bucketID"
        return 200, {name: [item for item in kind if [item[key]] == query[key]]}


@contextmanager
def recorder():
    made = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def _do(self):
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, answer = made.reply(self.command, parts.path, parse_qs(parts.query), body, self.headers)
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    Handler.do_GET = Handler.do_POST = Handler._do
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def two(tmp_path):
    (tmp_path / "token").write_text("s3cret==\n")
    with recorder() as made:
        made.settings = {"url": made.url, "org": "nhip", "token_file": str(tmp_path / "token"), "retention": "104w"}
        made.settings["cache"] = str(tmp_path / "hours.duckdb")
        yield made


def _rule(kept_s):
    """Shards of four weeks, as on 1.x: a bucket that is told nothing gets shards of a week."""
    return {"type": "expire", "everySeconds": kept_s, "shardGroupDurationSeconds": 4 * 7 * 86_400}


def test_on_2x_buckets_and_mappings_are_made_once(two):
    open_store(two.settings).close()
    assert [(item["name"], item["orgID"], item["retentionRules"]) for item in two.buckets] == [
        ("nhip", "o1", [_rule(104 * 7 * 86_400)]),
        ("nhip-books", "o1", [_rule(0)]),
    ]
    assert [(item["bucketID"], item["database"], item["retention_policy"], item["default"]) for item in two.dbrps] == [
        ("b0", "nhip", "nhip", True),
        ("b1", "nhip", "books", False),
    ]
    made = len(two.seen)
    open_store(two.settings).close()
    assert {method for method, *_ in two.seen[made:]} == {"GET"}
    assert {token for *_, token in two.seen} == {"Token s3cret=="}
    with pytest.raises(Misconfigured, match="by hand"):
        open_store(two.settings | {"retention": "52w"})
    with pytest.raises(Misconfigured, match="organization 'other'"):
        open_store(two.settings | {"org": "other"})


def test_on_2x_rows_and_marks_go_to_their_buckets(two):
    store = open_store(two.settings)
    store.write([batch([{"t": T, "cycles": 1}])])
    store.marks.save({StreamKey("van-long", "main", STREAM): Marks(3, ((5, 6),))})
    writes = [(query, body) for _, path, query, body, _ in two.seen if path == "/api/v2/write"]
    assert [query["bucket"] for query, _ in writes] == [["nhip"], ["nhip-books"], ["nhip-books"]]
    assert writes[0][0]["precision"] == ["ns"]
    assert writes[0][1] == (
        f"facts,calendar=scheduled,day=0,machine=press-1,product=1,shift=A,site=van-long,stream={STREAM} cycles=1i {T}"
    )
    assert writes[1][1].startswith("hours,site=van-long touched=")
    assert writes[1][1].endswith(f" {T}")
    before, brought = two.listed
    assert before == (["nhip-books"], "series,site=van-long seen=0i 0")
    assert brought[1].startswith("series,gateway=main,site=van-long seen=")
    assert writes[2][1] == f'marks,gateway=main,site=van-long,stream={STREAM} beyond="[[5,6]]",mark=3i 0'
    store.close()


def test_refusals_in_the_words_of_2x(two):
    store = open_store(two.settings)
    rows = [batch([{"t": T, "cycles": 1}, {"t": T + MINUTE_NS, "cycles": 1}])]
    partial = {
        "code": "unprocessable entity",
        "message": "failure writing points: partial write: type conflict dropped=1",
    }
    two.answers = [(422, partial), (204, None), (422, partial)]  # the whole, and its halves
    with pytest.raises(StoreRefused, match=r"1 of 2 rows.*type conflict"):
        store.write(rows)
    two.answers = [(413, {"code": "request too large"}), (204, None), (204, None)]
    store.write(rows)
    for status in (401, 404, 429, 500, 503):
        two.answers = [(status, {"code": "?", "message": "no luck"})]
        with pytest.raises(StoreUnavailable, match=f"{status} no luck"):
            store.write(rows)
    store.close()


@pytest.mark.parametrize(
    ("status", "text", "whose"),
    [
        (400, "partial write: points beyond retention policy dropped=1", Blame.ROWS),
        (400, "partial write: max-values-per-tag limit exceeded (100000/100000) dropped=1", Blame.SERVER),
        (400, "partial write: max-series-per-database limit exceeded: (1000000) dropped=1", Blame.SERVER),
        (422, "partial write: field type conflict", Blame.ROWS),
        (413, "Request Entity Too Large", Blame.SIZE),
        (500, "engine: cache-max-memory-size exceeded", Blame.SERVER),
        (503, "hinted handoff queue full", Blame.SERVER),
    ],
)
def test_whose_fault_a_refusal_is(status, text, whose):
    assert blame(status, text) is whose


def test_the_count_of_dropped_rows_is_a_lower_bound():
    assert all_refused("partial write dropped=5", 5)
    assert not all_refused("partial write dropped=4", 5)
    assert not all_refused("unable to parse", 2)
    assert all_refused("unable to parse", 1)


_TAGS = "facts,calendar=scheduled,day=0,machine=press-1,product=1,shift=A,site=van-long,stream=00000000000000aa"


_TOO_OLD = (
    "partial write: dropped 2 points outside retention policy of duration 17472h0m0s - oldest point "
    f"{_TAGS} at 2024-06-14T08:00:00Z dropped because it violates a Retention Policy Lower Bound at "
    f"2024-12-02T08:31:22.1Z, newest point {_TAGS} at 2024-06-14T08:01:00Z dropped because it violates a "
    "Retention Policy Lower Bound at 2024-12-02T08:31:22.1Z dropped=2"
)
_OTHER_TYPE = (
    'failure writing points to database: partial write: field type conflict: input field "cycles" on '
    'measurement "facts" is type integer, already exists as type float dropped=1'
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partial write: points beyond retention policy dropped=2", "beyond the retention policy"),
        (
            _TOO_OLD,
            "beyond the retention policy",
        ),
        (
            _OTHER_TYPE,
            "type conflict: cycles is integer here, float at the server",
        ),
        (f"unable to parse '{_TAGS} x={'9' * 500}': bad number", "unable to parse"),
    ],
)
def test_a_refusal_is_told_short_whatever_the_server_s_words(text, words):
    said = reason(text)
    assert words in said
    assert len(said) <= 200


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_packed_text_has_nothing_that_line_protocol_cannot_say(text):
    packed = pack(text)
    assert unpack(packed) == text
    assert "\\" not in packed
    assert packed.isprintable()
    assert literal(text)[0] == literal(text)[-1] == "'"


def test_half_a_character_is_refused():
    with pytest.raises(UnicodeEncodeError):
        batch_lines([batch([{"t": T, "machine": "\ud800", "cycles": 1}])])


def test_lines_leave_out_what_is_zero_or_empty():
    night = {"t": ns("2026-03-03T01:00:00"), "n": 2, "date": 20_514, "shift": "C", "product": "", "cycles": -3}
    early = {"t": ns("2026-03-03T06:30:00"), "date": 20_515, "machine": "máy ép, số=2"}
    loss = {"t": T, "state": State.MINOR_STOP, "reason": "kẹt\nkhuôn", "ms": 7}
    lines = batch_lines([batch([night, early], [loss], seq=1)])
    assert lines == [
        (
            f"facts,calendar=scheduled,day=0,machine=press-1,shift=C,site=van-long,stream={STREAM} cycles=-3i "
            f"{night['t'] + 2_000_000}"
        ),
        (
            "facts,calendar=scheduled,day=1,machine=máy\\ ép\\,\\ số\\=2,product=1,shift=A,site=van-long,"
            f"stream={STREAM} running_ms=0i {early['t']}"
        ),
        (
            "losses,calendar=scheduled,day=0,machine=press-1,product=1,reason=kẹt%0Akhuôn,shift=A,site=van-long,"
            f"state=minor_stop,stream={STREAM} ms=7i {T}"
        ),
    ]
    assert mark_lines({}) == []


def test_hours_are_asked_for_from_where_they_begin_in_the_zone():
    def asked(zone, start, end):
        query = Query("s", start, end, zone, bucket="hour", by=())
        parts = ask.plan(query)
        return parts, ask.sums("f", ["cycles"], query, (), parts)

    hour = 60 * MINUTE_NS
    (stretch,), (statement,) = asked("Asia/Kolkata", 0, 24 * hour)
    assert stretch[:3] == (0, 24 * hour, 30 * MINUTE_NS)
    assert "GROUP BY time(3600s, 1800s) fill(none)" in statement
    stretches, statements = asked("Australia/Lord_Howe", ns("2026-04-04"), ns("2026-04-06"))
    assert len(stretches) == len(statements) == 2
    assert [stretch.shift_ns for stretch in stretches] == [0, 30 * MINUTE_NS]
    with pytest.raises(ValueError, match="by: line"):
        ask.groups(Query("s", 0, 1, by=("line",)), ask.FACT_GROUPS)


def _many(rows):
    """So many rows of one machine, in as many minutes."""
    return batch([{"t": T + number * MINUTE_NS, "cycles": 1} for number in range(rows)])


def test_a_long_write_goes_side_by_side_and_ends_with_the_slowest(two):
    store, plain = open_store(two.settings), two.reply
    together, answered = threading.Barrier(3, timeout=PATIENCE_S), []

    def reply(method, path, query, body, headers):
        if path == "/api/v2/write" and body.startswith("facts"):
            if together.wait() == 0:
                threading.Event().wait(0.2)  # the slowest one
            answered.append(body.count("\n") + 1)
        elif path == "/api/v2/write" and body.startswith("hours"):
            assert sum(answered) == 2 * BATCH_LINES + 1, "the hour is touched before its rows are there"
        return plain(method, path, query, body, headers)

    two.reply = reply
    store.write([_many(2 * BATCH_LINES + 1)])
    assert [body.split(",")[0] for _, path, _, body, _ in two.seen if path == "/api/v2/write"] == ["facts"] * 3 + [
        "hours"
    ]
    store.close()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_part_that_fails_fails_the_whole_write_and_none_is_still_on_its_way(two, failing):
    store, plain, parts, begun, done = open_store(two.settings), two.reply, 10, [], []

    def reply(method, path, query, body, headers):
        if path == "/api/v2/write" and body.startswith("facts"):
            begun.append(body)
            if str(T + failing * BATCH_LINES * MINUTE_NS) in body:
                return 503, {"message": "busy"}
            threading.Event().wait(0.05)
            done.append(body)
        return plain(method, path, query, body, headers)

    two.reply = reply
    with pytest.raises(StoreUnavailable, match="busy"):
        store.write([_many(parts * BATCH_LINES)])
    settled = len(done)
    assert len(begun) == settled + 1
    assert two.seen[-1][3].startswith("hours"), "what is there may count already"
    threading.Event().wait(0.1)
    assert len(done) == settled
    store.close()


def test_on_2x_a_deletion_is_answered_with_an_empty_object():
    with recorder() as made:
        made.reply = lambda *_: (200, {})
        server = InfluxServer(Address(made.url, "nhip"))
        assert server.ask(['DELETE FROM "process_values" WHERE time < 5'], "nhip") == [{}]
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            server.ask(["SELECT * FROM facts"], "nhip")
        server.close()
