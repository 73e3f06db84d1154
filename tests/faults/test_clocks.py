"""Gateways whose clock is wrong, or is set while they run, at a real center."""

import time

import pytest
from fault_clock import MINUTE_NS, LivePlc, Plant, books, delivered, offered, redated
from servers import eventually

DAY_S = 86_400


@pytest.fixture
def plant(tmp_path):
    """A plant in whose true time a minute ends in 22 seconds."""
    with LivePlc() as plc:
        plc.show(run=False, count=100)
        yield Plant(tmp_path, plc, 3 * DAY_S + 38 - time.time() % 60)


def run_machine(plc, seconds, count=100):
    """Five pieces a second; returns the counter."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        count += 1
        plc.show(run=True, count=count)
        time.sleep(0.2)
    plc.show(run=False, count=count)
    return count


def left_s(plant):
    """How long this minute of the true time lasts."""
    return (MINUTE_NS - plant.now_ns() % MINUTE_NS) / 1e9


def to_the_next_minute(plant, and_s=3.0):
    time.sleep(left_s(plant) + and_s)


def minute_of_the_machine(plant):
    """When the minute began in which there is time enough to run the machine; after a slow start it is the next one."""
    if left_s(plant) < 12:
        to_the_next_minute(plant, 0.0)
    return plant.now_ns() // MINUTE_NS * MINUTE_NS


def test_a_gateway_that_boots_in_1970_delivers_what_one_with_a_right_clock_does(plant):
    began_ns = plant.now_ns()
    wrong = plant.gateway("wrong", 20 - time.time())
    right = plant.gateway("right", plant.shift_s, guarded=False)
    with plant.running():
        plant.open_broker()
        for gateway in (wrong, right):
            gateway.start()
        for gateway in (wrong, right):
            eventually(gateway.ready.exists, what="the agents")
        minute_ns = minute_of_the_machine(plant)
        time.sleep(1)
        count = run_machine(plant.plc, 3)
        wrong.set(wrong.shift_s + 7 * 3600)  # a technician sets the clock, and not well
        count = run_machine(plant.plc, 2, count)
        to_the_next_minute(plant)
        eventually(lambda: offered(right), what="facts of a clock that is believed")
        assert offered(wrong) == 0
        plant.center.start()  # brings the time
        for gateway in (wrong, right):
            eventually(lambda gateway=gateway: delivered(gateway), what="delivery")
            gateway.stop()
        plant.center.stop()
    found = {
        name: books(plant.folder, name, 0, began_ns // MINUTE_NS * MINUTE_NS + 10 * MINUTE_NS)
        for name in plant.gateways
    }
    assert min(key[1] for key in found["wrong"]) >= began_ns - MINUTE_NS
    found = {name: {key: row for key, row in rows.items() if key[1] >= minute_ns} for name, rows in found.items()}
    assert found["wrong"].keys() == found["right"].keys() != set()
    for key, row in found["right"].items():
        other = found["wrong"][key]
        assert row["pieces_total"] == other["pieces_total"] == count - 100
        assert abs(row["running_ms"] - other["running_ms"]) < 1000 > abs(row["running_ms"] - 5000)
        assert sum(value for name, value in other.items() if name.endswith("_ms") and "ideal" not in name) <= 60_000


@pytest.mark.slow
@pytest.mark.parametrize("off_s", [5 * 3600, -5 * 3600], ids=["ahead", "behind"])
def test_a_time_that_a_person_misread_is_put_right_by_differences(plant, off_s):
    began_ns = plant.now_ns()
    wrong = plant.gateway("wrong", 20 - time.time())
    right = plant.gateway("right", plant.shift_s, guarded=False)
    with plant.running():
        for gateway in (wrong, right):
            gateway.start()
        for gateway in (wrong, right):
            eventually(gateway.ready.exists, what="the agents")
        plant.confirm(wrong, plant.now_ns() / 1e9 + off_s)
        minute_ns = minute_of_the_machine(plant)
        time.sleep(1)
        count = run_machine(plant.plc, 5)
        to_the_next_minute(plant)
        eventually(lambda: offered(wrong) and offered(right), what="facts under both dates")
        before = offered(wrong)
        plant.open_broker()
        plant.center.start()
        for gateway in (wrong, right):
            eventually(lambda gateway=gateway: delivered(gateway), what="delivery")
        eventually(lambda: "clock corrected" in wrong.log.read_text(), what="the correction")
        eventually(lambda: redated(wrong), what="all machines under the true date")
        eventually(lambda: offered(wrong) > before and delivered(wrong), what="its delivery")
        for gateway in (wrong, right):
            gateway.stop()
        plant.center.stop()
    first_ns = began_ns // MINUTE_NS * MINUTE_NS
    found = {name: books(plant.folder, name, 0, first_ns + DAY_S * 1_000_000_000) for name in plant.gateways}
    told = {key: row for key, row in found["wrong"].items() if row}
    assert all(first_ns - MINUTE_NS <= key[1] <= plant.now_ns() for key in told)
    both_ns = range(minute_ns, minute_ns + 2 * MINUTE_NS)  # in which both of them ran, however long they took to start
    upto = {key for key in found["right"] if key[1] in both_ns}
    assert {key for key in told if key[1] in both_ns} == upto != set()
    assert min(key[1] for key in told) >= first_ns - MINUTE_NS
    assert max(key[1] for key in told) <= plant.now_ns()
    assert sum(row.get("pieces_total", 0) for row in told.values()) == count - 100
