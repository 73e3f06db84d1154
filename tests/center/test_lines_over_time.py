"""Numbers by line: a machine that moved to another line keeps its past where it was."""

from datetime import date

import pytest
from center_plant import MINUTE_NS, MONDAY, envelope, ns, running, site_body

from center.contract.ledger import Changes
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages
from center.model.targets import SaidTarget
from center.model.viewer import EVERYTHING
from center.outgoing.reports.asked import ReportQuestion, report
from center.queries.question import Question, UnknownSite
from center.queries.trend import trend
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from wire.topics import Topic

T = ns("2026-03-02T06:00:00")
NOW_NS = ns("2026-03-05T00:00:00")
LINES = {name: {"name": {"vi": name, "en": name}} for name in ("stamping", "forming", "packing")}
MOVES = (  # minute after T, and the line of each machine from then on
    (0, {"a": "stamping", "b": "stamping", "c": ""}),
    (95, {"a": "forming", "b": "stamping", "c": ""}),
    (130.5, {"a": "forming", "b": "stamping", "c": "packing"}),  # the minute of a move is the new line's
    (30 * 60, {"a": "stamping", "b": "stamping", "c": "packing"}),
)


def shifts(number, machine):
    """Rows of the minutes in which a machine ran, in the shifts of two days and without breaks; it pauses now and then."""
    for minute in range(40 * 60):
        of_day = (360 + minute) % 1440
        if 360 <= of_day < 1320 and not 600 <= of_day < 615 and (minute + number) % 7:
            day = MONDAY + (360 + minute) // 1440
            yield from running(T + minute * MINUTE_NS, 1, machine, date=day, shift="A" if of_day < 840 else "B")


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    """Three machines that make ten pieces a minute, while they move from line to line."""
    store = open_store({"file": str(tmp_path_factory.mktemp("lines") / "facts.duckdb")})
    made = center_state(store, now_ns=lambda: NOW_NS)
    known = Changes(generation="same")
    made.commit((), known)
    made.ledger_cache.adopt(known)
    messages = []
    for seq, (minute, of_machine) in enumerate(MOVES, 1):
        body = site_body(list(of_machine), int(T + minute * MINUTE_NS), lines=LINES, config_hash=f"{seq:04x}")
        for machine, line in of_machine.items():
            body["machines"][machine]["line"] = line
        messages.append(("site", envelope(seq, content=body, stream="bb" * 8)))
    rows = [row for number, machine in enumerate("abc") for row in shifts(number, machine)]
    messages.append(("facts", envelope(1, rows)))
    plan = plan_messages(
        made.ledger_cache, [EnvelopeMessage(Topic("s", "g", kind), data) for kind, data in messages], T
    )
    made.commit(plan.batches, plan.changes())
    made.ledger_cache.adopt(plan.changes())
    yield made
    store.close()


def line_of(machine, minute_ns):
    began = [of_machine for minute, of_machine in MOVES if T + minute * MINUTE_NS < minute_ns + MINUTE_NS]
    return (began or [MOVES[0][1]])[-1][machine]


def asked(center, by, bucket, start_ns=T, end_ns=T + 41 * 60 * MINUTE_NS):
    question = Question(EVERYTHING, "s", (), start_ns, end_ns, bucket=bucket, by=by)
    return trend(center, question)["rows"]


@pytest.mark.parametrize("bucket", ["all", "hour", "day", "shift"])
@pytest.mark.parametrize("more", [(), ("machine",)])
def test_each_minute_counts_for_the_line_of_its_time(center, bucket, more):
    by_line = asked(center, ("line", *more), bucket)
    right = {}
    for row in asked(center, ("machine",), "minute"):
        line = line_of(row["machine"], ns(row["start"]))
        right[line] = right.get(line, 0) + row["sums"]["pieces_total"]
    found = {}
    for row in by_line:
        found[row["line"]] = found.get(row["line"], 0) + row["sums"]["pieces_total"]
    assert found == right
    assert {*found} == {"", "stamping", "forming", "packing"}
    keys = [(row["start"], row["line"], row["machine"], row.get("shift")) for row in by_line]
    assert len({*keys}) == len(keys)


