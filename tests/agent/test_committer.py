"""The committer: a disk that refuses, a file that breaks while in use, a center that forgot."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from test_pipeline import T0, S, live, machine, rows, sums

from adapters.contract import Row
from agent.commands.outbox_summary import summarize
from agent.compute.pipeline import Pipeline, computed_until_ns
from agent.devices.recorder import Recorder, RecordingRule
from agent.outbox import envelopes as on_disk
from agent.outbox.disk import CannotStore
from agent.outbox.outbox import DAY_NS, Outbox
from agent.outbox.packing import bodies
from agent.outbox.recovery import open_outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from oee.model.states import Quality
from wire.envelope import decode_content, open_envelope
from wire.marks import Marks, unsettled_below
from wire.receipts import Receipt, StreamReceipt, encode_receipt

NOW = T0 + 400 * S
SITE = {"config_hash": "h", "name": {"vi": "Xưởng"}, "timezone": "UTC", "machines": {}}


class Gateway:
    def __init__(self, path, **options):
        self.now_ns = NOW
        self.outbox = Outbox(path, **options)
        self.pipeline = Pipeline({"m": machine()}, self.outbox.carries())
        generation = self.outbox.settings().get("generation", "")
        self.sender = Sender(all_streams(self.outbox), generation, SendLimits())
        self.health = Health()
        self.committer = Committer(self.outbox, self.pipeline, self.sender, self.health, lambda: self.now_ns)

    def receipt(self, generation="g1", **marks):
        by_kind = {state.kind: state.stream for state in self.committer.thread.outbox.streams() if state.current}
        streams = {by_kind[kind]: StreamReceipt(kind=kind, mark=mark) for kind, mark in marks.items()}
        learned = self.sender.receipt(Receipt(generation=generation, at_ns=1, streams=streams), 0.0)
        self.committer.receipted(learned)

    def contents(self):
        outbox = self.committer.thread.outbox
        found = on_disk.read(outbox.file, [key for _, key in on_disk.waiting(outbox.file)])
        return [(kind, decode_content(open_envelope(data))) for _, kind, data in found]


@pytest.fixture
async def gateway(tmp_path):
    made = Gateway(tmp_path / "outbox.db")
    yield made
    await made.committer.thread.close()


async def test_facts_states_and_receipts_in_one_go(gateway):
    gateway.committer.site.announce(SITE, NOW)
    live(gateway.pipeline, rows(), 300)
    assert await gateway.committer.commit()
    assert [kind for kind, _ in gateway.contents()] == ["site", "facts"]
    assert gateway.sender.waiting == 2
    gateway.receipt(facts=1)
    assert await gateway.committer.commit()
    assert [kind for kind, _ in gateway.contents()] == ["site"]
    gateway.committer.site.announce(SITE, NOW + 1)
    assert await gateway.committer.commit()
    assert gateway.sender.waiting == 1  # said already
    gateway.committer.site.announce(SITE | {"config_hash": "h2"}, NOW + 1)
    assert await gateway.committer.commit()
    assert gateway.sender.waiting == 2


async def test_process_values_go_to_disk_without_the_states(gateway):
    recorder = gateway.committer.recorder = Recorder({"plc.temp": RecordingRule()})
    gateway.sender.replace(all_streams(gateway.outbox, values=True))
    recorder.feed([Row("plc.temp", T0, 21.5, Quality.GOOD)])
    live(gateway.pipeline, rows(), 300)
    states = gateway.outbox.carries()
    refuse = gateway.outbox.commit
    gateway.outbox.commit = refused
    assert not await gateway.committer.store_values()
    gateway.outbox.commit, gateway.committer.thread.trouble = refuse, ""
    assert await gateway.committer.store_values()
    [(kind, body)] = gateway.contents()
    assert (kind, body["values"]["rows"]) == ("values", [1])
    assert gateway.outbox.carries() == states
    assert await gateway.committer.commit()
    assert [kind for kind, _ in gateway.contents()] == ["values", "facts"]
    assert gateway.outbox.carries() != states


def refused(*_):
    raise CannotStore("cannot_use", path="x", error="no room")


async def test_a_full_disk_keeps_the_batch_and_says_so(gateway, caplog):
    fed = list(rows())
    live(gateway.pipeline, [row for row in fed if row.t_ns < T0 + 150 * S], 150)
    db = gateway.outbox.file.db
    (pages,) = db.execute("pragma page_count").fetchone()
    db.execute(f"pragma max_page_count={pages}")
    filler = [("facts", {"pad": random.Random(1).randbytes(9000).hex()})]
    gateway.committer.thread.outbox.commit = lambda *args: Outbox.commit(gateway.outbox, [*args[0], *filler], *args[1:])
    assert not await gateway.committer.commit()
    assert "receipts free what is stored" in gateway.committer.thread.trouble
    assert not await gateway.committer.commit()
    assert caplog.text.count("outbox cannot store") == 1
    assert gateway.health.snapshot()["commits_refused"] == 2
    live(gateway.pipeline, [row for row in fed if row.t_ns >= T0 + 150 * S], 300)
    db.execute("pragma max_page_count=100000")
    filler.clear()
    assert await gateway.committer.commit()
    assert gateway.committer.thread.trouble == ""
    whole = Pipeline({"m": machine()}, {})
    live(whole, fed, 300)
    expected = next(bodies(whole.take()))
    assert [body for kind, body in gateway.contents() if kind == "facts"] == [expected]


async def test_a_file_that_breaks_while_in_use_is_set_aside(gateway, tmp_path):
    gateway.committer.site.announce(SITE, NOW)
    live(gateway.pipeline, rows(), 130)
    assert await gateway.committer.commit()
    gateway.outbox.file.db.execute("pragma wal_checkpoint(truncate)")
    path = tmp_path / "outbox.db"
    data = bytearray(path.read_bytes())
    data[4096:] = random.Random(2).randbytes(len(data) - 4096)
    path.write_bytes(data)
    gateway.outbox.file.db.execute("pragma shrink_memory")
    live(gateway.pipeline, [], 200)
    assert not await gateway.committer.commit()
    assert await gateway.committer.commit()
    assert list(tmp_path.glob("outbox.db.corrupt-*"))
    assert gateway.health.snapshot()["outbox_set_aside"] == 1
    assert computed_until_ns(gateway.pipeline) == {"m": 0}
    assert [kind for kind, _ in gateway.contents()] == ["site"]
    gateway.committer.thread.outbox.file.check()


async def test_a_new_generation_hears_what_is_gone_for_good(gateway):
    for number in range(3):
        gateway.outbox.commit([("facts", {"n": number})], {}, NOW - 40 * DAY_NS)
    gateway.outbox.commit([("facts", {"n": 3})], {}, NOW)
    facts = on_disk.current_stream(gateway.outbox.file, "facts")
    gateway.outbox.receipted({facts: Marks(4)}, "g1", NOW)
    assert gateway.outbox.prune(NOW) == (3, [])
    gateway.sender.replace(gateway.outbox.streams())
    gateway.receipt("g2", facts=1)
    lost = {item.kind: unsettled_below(item.marks, item.first) for item in gateway.sender.streams.values()}
    assert lost == {"site": [], "facts": [(2, 3)]}
    assert await gateway.committer.commit()
    [(kind, body)] = [item for item in gateway.contents() if "dropped" in item[1]]
    assert (kind, body["dropped"]) == ("facts", [[2, 3]])
    assert await gateway.committer.commit()
    assert sum("dropped" in body for _, body in gateway.contents()) == 1


KILLED = 9
KILLED_AFTER = f"""
import asyncio, os, sys
from pathlib import Path
from agent.compute.pipeline import Pipeline
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from wire.receipts import decode_receipt

