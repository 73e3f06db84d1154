"""What earlier releases wrote is opened and continued by the programs of today, and says the same.

Beside this file lies an archive for each release (`make_release.py` says what is in it, and what that release made of
it when it went on). Today's programs must read the same from the files, go on with them to the same numbers, and write
files with which they can go on themselves.
"""

import json
import struct
import tarfile
import time
import zlib
from pathlib import Path

import pytest
from make_release import found, go_on, look, write_files
from release_plant import Plant

HERE = Path(__file__).parent
RELEASES = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("*.tar.xz"))
FRAME = struct.Struct("<II")  # of the file of undated rows: length, CRC-32

pytestmark = pytest.mark.timeout(600)


class Release:
    """The files of a release in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.written = json.loads((folder / "written.json").read_text(encoding="utf-8"))
        self.continued = json.loads((folder / "continued.json").read_text(encoding="utf-8"))

    def plant(self):
        plant = Plant(self.folder, at_ns=self.written["at_ns"])
        plant.secret = self.written["token"]
        return plant


@pytest.fixture(params=RELEASES)
def release(request, tmp_path):
    with tarfile.open(HERE / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Release(tmp_path)


def move_to_this_boot(path, written):
    """Rewrites a file of undated rows as if this machine had written it: its boot, and its monotonic clock.

    Frames of length, CRC-32 and packed JSON; a head {"format", "boot"}, then blocks {"until", "rows": {tag: [times,
    values, qualities]}} in monotonic time.
    """
    moved_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - written["mono_ns"]
    data, frames = path.read_bytes(), []
    while data:
        length, _ = FRAME.unpack_from(data)
        frames.append(json.loads(zlib.decompress(data[FRAME.size : FRAME.size + length])))
        data = data[FRAME.size + length :]
    head, *blocks = frames
    head["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for block in blocks:
        block["until"] += moved_ns
        for columns in block["rows"].values():
            columns[0] = [t_ns + moved_ns for t_ns in columns[0]]
    packed = [zlib.compress(json.dumps(frame).encode()) for frame in frames]
    path.write_bytes(b"".join(FRAME.pack(len(item), zlib.crc32(item)) + item for item in packed))


def test_a_release_s_files_are_read_and_continued(release):
    """Nothing is lost and nothing doubled: the numbers are those to which the release itself came."""
    written, site = release.written, release.folder / "recorded.yaml"
    move_to_this_boot(release.folder / "dark.outbox.held", written)
    with release.plant() as plant:
        now = look(plant, written["at_ns"])
        then = {name: written[name] for name in now}
        assert _known(now, then) == then
        go_on(plant)
        _same(found(plant, written["at_ns"]), release.continued)
        declared = json.loads(plant.nhip("declare", site, "--json"))
        assert plant.log_in("lan", written["password"])
        assert not plant.log_in("lan", "not the password")
        trail = json.loads(plant.nhip("audit", plant.center_file, "--json"))
    assert trail["count"] == written["others"]["audit"]["count"] + 2  # a login, and one that failed
    before = {row["declaration"]["id"]: row for row in written["outboxes"]["recorded"]["declared"]}
    assert {row["state"] for row in before.values()} == {"done", "new"}
    assert len(declared) == len(before) + 2
    assert {row["state"] for row in declared} == {"done"}
    for row in declared:
        assert row["declaration"] == before.get(row["declaration"]["id"], row)["declaration"]


def _known(now, then):
    """What is told now without fields that the release did not have."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {name: _known(value, then[name]) for name, value in now.items() if name in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [_known(*pair) for pair in zip(now, then)]
    return now


STANDING = ("minor_stop", "unplanned_stop", "breakdown")
OF_STOPS = ("stops", "stops_ms", "failures", "failures_ms", "mttr_s", "mtbf_s", "mttf_s", "mean_stop_s")