@pytest.mark.parametrize("bucket", ["all", "day"])
def test_what_lines_had_to_do_adds_up_to_what_the_site_had_to_do(center, bucket):
    """Planned time is cut at a move like everything else, so that coverage and bounds are those of the line's own time."""
    site = {row["start"]: row for row in asked(center, (), bucket)}
    lines = {}
    for row in asked(center, ("line",), bucket):
        lines.setdefault(row["start"], []).append(row)
    assert lines.keys() == site.keys()
    for start, rows in lines.items():
        assert sum(row["scheduled_ms"] for row in rows) == site[start]["scheduled_ms"] > 0
        assert all(0 < row["kpis"]["coverage"] <= 1 for row in rows)


def test_a_question_before_the_move_knows_the_old_line_only(center):
    rows = asked(center, ("line", "machine"), "all", T, T + 90 * MINUTE_NS)
    assert {(row["machine"], row["line"]) for row in rows} == {("a", "stamping"), ("b", "stamping"), ("c", "")}


@pytest.mark.parametrize(
    ("day", "shift", "lines"),
    [
        ("2026-03-02", "A", {"a": "forming", "b": "stamping", "c": "packing"}),  # 95 min of it on the old line
        ("2026-03-02", "B", {"a": "forming", "b": "stamping", "c": "packing"}),
        ("2026-03-03", "A", {"a": "forming", "b": "stamping", "c": "packing"}),
        ("2026-03-03", "B", {"a": "stamping", "b": "stamping", "c": "packing"}),
    ],
)
def test_a_report_has_the_lines_of_its_time(center, day, shift, lines):
    whole = report(center, ReportQuestion(EVERYTHING, "s", date.fromisoformat(day), shift))
    assert {row["machine"]: row["line"] for row in whole["machines"]} == lines
    for line in {*lines.values()} - {""}:
        part = report(center, ReportQuestion(EVERYTHING, "s", date.fromisoformat(day), shift, line))
        of_line = [row["machine"] for row in whole["machines"] if row["line"] == line]
        assert [row["machine"] for row in part["machines"]] == of_line
        assert part["line_name"]["en"] == line
        assert part["pieces"]["pieces"] == sum(row["pieces"] for row in whole["machines"] if row["line"] == line)


def test_a_report_of_a_line_that_no_machine_was_on_says_so(center):
    with pytest.raises(UnknownSite, match="packing"):
        report(center, ReportQuestion(EVERYTHING, "s", date(2026, 3, 1), "", "packing"))


def aim(center, *found):
    rows = [SaidTarget("s", line, machine, "", None, kind, value, "lan", T) for line, machine, kind, value in found]
    center.said_targets.connect(lambda _: rows)


@pytest.fixture
def aiming(center):
    yield center
    aim(center)


@pytest.mark.parametrize("more", [(), ("machine",)])
@pytest.mark.parametrize("bucket", ["all", "day"])
def test_a_line_has_the_targets_of_the_machines_that_it_had(aiming, bucket, more):
    aim(aiming, ("", "", "pieces", 4000.0), ("", "", "oee", 0.6))
    rows = asked(aiming, ("line", *more), bucket)
    due = [gap["target"] for row in rows for gap in row["targets"] if gap["kind"] == "pieces"]
    whole = [gap["target"] for row in asked(aiming, (), "all") for gap in row["targets"] if gap["kind"] == "pieces"]
    assert sum(due) == pytest.approx(sum(whole)), "each planned minute belongs to one line"
    for row in rows:
        (gap,) = (gap for gap in row["targets"] if gap["kind"] == "oee")
        assert gap["target"] == pytest.approx(0.6)
        assert gap["points"] == pytest.approx((row["kpis"]["oee"] - 0.6) * 100)


def test_a_line_is_not_compared_with_what_was_aimed_at_for_a_part_of_it(aiming):
    aim(aiming, ("", "a", "oee", 0.6))
    rows = {row["line"]: row for row in asked(aiming, ("line",), "all")}
    assert [line for line, row in rows.items() if "targets" in row] == ["forming"], "only `a` was there"