async def main(path, transactions, receipt):
    outbox = Outbox(Path(path))
    sender = Sender(all_streams(outbox), outbox.settings()["generation"], SendLimits())
    committer = Committer(outbox, Pipeline({{}}, {{}}), sender, Health(), lambda: {NOW})
    left = int(transactions)
    def before(statement):
        nonlocal left
        if left == 0:
            os._exit({KILLED})
        left -= statement.lower() == "commit"
    outbox.file.db.set_trace_callback(before)
    committer.receipted(sender.receipt(decode_receipt(receipt.encode()), 0.0))
    assert await committer.commit(final=True)
    outbox.file.db.set_trace_callback(None)
    await committer.thread.close()

asyncio.run(main(*sys.argv[1:]))
"""


def commit_and_be_killed(path, transactions, receipt):
    """A gateway that commits this receipt, and is killed after so many transactions. Whether it was, before it ended."""
    command = [sys.executable, "-c", KILLED_AFTER, path, str(transactions), receipt.decode()]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, capture_output=True, text=True)
    assert ended.returncode in (0, KILLED), ended.stderr
    return ended.returncode == KILLED


@pytest.mark.parametrize("transactions", range(4))
async def test_a_new_generation_hears_it_also_after_a_kill_between_two_transactions(tmp_path, transactions):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    for number in range(3):
        outbox.commit([("facts", {"n": number})], {}, NOW - 40 * DAY_NS)
    outbox.commit([("facts", {"n": 3})], {}, NOW)
    facts = on_disk.current_stream(outbox.file, "facts")
    outbox.receipted({facts: Marks(4)}, "g1", NOW)
    assert outbox.prune(NOW) == (3, [])
    outbox.close()
    receipt = encode_receipt(Receipt(generation="g2", at_ns=1, streams={facts: StreamReceipt(kind="facts", mark=1)}))
    killed = commit_and_be_killed(path, transactions, receipt)
    assert killed or transactions >= 2
    gateway = Gateway(path)
    gateway.receipt("g2", facts=1)
    assert await gateway.committer.commit()
    assert [body["dropped"] for _, body in gateway.contents() if "dropped" in body] == [[[2, 3]]]
    last = max(key.seq for _, key in on_disk.waiting(gateway.outbox.file))
    assert gateway.sender.streams[facts].last == last
    await gateway.committer.thread.close()


async def test_what_was_evicted_since_the_last_pruning_is_gone_too(gateway):
    gateway.outbox.commit([("facts", {"n": number}) for number in range(4)], {}, NOW)
    gateway.sender.replace(gateway.outbox.streams())
    gateway.receipt("g1", facts=3)
    assert await gateway.committer.commit()
    gateway.outbox.room.make(NOW)  # as a commit does on a full disk
    gateway.receipt("g2", facts=1)
    assert await gateway.committer.commit()
    assert [body["dropped"] for _, body in gateway.contents() if "dropped" in body] == [[[2, 3]]]


async def test_a_receipt_ahead_of_the_file_begins_again(gateway, caplog):
    gateway.committer.site.announce(SITE, NOW)
    live(gateway.pipeline, rows(), 130)
    assert await gateway.committer.commit()
    old = on_disk.current_stream(gateway.outbox.file, "facts")
    gateway.receipt(facts=70)
    assert gateway.sender.waiting == 2
    assert await gateway.committer.commit()
    assert "old copy" in caplog.text
    assert on_disk.current_stream(gateway.outbox.file, "facts") != old
    assert computed_until_ns(gateway.pipeline) == {"m": 0}
    assert [kind for kind, _ in gateway.contents()] == ["site"]  # told again in its new stream
    assert gateway.outbox.carries() == {}


async def test_numbers_that_are_not_ours_begin_again_once(gateway, caplog):
    """A restored card that ran without a line until its numbers had passed those that the center knows."""
    for number in range(9):
        gateway.outbox.commit([("facts", {"n": number})], {}, NOW)
    gateway.sender.replace(all_streams(gateway.outbox))
    old = on_disk.current_stream(gateway.outbox.file, "facts")
    gateway.receipt(facts=5)
    gateway.committer.receipted(gateway.sender.bar(old))
    gateway.sender.connected(0.0)
    assert old not in {key.stream for key in gateway.sender.due(9.0)}
    assert await gateway.committer.commit()
    assert "old copy" in caplog.text
    new = on_disk.current_stream(gateway.outbox.file, "facts")
    assert new != old
    assert not gateway.sender.bar(old).changed
    assert await gateway.committer.commit()
    assert on_disk.current_stream(gateway.outbox.file, "facts") == new


async def test_prune_runs_now_and_then(gateway):
    for number in range(5):
        gateway.outbox.commit([("facts", {"n": number})], {}, NOW)
    gateway.sender.replace(gateway.outbox.streams())
    gateway.receipt(facts=5)
    gateway.now_ns = NOW + 36 * DAY_NS
    for _ in range(30):
        assert await gateway.committer.commit()
    assert gateway.health.snapshot()["envelopes_pruned"] == 5
    assert gateway.sender.waiting == 0


async def test_a_killed_agent_goes_on_where_the_disk_says(tmp_path):
    fed = list(rows(stopped=()))
    first = Gateway(tmp_path / "outbox.db")
    live(first.pipeline, [row for row in fed if row.t_ns < T0 + 150 * S], 150)
    assert await first.committer.commit()
    live(first.pipeline, [row for row in fed if row.t_ns >= T0 + 150 * S], 200)  # never committed
    await first.committer.thread.close()
    opened = open_outbox(tmp_path / "outbox.db", NOW)
    again = Pipeline({"m": machine()}, opened.outbox.carries())
    assert computed_until_ns(again) == {"m": T0 + 150 * S}
    live(again, [row for row in fed if row.t_ns >= T0 + 150 * S], 300)
    told = [
        open_envelope(data)
        for _, _, data in on_disk.read(opened.outbox.file, [key for _, key in on_disk.waiting(opened.outbox.file)])
    ]
    batch = again.take()
    before = Pipeline({"m": machine()}, {})
    live(before, fed, 300)
    assert told
    found = sums(batch)
    expected = sums(before.take())
    assert found["running_ms"] == expected["running_ms"] - 120_000  # two minutes had been told before
    opened.outbox.close()


async def test_a_disk_that_refuses_even_receipts_costs_no_memory_without_end(gateway):
    recorder = gateway.committer.recorder = Recorder({"plc.x": RecordingRule()}, most_rows=10)
    gateway.sender.replace(all_streams(gateway.outbox, values=True))
    live(gateway.pipeline, rows(), 130)
    assert await gateway.committer.commit()
    gateway.receipt(facts=1)

    def refuse(*_):
        raise CannotStore("cannot_use", path="x", error="read-only")

    receipted, gateway.outbox.receipted = gateway.outbox.receipted, refuse
    for number in range(50):
        recorder.feed([Row("plc.x", T0 + number * S, number, Quality.GOOD)])
        assert not await gateway.committer.commit()
    assert recorder.lost == 40
    gateway.outbox.receipted = receipted
    assert await gateway.committer.commit()
    assert gateway.outbox.streams()[1].marks.mark == 1, "the receipt is not forgotten"


FAULTS = [
    ValueError("nobody expected this"),
    sqlite3.OperationalError("table journal_recent has no column named envelopes"),
    sqlite3.IntegrityError("UNIQUE constraint failed"),
    MemoryError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_whatever_goes_wrong_with_a_commit_its_batch_is_kept_and_it_is_told(gateway, caplog, fault):
    live(gateway.pipeline, rows(), 300)

    def broken(*_):
        raise fault

    path = gateway.outbox.path
    commit, gateway.outbox.commit = gateway.outbox.commit, broken
    assert not await gateway.committer.commit()
    assert not await gateway.committer.commit()
    assert f"{type(fault).__name__}: {fault}" in gateway.committer.thread.trouble
    assert caplog.text.count("outbox cannot store") == 1
    assert "Traceback" in caplog.text
    await gateway.committer.thread.run(int)
    assert str(fault) in summarize(path).trouble
    gateway.outbox.commit = commit
    assert await gateway.committer.commit()
    assert gateway.committer.thread.trouble == ""
    await gateway.committer.thread.run(int)
    assert summarize(path).trouble == ""
    whole = Pipeline({"m": machine()}, {})
    live(whole, rows(), 300)
    assert [body for kind, body in gateway.contents() if kind == "facts"] == [next(bodies(whole.take()))]


async def test_a_table_that_changes_under_the_agent_costs_nothing(gateway):
    """Another program's migration, or a restored file: SQLite's own errors are the outbox's."""
    live(gateway.pipeline, rows(), 300)
    db = gateway.outbox.file.db
    db.execute("alter table settings rename to settings_away")
    assert not await gateway.committer.commit()
    assert "no such table: settings" in gateway.committer.thread.trouble
    db.execute("alter table settings_away rename to settings")
    assert await gateway.committer.commit()
    assert [kind for kind, _ in gateway.contents()] == ["facts"]
