"""The outbox keeps what it committed, through kills, damage and full disks."""

import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agent.commands.outbox_access import is_agent_running, outbox_transaction
from agent.commands.outbox_summary import summarize
from agent.outbox import declarations, disk
from agent.outbox import envelopes as on_disk
from agent.outbox.disk import CannotStore, DiskFull, OutboxInUse, UnknownFormat
from agent.outbox.journal.recording import record
from agent.outbox.outbox import DAY_NS, Outbox
from agent.outbox.recovery import open_outbox
from agent.outbox.streams import EnvelopeKey
from wire.envelope import decode_content, open_envelope
from wire.marks import Marks

NOW = 1_800_000_000_000_000_000
ROOT = Path(__file__).parents[2]


@pytest.fixture
def outbox(tmp_path):
    with_file = Outbox(tmp_path / "outbox.db")
    yield with_file
    with_file.close()


def bodies(*numbers, size=0):
    return [("facts", {"n": number, "pad": random.Random(number).randbytes(size).hex()}) for number in numbers]


def reopened(outbox):
    outbox.close()
    return Outbox(outbox.path)


def test_commit_numbers_without_gaps_and_reads_back(outbox):
    first = outbox.commit([*bodies(1, 2), ("site", {"name": "Vân Long"})], {"press-1": b"state"}, NOW)
    assert [(item.kind, item.key.seq) for item in first] == [("facts", 1), ("facts", 2), ("site", 1)]
    assert (
        first[0].key.stream
        == first[1].key.stream
        == on_disk.current_stream(outbox.file, "facts")
        != first[2].key.stream
    )
    assert [item.key.seq for item in outbox.commit(bodies(3), {}, NOW)] == [3]
    again = reopened(outbox)
    [(key, kind, data)] = on_disk.read(again.file, [first[2].key])
    assert (key, kind) == (first[2].key, "site")
    assert decode_content(open_envelope(data)) == {"name": "Vân Long"}
    assert again.carries() == {"press-1": b"state"}
    assert [item.key.seq for item in again.commit(bodies(4), {}, NOW)] == [4]
    again.close()


def test_nothing_of_a_failed_commit_stays(outbox):
    with pytest.raises(TypeError):
        outbox.commit([*bodies(1), ("facts", {"no": object()})], {"m": b"x"}, NOW)
    assert on_disk.waiting(outbox.file) == []
    assert outbox.carries() == {}
    assert outbox.commit(bodies(1), {}, NOW)[0].key.seq == 1


def test_receipts_free_and_a_new_generation_takes_back(outbox):
    stream = outbox.commit(bodies(1, 2, 3, 4), {}, NOW)[0].key.stream
    outbox.receipted({stream: Marks(1, ((3, 3),))}, "g1", NOW)
    assert [key.seq for _, key in on_disk.waiting(outbox.file)] == [2, 4]
    assert [key.seq for _, key in on_disk.waiting(outbox.file, limit=1)] == [2]
    again = reopened(outbox)
    [state] = again.streams()
    assert (state.first, state.last, state.marks) == (1, 4, Marks(1, ((3, 3),)))
    assert again.settings()["generation"] == "g1"
    again.receipted({stream: Marks(0)}, "g2", NOW)
    assert [key.seq for _, key in on_disk.waiting(again.file)] == [1, 2, 3, 4]
    again.close()


def test_receipted_envelopes_stay_35_days_and_others_for_ever(outbox):
    stream = outbox.commit(bodies(1, 2, 3), {}, NOW)[0].key.stream
    outbox.commit([("site", {"v": 1})], {}, NOW)
    site = outbox.commit([("site", {"v": 2})], {}, NOW)[0].key.stream
    outbox.receipted({stream: Marks(2), site: Marks(2)}, "g1", NOW)
    assert outbox.prune(NOW + 34 * DAY_NS) == (0, [])
    assert outbox.prune(NOW + 36 * DAY_NS) == (3, [])
    firsts = {item.stream: item.first for item in outbox.streams()}
    assert firsts == {stream: 3, site: 2}  # the newest site body stays
    assert [key.seq for _, key in on_disk.waiting(outbox.file)] == [3]
    assert on_disk.read(outbox.file, [EnvelopeKey(stream, 1)])[0][2] is None


