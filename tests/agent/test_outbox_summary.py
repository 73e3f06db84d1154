"""`nhip outbox`: what waits, while the agent goes on; and the file that travels in place of a line."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from agent.commands.outbox import outbox as command
from agent.commands.outbox_summary import summarize, waiting_envelopes
from agent.outbox import envelopes as on_disk
from agent.outbox.dividing import divide
from agent.outbox.outbox import Outbox
from agent.store.site import AUTHOR
from oee.engine import step as engine
from oee.model.facts import MINUTE_NS
from wire.envelope import open_envelope
from wire.marks import Marks
from wire.offline_transfer import (
    DamagedLine,
    NotTransferFile,
    TransferEnd,
    TransferHead,
    TransferItem,
    pack,
    read_head,
    unpack,
)
from words import say

T = 1_772_427_600_000_000_000
S = 1_000_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "site.outbox"


@pytest.fixture
def box(path):
    made = Outbox(path)
    made.commit([("site", {"a": 1})], {}, T, {AUTHOR: "van-long/main"})
    for number in range(1, 6):
        made.commit([("facts", {"n": number, "more": "x" * 300})], {}, T + number * S)
    yield made
    made.close()


def seqs(path):
    return [(item.kind, open_envelope(item.data).seq) for item in waiting_envelopes(path)]


def test_what_waits_since_when_and_how_much(box, path):
    box.receipted(
        {
            on_disk.current_stream(box.file, "facts"): Marks(2, ((4, 4),)),
            on_disk.current_stream(box.file, "site"): Marks(1),
        },
        "g1",
        T,
    )
    found = summarize(path)
    assert (found.author, found.generation, found.waiting) == ("van-long/main", "g1", 2)
    site, facts = found.streams
    assert (site.kind, site.waiting, site.oldest_ns) == ("site", 0, None)
    assert (facts.written, facts.mark, facts.kept, facts.waiting, facts.lost) == (5, 2, 5, 2, 0)
    assert (facts.oldest_ns, facts.newest_ns) == (T + 3 * S, T + 5 * S)
    assert facts.waiting_bytes == sum(len(item.data) for item in waiting_envelopes(path)) > 100
    assert seqs(path) == [("facts", 3), ("facts", 5)]
    assert on_disk.oldest_waiting_ns(box.file) == T + 3 * S


def test_nothing_waits(box, path):
    box.receipted(
        {on_disk.current_stream(box.file, "facts"): Marks(5), on_disk.current_stream(box.file, "site"): Marks(1)},
        "g1",
        T,
    )
    assert summarize(path).waiting == 0
    assert seqs(path) == []
    assert on_disk.oldest_waiting_ns(box.file) is None


def test_a_retired_stream_is_shown_and_not_exported(box, path):
    box.retire_streams()
    assert [item.condition for item in summarize(path).streams] == ["retired", "retired"]
    assert summarize(path).waiting == 0
    assert seqs(path) == []


def test_the_file_is_read_while_its_owner_writes(box, path):
    items = waiting_envelopes(path)
    next(items)
    box.commit([("facts", {"n": 6})], {}, T + 6 * S)
    assert len(list(items)) == 5  # as of its beginning
    assert len(seqs(path)) == 7


def run(*arguments):
    return CliRunner().invoke(command, [str(item) for item in arguments])


def test_the_command_says_it_in_both_languages(box, path):
    assert "6 envelopes" in run(path, "--lang", "en").output
    assert "Chờ trung tâm xác nhận: 6 gói" in run(path, "--lang", "vi").output
    told = json.loads(run(path, "--json").output)
    assert (told["waiting"], told["author"], len(told["streams"])) == (6, "van-long/main", 2)


def test_export_and_read_again(box, path, tmp_path):
    stick = tmp_path / "stick.nhip"
    assert run(path, "--export", stick).exit_code == 0
    first, *rest = stick.read_bytes().splitlines(keepends=True)
    assert "nhip import" in json.loads(first)["about"]
    assert read_head(first).site == "van-long"
    *items, end = unpack(first, rest)
    assert end == TransferEnd(6, complete=True)
    assert items == list(waiting_envelopes(path))
    assert not list(tmp_path.glob("*.part"))


def test_without_an_author_somebody_must_say_it(path, tmp_path):
    Outbox(path).close()
    found = run(path, "--export", tmp_path / "stick", "--lang", "en")
    assert found.exit_code == 2
    assert "--as SITE/GATEWAY" in found.output
    assert run(path, "--export", tmp_path / "stick", "--as", "Van Long").exit_code == 2
    assert run(path, "--export", tmp_path / "stick", "--as", "van-long/main").exit_code == 0
    assert run(path, "--export", tmp_path / "no" / "folder", "--as", "a/b").exit_code == 2


def test_other_files_are_refused_with_a_sentence(tmp_path):
    assert "there is no outbox" in run(tmp_path / "none").output
    other = tmp_path / "other"
    other.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    assert run(other).exit_code == 2
    assert "is damaged" in run(other).output


ITEMS = [TransferItem("facts", b"one"), TransferItem("site", b"\x00\xff"), TransferItem("values", b"")]
HEAD = TransferHead("van-long", "main", "2026-03-02T12:00:00+07:00")


def test_what_is_packed_is_unpacked():
    first, *rest = pack(HEAD, ITEMS)
    assert read_head(first) == HEAD
    assert list(unpack(first, rest)) == [*ITEMS, TransferEnd(3, complete=True)]


@pytest.mark.parametrize("change", ["missing", "doubled", "changed", "swapped"])
def test_the_end_knows_that_a_line_is_not_what_it_was(change):
    first, *rest = pack(HEAD, ITEMS)
    lines = {
        "missing": rest[1:],
        "doubled": [rest[0], *rest],
        "changed": [rest[0].replace(b"facts", b"values"), *rest[1:]],
        "swapped": [rest[1], rest[0], *rest[2:]],
    }[change]
    (end,) = [item for item in unpack(first, lines) if isinstance(item, TransferEnd)]
    assert not end.complete


def test_damaged_lines_cost_themselves_alone():
    first, *rest = pack(HEAD, ITEMS)
    rest[1] = rest[1][:10]
    found = list(unpack(first, [*rest[:-1], b'["facts"]\n', b'{"kind":"facts","data":"*"}\n']))
    assert found[0] == ITEMS[0]
    assert [item.number for item in found if isinstance(item, DamagedLine)] == [3, 5, 6]
    assert not any(isinstance(item, TransferEnd) for item in found)  # cut off


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"text",
        b"{}",
        b"[]",
        b'{"format":"nhip-envelopes","version":9}',
        b'{"format":"nhip-envelopes","version":1}',
    ],
)
def test_what_is_no_parcel(line):
    with pytest.raises(NotTransferFile):
        read_head(line)


def test_without_a_center_nobody_has_everything(path):
    empty = Outbox(path)
    for lang, said in (("vi", "chưa trung tâm nào"), ("en", "no center has ever")):
        assert said in run(path, "--lang", lang).output
    empty.commit([("facts", {"n": 1})], {}, T)
    for lang, said in (("vi", "Chưa trung tâm nào"), ("en", "No center has ever")):
        assert said in run(path, "--lang", lang).output
    empty.receipted({on_disk.current_stream(empty.file, "facts"): Marks(1)}, "g1", T)
    assert "The center has everything" in run(path, "--lang", "en").output
    empty.close()


def test_what_is_not_closed_yet_is_said_by_machine(box, path):
    """Nothing waits, and still the last minutes are not at the center."""
    start = engine.start()
    states = {"press": 10 * MINUTE_NS + 59 * S, "saw": 7 * MINUTE_NS + S, "new": 0}
    carries = {name: engine.dump(replace(start, until_ns=at_ns)) for name, at_ns in states.items()}
    box.commit([], carries | {"damaged": b"no state"}, T)
    assert summarize(path).closed_ns == {"press": 10 * MINUTE_NS, "saw": 7 * MINUTE_NS}
    for lang, said in (("en", "saw: closed up to"), ("vi", "saw: mới chốt đến")):
        shown = CliRunner().invoke(command, [str(path), "--lang", lang]).output
        assert said in shown
        assert "press:" not in shown
    told = json.loads(CliRunner().invoke(command, [str(path), "--json"]).output)
    assert told["closed_ns"] == {"press": 10 * MINUTE_NS, "saw": 7 * MINUTE_NS}
    assert "link" not in told


def test_what_is_wrong_with_the_running_agents_link(box, path):
    box.file.note_link(json.dumps([{"code": "two_boxes", "values": {"count": "2"}}]))
    assert say("link.two_boxes", "vi", count="2") in CliRunner().invoke(command, [str(path), "--lang", "vi"]).output
    (told,) = json.loads(CliRunner().invoke(command, [str(path), "--json"]).output)["link"]
    assert told == {"code": "two_boxes", "values": {"count": "2"}}
    box.file.note_link("[" + "x" * 10_000)
    assert summarize(path).link == ()
    box.file.note_link(json.dumps([{"code": "two_boxes", "values": {"count": "2"}}]))
    box.close()
    assert summarize(path).link == (), "no agent runs"


SITE = """
site: van-long
timezone: Asia/Ho_Chi_Minh
devices: {plc: {kind: modbus_tcp, host: 127.0.0.1, tags: {run: {coil: 0}}}}
machines: {m: {state: [{when: plc.run, is: running}, {is: unplanned_stop}], product: "1"}}
products: {"1": {ideal: 1s}}
shifts: [{name: A, from: "06:00", to: "14:00"}]
"""


def outbox_says(*words):
    found = CliRunner().invoke(command, [str(word) for word in words])
    assert found.exit_code == 0, found.output
    return found.output


def test_a_site_without_a_center_waits_for_none(box, path):
    site = path.with_suffix(".yaml")
    site.write_text(SITE, encoding="utf-8")
    for named in (site, path):
        said = outbox_says(named, "--lang", "vi")
        assert "không có mục center, nên không gửi đi đâu: 6 gói" in said
        assert "Chờ trung tâm" not in said
        assert "đã nhận đủ" not in said
    site.write_text(SITE + 'center: {broker: "mqtts://a.example:8883"}\n', encoding="utf-8")
    assert "Without the center's receipt: 6 envelopes" in outbox_says(site, "--lang", "en")


def test_times_are_those_of_the_site(box, path):
    hanoi, utc = "2026-03-02 12:00", "2026-03-02 05:00"
    box.commit([("site", {"timezone": "Asia/Ho_Chi_Minh"})], {}, T + 9 * S)
    assert f"the oldest of {hanoi}" in outbox_says(path, "--lang", "en")
    path.with_suffix(".yaml").write_text(SITE.replace("Asia/Ho_Chi_Minh", "UTC"), encoding="utf-8")
    assert f"since {utc}" in outbox_says(path, "--lang", "en")


def test_what_was_divided_is_not_lost(box, path):
    """Its rows wait in smaller envelopes, until the center has these."""
    (sealed,) = box.commit([("facts", {"stops": [_stop(number) for number in range(60)]})], {}, T)
    parts = box.within(lambda db: divide(db, sealed.key, 300, T))
    assert len(parts) > 3
    facts = summarize(path).streams[1]
    assert (facts.lost, facts.waiting) == (0, 5 + len(parts))
    box.receipted({facts.stream: Marks(5, ((7, parts[-1].key.seq),))}, "g1", T)
    assert summarize(path).streams[1].lost == 1, "the center has not settled it, though it has what says so"


def _stop(number):
    return {"machine": "press", "id": str(number * 7919), "start_ns": number * MINUTE_NS, "state": "breakdown"}
