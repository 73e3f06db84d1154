from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Reading, Row
from agent.devices.freshness import Freshness
from oee.model.states import Quality

GOOD, BAD, GAP = Quality.GOOD, Quality.BAD, Quality.GAP
S = 1_000_000_000
START = 1_000 * S


def reading(t_s, confirmed="", **values):
    t_ns = START + round(t_s * S)
    rows = [Row(tag, t_ns, value, GOOD) for tag, value in values.items()]
    return Reading(t_ns, rows, (*confirmed.split(), *values))


def said(rows):
    return [(row.tag, (row.t_ns - START) / S, row.value, row.quality) for row in rows]


def fresh(**limits):
    freshness = Freshness({"plc": limits or {"a": 5.0, "b": 5.0}})
    freshness.start(START)
    return freshness


def mark_s(freshness, now_s, *tags):
    return (freshness.watermark_ns([f"plc.{tag}" for tag in tags], START + round(now_s * S)) - START) / S


def tick(freshness, now_s):
    return said(freshness.tick(START + round(now_s * S)))


def test_a_run_begins_unknown_and_offline():
    freshness = Freshness({"plc": {"a": 5.0}})
    assert said(freshness.start(START)) == [("plc.a", 0, None, GAP), ("plc.online", 0, 0, GOOD)]
    assert mark_s(freshness, 3, "a", "online") == 3


def test_a_restart_is_unknown_from_the_last_confirmation_on():
    before = fresh(a=5.0)
    before.fed("plc", reading(7, a=1))
    after = Freshness({"plc": {"a": 5.0, "new": 5.0}})
    rows = after.start(START + 60 * S, before.confirmed_ns())
    assert said(rows) == [("plc.a", 7, None, GAP), ("plc.new", 60, None, GAP), ("plc.online", 7, 0, GOOD)]


def test_values_and_online():
    freshness = fresh()
    assert said(freshness.fed("plc", reading(1, a=5))) == [("plc.a", 1, 5, GOOD), ("plc.online", 1, 1, GOOD)]
    assert said(freshness.fed("plc", reading(2, "a", b=7))) == [("plc.b", 2, 7, GOOD)]
    assert mark_s(freshness, 2.5, "a", "b", "online") == 2
    assert freshness.fed("plc", reading(3, "a")) == []
    assert mark_s(freshness, 3.5, "a") == 3
    assert mark_s(freshness, 3.5, "a", "b") == 2


def test_a_gap_begins_at_the_last_confirmation_and_the_value_comes_back_with_the_confirmation():
    freshness = fresh(a=5.0)
    freshness.fed("plc", reading(1, a=5))
    freshness.fed("plc", reading(2, "a"))
    assert tick(freshness, 6.9) == []
    assert mark_s(freshness, 6.9, "a") == 2
    assert tick(freshness, 7) == [("plc.a", 2, None, GAP), ("plc.online", 2, 0, GOOD)]
    assert tick(freshness, 8) == []
    assert mark_s(freshness, 9, "a", "online") == 9
    assert said(freshness.fed("plc", reading(10, "a"))) == [("plc.a", 10, 5, GOOD), ("plc.online", 10, 1, GOOD)]
    assert mark_s(freshness, 11, "a") == 10


def test_one_slow_tag_does_not_take_the_device_offline():
    freshness = fresh(a=5.0, slow=30.0)
    freshness.fed("plc", reading(1, a=1, slow=2))
    freshness.fed("plc", reading(2, "a"))
    for second in range(3, 8):
        freshness.fed("plc", reading(second, "slow"))
    assert tick(freshness, 7) == [("plc.a", 2, None, GAP)]
    assert tick(freshness, 36) == []
    assert tick(freshness, 37) == [("plc.slow", 7, None, GAP), ("plc.online", 7, 0, GOOD)]


def test_a_value_that_was_true_for_an_instant_is_kept_before_its_gap():
    freshness = fresh(a=5.0)
    freshness.fed("plc", reading(1, a=1))
    (gap, _) = freshness.tick(START + 6 * S)
    assert (gap.t_ns, gap.quality) == (START + S + 1_000_000, GAP)


def test_a_gap_lies_at_the_last_confirmation_when_the_value_is_older_than_that_millisecond():
    freshness = fresh(a=5.0)
    freshness.fed("plc", reading(1, a=1))
    freshness.fed("plc", Reading(START + S + 1_000_001, (), ("a",)))
    (gap, offline) = freshness.tick(START + 7 * S)
    assert {gap.t_ns, offline.t_ns} == {START + S + 1_000_001}


def test_a_bad_tag_is_known_to_be_bad():
    freshness = fresh(a=5.0)
    freshness.fed("plc", Reading(START, [Row("a", START, None, BAD)], ("a",)))
    for second in range(1, 20):
        freshness.fed("plc", reading(second, "a"))
        assert tick(freshness, second) == []
    assert mark_s(freshness, 20, "a") == 19


def test_a_row_dated_into_promised_time_is_moved_up():
    freshness = fresh(a=5.0)
    assert mark_s(freshness, 4, "a") == 4
    early = Reading(START + 5 * S, [Row("a", START + 3 * S, 1, GOOD, source_ns=7)], ("a",))
    (row, _) = freshness.fed("plc", early)
    assert (row.t_ns, row.source_ns) == (START + 4 * S, 7)
    assert said(freshness.fed("plc", Reading(START + 6 * S, [Row("a", START + 2 * S, 2, GOOD)], ("a",)))) == [
        ("plc.a", 5, 2, GOOD)
    ]


@st.composite
def lives(draw):
    """A device's life: (seconds later, what happens) in tenths."""
    return draw(
        st.lists(
            st.tuples(
                st.integers(1, 40),
                st.sampled_from(["tick", "mark", "value", "confirm", "old"]),
                st.sampled_from(["a", "b"]),
            ),
            max_size=60,
        )
    )


@given(lives())
def test_rows_are_in_order_and_none_is_earlier_than_a_promise(life):
    freshness = Freshness({"plc": {"a": 5.0, "b": 10.0}})
    names = ["plc.a", "plc.b", "plc.online"]
    rows = list(freshness.start(START))
    promised = dict.fromkeys(names, START)
    last = {row.tag: row.t_ns for row in rows}
    now = START
    value = 0
    for tenths, what, tag in life:
        now += tenths * S // 10
        new = []
        if what == "tick":
            new = freshness.tick(now)
        elif what == "mark":
            for name in names:
                mark = freshness.watermark_ns([name], now)
                assert promised[name] <= mark <= now
                promised[name] = mark
        else:
            value += 1
            age = 3 * S if what == "old" else 0
            changed = [Row(tag, now - age, value, GOOD)] if what != "confirm" else []
            new = freshness.fed("plc", Reading(now, changed, (tag,)))
        for row in new:
            assert row.t_ns > last[row.tag]
            assert row.t_ns >= promised[row.tag]
            assert row.t_ns <= now
            assert row.tag != "plc.online" or row.quality is GOOD
            last[row.tag] = row.t_ns
    freshness.tick(now + 100 * S)
    assert freshness.watermark_ns(names, now + 100 * S) == now + 100 * S