def test_a_full_budget_takes_receipted_envelopes_first_and_then_says_so(tmp_path):
    outbox = Outbox(tmp_path / "outbox.db", budget_mb=1)
    stream, count = on_disk.current_stream(outbox.file, "facts"), 0
    with suppress(DiskFull):
        while count < 1000:
            outbox.commit(bodies(count, size=3000), {"m": b"%d" % count}, NOW)
            count += 1
    with pytest.raises(DiskFull, match="receipts free what is stored"):
        outbox.commit(bodies(count, size=3000), {"m": b"no"}, NOW)
    assert len(on_disk.waiting(outbox.file)) == count  # the refused one left nothing
    assert outbox.carries() == {"m": b"%d" % (count - 1)}
    outbox.receipted({stream: Marks(count - 5)}, "g1", NOW)
    assert [item.key.seq for item in outbox.commit(bodies(7, size=3000), {}, NOW)] == [count + 1]
    assert len(on_disk.waiting(outbox.file)) == 6
    for number in range(500):
        seq = outbox.commit(bodies(number, size=3000), {}, NOW)[0].key.seq
        outbox.receipted({stream: Marks(seq)}, "g1", NOW)
        outbox.prune(NOW)
    assert outbox.used_mb() < 1.1
    outbox.close()


def test_a_second_agent_is_kept_out(outbox, monkeypatch):
    monkeypatch.setattr(disk, "LOCK_WAIT_S", 0.1)
    with pytest.raises(OutboxInUse, match="--outbox"):
        Outbox(outbox.path)


def test_an_agent_that_starts_while_a_command_asks_waits_for_it(tmp_path):
    path = tmp_path / "outbox.db"
    Outbox(path).close()
    with Path(f"{path}.lock").open("a+") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not is_agent_running(path)  # another command is no agent
        threading.Timer(0.3, asking.close).start()
        outbox = Outbox(path)
    assert is_agent_running(path)
    outbox.close()
    assert not is_agent_running(path)


def test_commands_that_ask_all_the_time_keep_no_agent_out(tmp_path):
    path, stop = tmp_path / "outbox.db", threading.Event()
    Outbox(path).close()

    def ask():
        while not stop.wait(0.001):
            is_agent_running(path)
            disk.noted_trouble(path)

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            for _ in range(20):
                Outbox(path).close()
        finally:
            stop.set()
    assert [task.result() for task in asking] == [None, None]


def test_a_newer_format_is_left_alone(outbox):
    outbox.close()
    db = sqlite3.connect(outbox.path)
    db.execute("update meta set value = '2' where key = 'format'")
    db.commit()
    db.close()
    with pytest.raises(UnknownFormat, match="'2'"):
        open_outbox(outbox.path, NOW)
    assert not list(outbox.path.parent.glob("*.corrupt*"))


def altered(outbox, *statements):
    """Closes the file and changes its tables as an earlier or later version would have made them."""
    outbox.close()
    with closing(sqlite3.connect(outbox.path)) as db:
        db.executescript(";".join(statements))


def dumped(path):
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


@pytest.mark.parametrize("table", ["recent", "rows", "sent", "checkpoints"])
def test_a_journal_table_of_another_version_is_made_anew(outbox, table):
    outbox.commit(bodies(1), {"m": b"state"}, NOW)
    altered(outbox, f"alter table journal_{table} rename column data to content")
    with closing(open_outbox(outbox.path, NOW).outbox) as again:
        gather_all = lambda db, sealed: record(db, [], sealed)  # noqa: E731
        assert [item.key.seq for item in again.commit(bodies(2), {"m": b"state"}, NOW, {}, gather_all)] == [2]
        assert again.carries() == {"m": b"state"}
        assert len(on_disk.waiting(again.file)) == 2