def _counted_alike(numbers):
    """Without what was read otherwise in a release (docs/design/0002-the-core.md): pieces of losses, where those at a stop's
    very edge counted as its own until 2026-11-30, and what stands unexplained beside a fault, which was a stop of its own
    until then. All other columns of facts are compared whole, and of the time in which a machine stood the sum.
    """
    alike = {"losses": _lost_alike, "trend": _trend_alike, "compare": _trend_alike, "stops": _stops_alike}
    kinds = {question: question.partition("?")[0] for question in numbers}
    return {
        question: {**answer, "rows": alike[kinds[question]](answer["rows"])} if kinds[question] in alike else answer
        for question, answer in numbers.items()
    }


def _lost_alike(rows):
    lost = {}
    for row in rows:
        kind = "standing" if row["state"] in STANDING else (row["state"], row["reason"])
        key = (row["machine"], row["shift"], row["product"], kind)
        lost[key] = lost.get(key, 0) + row["ms"]
    return lost


def _trend_alike(rows):
    def whole(columns):
        kept = {name: value for name, value in columns.items() if name not in OF_STOPS}
        return kept | {"standing_ms": sum(kept.pop(f"{state}_ms", 0) for state in STANDING)}

    return [{**row, "sums": whole(row["sums"]), "kpis": whole(row["kpis"])} for row in rows]


def _stops_alike(rows):
    """Stops in order of time, those of one standstill as one."""
    out = []
    for row in sorted(rows, key=lambda row: (row["machine"], row["start"])):
        standing = row["state"] in STANDING
        before = out[-1] if out else None
        if (
            standing
            and before
            and (before["machine"], before["end"], before["standing"]) == (row["machine"], row["start"], True)
        ):
            out[-1] = {**before, "end": row["end"]}
        else:
            span = {name: row[name] for name in ("machine", "start", "end")} | {"standing": standing}
            out.append(span if standing else {**row, **span})
    return out


def _numbers_alike(now, then):
    was = _counted_alike(then)
    assert _known(_counted_alike(now), was) == was


def _same(now, then, *, trail=0):
    """trail: how many entries it has more, the latest."""
    _numbers_alike(now["numbers"], then["numbers"])
    now = _known(now, then)
    assert now["measured"]["live"] == then["measured"]["live"]
    pieces, running_s = now["measured"]["dark"]
    assert pieces == then["measured"]["dark"][0] > 0
    assert running_s == pytest.approx(then["measured"]["dark"][1], abs=1)  # when it learned the time, to a moment
    assert now["values"] == then["values"]
    audit = now["others"]["audit"]
    now["others"]["audit"] = audit | {"rows": audit["rows"][trail:], "count": audit["count"] - trail}
    kept = ("declarations", "quarantine", "users", "tokens", "audit")
    assert {name: now["others"][name] for name in kept} == {name: then["others"][name] for name in kept}
    assert all(row["conflicts"] == 0 and row["holes"] == [] for row in now["others"]["delivery"])


def test_a_stick_of_a_release_is_taken_once(release):
    """Then the gateway itself comes with the same envelopes."""
    written = release.written
    with release.plant() as plant:
        stick, waiting = release.folder / "stick.nhip", written["outboxes"]["recorded"]["waiting"]["waiting"]
        for skipped in (0, waiting):
            taken = json.loads(plant.nhip("import", stick, "--center", plant.center_file, "--json"))
            assert (taken["envelopes"], taken["skipped"], taken["damaged"]) == (waiting, skipped, [])
        move_to_this_boot(release.folder / "dark.outbox.held", written)
        plant.start_center()
        go_on(plant)
        _same(found(plant, written["at_ns"]), release.continued, trail=1)  # what was brought by hand


def test_today_s_files_are_continued(tmp_path):
    """Today's programs write such files themselves, go on with them, and come to the numbers of every release."""
    write_files(tmp_path)
    today = Release(tmp_path)
    assert today.written["others"]["quarantine"]["count"] == 1
    assert today.continued["measured"]["live"][0] > 0
    assert today.continued["measured"]["dark"][0] > 0
    for name in RELEASES:
        with tarfile.open(HERE / f"{name}.tar.xz") as archive:
            then = json.load(archive.extractfile("continued.json"))
        _numbers_alike(today.continued["numbers"], then["numbers"])
