"""Well-formed but absurd messages of a gateway, drawn by hypothesis: at every bound, and beyond it."""

import json

from center_plant import site_body
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from oee.model.facts import FACT_COLUMNS

_NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 60_000, 60_001, 10**14, -(10**14), 2**53 - 1, 2**53, 2**62, 2**63 - 1, 2**63, 10**30]),
    st.integers(-100, 100),
)
_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-300, 1e10, -1e10, 1e15, 1e308, -1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)
_TEXTS = st.one_of(
    st.sampled_from(
        ["", "press-1", "x" * 256, "x" * 257, "ố" * 256, "\u202e", "=1+1", "<b>", "\x00", "{0}", "../x", "%s"]
    ),
    st.text(max_size=5),
)
_NAMES = st.dictionaries(st.sampled_from(["vi", "en", "", "zh", "x" * 300]), _TEXTS, max_size=5)
_STATES = st.sampled_from(["running", "setup", "unknown", "breakdown", "tired", ""])


@st.composite
def _facts(draw):
    rows = draw(st.integers(0, 4))

    def column(items):
        return draw(st.lists(items, min_size=rows, max_size=rows))

    minutes = st.one_of(st.integers(29_000_000, 29_700_000), _NUMBERS)
    table = {
        "machine": column(_TEXTS), "minute": column(minutes), "n": column(_NUMBERS),
        "calendar": column(st.sampled_from(["scheduled", "break", "outside", "holiday"])), "date": column(st.one_of(st.just(20_500), _NUMBERS)),
        "shift": column(_TEXTS), "product": column(_TEXTS),
        "sums": {name: column(_NUMBERS) for name in draw(st.sets(st.sampled_from(FACT_COLUMNS), max_size=4))},
    }  # fmt: skip
    stop = st.fixed_dictionaries(
        {"machine": _TEXTS, "id": _TEXTS, "start_ns": _NUMBERS, "state": _STATES},
        optional={"end_ns": _NUMBERS, "reason": _TEXTS, "revision": _NUMBERS, "product": _TEXTS},
    )
    return {"facts": table} | ({"stops": draw(st.lists(stop, max_size=2))} if draw(st.booleans()) else {})


_SHIFTS = st.fixed_dictionaries(
    {"name": _TEXTS, "weekdays": st.lists(st.integers(-1, 7), max_size=8), "start_s": _NUMBERS, "end_s": _NUMBERS},
    optional={
        "breaks": st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=3),
        "rotation": st.fixed_dictionaries({"days": _NUMBERS, "start": _TEXTS, "on": st.lists(_NUMBERS, max_size=3)}),
    },
)
_SITES = st.fixed_dictionaries(
    {},
    optional={
        "config_hash": _TEXTS, "valid_from_ns": _NUMBERS, "made_ns": _NUMBERS, "name": _NAMES,
        "timezone": st.sampled_from(["UTC", "Asia/Ho_Chi_Minh", "../etc", "", "Mars"]), "formula": _TEXTS,
        "machines": st.dictionaries(_TEXTS, st.fixed_dictionaries({"name": _NAMES}, optional={"period_s": _FLOATS, "minor_stop_at_most_s": _FLOATS, "calendar": _TEXTS, "line": _TEXTS}), max_size=3),
        "products": st.dictionaries(_TEXTS, st.fixed_dictionaries({}, optional={"name": _NAMES, "ideal_s": _FLOATS}), max_size=3),
        "reasons": st.dictionaries(_TEXTS, st.fixed_dictionaries({"name": _NAMES, "state": _STATES}), max_size=2),
        "calendars": st.dictionaries(st.sampled_from(["", "office"]), st.fixed_dictionaries({"shifts": st.lists(_SHIFTS, max_size=3)}), max_size=2),
        "targets": st.lists(st.fixed_dictionaries({"values": st.dictionaries(_TEXTS, _FLOATS, max_size=2)}, optional={"machine": _TEXTS}), max_size=2),
        "values": st.dictionaries(_TEXTS, st.fixed_dictionaries({}, optional={"unit": _TEXTS}), max_size=2),
    },
).map(lambda changes: site_body() | changes)  # fmt: skip
_CLOCKS = st.fixed_dictionaries(
    {"by": _TEXTS}, optional={"error_s": _FLOATS, "wall_error_s": _FLOATS, "moves": _NUMBERS, "held_since_ns": _NUMBERS}
)
_STATUSES = st.fixed_dictionaries(
    {"online": st.booleans(), "at_ns": _NUMBERS},
    optional={
        "waiting": _NUMBERS, "oldest_ns": _NUMBERS, "closed_ns": _NUMBERS, "version": _TEXTS, "clock": _CLOCKS,
        "devices": st.dictionaries(_TEXTS, st.booleans(), max_size=3), "health": st.dictionaries(st.sampled_from(["rss_mb", "uptime_s", "tags_per_s", "x"]), _FLOATS, max_size=4),
        "marks": st.dictionaries(_TEXTS, _NUMBERS, max_size=2), "trouble": _TEXTS,
        "faults": st.lists(st.fixed_dictionaries({"device": _TEXTS, "code": _TEXTS}, optional={"count": _NUMBERS, "values": st.dictionaries(_TEXTS, _TEXTS, max_size=2)}), max_size=2),
        "counters": st.lists(st.fixed_dictionaries({"machine": _TEXTS, "role": _TEXTS, "at_ns": _NUMBERS, "kind": _TEXTS, "old": _NUMBERS, "new": _NUMBERS}), max_size=2),
        "notices": st.lists(st.fixed_dictionaries({"id": _TEXTS, "at_ns": _NUMBERS, "machine": _TEXTS, "kind": _TEXTS}, optional={"count": _NUMBERS, "text": _TEXTS}), max_size=2),
    },
)  # fmt: skip
_MACHINES = st.fixed_dictionaries(
    {"state": _STATES, "since_ns": _NUMBERS},
    optional={"pieces": _NUMBERS, "reason": _TEXTS, "product": _TEXTS, "shift": _TEXTS, "calendar": _TEXTS},
)
_LIVES = st.fixed_dictionaries({"at_ns": _NUMBERS, "machines": st.dictionaries(_TEXTS, _MACHINES, max_size=3)})
_WHOLE = st.lists(_NUMBERS, max_size=4)
_VALUES = st.fixed_dictionaries(
    {
        "tags": st.lists(st.tuples(_TEXTS, st.lists(_TEXTS, max_size=2)), max_size=2), "rows": _WHOLE, "t": _WHOLE, "at": _WHOLE,
        "decimals": _WHOLE, "v": st.lists(st.one_of(_NUMBERS, _FLOATS), max_size=4),
    }
).map(lambda body: {"values": body})  # fmt: skip
MESSAGES = st.one_of(
    st.tuples(st.just("facts"), _facts()),
    st.tuples(st.just("site"), _SITES),
    st.tuples(st.just("values"), _VALUES),
    st.tuples(st.just("status"), _STATUSES),
    st.tuples(st.just("live"), _LIVES),
)
"""Kind and content."""


def corpus(count):
    """So many messages, the same ones each time: kind and content."""
    out = []

    @seed(14)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(MESSAGES)
    def collect(message):
        out.append((message[0], json.loads(json.dumps(message[1]))))

    collect()
    return out
