"""Process values on the wire: what goes in comes out, exactly, and takes few bytes."""

import json
import math
import random
import zlib

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from value_rows import gathered

from oee.model.states import Quality
from wire.values import read_values_body, values_bodies

T_US = 1_780_000_000_000_000
NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(width=32),
    st.floats(),
    st.decimals(-(10**6), 10**6, places=3).map(float),
    st.none(),
    st.text(max_size=5),
)
ROW = st.tuples(st.integers(1, 10**7), NUMBERS, st.sampled_from(list(Quality)))
TAGS = st.sampled_from(["press-plc.oil_temp", "press-plc.phản hồi", "io.c3", "io.online", "a.b.c"])
COLUMNS = st.dictionaries(TAGS, st.lists(ROW, min_size=1, max_size=12), min_size=1)


def _rising(columns):
    out = {}
    for tag, rows in columns.items():
        t_us = T_US
        out[tag] = [(t_us := t_us + step, value, int(quality)) for step, value, quality in rows]
    return out


def _meant(value, quality):
    """What a reader must find: (number or None, text, quality)."""
    if quality >= Quality.BAD:
        return None, None, quality
    if isinstance(value, str):
        return None, value, quality
    number = None if value is None else float(value)
    known = number is not None and math.isfinite(number)
    return (number, None, quality) if known else (None, None, int(Quality.BAD))


def _read(bodies):
    out = {}
    for body in bodies:
        found = read_values_body(json.loads(json.dumps(body)))
        columns = (found.tag, found.t_ns, found.number, found.text, found.quality)
        for tag, t_ns, number, text, quality in zip(*(column.tolist() for column in columns), strict=True):
            value = None if math.isnan(number) else number
            out.setdefault(tag, []).append((t_ns // 1000, (value, text, quality)))
    return out


@settings(max_examples=examples(200), deadline=None)
@given(COLUMNS, st.integers(1, 20))
def test_what_goes_in_comes_out(columns, most_rows):
    rows = _rising(columns)
    bodies = list(values_bodies(gathered(rows), most_rows))
    assert _read(bodies) == {
        tag: [(t_us, _meant(value, quality)) for t_us, value, quality in mine] for tag, mine in rows.items()
    }
    assert all(sum(body["values"]["rows"]) <= most_rows for body in bodies)


def test_texts_are_cut_and_made_writable():
    rows = {"plc.recipe": [(T_US, "x" * 1000, 0), (T_US + 1, "a\ud800b", 0)]}
    assert [text for _, (_, text, _) in _read(values_bodies(gathered(rows)))["plc.recipe"]] == ["x" * 256, "a?b"]


def test_nothing_makes_no_envelope():
    assert list(values_bodies(gathered({}))) == []


def _bytes_a_row(value):
    chance = random.Random(7)
    times = [T_US + second * 10**6 + chance.randrange(3000) for second in range(10)]
    rows = {
        f"plc-{tag // 100}.tag_{tag % 100}": [(t_us, value(chance, second), 0) for second, t_us in enumerate(times)]
        for tag in range(1000)
    }
    packed = [zlib.compress(json.dumps(body, separators=(",", ":")).encode()) for body in values_bodies(gathered(rows))]
    return sum(map(len, packed)) / 10_000


def test_few_bytes_a_value():
    """A naive row (tag, time and value as JSON, compressed) takes 9 to 14 bytes."""
    assert _bytes_a_row(lambda chance, second: 5000 + second) < 0.2
    assert _bytes_a_row(lambda chance, second: round(20 + chance.gauss(0, 0.2), 1)) < 1.2
    assert _bytes_a_row(lambda chance, _: chance.randrange(65_536)) < 3.3
