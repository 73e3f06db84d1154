"""History files against a slow poller of the living model."""

import numpy as np
import pytest
from sim_moments import DAY, NOW, NOW_NS, S

from simulator import demo, history
from simulator.factory import Event, Factory
from simulator.plant import Plant
from simulator.plc.readings import at


def shaky(days=1):
    """The demo factory with PLCs that go away every quarter of an hour."""
    factory = demo.factory(NOW, history_days=days)
    away = Event(every_s=900, lasts_s=40, spread=0.3)
    machines = [
        spec.model_copy(
            update={"habits": spec.habits.model_copy(update={"events": {**spec.habits.events, "offline": away}})}
        )
        for spec in factory.machines
    ]
    return Factory.model_validate(factory.model_dump() | {"machines": [item.model_dump() for item in machines]})


def read(directory):
    """All day files laid end to end: tag to (t, v, q)."""
    parts = {}
    for path in sorted(directory.glob("day-*.npz")):
        with np.load(path) as data:
            for key in data.files:
                if key.endswith("/t"):
                    tag = key[:-2]
                    parts.setdefault(tag, []).append([data[f"{tag}/{column}"] for column in "tvq"])
    return {tag: [np.concatenate(columns) for columns in zip(*rows, strict=True)] for tag, rows in parts.items()}


def polled(factory, start, end):
    """What a poll each second sees: tag to rows (t, value, or None where there was no answer)."""
    plant = Plant(factory)
    rows = {}
    for t in range(start, end, S):
        plant.advance(t)
        for machine in plant.machines.values():
            shown = at(machine, t)
            for tag, value in shown.tags.items():
                rows.setdefault(f"{machine.spec.device}.{tag}", []).append(value if shown.online else None)
    return rows


def test_files_say_what_a_poller_saw(tmp_path):
    factory = shaky()
    start, end = factory.start_ns, factory.start_ns + 5_000 * S
    history.write(factory, start, end, tmp_path)
    found = read(tmp_path)
    gaps = 0
    for tag, seen in polled(factory, start, end).items():
        t_ns, value, quality = found[tag]
        assert (np.diff(t_ns) > 0).all()
        assert t_ns[0] == start
        for second, expected in enumerate(seen):
            row = np.searchsorted(t_ns, start + second * S, "right") - 1
            if expected is None:
                assert quality[row] == history.GAP
            elif second + 1 < len(seen) and seen[second + 1] is None:
                assert value[row] == expected  # the last good poll: the gap's row may stand here
            else:
                assert (value[row], quality[row]) == (expected, history.GOOD)
        plain = value[quality == history.GOOD]
        gaps += int((quality == history.GAP).sum())
        assert (plain[1:] != plain[:-1]).sum() >= len(plain) - 1 - (quality == history.GAP).sum()
    assert gaps > 20


@pytest.mark.parametrize("pieces", [(3_600,), (500, 1_111, 1_990, 2_700, 3_600)])
def test_any_cut_into_calls_gives_the_same_rows(tmp_path, pieces):
    factory = shaky()
    start = factory.start_ns + 3_600 * S
    writer = history.Writer(Plant(factory), start, tmp_path / "cut")
    for second in pieces:
        writer.write_until(start + second * S)
    writer.finish()
    history.write(factory, start, start + 3_600 * S, tmp_path / "whole")
    cut, whole = read(tmp_path / "cut"), read(tmp_path / "whole")
    for tag, (t_ns, value, quality) in whole.items():
        for mine, theirs in zip((t_ns, value, quality), cut[tag], strict=True):
            assert len(mine) == len(theirs)
            assert (abs(mine.astype(np.int64) - theirs.astype(np.int64)) < S).all()  # a gap may begin with its file


def test_day_files_end_at_midnight_of_the_history_and_say_so(tmp_path):
    factory = demo.factory(NOW, history_days=3)
    seen = []
    history.write(factory, factory.start_ns, NOW_NS, tmp_path, on_progress=lambda at_ns, end: seen.append((at_ns, end)))
    days = sorted(path.name for path in tmp_path.iterdir())
    assert days == ["day-000.npz", "day-001.npz", "day-002.npz", "day-003.npz", "done"]
    untils = [int(np.load(tmp_path / name)["until"][0]) for name in days[:-1]]
    assert untils == [*(factory.start_ns + number * DAY for number in (1, 2, 3)), NOW_NS]
    assert seen == [(until, NOW_NS) for until in untils]
    before = factory.start_ns
    for name, until in zip(days[:-1], untils, strict=True):
        with np.load(tmp_path / name) as data:
            for key in data.files:
                if key.endswith("/t"):
                    assert before <= data[key][0] <= data[key][-1] < until
        before = until


def test_a_history_before_the_beginning_is_refused(tmp_path):
    factory = demo.factory(NOW, history_days=1)
    with pytest.raises(ValueError, match="only begins at"):
        history.write(factory, factory.start_ns - 1, NOW_NS, tmp_path)


def test_the_model_goes_on_where_its_history_ends(tmp_path):
    factory = demo.factory(NOW, history_days=1)
    plant = history.write(factory, factory.start_ns, NOW_NS, tmp_path)
    last_poll = (NOW_NS - 1) // S * S
    found = read(tmp_path)
    for machine in plant.machines.values():
        shown = at(machine, max(last_poll, machine.current.start_ns))
        if machine.current.start_ns <= last_poll:
            for tag, value in shown.tags.items():
                assert found[f"{machine.spec.device}.{tag}"][1][-1] == value
