"""Looks that are kept: a run that was interrupted goes on, and gives what it would have given at once."""

from dataclasses import replace

import pytest
from advice_bed import nights, nulls, planted
from histories import NULL

PLANS = planted({"slow_start": replace(NULL, late_min=12)}, 1, 3) | nulls("N0", 1, 3)


class Interrupted(Exception):
    pass


def test_an_interrupted_run_goes_on_and_gives_the_same(tmp_path):
    """The second run makes only what the first one had not reached."""

    def stop(week, number):
        if (week, number) == (6, 1):
            raise Interrupted

    with pytest.raises(Interrupted):
        nights(PLANS, 6, (3, 6), tmp_path, stop)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.look")}
    assert len(kept) == 3
    told = nights(PLANS, 6, (3, 6), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(tmp_path.rglob("*.look"))) == 4
    assert not list(tmp_path.rglob("*.[0-9]*"))
    again, at_once = nights(PLANS, 6, (3, 6), tmp_path), nights(PLANS, 6, (3, 6))
    assert told == again == at_once
