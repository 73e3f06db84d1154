"""When the gateway asks the center for the time, and when it connects again: pure machines that are given the time."""

import pytest

from agent.clock.center_time import CenterTime
from agent.clock.guard import S, Witness
from agent.uplink.cadence import Reconnection


class World:
    def __init__(self):
        self.mono_ns, self.sure = 100 * S, False
        self.center = CenterTime(lambda: self.mono_ns, lambda: self.sure)


def test_a_gateway_in_doubt_asks_with_every_status_and_soon_again():
    world = World()
    assert not world.center.is_urgent  # nothing was asked yet: the next status does
    first = world.center.ask()
    assert first
    second = world.center.ask()
    assert second not in ("", first)
    assert not world.center.is_urgent
    world.mono_ns += 6 * S
    assert world.center.is_urgent
    world.center.answered(second, 1_000 * S)
    world.sure = True
    assert not world.center.is_urgent


def test_a_sure_gateway_asks_every_ten_minutes():
    world = World()
    world.sure = True
    world.center.answered(world.center.ask(), 1_000 * S)
    world.mono_ns += 599 * S
    assert not world.center.is_urgent
    assert world.center.ask() == ""
    world.mono_ns += 1 * S
    assert world.center.ask()


def asked_s(world, seconds):
    """When a gateway that looks once a second, as the agent does, has sent a question [s]."""
    began_ns, found = world.mono_ns, []
    while world.mono_ns < began_ns + seconds * S:
        if world.center.is_urgent and world.center.ask():
            found.append((world.mono_ns - began_ns) // S)
        world.mono_ns += S
    return found


@pytest.mark.parametrize("sure", [True, False])
def test_a_question_without_an_answer_is_repeated_soon_and_then_less_and_less(sure):
    world = World()
    world.sure = sure
    assert world.center.ask()
    found = asked_s(world, 3 * 3600)
    assert found[:3] == [6, 13, 27]
    waits = [later - earlier for earlier, later in zip(found, found[1:])]
    assert waits == sorted(waits)
    assert set(waits[7:]) == {601}
    assert len(found) <= 3 * 6 + 7


def test_a_sure_gateway_asks_a_center_that_comes_later_at_once():
    world = World()
    world.sure = True
    question = world.center.ask()
    asked_s(world, 3600)
    world.center.answered(question, 1_000 * S)  # retained: too late to be worth anything
    assert world.center.take() == []
    world.mono_ns += 10 * S
    assert not world.center.is_urgent
    world.center.greeted()
    assert world.center.is_urgent
    world.center.answered(world.center.ask(), 5_000 * S)
    assert len(world.center.take()) == 1
    world.mono_ns += 599 * S
    assert not world.center.is_urgent
    world.center.greeted()  # it has answered: nothing is missing
    assert not world.center.is_urgent


def test_an_answer_is_evidence_once_and_as_wide_as_the_round_trip():
    world = World()
    question = world.center.ask()
    world.mono_ns += 2 * S
    world.center.answered("another", 1_000 * S)
    world.center.answered(question, 1_000 * S)
    world.center.answered(question, 1_000 * S)
    (evidence,) = world.center.take()
    assert (evidence.by, evidence.earliest_ns, evidence.latest_ns) == (Witness.CENTER, 1_000 * S, 1_002 * S)
    assert world.center.take() == []


def test_waits_grow_while_the_broker_is_away_and_begin_anew_after_a_stable_connection():
    reconnection = Reconnection(60.0)
    now_s, waits = 0.0, []
    for _ in range(12):
        reconnection.begin(now_s)
        waits.append(reconnection.wait_s(now_s, 1.0))
        now_s += 300.0
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1.0, 60.0)
    reconnection.begin(now_s)
    reconnection.succeeded()
    now_s += 31.0
    assert reconnection.wait_s(now_s, 1.0) == 1.0


def test_a_connection_that_breaks_at_once_is_no_fresh_start():
    reconnection = Reconnection(60.0)
    for now_s, wait_s in ((0.0, 1.0), (1.0, 2.0), (2.0, 2.0)):
        reconnection.begin(now_s)
        reconnection.succeeded()
        assert reconnection.wait_s(now_s, 1.0) == wait_s
