import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.model import ModbusTcpDevice
from adapters.modbus.plan import Place, Request, RequestLimits, limits_of, places_of, plan, split, where_to_cut

TABLES = ("coil", "discrete", "holding", "input")


@st.composite
def devices(draw):
    limits = RequestLimits(
        max_registers=draw(st.integers(4, 125)),
        max_bits=draw(st.integers(1, 2000)),
        max_gap=draw(st.integers(0, 40)),
        never_read=tuple(
            (draw(st.sampled_from(TABLES)), first, first + draw(st.integers(0, 5)))
            for first in draw(st.lists(st.integers(0, 300), max_size=4))
        ),
    )
    places = []
    for number in range(draw(st.integers(1, 30))):
        table = draw(st.sampled_from(TABLES))
        count = 1 if table in {"coil", "discrete"} else draw(st.sampled_from([1, 2, 4]))
        place = Place(f"t{number}", table, draw(st.integers(0, 300)), count, draw(st.sampled_from([1.0, 10.0])))
        forbidden = any(
            place.table == table and place.start <= last and first < place.end
            for table, first, last in limits.never_read
        )
        if not forbidden:
            places.append(place)
    holes = frozenset((draw(st.sampled_from(TABLES)), cut) for cut in draw(st.lists(st.integers(0, 300), max_size=6)))
    return places, limits, holes


@given(devices())
def test_every_tag_is_read_once_within_the_limits(case):
    places, limits, holes = case
    requests = plan(places, limits, holes)
    assert sorted(name for request in requests for name in request.tags) == sorted(place.tag for place in places)
    for request in requests:
        assert request.count <= (limits.max_bits if request.table in {"coil", "discrete"} else limits.max_registers)
        end = request.start + request.count
        for place in request.places:
            assert place.table == request.table
            assert place.period_s == request.period_s
            assert request.start <= place.start
            assert place.end <= end
        for table, first, last in limits.never_read:
            assert table != request.table or last < request.start or end <= first
        for table, cut in holes:
            starts = [place.start for place in request.places]
            assert table != request.table or not min(starts) < cut <= max(starts)


@given(devices())
def test_a_refused_request_splits_into_two_that_the_plan_then_keeps_apart(case):
    places, limits, _ = case
    for request in plan(places, limits):
        hole = where_to_cut(request)
        if hole is None:
            assert len({place.start for place in request.places}) == 1
            continue
        below, above = split(request, hole)
        assert sorted(below.tags + above.tags) == sorted(request.tags)
        again = plan(request.places, limits, frozenset({hole}))
        assert [part.tags for part in again] == [below.tags, above.tags]


def test_the_cut_is_at_the_widest_gap():
    request = Request("holding", 0, 30, 1.0, tuple(Place(f"t{at}", "holding", at, 1, 1.0) for at in (0, 1, 2, 9, 29)))
    assert where_to_cut(request) == ("holding", 29)


def test_neighbours_share_a_request_and_gaps_and_periods_part_them():
    device = ModbusTcpDevice.model_validate(
        {
            "kind": "modbus_tcp",
            "host": "plc",
            "max_gap": 2,
            "never_read": [{"holding": "8-9"}],
            "tags": {
                "a": {"holding": 0},
                "b": {"holding": 1, "type": "uint32"},
                "c": {"holding": 5},
                "d": {"holding": 10},
                "slow": {"holding": 11, "every": "10s"},
                "coil": {"coil": 0},
            },
        }
    )
    requests = plan(places_of(device), limits_of(device))
    assert [(r.table, r.start, r.count, r.tags) for r in requests] == [
        ("coil", 0, 1, ("coil",)),
        ("holding", 0, 6, ("a", "b", "c")),
        ("holding", 10, 1, ("d",)),
        ("holding", 11, 1, ("slow",)),
    ]


def test_a_tag_beyond_the_limits_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        plan([Place("long", "holding", 0, 100, 1.0)], RequestLimits(max_registers=50))
    with pytest.raises(ValueError, match="never_read"):
        plan([Place("bad", "holding", 5, 1, 1.0)], RequestLimits(never_read=(("holding", 5, 5),)))
