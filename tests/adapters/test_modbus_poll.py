"""The poll alone, told the time: no socket."""

import struct

import pytest

from adapters.modbus.bus.faults import BUSY, ILLEGAL_ADDRESS, ILLEGAL_FUNCTION
from adapters.modbus.decode import decoder
from adapters.modbus.plan import Place, RequestLimits
from adapters.modbus.poll import MOST_SILENCES, REFUSED_RETRY_S, SILENT_RETRY_S, Poll
from oee.model.states import Quality

GOOD, BAD = Quality.GOOD, Quality.BAD


def poll_of(*addresses, period_s=1.0, slow=()):
    places = [Place(f"r{at}", "holding", at, 1, 10.0 if at in slow else period_s) for at in addresses]
    return Poll(places, RequestLimits(), {place.tag: decoder("uint16") for place in places})


def round_of(poll, now_s, device, *, refuse=lambda request: False):
    """One round against a device that is a mapping; the addresses asked, and what changed."""
    asked, changes, answered = [], [], False
    while request := poll.next_due(now_s, answered=answered):
        span = range(request.start, request.start + request.count)
        asked.append((request.start, request.count))
        assert len(asked) < 100
        if refuse(span):
            changes += poll.refused(request, ILLEGAL_ADDRESS, now_s)
        else:
            data = b"".join(struct.pack(">H", device.get(at, 0)) for at in span)
            changes += poll.answered(request, data, now_s)
        answered = True
    return asked, changes


def test_only_changes_are_said():
    poll = poll_of(0, 1, 2)
    asked, changes = round_of(poll, 0.0, {0: 7, 1: 8})
    assert asked == [(0, 3)]
    assert changes == [("r0", 7, GOOD), ("r1", 8, GOOD), ("r2", 0, GOOD)]
    assert round_of(poll, 1.0, {0: 7, 1: 8})[1] == []
    assert round_of(poll, 2.0, {0: 7, 1: 9})[1] == [("r1", 9, GOOD)]
    poll.restart()
    assert len(round_of(poll, 2.1, {0: 7, 1: 9})[1]) == 3


def test_slow_tags_are_asked_at_their_own_period():
    poll = poll_of(0, 1, slow={1})
    asked = [round_of(poll, now + 0.01 * (now % 3), {})[0] for now in range(21)]
    assert all((0, 1) in each for each in asked)
    assert [now for now, each in enumerate(asked) if (1, 1) in each] == [0, 10, 20]


def test_an_early_round_does_not_skip_a_turn():
    poll = poll_of(0)
    assert [bool(round_of(poll, now, {})[0]) for now in (0.0, 0.999, 2.001, 2.999)] == [True] * 4
    assert not round_of(poll, 3.2, {})[0]


def test_a_hole_is_found_and_remembered():
    poll = poll_of(0, 1, 2, 9, 10)
    asked, changes = round_of(poll, 0.0, {}, refuse=lambda span: 5 in span)
    assert asked == [(0, 11), (0, 3), (9, 2)]
    assert {quality for _, _, quality in changes} == {GOOD}
    assert round_of(poll, 1.0, {}, refuse=lambda span: 5 in span)[0] == [(0, 3), (9, 2)]


def test_a_refused_tag_is_bad_and_the_rest_are_good():
    poll = poll_of(*range(8))
    _, changes = round_of(poll, 0.0, {}, refuse=lambda span: 5 in span)
    assert {tag: quality for tag, _, quality in changes} == {f"r{i}": BAD if i == 5 else GOOD for i in range(8)}
    assert list(poll.refused_tags) == ["r5"]
    asked, changes = round_of(poll, 1.0, {}, refuse=lambda span: 5 in span)
    assert (5, 1) not in asked
    assert changes == []
    assert sorted(at for start, count in asked for at in range(start, start + count)) == [0, 1, 2, 3, 4, 6, 7]


def test_a_passing_refusal_heals_and_the_requests_merge_again():
    poll = poll_of(*range(8))
    round_of(poll, 0.0, {}, refuse=lambda span: True)
    assert len(poll.refused_tags) == 8
    assert round_of(poll, 1.0, {})[0] == []
    _, changes = round_of(poll, REFUSED_RETRY_S, {})
    assert {tag for tag, _, quality in changes if quality is GOOD} == {f"r{i}" for i in range(8)}
    assert not poll.refused_tags
    assert round_of(poll, REFUSED_RETRY_S + 1, {})[0] == [(0, 8)]


def test_an_illegal_function_is_not_split():
    poll = poll_of(0, 1)
    request = poll.next_due(0.0, answered=False)
    assert [quality for _, _, quality in poll.refused(request, ILLEGAL_FUNCTION, 0.0)] == [BAD, BAD]
    assert poll.next_due(1.0, answered=False) is None


@pytest.mark.parametrize("missed", [lambda p, r: p.refused(r, BUSY, 1.0), lambda p, r: p.silent(r, 1.0)])
def test_after_a_missed_answer_equal_values_are_said_again(missed):
    poll = poll_of(0, 1)
    round_of(poll, 0.0, {0: 5})
    assert not missed(poll, poll.next_due(1.0, answered=False))
    assert round_of(poll, 2.0, {0: 5})[1] == [("r0", 5, GOOD), ("r1", 0, GOOD)]


def test_a_silent_request_is_asked_last_and_then_rarely():
    poll = poll_of(0, 1, slow={1})
    silent = next(request for request in poll.requests if request.start == 1)
    for now in range(MOST_SILENCES):
        poll.silent(silent, float(10 * now))
    assert poll.next_due(21.0, answered=False).start == 0
    assert poll.next_due(20.0 + SILENT_RETRY_S, answered=False).start == 0
    poll.answered(poll.requests[0], b"\0\0", 30.0)
    assert poll.next_due(30.0, answered=False) is None
    assert poll.next_due(30.0, answered=True) == silent


def test_a_value_that_is_no_number_is_bad_until_it_is_one():
    place = Place("f", "holding", 0, 2, 1.0)
    poll = Poll([place], RequestLimits(), {"f": decoder("float32")})
    (request,) = poll.requests
    assert poll.answered(request, struct.pack(">f", float("nan")), 0.0) == [("f", None, BAD)]
    assert poll.answered(request, struct.pack(">f", 1.5), 1.0) == [("f", 1.5, GOOD)]
