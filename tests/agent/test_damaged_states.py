"""An engine state that cannot be read keeps no agent from starting, and costs no fact that the journal still knows."""

import json
import sqlite3
from contextlib import closing

import edge_brokers as brokers
import pytest
from edge_plc import plc, site_file
from servers import until
from test_corrections import LATE, MACHINE, T0, Gateway, S, fresh
from test_pipeline import machine
from test_run import agent, ended

from agent.corrections.damaged_states import sound_carries
from agent.outbox.disk import CannotStore
from agent.outbox.journal.schema import clear
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from oee.engine import step as engine
from oee.model.facts import MINUTE_NS

HALF, END = 2 * 3600 + 95, 4 * 3600
"""Within a minute, an hour of the journal and a stretch between two commits."""


def changed(data, **changes):
    return json.dumps(json.loads(data) | changes).encode()


DAMAGES = {
    "nothing": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "torn": lambda data: data[: len(data) // 2],
    "no text": lambda _: b"\xff\xfe\xfd",
    "a list": lambda _: b"[1, 2]",
    "deep": lambda _: b"[" * 100_000,
    "a number": lambda _: 7,
    "a newer format": lambda data: changed(data, format=99),
    "no rows": lambda data: changed(data, rows=None),
    "columns of unequal length": lambda data: changed(data, rows={"m.run": [[1, 2], [True], [0, 0]]}),
    "a time that is none": lambda data: changed(data, settled_ns=None),
    "a time too large": lambda data: changed(data, rows={"m.run": [[2**70], [True], [0]]}),
    "a shift cut short": lambda data: changed(data, shift=[1]),
    "sums of other columns": lambda data: changed(data, facts=[[["m", T0, 0, 1, "A", "1"], [1, 2, 3]]]),
    "a key cut short": lambda data: changed(data, facts=[[["m"], json.loads(data)["facts"][0][1]]]),
}


async def recorded(path, until_s=HALF):
    """The outbox of an agent that ran for so long and was killed after a commit."""
    gateway = Gateway(path)
    await gateway.go(until_s)
    assert await gateway.committer.commit(final=False)
    await gateway.close()


def damage(path, how):
    with closing(sqlite3.connect(path)) as db, db:
        ((data,),) = db.execute("select data from carry").fetchall()
        db.execute("update carry set data = ?", (how(data),))


def repaired(path, made=MACHINE):
    outbox, health = Outbox(path), Health()
    carries = sound_carries(outbox, {"m": made}, T0 + HALF * S, health)
    assert carries == outbox.carries()
    outbox.close()
    assert health.snapshot().get("states_set_aside", 0) in (0, 1)
    return engine.load(carries["m"]), health.snapshot().get("states_set_aside", 0)


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_state_is_computed_again_and_nothing_is_sent_twice(tmp_path, how):
    path = tmp_path / "outbox.db"
    await recorded(path)
    before, _ = repaired(path)
    damage(path, how)
    state, set_aside = repaired(path)
    assert set_aside == 1
    assert (state.until_ns, state.settled_ns) == (before.until_ns, before.settled_ns)
    assert engine.dump(state) == engine.dump(before)
    (aside,) = tmp_path.glob("outbox.db.state-m-*")
    head, _, rest = aside.read_bytes().partition(b"\n")
    assert json.loads(head)["machine"] == "m"
    assert json.loads(head)["why"]
    gateway = Gateway(path)
    await gateway.go(END)
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(END)
    await gateway.close()


async def test_corrections_after_it_reach_back_as_before(tmp_path):
    path = tmp_path / "outbox.db"
    await recorded(path)
    damage(path, DAMAGES["torn"])
    repaired(path)
    gateway = Gateway(path)
    await gateway.go(END)
    gateway.say(*LATE)
    await gateway.corrections.run_pending()
    assert await gateway.committer.commit(final=True)
    assert gateway.told() == fresh(END, LATE)
    await gateway.close()


async def test_another_description_of_the_machine_is_a_correction(tmp_path):
    """The site file was changed meanwhile: the difference is sent, as any other."""
    from dataclasses import replace

    from oee.model.machine import Ideal, Product

    path, slower = tmp_path / "outbox.db", replace(machine(), products={"1": Product("1", (Ideal(2_000_000),))})
    await recorded(path)
    damage(path, DAMAGES["torn"])
    repaired(path, slower)
    gateway = Gateway(path, slower)
    facts, *_ = gateway.told()
    changed_from = min(key[1] for key, row in facts.items() if row != fresh(HALF)[0].get(key))
    assert changed_from > T0, "not the whole past, only from the journal's last checkpoint on"
    await gateway.go(END)
    assert await gateway.committer.commit(final=True)
    later = {key: row for key, row in gateway.told()[0].items() if key[1] > T0 + HALF * S}
    assert later == {key: row for key, row in fresh(END, made=slower)[0].items() if key[1] > T0 + HALF * S}
    await gateway.close()


async def test_without_a_journal_the_machine_starts_over_and_nothing_counts_twice(tmp_path):
    path = tmp_path / "outbox.db"
    await recorded(path)
    gateway = Gateway(path)
    before = gateway.told()
    gateway.outbox.within(clear)
    await gateway.close()
    damage(path, DAMAGES["torn"])
    state, _ = repaired(path)
    last_ns = max(key[1] for key in before[0])
    assert state.until_ns == last_ns + MINUTE_NS
    gateway = Gateway(path)
    await gateway.go(END)
    assert await gateway.committer.commit(final=True)
    facts, *_ = gateway.told()  # which fails where a row's number is used twice
    assert {key: row for key, row in facts.items() if key[1] <= last_ns} == before[0]
    expected = {key: row for key, row in fresh(END)[0].items() if key[1] > last_ns + MINUTE_NS}
    assert {key: row for key, row in facts.items() if key[1] > last_ns + MINUTE_NS} == expected
    await gateway.close()


async def test_a_machine_of_which_nothing_was_sent_starts_from_nothing(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.commit([], {"m": b"?"}, T0)
    assert engine.load(sound_carries(outbox, {"m": MACHINE}, T0, Health())["m"]) == engine.start()
    outbox.close()


async def test_a_disk_that_refuses_to_set_it_aside_is_waited_for(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.commit([], {"m": b"?"}, T0)
    (tmp_path / "outbox.db.state-m-20270115T080000Z").mkdir()
    with pytest.raises(CannotStore, match="set the state of m aside"):
        sound_carries(outbox, {"m": MACHINE}, T0, Health())
    assert outbox.carries() == {"m": b"?"}
    outbox.close()


async def test_an_agent_starts_on_a_damaged_state(tmp_path):
    with brokers.mosquitto(tmp_path) as broker:
        async with plc() as device:
            site = site_file(tmp_path, device.port, broker.port)
            async with agent(tmp_path, site) as process:
                await until(process.ready.exists)
                await until(lambda: carry(tmp_path / "outbox.db"))
                await ended(process)
            damage(tmp_path / "outbox.db", DAMAGES["torn"])
            async with agent(tmp_path, site) as process:
                await until(process.ready.exists)
                await ended(process)
                assert process.returncode == 0
    assert "engine state damaged machine=m-1" in (tmp_path / "agent.log").read_text()


def carry(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("select data from carry").fetchall()
