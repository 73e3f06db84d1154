"""A step of the engine works in columns: how many functions it calls does not depend on how many rows it is given.

A loop over rows, pieces, stops or minutes that slips into it shows here on any machine, however busy.
"""

import numpy as np
from driving import S, part
from plain_machine import RULES, T, machine
from work_counted import calls_counted

from oee.engine import step as engine
from oee.engine.correction import Sent, checkpoint, recompute
from oee.model.facts import MINUTE_NS
from oee.model.samples import Series

DAY_S = 86_400
BEGIN_NS = T * S


def recording(days):
    """A machine that runs and stops every two to four minutes, and makes a piece every two seconds while it runs."""
    seconds = np.arange(days * DAY_S)
    running = seconds % 360 < 240
    count = np.cumsum(running & (seconds % 2 == 0))
    alarm = np.where((seconds % 7200 >= 250) & (seconds % 7200 < 300), 7, 0)
    return {"d.run": changes(running), "d.total": changes(count % 65_536), "d.alarm": changes(alarm)}


def changes(values):
    rows = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return Series(BEGIN_NS + rows * S, values[rows], np.zeros(len(rows), np.uint8))


def step_calls(days):
    """Calls in one step over so many days, and how many rows it was given."""
    made, samples, until_ns = machine(rules=RULES), recording(days), BEGIN_NS + days * DAY_S * S
    with calls_counted() as found:
        result = engine.step(made, engine.start(), samples, (), until_ns, until_ns)
    assert len(result.facts) >= days * 1400
    assert len(result.stops) >= days * 200
    return found.total(), sum(map(len, samples.values()))


def test_a_step_does_not_call_more_functions_for_more_rows():
    step_calls(1)  # what is made once and kept is made
    (few_calls, few), (many_calls, many) = step_calls(1), step_calls(9)
    assert many > 8.9 * few
    assert (many_calls - few_calls) / (many - few) < 0.02, "the calendar's spans are still made one by one"
    assert few_calls < 4200


def test_a_correction_goes_through_each_minute_a_few_times_only():
    """Sums by key are Python's dictionaries, so that a correction's work grows with its minutes; but not with its rows."""
    made, samples, days = machine(rules=RULES), recording(3), 3
    base = engine.step(made, engine.start(), part(samples, 0, BEGIN_NS + 3600 * S), (), BEGIN_NS + 3600 * S, BEGIN_NS)
    begin_ns, block_ns = base.state.settled_ns, 6 * 3600 * S
    edges = [*range(begin_ns + block_ns, BEGIN_NS + days * DAY_S * S, block_ns), BEGIN_NS + days * DAY_S * S]
    blocks = [(part(samples, low, high), high) for low, high in zip([begin_ns, *edges], edges, strict=False)]
    with calls_counted() as found:
        result = recompute(made, checkpoint(base.state), blocks, (), Sent())
    minutes = (edges[-1] - edges[-1] % MINUTE_NS - begin_ns) // MINUTE_NS
    assert len(result.facts) >= minutes - 1
    assert found.total() / minutes < 80
