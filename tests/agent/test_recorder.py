"""Which process values are sent: every change, or as thinned as the site file says, and never a lie about time."""

from hypothesis import given
from hypothesis import strategies as st
from value_rows import listed

from adapters.contract import Reading, Row
from agent.devices.recorder import Recorder, RecordingRule
from oee.model.states import Quality

S = 1_000_000_000
T = 1_780_000_000 * S


def row(second, value, quality=Quality.GOOD, tag="plc.temp"):
    return Row(tag, T + round(second * S), value, quality)


def sent(recorder):
    """(second, value, quality word) of everything that is to be stored."""
    return [
        ((t_us - T // 1000) / 1e6, value, Quality(quality).name)
        for taken in recorder.take()
        for _, t_us, value, quality in listed(taken)
    ]


def good(*pairs):
    return [(second, value, "GOOD") for second, value in pairs]


def test_only_marked_tags_and_every_change_of_them():
    recorder = Recorder({"plc.temp": RecordingRule()})
    recorder.feed([row(0, 21.0), row(0, 1, tag="plc.other"), row(1, 21.5), row(2, "hot")])
    assert sent(recorder) == good((0, 21.0), (1, 21.5), (2, "hot"))
    assert sent(recorder) == []


def test_changes_within_the_deadband_are_forgotten():
    recorder = Recorder({"plc.temp": RecordingRule(deadband=0.5)})
    recorder.feed([row(0, 20.0), row(1, 20.4), row(2, 20.5), row(3, 20.1), row(4, 20.0), row(5, "off"), row(6, 20.1)])
    assert sent(recorder) == good((0, 20.0), (2, 20.5), (4, 20.0), (5, "off"), (6, 20.1))


def test_of_a_burst_the_first_and_the_last_are_sent():
    recorder = Recorder({"plc.temp": RecordingRule(at_most_every_ns=10 * S)})
    recorder.feed([row(0, 1), row(1, 2), row(2, 3)])
    recorder.tick(T + 9 * S)
    assert sent(recorder) == good((0, 1))
    recorder.tick(T + 10 * S)
    assert sent(recorder) == good((2, 3))
    recorder.tick(T + 100 * S)
    assert sent(recorder) == []


def test_what_came_back_within_the_deadband_is_no_news():
    recorder = Recorder({"plc.temp": RecordingRule(deadband=1, at_most_every_ns=10 * S)})
    recorder.feed([row(0, 20), row(1, 25), row(2, 20)])
    recorder.tick(T + 20 * S)
    assert sent(recorder) == good((0, 20))


def test_a_gap_is_sent_at_once_with_what_was_known_before_it():
    recorder = Recorder({"plc.temp": RecordingRule(at_most_every_ns=10 * S)})
    recorder.feed([row(0, 1), row(1, 2), row(1.5, None, Quality.GAP), row(3, 2)])
    assert sent(recorder) == [*good((0, 1), (1, 2)), (1.5, None, "GAP"), (3, 2, "GOOD")]


def test_what_stays_the_same_is_said_again_at_its_latest_confirmation():
    recorder = Recorder(
        {"plc.temp": RecordingRule(at_least_every_ns=60 * S), "plc.other": RecordingRule(at_least_every_ns=60 * S)}
    )
    recorder.feed([row(0, 20), row(0, 5, tag="plc.other")])
    sent(recorder)
    for second in range(1, 130):
        recorder.confirmed("plc", Reading(T + second * S, (), ("temp",)))
    assert sent(recorder) == good((60, 20), (120, 20))


def test_a_row_is_its_tag_and_time():
    recorder = Recorder({"plc.temp": RecordingRule()})
    recorder.feed([Row("plc.temp", T + shift, shift, Quality.GOOD) for shift in (0, 10, 20, 999, 1000, 1001)])
    assert [t_us - T // 1000 for t_us in recorder.take()[0].t_us] == [0, 1, 2, 3, 4, 5]


def test_what_the_disk_refused_comes_first_and_is_bounded():
    recorder = Recorder({"plc.temp": RecordingRule()}, most_rows=4)
    recorder.feed([row(0, 0), row(1, 1)])
    refused = recorder.take()
    recorder.feed([row(2, 2), row(3, 3)])
    recorder.put_back(refused)
    assert sent(recorder) == good((0, 0), (1, 1), (2, 2), (3, 3))
    recorder.feed([row(4, 4)])
    first = recorder.take()
    recorder.feed([row(second, second) for second in range(5, 9)])
    recorder.put_back([*first, *recorder.take()])
    assert recorder.lost == 1
    assert sent(recorder) == good((5, 5), (6, 6), (7, 7), (8, 8))


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(-9, 9)), max_size=60), st.integers(1, 5), st.integers(0, 20))
def test_whoever_draws_it_is_never_further_off_than_the_deadband_once_the_interval_is_over(steps, band, interval):
    recorder = Recorder({"plc.temp": RecordingRule(deadband=band, at_most_every_ns=interval * S)})
    second, value, truth = 0, 0, []
    for step, change in steps:
        second, value = second + step, value + change
        recorder.tick(T + second * S)
        recorder.feed([row(second, value)])
        truth.append((second, value))
    recorder.tick(T + (second + 100) * S)
    drawn = sent(recorder)
    assert {(t, value) for t, value, _ in drawn} <= set(truth)
    times = [t for t, *_ in drawn]
    assert all(later - earlier >= min(interval, 1) for earlier, later in zip(times, times[1:], strict=False))
    if truth:
        assert abs(drawn[-1][1] - truth[-1][1]) < band or drawn[-1][:2] == truth[-1]


def test_after_a_wrong_date_the_true_one_counts():
    day = 86_400
    recorder = Recorder({"plc.temp": RecordingRule(at_most_every_ns=10 * S, at_least_every_ns=60 * S)})
    recorder.feed([row(day, 1), row(day + 3, 2)])
    recorder.confirmed("plc", Reading(T + (day + 3) * S, (), ("temp",)))
    recorder.shift(-day * S)
    assert sent(recorder) == good((0, 1))
    recorder.tick(T + 10 * S)
    assert sent(recorder) == good((3, 2))
    recorder.confirmed("plc", Reading(T + 63 * S, (), ("temp",)))
    assert sent(recorder) == good((63, 2))
