"""`nhip declare` and `nhip recompute` as people use them, on the outbox of an agent that does not run."""

import asyncio
import json
import shutil
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from test_corrections import SECONDS, Gateway, fresh
from test_pipeline import T0

import nhip
from agent.corrections.machine_digest import changes, fingerprint, outdated
from agent.outbox import envelopes as on_disk
from agent.outbox.declarations import followed as said_so_far
from config import compile_site, load_profiles, load_site

SITE = """
site: test
timezone: UTC
name: {vi: Xưởng thử, en: Test shop}
devices:
  m:
    kind: modbus_tcp
    host: 127.0.0.1
    port: 9
    tags: {run: {coil: 0}, count: {holding: 1, type: uint32}}
machines:
  m:
    state:
      - {when: "m.run", is: running}
      - {is: unplanned_stop}
    pieces: {total: m.count}
    product: "1"
products:
  "1": {name: {vi: Ốp, en: Cover}, ideal: IDEAL}
reasons:
  die-jam: {name: {vi: Kẹt khuôn, en: Die jam}, is: breakdown}
shifts:
  - {name: A, days: daily, from: "00:00", to: "24:00"}
"""


def written(folder, ideal="1s"):
    path = folder / "site.yaml"
    path.write_text(SITE.replace("IDEAL", ideal), encoding="utf-8")
    return path, compile_site(load_site(path), load_profiles())["m"]


def iso(second):
    return datetime.fromtimestamp(T0 / 1e9 + second, UTC).isoformat()


def nhip_says(*words, code=0):
    found = CliRunner().invoke(nhip.main, [str(word) for word in words])
    assert found.exit_code == code, found.output
    return found.output


@pytest.fixture(scope="module")
def four_hours(tmp_path_factory):
    """A folder with an outbox of four hours of a machine, and its site file."""
    folder = tmp_path_factory.mktemp("four-hours")

    async def make():
        _, machine = written(folder)
        gateway = Gateway(folder / "site.outbox", machine)
        await gateway.committer.thread.keep_settings(changes({}, {"m": machine}, T0), T0)
        await gateway.go(SECONDS)
        await gateway.committer.commit(final=True)
        await gateway.close()

    asyncio.run(make())
    return folder


@pytest.fixture
def stopped(four_hours, tmp_path):
    """The site file of an agent that does not run, beside its outbox."""
    return shutil.copytree(four_hours, tmp_path, dirs_exist_ok=True) / "site.yaml"


def test_a_declaration_waits_and_a_changed_ideal_time_is_computed_with_it(stopped, tmp_path):
    said = json.loads(
        nhip_says(
            *("declare", stopped, "m", "reason", "die-jam", "--from", iso(3000), "--to", iso(4000)),
            *("--who", "Lan", "--json"),
        )
    )
    assert said["state"] == "new"
    assert "Lan" in nhip_says("declare", stopped, "--lang", "vi")
    site, machine = written(tmp_path, "800ms")
    assert "nhip recompute" not in nhip_says("outbox", tmp_path / "site.outbox", "--lang", "en")
    noticed = Gateway(tmp_path / "site.outbox", machine)
    noticed.outbox.commit([], {}, T0, changes(noticed.outbox.settings(), {"m": machine}, T0))
    noticed.outbox.close()
    assert "past of m" in nhip_says("outbox", tmp_path / "site.outbox", "--lang", "en")
    rows = json.loads(nhip_says("recompute", site, "--json"))
    assert [(row["machine"], row["state"]) for row in rows] == [("m", "done")]
    (line,) = json.loads(nhip_says("declare", stopped, "--json"))
    assert line["state"] == "done"
    declared = Gateway(tmp_path / "site.outbox", machine)
    known = declared.outbox.within(lambda db: said_so_far(db, "m"))
    settings = declared.outbox.settings()
    bodies = on_disk.waiting(declared.outbox.file)
    assert declared.told() == fresh(SECONDS, known, machine)
    assert outdated(settings) == {}
    assert len(bodies) > 1
    declared.outbox.close()


def test_what_cannot_be_said_is_said_at_once(stopped):
    assert "die-jam" in nhip_says("declare", stopped, "m", "reason", "dei-jam", "--from", "08:00", code=2)
    assert "08:10" in nhip_says("declare", stopped, "m", "reason", "die-jam", "--from", "morning", code=2)
    unknown = ("declare", stopped, "press", "reason", "die-jam", "--from", "08:00")
    assert "Không có máy press; có: m" in nhip_says(*unknown, "--lang", "vi", code=2)
    assert "reason die-jam" in nhip_says("declare", stopped, "m", "--lang", "en", code=2)


def test_the_span_that_was_understood_is_shown(stopped):
    words = ("declare", stopped, "m", "reason", "die-jam", "--from", "2026-03-02T08:10", "--to", "2026-03-02T08:45")
    line, kept = nhip_says(*words, "--lang", "en").splitlines()
    assert line.startswith("m: reason die-jam, from 2026-03-02 08:10 to 2026-03-02 08:45")
    assert "No agent is running" in kept