def test_a_column_that_came_later_is_added_with_its_default(outbox):
    altered(
        outbox,
        "drop table recomputes",
        "create table recomputes (machine text primary key, from_ns integer not null, asked_ns integer not null) without rowid",
        "insert into recomputes values ('m', 5, 6)",
    )
    with outbox_transaction(outbox.path) as db:  # `nhip recompute` before the new agent's first start
        [request] = declarations.recompute_requests(db)
    assert (request.from_ns, request.state, request.base_ns) == (5, "new", None)
    with closing(open_outbox(outbox.path, NOW).outbox) as again:
        assert again.within(declarations.recompute_requests) == [request]


def test_a_column_that_a_later_version_added_is_left_alone(outbox):
    altered(outbox, "alter table envelopes add column priority integer not null default 0")
    with closing(open_outbox(outbox.path, NOW).outbox) as again:
        again.commit(bodies(1), {}, NOW)


DIFFERENT = [
    ("alter table envelopes rename column sealed_ns to sealed", "envelopes has no column sealed_ns"),
    ("drop table carry; create table carry (machine text, data blob, digest blob not null)", "carry"),
    ("drop table settings; create table settings (key text primary key, value blob not null)", "settings.value"),
]


@pytest.mark.parametrize(("change", "named"), DIFFERENT)
def test_tables_of_another_version_are_refused_with_the_cure(outbox, change, named):
    outbox.commit(bodies(1), {}, NOW)
    altered(outbox, change)
    before = dumped(outbox.path)
    with pytest.raises(UnknownFormat, match=f"{named}.*another outbox file"):
        open_outbox(outbox.path, NOW)
    assert dumped(outbox.path) == before
    assert not list(outbox.path.parent.glob("*.corrupt*"))


@pytest.mark.parametrize("sql", ["update meta set value = '2' where key = 'format'", "drop table meta"])
def test_commands_leave_it_alone_too(outbox, sql):
    outbox.close()
    db = sqlite3.connect(outbox.path)
    db.execute(sql)
    db.commit()
    db.close()
    with pytest.raises(UnknownFormat, match="install the version"):
        summarize(outbox.path)
    with pytest.raises(UnknownFormat, match="install the version"), outbox_transaction(outbox.path):
        pass


def test_a_folder_that_refuses_is_the_disks_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStore, match="check the folder"):
        Outbox(tmp_path / "file" / "outbox.db")


def test_begin_again_retires_streams_and_carry(outbox):
    stream = outbox.commit([*bodies(1, 2), ("site", {})], {"m": b"x"}, NOW, {"site_sent": "d"})[0].key.stream
    outbox.retire_streams()
    assert outbox.streams() == []
    assert on_disk.waiting(outbox.file) == []
    assert outbox.carries() == {}
    assert outbox.settings() == {}
    assert on_disk.current_stream(outbox.file, "facts") != stream


CHILD = """
import sys, os
from pathlib import Path
from agent.commands.outbox_access import outbox_transaction
from agent.outbox import declarations
from agent.outbox import envelopes as on_disk
from agent.outbox.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    number += 1
    sealed = outbox.commit([("facts", {"n": number, "part": part}) for part in range(3)], {"m": b"%d" % number}, number)
    os.write(1, b"%d %d\\n" % (number, sealed[-1].key.seq))
"""


