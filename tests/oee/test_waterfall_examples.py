"""Published loss waterfalls, through `oee.kpi.losses`, exact."""

import itertools

import pytest
from test_worked_examples import MIN_MS, sums

from oee.kpi.losses import six_big_losses, waterfall
from oee.model.states import CalendarClass


def minutes(fall, *keys):
    return [round(fall.row(key).us / MIN_MS / 1000, 2) for key in keys]


def test_w1_vorne():
    """ "Calculating OEE" (oee.com, Vorne): losses of 47, 51.82 and 7.05 min, fully productive 314.13."""
    row = sums(running=373, unplanned_stop=47, ideal_s=1, total=19_271, good=18_848)
    fall = waterfall({CalendarClass.SCHEDULED: row}, 420 * MIN_MS, 480 * MIN_MS)
    assert minutes(fall, "all_time", "scheduled", "busy", "operating") == [480, 420, 420, 373]
    assert minutes(fall, "unplanned_stop", "slow_cycles", "process_reject") == [47, 51.82, 7.05]
    assert fall.row("fully_productive").us == 18_848 * 1_000_000


def test_w2_nakajima():
    """Introduction to TPM: 60 stops, 200 performance (of it 120 speed, 80 minor), 4 min quality."""
    row = sums(running=320, minor_stop=80, unplanned_stop=60, planned_stop=20, ideal_s=30, total=400, good=392)
    fall = waterfall({CalendarClass.SCHEDULED: row}, 480 * MIN_MS, None)
    keys = ("planned_stop", "unplanned_stop", "minor_stop", "slow_cycles", "process_reject", "fully_productive")
    assert minutes(fall, *keys) == [20, 60, 80, 120, 4, 196]


def test_w8_six_losses():
    """Python package "oee" README: 50 / 30 / 50 (minor stops and speed) / 30 / 20 of 480 min, in all 180."""
    row = sums(running=400, breakdown=50, setup=30, ideal_s=30, total=700, good=600, startup_reject=40)
    fall = waterfall({CalendarClass.SCHEDULED: row}, 480 * MIN_MS, None)
    lost = [loss.us / MIN_MS / 1000 for loss in six_big_losses(fall)]
    assert lost == [50, 30, 0, 50, 30, 20]
    assert sum(lost) == 180
    assert minutes(fall, "fully_productive") == [300]


@pytest.mark.parametrize("formula", ["nakajima", "iso22400"])
def test_every_total_is_the_one_before_less_its_losses(formula):
    """UMH PR 1194 assigned where it should have added; here the chain is exact in integers."""
    row = sums(running=320, minor_stop=80, breakdown=11, setup=7, starved=3, blocked=2, planned_stop=20, ideal_s="30.1",
               total=400, good=380, startup_reject=6)  # fmt: skip
    fall = waterfall(
        {CalendarClass.SCHEDULED: row, CalendarClass.BREAK: sums(running=5)}, 460 * MIN_MS, 600 * MIN_MS, formula
    )
    totals = [item for item in fall.rows if item.group == ""]
    for above, below in itertools.pairwise(totals):
        lost = sum(item.us for item in fall.rows if item.group != "" and item.of == above.key)
        assert above.us - lost == below.us, (above.key, below.key)
