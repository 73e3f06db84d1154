"""One reason for many stops: one declaration each, made once however often the form comes, shown and taken back together."""

import re

import pytest
from center_plant import ns
from postgres_plant import database_url
from test_declarations import MINE, Plant

from center.console.declare.many import MOST, add_many_pages
from center.console.document import add_error_pages
from center.contract.store import Origin, RowBatch
from oee.model.facts import MS_NS, NO_FACTS, NO_LOSSES, Stop
from oee.model.states import State

T = ns("2026-03-02T07:00:00")
PAGE = f"/declare/{MINE}/press/many"
WINDOW = "from=2026-03-02T07:00:00%2B07:00&to=2026-03-02T08:35:00%2B07:00"
REASON = f"{MINE}-jam"


def stop(number, state=State.UNPLANNED_STOP, length_s=20, reason="", end=True):
    begin = T + number * 10 * 10**9
    return Stop(
        "press", str(number), begin, begin + length_s * 10**8 if end else None, state, reason, "count", "1", "", 0
    )


def span(item):
    return f"{item.start_ns // MS_NS}-{item.end_ns // MS_NS}"


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path, database_url("sqlite", tmp_path))
    add_many_pages(made.app, made.center, made.declaring)
    add_error_pages(made.app, made.center)
    made.stops = [
        stop(0),
        stop(1, State.SETUP),
        stop(2, State.MINOR_STOP, 50),
        stop(3, State.BREAKDOWN, 90),
        stop(4, end=False),
    ]
    write(made, made.stops)
    yield made
    made.center.store.close()
    made.engine.dispose()


def write(plant, stops):
    plant.center.store.write([RowBatch(Origin(MINE, f"{MINE}-gate", "aa"), 1, NO_FACTS, NO_LOSSES, stops)])


def key_of(page):
    return re.search(r'name="key"[^>]*value="(\w+)"|value="(\w+)"[^>]*name="key"', page).group(1)


def listed(page):
    return re.findall(r'name="stop"[^>]*value="([\d-]+)"', page)


def send(plant, viewer="writer", query=WINDOW, **fields):
    return plant.ask("POST", viewer, f"{PAGE}?{query}", data=fields)


def test_only_stops_that_are_over_and_can_be_explained_are_offered_as_the_filter_orders_them(plant):
    page = plant.ask("GET", path=f"{PAGE}?{WINDOW}&stops=longest").text
    assert listed(page) == [span(plant.stops[number]) for number in (3, 2, 0)]
    assert listed(plant.ask("GET", path=f"{PAGE}?{WINDOW}&states=breakdown,setup").text) == [span(plant.stops[3])]
    assert listed(plant.ask("GET", path=f"{PAGE}?{WINDOW}&states=setup").text) == []
    assert "checked" not in page


def test_each_chosen_stop_is_declared_once_however_often_the_form_comes(plant):
    key = key_of(plant.ask("GET", path=f"{PAGE}?{WINDOW}").text)
    chosen = [span(plant.stops[number]) for number in (0, 3)]
    answers = [send(plant, key=key, value=REASON, stop=chosen) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {303}
    rows = plant.rows()
    assert sorted((row["start"], row["end"]) for row in rows) == [
        ("2026-03-02T07:00:00+07:00", "2026-03-02T07:00:02+07:00"),
        ("2026-03-02T07:00:30+07:00", "2026-03-02T07:00:39+07:00"),
    ]
    assert {(row["value"], row["who"], row["state"]) for row in rows} == {(REASON, "Lan", "sent")}
    assert len(plant.message()) == 2
    outcome = plant.ask("GET", path=answers[0].headers["location"]).text
    assert "data-refresh-s" in outcome
    first, second = (row["id"] for row in rows)
    plant.echo(**{first: "", second: "too_old 2026-03-02T07:00:10+07:00"})
    outcome = plant.ask("GET", path=answers[0].headers["location"]).text
    assert "data-refresh-s" not in outcome
    assert outcome.count('class="plate bad"') == 1


def test_all_that_are_shown_are_declared_and_taken_back_together_once(plant):
    page = plant.ask("GET", path=f"{PAGE}?{WINDOW}").text
    key, every = key_of(page), listed(page)
    assert len(every) == 3
    send(plant, key=key, value=REASON, all="1", listed=every)
    made = plant.rows()
    assert len(made) == 3
    plant.echo(**{made[0]["id"]: "too_old"})
    for _ in range(2):
        assert send(plant, withdraw=key).status_code == 303
    rows = plant.rows()
    withdrawn = [row for row in rows if not row["value"]]
    assert {row["replaces"] for row in withdrawn} == {row["id"] for row in made[1:]}
    assert len(rows) == 5
    outcome = plant.ask("GET", path=f"{PAGE}?{WINDOW}&batch={key}").text
    assert 'name="withdraw"' not in outcome


def test_what_is_too_much_is_said_and_bounded(plant):
    write(plant, [stop(number) for number in range(10, 10 + MOST + 30)])
    page = plant.ask("GET", path=f"{PAGE}?{WINDOW}").text
    assert (len(listed(page)), str(MOST + 34) in page, str(MOST) in page) == (MOST, True, True), re.findall(
        r".*soft.*", page
    )
    key = key_of(page)
    send(plant, key=key, value=REASON, stop=[f"{T // MS_NS + n}-{T // MS_NS + n + 1}" for n in range(MOST + 5)])
    assert len(plant.rows(limit=1000)) == MOST


@pytest.mark.parametrize(
    ("viewer", "fields", "status"),
    [
        ("reader", {}, 403),
        ("other", {}, 404),
        ("writer", {"value": ""}, 422),
        ("writer", {"value": "no-such-reason"}, 422),
        ("writer", {"stop": []}, 422),
        ("writer", {"stop": ["1-x", "<b>"]}, 422),
        ("writer", {"key": "'; drop"}, 422),
    ],
)
def test_who_and_what_is_refused(plant, viewer, fields, status):
    sent = {"key": "0" * 12, "value": REASON, "stop": [span(plant.stops[0])]} | fields
    assert send(plant, viewer, **sent).status_code == status
    assert plant.rows() == []


def test_a_page_of_another_origin_declares_nothing(plant):
    fields = {"key": "0" * 12, "value": REASON, "stop": [span(plant.stops[0])]}
    assert plant.ask("POST", path=PAGE, data=fields, foreign=True).status_code == 403
    assert plant.rows() == []
