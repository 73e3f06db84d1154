"""What the fleet's cards show, drawn from a real store: the same as the API's numbers say, and asked for no more than that."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import console_plant as plant
import pytest

from center.console import windows
from center.console.draw import time_labels
from center.console.fleet import cards as fleet_cards
from center.console.fleet.numbers import site_numbers
from center.model.viewer import EVERYTHING
from center.queries.question import Question
from center.queries.trend import trend
from oee.kpi import kpi
from oee.model.calendars import to_ns
from oee.model.facts import FACT_COLUMNS
from words import percent

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MACHINES = tuple(sorted(made.id for made in plant.MACHINES if made.site == "van-long"))


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=ZONE))


class Asked:
    """The store, and what it was asked."""

    def __init__(self, store):
        self._store, self.queries = store, []

    def facts(self, query):
        self.queries.append(query)
        return self._store.facts(query)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture(scope="module")
def center(tmp_path_factory):
    made = plant.make(tmp_path_factory.mktemp("fleet") / "fleet.duckdb", 3, at("2026-03-05T19:23"))
    yield made
    made.store.close()


# shift B is on; between B and A it is the last one, also after midnight and in the first minute of a day
@pytest.mark.parametrize(
    ("now", "date"),
    [
        ("2026-03-05T19:23", "2026-03-05"),
        ("2026-03-05T22:30", "2026-03-05"),
        ("2026-03-06T00:00", "2026-03-05"),
        ("2026-03-06T03:00", "2026-03-05"),
    ],
)
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_card_says_what_the_api_says(center, now, date, lang):
    asked = Asked(center.store)
    center = replace(center, store=asked, now_ns=lambda: at(now))
    drawn = site_numbers(center, EVERYTHING, "van-long", MACHINES, lang)
    assert tuple(drawn) == MACHINES
    assert len(asked.queries) == 2, "one question for the hours of all machines, one for their shifts"
    assert asked.queries[1].start_ns >= at(date), "no day is read that is not shown"
    rows = trend(center, Question(EVERYTHING, "van-long", MACHINES, bucket="shift", start_ns=at("2026-03-02")))["rows"]
    first_ns = windows.start_of("24h", ZONE, at(now))
    hours = trend(center, Question(EVERYTHING, "van-long", MACHINES, bucket="hour", start_ns=first_ns))["rows"]
    for machine in MACHINES:
        (row,) = (row for row in rows if (row["machine"], row["shift"], row["start"][:10]) == (machine, "B", date))
        card = drawn[machine]
        assert fleet_cards.big(row["kpis"]["oee"], lang) in card.score
        for name in ("availability", "performance", "quality"):
            assert percent(row["kpis"][name], lang) in card.score
        for hour in hours:
            if hour["machine"] == machine and hour["scheduled_ms"]:
                value = hour["kpis"]["oee"]
                label = (
                    f"{time_labels.parse(hour['start']):%H:%M} · OEE {'–' if value is None else percent(value, lang)}"
                )
                assert label in card.hours


def test_a_machine_without_a_shift_has_a_dash_and_the_store_is_not_asked_for_one(center):
    asked = Asked(center.store)
    late = replace(center, store=asked, now_ns=lambda: at("2025-01-01T12:00"))  # before anything was known
    drawn = site_numbers(late, EVERYTHING, "van-long", MACHINES, "en")
    assert all("–" in item.score for item in drawn.values())
    assert [query.bucket for query in asked.queries] == ["hour"]


def test_the_kpis_that_are_wanted_are_those_of_all():
    sums = dict.fromkeys(FACT_COLUMNS, 0) | {"running_ms": 60_000, "running_ideal_known_ms": 60_000, "pieces_total": 70}
    sums |= {"ideal_total_us": 70_000_000}
    whole = kpi.compute(sums, scheduled_ms=30_000, all_ms=60_000)
    for wanted in (("oee",), ("performance", "coverage"), ()):
        some = kpi.compute(sums, scheduled_ms=30_000, all_ms=60_000, only=wanted)
        assert some.values == {key: whole.values[key] for key in wanted}
        assert some.why_null == {key: why for key, why in whole.why_null.items() if key in wanted}
        assert some.flags == whole.flags == ("performance_above_1", "more_than_scheduled")