def test_a_count_of_a_period_that_is_not_over_is_said_to_wait(stopped):
    for number, until in (("9", "2099-01-01T14:00"), ("", "2099-01-01T14:00"), ("4", iso(2000))):
        nhip_says("declare", stopped, "m", "rejects", number, "--from", iso(1000), "--to", until)
    nhip_says("recompute", stopped, "--json")
    lines = nhip_says("declare", stopped, "--lang", "en").splitlines()
    assert len(lines) == 3
    assert sum("waits until 2099-01-01 14:00" in line for line in lines) == 1
    assert "lúc 14:00 01/01/2099" in nhip_says("declare", stopped, "--lang", "vi")


def test_a_changed_description_is_noticed(tmp_path):
    _, one = written(tmp_path)
    _, same = written(tmp_path)
    _, other = written(tmp_path, "2s")
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    first = changes({}, {"m": one}, 5)
    assert outdated(first) == {}
    assert outdated(changes(first, {"m": same}, 6)) == {}
    second = changes(first, {"m": other}, 7)
    assert outdated(second) == {"m": 7}
    assert outdated(changes(second, {"m": other}, 8)) == {"m": 7}


def test_rejects_without_times_are_those_of_the_shift_so_far(stopped, monkeypatch):
    """`nhip declare SITE m rejects 2`, as `nhip show` prints it: since the shift began, until now; said again it replaces."""
    monkeypatch.setattr("time.time_ns", lambda: T0 + 5000 * 10**9)
    begun = json.loads(nhip_says("declare", stopped, "m", "rejects", "2", "--json"))
    later = json.loads(nhip_says("declare", stopped, "m", "rejects", "3", "--json"))
    assert [begun["state"], later["state"]] == ["new", "new"]
    rows = {row["declaration"]["id"]: row["declaration"] for row in json.loads(nhip_says("declare", stopped, "--json"))}
    first = rows[begun["id"]]
    midnight_ns = T0 // (86_400 * 10**9) * 86_400 * 10**9
    assert (first["start_ns"], first["end_ns"]) == (midnight_ns, T0 + 4995 * 10**9)
    nhip_says("recompute", stopped, "--json")
    assert {row["state"] for row in json.loads(nhip_says("declare", stopped, "--json"))} == {"done"}
    monkeypatch.undo()
    withdrawn = nhip_says("declare", stopped, "m", "rejects", "--lang", "en", code=2)
    assert "--from '' is not a time" in withdrawn  # what is withdrawn has to be named


def test_more_rejects_than_pieces_are_doubted_before_they_count(stopped, monkeypatch):
    """A negative quality is asked about when it is entered, in the reader's language and with its cure."""
    monkeypatch.setattr("time.time_ns", lambda: T0 + SECONDS * 10**9)
    hour = ("declare", stopped, "m", "rejects", "90000", "--from", iso(0), "--to", iso(3600))
    told = nhip_says(*hour, "--lang", "en", code=1)
    assert "Nothing has been declared" in told
    assert "90000 would be rejects or rework" in told
    assert "--yes" in told
    assert "phế phẩm" in nhip_says(*hour, "--lang", "vi", code=1)
    assert json.loads(nhip_says(*hour, "--json", "--lang", "en", code=1))["state"] == "doubted"
    assert json.loads(nhip_says("declare", stopped, "--json")) == []
    made = int(told.split(" pieces are known")[0].split()[-1])
    assert made > 100
    exact = (*hour[:4], str(made + 1), *hour[5:])
    nhip_says(*exact, code=1)
    nhip_says(*hour[:4], str(made), *hour[5:])
    nhip_says(*exact, "--yes")
    nhip_says(*hour[:4], "", *hour[5:])
    assert len(json.loads(nhip_says("declare", stopped, "--json"))) == 3


def test_a_product_without_times_holds_from_now_on(stopped, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: T0 + 5000 * 10**9)
    nhip_says("declare", stopped, "m", "product", "1")
    (row,) = json.loads(nhip_says("declare", stopped, "--json"))
    assert (row["declaration"]["start_ns"], row["declaration"]["end_ns"]) == (T0 + 5000 * 10**9, None)
    assert "--from" in nhip_says("declare", stopped, "m", "reason", "die-jam", code=2)


def test_a_reason_where_nothing_stood_still_is_said_to_change_nothing(stopped, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: T0 + SECONDS * 10**9)
    reason = ("declare", stopped, "m", "reason", "die-jam", "--lang", "en")
    stood = nhip_says(*reason, "--from", iso(3000), "--to", iso(4000))
    assert "no stop" not in stood
    ran = nhip_says(*reason, "--from", iso(4500), "--to", iso(5000))
    assert "no stop is known in this time" in ran
    before = nhip_says(*reason, "--from", iso(-5000), "--to", iso(-4000))
    assert "no stop is known in this time" in before


async def test_a_machine_of_which_nothing_is_computed_has_nothing_to_compute_again(tmp_path):
    site, machine = written(tmp_path)
    gateway = Gateway(tmp_path / "site.outbox", machine)
    assert await gateway.committer.commit(final=True)
    await gateway.close()
    said = await asyncio.to_thread(nhip_says, "recompute", site, "--lang", "en", code=1)
    assert "nothing of this machine has been computed yet" in said
    assert "no longer exist" not in said
