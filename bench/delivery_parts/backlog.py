"""The outbox's speed, and how fast a backlog of days reaches the center."""

import asyncio
import sqlite3
import time

import numpy as np
from delivery_parts.stage import eventually, timed

from agent.outbox import envelopes as on_disk
from agent.outbox.outbox import Outbox
from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.store.outbox_thread import all_streams
from agent.uplink.mqtt.broker import Broker
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from agent.uplink.uplink import Uplink
from oee.model.facts import FACT, FACT_COLUMNS, LOSS_COLUMNS, MINUTE_NS, Facts, Losses, make_table
from oee.model.states import State
from wire.bodies import Status, facts_body
from wire.envelope import seal

DAY_MIN = 1440
_CHANCE = np.random.default_rng(1)
START_NS = 1_780_272_000_000_000_000
BUSY = ("running_ms", "minor_stop_ms", "running_ideal_known_ms", "minor_stop_ideal_known_ms", "pieces_total",
        "pieces_judged", "pieces_good", "pieces_process_reject", "ideal_total_us", "ideal_judged_us", "ideal_good_us",
        "cycles")  # fmt: skip


def body(machines, minute, minutes=1):
    """The content of an envelope: one row of facts and one of losses for each machine and minute."""
    rows = machines * minutes
    keys = [
        (f"press-{row % machines}", START_NS + (minute + row // machines) * MINUTE_NS, 0, 20_600, "A", "1")
        for row in range(rows)
    ]
    sums = np.zeros((rows, len(FACT_COLUMNS)), np.int64)
    stopped, pieces = _CHANCE.integers(1, 6000, rows), _CHANCE.integers(8, 13, rows)
    values = (60_000 - stopped, stopped, 60_000 - stopped, stopped, pieces, pieces, pieces - 1, np.ones(rows),
              pieces * 4_000_000, pieces * 4_000_000, (pieces - 1) * 4_000_000, pieces)  # fmt: skip
    for name, column in zip(BUSY, values, strict=True):
        sums[:, FACT[name]] = column
    lost = np.zeros((rows, len(LOSS_COLUMNS)), np.int64)
    lost[:, 0] = stopped
    losses = make_table(Losses, [(*key, int(State.MINOR_STOP), "") for key in keys], lost, np.zeros(rows, np.int64))
    return facts_body(make_table(Facts, keys, sums, np.zeros(rows, np.int64)), losses, [])


def outbox(folder, count=2000):
    """Appends a second with one envelope a commit, compared with bare SQLite and the same bytes; and reads a second."""
    contents = [body(20, minute) for minute in range(count)]
    box = Outbox(folder / "speed.outbox")
    appended_s, _ = timed(lambda: [box.commit([("facts", content)], {}, START_NS) for content in contents])
    stream = on_disk.current_stream(box.file, "facts")
    keys = [[EnvelopeKey(stream, first + n) for n in range(16)] for first in range(1, count - 15, 16)]
    drained_s, _ = timed(lambda: [on_disk.read(box.file, some) for some in keys])
    box.close()
    sealed = [seal("ab" * 8, seq, 1, content).data for seq, content in enumerate(contents, 1)]
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript(
        "pragma journal_mode=wal; pragma synchronous=full; create table e (id integer primary key, d blob)"
    )
    bare_s, _ = timed(lambda: [bare.execute("insert into e (d) values (?)", (data,)) for data in sealed])
    bare.close()
    return {
        "appends_a_second": round(count / appended_s),
        "bare_sqlite_a_second": round(count / bare_s),
        "appends_to_bare": round(appended_s / bare_s, 2),
        "drained_a_second": round(len(keys) * 16 / drained_s),
        "envelope_bytes": round(sum(map(len, sealed)) / count),
    }


async def _drain(box, port):
    sender = Sender(all_streams(box), box.settings().get("generation", ""))

    async def read(keys):
        return on_disk.read(box.file, keys)

    def on_receipt(_):
        box.receipted({name: item.marks for name, item in sender.streams.items()}, sender.generation, time.time_ns())

    def status():
        return Status(online=True, at_ns=time.time_ns(), generation=sender.generation)

    uplink = Uplink(
        Broker("127.0.0.1", port),
        sender,
        UplinkHooks(read, on_receipt, status, time.time_ns),
        Health(),
        site="bench",
        gateway="main",
    )
    task = asyncio.create_task(uplink.run())
    began_s = time.perf_counter()
    while sender.waiting:  # noqa: ASYNC110  # the end of a measurement
        await asyncio.sleep(0.02)
    lasted_s = time.perf_counter() - began_s
    uplink.stop()
    await task
    return lasted_s


def catch_up(stage, days, machines=20):
    """A backlog of so many days of a site: an envelope a minute with a row of facts and losses for each machine."""
    stage.broker()
    stage.center()
    box = Outbox(stage.folder / "backlog.outbox")
    envelopes = round(days * DAY_MIN)
    for first in range(0, envelopes, 200):
        box.commit(
            [("facts", body(machines, minute)) for minute in range(first, min(first + 200, envelopes))], {}, START_NS
        )
    lasted_s = asyncio.run(_drain(box, stage.port))
    rows = eventually(lambda: (found := stage.counted("fact_rows")) >= envelopes * machines and found, 60)
    box.close()
    return {
        "days": days,
        "machines": machines,
        "envelopes": envelopes,
        "seconds": round(lasted_s, 2),
        "envelopes_a_second": round(envelopes / lasted_s),
        "fact_rows_a_second": round(rows / lasted_s),
    }


def ingest(stage, envelopes=150, machines=20, minutes=100):
    """Fact rows a second with large envelopes, as after a recomputation: what the center's worker and store can do."""
    stage.broker()
    stage.center()
    box = Outbox(stage.folder / "large.outbox")
    for number in range(envelopes):
        box.commit([("facts", body(machines, number * minutes, minutes))], {}, START_NS)
    lasted_s = asyncio.run(_drain(box, stage.port))
    box.close()
    rows = envelopes * machines * minutes
    return {"rows": rows, "seconds": round(lasted_s, 2), "fact_rows_a_second": round(rows / lasted_s)}
