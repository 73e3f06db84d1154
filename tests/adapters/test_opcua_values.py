from datetime import UTC, datetime

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from adapters.opcua.nodes import node_id
from adapters.opcua.values import FAR_OFF_NS, SourceClock, source_ns_of, value_of
from oee.model.states import Quality

S = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, True),
        (7, 7),
        (1.5, 1.5),
        ("A", "A"),
        (ua.LocalizedText("Lauf"), "Lauf"),
        (ua.ServerState.Running, 0),
        (datetime(2026, 1, 1, tzinfo=UTC), 1767225600.0),
    ],
)
def test_plain_values(value, said):
    assert value_of(ua.DataValue(ua.Variant(value))) == (said, Quality.GOOD)


def test_a_text_in_another_code_page_can_be_written_down():
    said = "Số 7 Đ".encode("cp1258", "replace").decode("utf-8", "surrogateescape")
    for value in (said, ua.LocalizedText(said)):
        text, quality = value_of(ua.DataValue(ua.Variant(value)))
        assert (text.encode().decode(), quality) == (text, Quality.GOOD)
        assert "7" in text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [1, 2], b"raw"])
def test_what_is_no_value_is_bad(value):
    assert value_of(ua.DataValue(ua.Variant(value))) == (None, Quality.BAD)


def test_source_times_are_utc():
    when = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert source_ns_of(ua.DataValue(ua.Variant(1), SourceTimestamp=when)) == 1767225600_123456000
    assert source_ns_of(ua.DataValue(ua.Variant(1), SourceTimestamp=when.replace(tzinfo=None))) == 1767225600_123456000
    assert source_ns_of(ua.DataValue(ua.Variant(1))) is None


@given(
    st.integers(-FAR_OFF_NS // 2, FAR_OFF_NS // 2),
    st.lists(st.tuples(st.integers(0, S), st.integers(0, 5 * S)), min_size=1, max_size=50),
)
def test_dates_are_never_late_and_err_by_at_most_the_shortest_delay(offset_ns, notifications):
    clock, now_ns, least_ns = SourceClock(), 1_000_000 * S, None
    for delay_ns, pause_ns in notifications:
        now_ns += pause_ns
        true_ns = now_ns - delay_ns
        least_ns = delay_ns if least_ns is None else min(least_ns, delay_ns)
        dated_ns = clock.dated_ns(true_ns - offset_ns, now_ns)
        assert true_ns <= dated_ns <= now_ns
        if now_ns < 1_000_000 * S + 50 * S:
            assert dated_ns == true_ns + least_ns


@pytest.mark.parametrize("source_ns", [None, 0, 10 * FAR_OFF_NS])
def test_a_clock_that_is_far_off_is_not_believed(source_ns):
    assert SourceClock().dated_ns(source_ns, 3 * FAR_OFF_NS) == 3 * FAR_OFF_NS


def test_a_step_of_the_device_clock_is_forgotten_in_two_minutes():
    clock = SourceClock()
    for second in range(60):
        clock.dated_ns(second * S, second * S)
    for second in range(60, 260):
        clock.dated_ns(second * S - 30 * S, second * S)
    assert clock.offset_ns == 30 * S


def test_node_ids():
    spaces = ["http://opcfoundation.org/UA/", "urn:s", "urn:m"]
    assert node_id("nsu=urn:m;s=A;b=c", spaces) == ua.NodeId("A;b=c", 2)
    assert node_id("ns=1;i=5", spaces) == ua.NodeId(5, 1)
    assert node_id("i=2258", spaces) == ua.NodeId(2258, 0)
    assert node_id("nsu=urn:x;s=A", spaces) is None
    assert node_id("g=nonsense", spaces) is None