def test_kill_9_loses_nothing_that_was_committed(tmp_path):
    path, told = tmp_path / "outbox.db", 0
    for round_number in range(6):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(told)], cwd=ROOT, stdout=subprocess.PIPE)
        lines = [child.stdout.readline() for _ in range(3 + 17 * round_number)]
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        lines += [line + b"\n" for line in rest.split(b"\n")[:-1]]
        number, seq = map(int, lines[-1].split())
        opened = open_outbox(path, NOW)
        assert opened.message == ""
        stored = int(opened.outbox.carries()["m"])
        assert stored in (number, number + 1)  # the last commit may not have been told
        seqs = [key.seq for _, key in on_disk.waiting(opened.outbox.file, limit=100_000)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) == 3 * stored >= seq
        for key, _, data in on_disk.read(
            opened.outbox.file,
            [EnvelopeKey(on_disk.current_stream(opened.outbox.file, "facts"), seq) for seq in seqs[-6:]],
        ):
            assert decode_content(open_envelope(data)) == {"n": (key.seq + 2) // 3, "part": (key.seq - 1) % 3}
        told = stored
        opened.outbox.close()


def damaged(path, where):
    data = bytearray(path.read_bytes())
    if where == "header":
        data[:100] = b"\xff" * 100
    elif where == "truncated":
        del data[len(data) // 2 :]
    elif where == "text":
        data = bytearray(b"not a database at all, but long enough to be looked at " * 40)
    elif where == "pages":
        half = len(data) * 2 // 3 // 4096 * 4096
        data[half : half + 3 * 4096] = random.Random(1).randbytes(3 * 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("where", ["header", "text", "truncated", "pages"])
def test_a_damaged_file_is_set_aside_and_its_sound_envelopes_are_kept(tmp_path, where):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    stream = on_disk.current_stream(outbox.file, "facts")
    for number in range(60):
        outbox.commit(bodies(number, size=1000), {"m": b"state"}, NOW)
    outbox.receipted({stream: Marks(2)}, "g1", NOW)
    outbox.close()
    damaged(path, where)
    broken = path.read_bytes()
    opened = open_outbox(path, NOW)
    aside = tmp_path / "outbox.db.corrupt-20270115T080000Z"
    assert aside.name in opened.message
    assert len(aside.read_bytes()) == len(broken)  # kept, not cleaned away
    assert opened.outbox.carries() == {}
    assert on_disk.current_stream(opened.outbox.file, "facts") != stream
    waiting = [key for _, key in on_disk.waiting(opened.outbox.file)]
    assert all(data is not None for _, _, data in on_disk.read(opened.outbox.file, waiting))
    if where == "pages":
        assert opened.saved > 20
        assert {key.stream for key in waiting} == {stream}
        assert min(key.seq for key in waiting) == 3  # what was receipted stays receipted
    if where in ("header", "text"):
        assert opened.saved == 0
    new = opened.outbox.commit(bodies(1), {}, NOW)[0].key
    assert new.stream != stream
    assert new.seq == 1
    opened.outbox.close()
    assert open_outbox(path, NOW).message == ""


ON_A_SMALL_DISK = """
import random, sys
from pathlib import Path
from agent.outbox.disk import DiskFull
from agent.commands.outbox_access import outbox_transaction
from agent.outbox import declarations
from agent.outbox import envelopes as on_disk
from agent.outbox.outbox import Outbox
from wire.marks import Marks
outbox = Outbox(Path(sys.argv[1]) / "outbox.db")
stream, last = on_disk.current_stream(outbox.file, "facts"), 0
commit = lambda: outbox.commit([("facts", {"p": random.randbytes(20_000).hex()})], {"m": b"%d" % last}, 1)[0].key.seq
refused = 0
while refused < 3:
    try:
        last = commit()
    except DiskFull:
        refused += 1
assert len(on_disk.waiting(outbox.file)) == last > 100, last
for _ in range(3):  # a disk that stays full: receipts alone must keep it going
    outbox.receipted({stream: Marks(last)}, "g1", 1)
    for _ in range(50):
        last = commit()
outbox.close()
"""


def test_receipts_end_a_full_disk(tmp_path):
    command = 'mount -t tmpfs -o size=24m none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    words = ["unshare", "-m", "sh", "-c", command, "sh", str(tmp_path), sys.executable, ON_A_SMALL_DISK]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode in (1, 77) and "Traceback" not in done.stderr:
        pytest.skip("a small disk of one's own needs the right to mount")
    assert done.returncode == 0, done.stderr


def test_why_nothing_is_stored_is_told_in_the_reader_s_language(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    error = disk.DiskFull("nothing_to_delete", path=path)
    outbox.file.note_trouble(error.note())
    assert disk.noted_trouble(path) == str(error)
    assert disk.noted_trouble(path, "vi") == error.text("vi") != str(error)
    outbox.file.note_trouble("ValueError: x; a fault of the program")
    assert disk.noted_trouble(path, "vi") == "ValueError: x; a fault of the program"
    outbox.file.note_trouble(disk.DiskFull("nothing_to_delete", path="/far" * 60).note())
    assert disk.noted_trouble(path, "vi").startswith("no room for /far/far"), "too long to be noted whole"
    outbox.close()
    assert disk.noted_trouble(path) == ""
