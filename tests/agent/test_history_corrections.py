"""Recorded history is imported as `nhip agent --history` does; whatever lies within the journal's window can be corrected."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from test_corrections import Gateway, plain
from test_pipeline import T0, S, machine

from agent.feed.history import HistoryImport
from agent.feed.history_files import day_path
from agent.outbox.journal.schema import WINDOW_NS
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from oee.engine import step as engine
from oee.engine.correction import Sent, with_rows
from oee.model.declarations import Declaration
from oee.model.facts import HOUR_NS, MINUTE_NS
from oee.model.samples import Series, between

DAY_S, HOUR_S = 86_400, 3_600
DAYS = 9
EVERY_S = 300
END_S = DAYS * DAY_S
WINDOW_S = WINDOW_NS // S
EDGE_S = END_S - WINDOW_S
SHORT = {*range(EDGE_S - 600, EDGE_S + 600), *range(EDGE_S + 2 * DAY_S, EDGE_S + 2 * DAY_S + 1_800)}
SHORT |= set(range(END_S - 2 * HOUR_S, END_S - HOUR_S))
LONG = set(range(EDGE_S - 36 * HOUR_S, EDGE_S + DAY_S))
"""A stop that is open for days before the window begins: nothing of it is settled there."""
MACHINE = replace(machine(), reason_states={})


def columns(stopped):
    at = np.arange(0, END_S, EVERY_S)
    running = np.array([second not in stopped for second in at.tolist()])
    t_ns, good = T0 + at * S, np.zeros(len(at), np.uint8)
    counted = t_ns[running]
    count = np.arange(1, len(counted) + 1)
    return {"m.run": Series(t_ns, running, good), "m.count": Series(counted, count, good[: len(counted)])}


SAMPLES = {"short stops": columns(SHORT), "a stop of days": columns(LONG)}


def write_days(folder, samples, days):
    folder.mkdir(exist_ok=True)
    for day in days:
        low, high = T0 + day * DAY_S * S, T0 + (day + 1) * DAY_S * S
        arrays = {"until": np.array([high], np.int64)}
        for tag, rows in samples.items():
            part = between(rows, low, high)
            arrays |= {f"{tag}/t": part.t_ns, f"{tag}/v": part.value, f"{tag}/q": part.quality}
        np.savez(day_path(folder, day), **arrays)
    if days[-1] == DAYS - 1:
        (folder / "done").touch()


async def imported(gateway, folder):
    sender = Sender([], "", SendLimits())
    done = HistoryImport(
        gateway.pipeline, gateway.committer, gateway.corrections, sender, lambda _: None, lambda _: None
    )
    await done.run(folder, asyncio.Event())


def gateway_of(path):
    made = Gateway(path, MACHINE)
    made.now_ns = T0 + END_S * S
    return made


def fresh(samples, declarations):
    end_ns = T0 + END_S * S
    step = engine.step(MACHINE, engine.start(), samples, declarations, end_ns, end_ns // MINUTE_NS * MINUTE_NS)
    return plain(with_rows(Sent(), [step.facts], [step.losses], step.stops.rows(), [step.cycles]))


def said(number, start_s, end_s, field="planned_stop", value="meeting"):
    return Declaration(
        f"d{number}", T0 + END_S * S + number, "m", T0 + start_s * S, T0 + end_s * S, field, value, "Lan"
    )


DECLARED = {
    "at the window's beginning": (EDGE_S + 60, EDGE_S + 600),
    "in its first hours": (EDGE_S + 3 * HOUR_S, EDGE_S + 4 * HOUR_S),
    "on its third day": (EDGE_S + 2 * DAY_S, EDGE_S + 2 * DAY_S + 900),
    "an hour ago": (END_S - 2 * HOUR_S, END_S - HOUR_S),
}


@pytest.mark.parametrize(
    ("history", "stopped_after"),
    [(name, None) for name in SAMPLES] + [("short stops", 1), ("short stops", 2), ("a stop of days", 3)],
)
async def test_what_lies_within_the_window_is_corrected_after_a_longer_history(tmp_path, history, stopped_after):
    """Also if the agent was stopped after some days of it."""
    samples = SAMPLES[history]
    if stopped_after:
        write_days(tmp_path / "history", samples, range(stopped_after))
        (tmp_path / "history" / "done").touch()
        first = gateway_of(tmp_path / "outbox.db")
        await imported(first, tmp_path / "history")
        await first.close()
    write_days(tmp_path / "history", samples, range(DAYS))
    gateway = gateway_of(tmp_path / "outbox.db")
    await imported(gateway, tmp_path / "history")
    items = [said(number, *span) for number, span in enumerate(DECLARED.values())]
    for item in items:
        gateway.say(item)
        await gateway.corrections.run_pending()
    assert {gateway.outcome(item)[item.id] for item in items} == {""}
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(samples, items)
    await gateway.close()


async def test_trimming_keeps_the_window(tmp_path):
    """A day later the oldest day is trimmed; what is older than the window is refused with the time that can be reached."""
    samples = SAMPLES["short stops"]
    write_days(tmp_path / "history", samples, range(DAYS))
    gateway = gateway_of(tmp_path / "outbox.db")
    await imported(gateway, tmp_path / "history")
    for hours in range(0, 25, 6):
        gateway.outbox.prune(T0 + END_S * S + hours * HOUR_NS, WINDOW_NS)
    old, late = said(1, EDGE_S + 60, EDGE_S + 600), said(2, EDGE_S + DAY_S + 60, EDGE_S + DAY_S + 600)
    gateway.say(old)
    await gateway.corrections.run_pending()
    assert gateway.outcome(old)["d1"].startswith("too_old 20")
    gateway.say(late)
    await gateway.corrections.run_pending()
    assert gateway.outcome(late) == {"d2": ""}
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(samples, [late])
    await gateway.close()


async def test_a_correction_during_the_import_is_counted_once(tmp_path):
    """Before the window nothing is kept, so it is refused or done; in both cases the sums stay right afterwards."""
    samples = SAMPLES["short stops"]
    write_days(tmp_path / "history", samples, range(2))
    (tmp_path / "history" / "done").touch()
    gateway = gateway_of(tmp_path / "outbox.db")
    await imported(gateway, tmp_path / "history")
    early = said(1, EDGE_S - 3 * HOUR_S, EDGE_S - 2 * HOUR_S)
    gateway.say(early)
    await gateway.corrections.run_pending()
    done = [early] if gateway.outcome(early) == {"d1": ""} else []
    write_days(tmp_path / "history", samples, range(DAYS))
    await imported(gateway, tmp_path / "history")
    late = said(2, EDGE_S + 60, EDGE_S + 900)
    gateway.say(late)
    await gateway.corrections.run_pending()
    assert gateway.outcome(late) == {"d2": ""}
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(samples, [*done, late])
    await gateway.close()


async def test_a_journal_that_was_lost_begins_at_the_present_state(tmp_path):
    """Of a stop that is open then, all can still be corrected."""
    samples = SAMPLES["a stop of days"]
    gateway = gateway_of(tmp_path / "outbox.db")
    begin_s, lost_s = min(LONG), max(LONG) + 1 - DAY_S
    for until_s in (begin_s, lost_s, lost_s + HOUR_S, END_S):
        if until_s > lost_s and not gateway.health.snapshot().get("journal_begun_anew"):
            gateway.outbox.within(
                lambda db: db.execute("insert into journal_recent (envelopes, data) values ('broken', x'00')")
            )
        gateway.now_ns = T0 + until_s * S
        gateway.pipeline.feed(samples, gateway.now_ns)
        assert await gateway.committer.commit(final=True)
    assert gateway.health.snapshot()["journal_begun_anew"] == 1
    item = said(1, begin_s, begin_s + DAY_S)
    gateway.say(item)
    await gateway.corrections.run_pending()
    assert gateway.outcome(item) == {"d1": ""}
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(samples, [item])
    await gateway.close()
