"""Stops as columns say what their rows say."""

from hypothesis import given
from hypothesis import strategies as st

from oee.engine.stops import join_stops, no_stops, select_stops, stops_of
from oee.model.facts import MS_NS, Stop
from oee.model.states import State

words = st.sampled_from(["", "jam", "plc", "Lan", "1", "?"])


@st.composite
def rows(draw):
    """Stops of one machine in order of time, the last perhaps open."""
    starts = sorted(draw(st.sets(st.integers(1, 10**6), max_size=20)))
    told = []
    for start in starts:
        end = None if start == starts[-1] and draw(st.booleans()) else (start + draw(st.integers(0, 500))) * MS_NS
        state = draw(st.sampled_from([state for state in State if state is not State.RUNNING]))
        said = [draw(words) for _ in range(4)]
        told.append(Stop("m", str(start), start * MS_NS, end, state, *said, draw(st.integers(0, 3))))
    return told


@given(rows())
def test_rows_become_columns_and_rows_again(told):
    found = stops_of("m", told)
    assert (len(found), found.rows(), list(found)) == (len(told), told, told)


@given(rows(), rows(), st.data())
def test_what_is_joined_and_chosen_is_what_rows_say(one, two, data):
    both = join_stops(stops_of("m", one), stops_of("m", two))
    assert both.rows() == one + two
    chosen = data.draw(st.lists(st.integers(0, max(len(both) - 1, 0)), max_size=5)) if len(both) else []
    assert select_stops(both, chosen).rows() == [both.rows()[index] for index in chosen]
    assert join_stops(no_stops("m"), both).rows() == both.rows()
