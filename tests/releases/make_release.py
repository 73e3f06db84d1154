"""Writes down what a release leaves on disk, as `tests/releases/<name>.tar.xz`, for the tests of all later ones.

    git worktree add /tmp/release <commit>
    .venv/bin/python tests/releases/make_release.py 2026-11-25 --code /tmp/release

What is in it, see `write_files`. Run once for each release, by hand.
"""

import argparse
import io
import json
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from release_plant import ROOT, Machine, Plant, measured, numbers, values, write_recording  # noqa: E402  # its folder first

DELIVERED, WAITING, ALL = 10, 16, 24  # files of the recording
KEPT = ("*.outbox", "*.outbox.*", "nhip.*", "stick.nhip", "recording/*", "*.json")
LEFT_OUT = (".lock", ".reserve")


def write_files(folder, code=ROOT):
    """Lets the programs of the checkout `code` write into the empty `folder`:

    recorded.outbox        a gateway fed with a recording: envelopes of which some are receipted and some wait, engine
                           states, journal with checkpoints, declarations that are done and one that waits
    live.outbox, .clock    a gateway that polled a PLC: the same, and process values
    dark.outbox, .held     a gateway that nobody has told the time yet: its rows wait undated
    nhip.duckdb            the center's facts, losses, stops, values, sums, quarantine and ledger
    nhip.accounts.sqlite   its users, tokens, sessions, audit trail and declarations
    stick.nhip             what waited in recorded.outbox, exported
    recording/             the recording, of which the gateway has seen `WAITING` files
    written.json           secrets, the time, and what API and commands said of all this in the end
    continued.json         the same after these programs went on with a copy of it (`go_on`)
    """
    write_recording(folder / "recording")
    with Machine() as machine, Plant(folder, code, plc_port=machine.port) as plant:
        told = _people(plant)
        plant.start_broker()
        plant.start_center()
        plant.wait_center()
        plant.start_recorded(DELIVERED)
        plant.start_live("live")
        _say(plant)
        plant.delivered("recorded")
        plant.until(lambda: plant.ask("values?site=live")["series"], "process values")
        assert plant.log_in("lan", told["password"])
        assert not plant.log_in("lan", "not the password")
        plant.publish("nhip/v1/recorded/main/facts", b"no envelope")
        plant.until(lambda: plant.ask("quarantine")["count"] == 1, "the quarantine")
        plant.stop("recorded")
        plant.kill("broker")
        plant.start_recorded(WAITING)
        plant.start_live("dark")
        _line(plant, "press", "rejects", "3", "2026-03-02T14:20", "2026-03-02T14:30")
        plant.until(lambda: _size(folder / "dark.outbox.held") > 1000, "undated rows on disk")
        plant.until(lambda: plant.outbox("live")["waiting"] > 2, "facts that wait")
        for name in ("dark", "live", "recorded"):
            plant.stop(name)
        _line(plant, "sew", "planned_stop", "", "2026-03-02T13:05", "2026-03-02T13:10", done=False)
        plant.nhip("outbox", folder / "recorded.outbox", "--export", folder / "stick.nhip")
        told |= {"at_ns": plant.now_ns, "mono_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME)}
        plant.stop("center")
    with (
        tempfile.TemporaryDirectory() as temporary,
        Plant(copied(folder, Path(temporary)), code, told["at_ns"]) as plant,
    ):
        plant.secret = told["token"]
        _write(folder / "written.json", told | look(plant, told["at_ns"]))
        go_on(plant)
        _write(folder / "continued.json", found(plant, told["at_ns"]))


def look(plant, at_ns):
    """Opens the center without a broker and the outboxes without their agents: what the files themselves hold."""
    plant.start_center()
    return found(plant, at_ns) | {"outboxes": {name: _outbox(plant, name) for name in ("recorded", "live", "dark")}}


def found(plant, at_ns):
    """What API and commands say of the center."""
    return {
        "numbers": numbers(plant),
        "measured": {site: measured(plant, site) for site in ("live", "dark")},
        "values": values(plant, at_ns),
        "others": _others(plant),
    }


def go_on(plant):
    """Delivers what waits, feeds the rest of the recording, and corrects what the release before had computed."""
    plant.start_broker()
    plant.wait_center()
    plant.start_recorded(ALL)
    for name in ("live", "dark"):
        plant.start_live(name)
        plant.until(lambda name=name: _size(plant.folder / f"{name}.outbox.held") == 0, f"the time of {name}")
        plant.delivered(name)
    plant.delivered("recorded")
    _line(plant, "press", "reason", "no-blanks", "2026-03-02T12:05", "2026-03-02T12:25")
    _line(plant, "press", "rejects", "7", "2026-03-02T13:30", "2026-03-02T13:40")
    plant.stop("recorded")
    plant.nhip("recompute", plant.folder / "recorded.yaml", "--json")
    plant.start_recorded(ALL)
    for name in ("live", "dark"):  # a minute's facts are sent when it is over
        plant.until(lambda name=name: measured(plant, name)[0] > 0, f"facts of {name}")
    for name in ("recorded", "live", "dark"):
        plant.delivered(name)
        plant.stop(name)


def _others(plant):
    """Beside numbers: who may do what, what people said, and what became of the envelopes."""
    names = ("stream", "kind", "mark", "stored", "quarantined", "conflicts", "holes")
    delivery = [{name: row[name] for name in names} for row in plant.ask("delivery")["rows"]]
    center = plant.center_file
    return {
        "declarations": plant.ask("declarations"),
        "quarantine": plant.ask("quarantine"),
        "delivery": sorted(delivery, key=lambda row: row["stream"]),
        "users": [{**row, "seen": None} for row in json.loads(plant.nhip("user", "list", center, "--json"))],
        "tokens": [{**row, "used": None} for row in json.loads(plant.nhip("token", "list", center, "--json"))],
        "audit": json.loads(plant.nhip("audit", center, "--json")),
    }


def _outbox(plant, name):
    """What commands say of an outbox at rest."""
    return {
        "waiting": plant.outbox(name),
        "declared": json.loads(plant.nhip("declare", plant.folder / f"{name}.yaml", "--json")),
    }


def _people(plant):
    center = plant.center_file
    told = {"password": plant.new_secret("user", "add", center, "lan", "--role", "admin", "--generate")}
    plant.nhip("user", "add", center, "hung", "--role", "factory", "--site", "recorded", "--generate")
    plant.nhip("user", "disable", center, "hung")
    told["token"] = plant.secret = plant.new_secret("token", "add", center, "all", "--all-sites", "--scope", "write")
    return told


def _say(plant):
    _line(plant, "press", "reason", "no-air", "2026-03-02T12:30", "2026-03-02T12:50")
    _line(plant, "sew", "order", "A-17", "2026-03-02T12:40", "2026-03-02T13:20")
    center = plant.say(
        site="recorded",
        machine="press",
        field="changeover",
        value="1",
        **{"from": "2026-03-02T13:00:00+07:00", "to": "2026-03-02T13:10:00+07:00"},
    )
    plant.settled(center)


def _line(plant, machine, field, value, since, until, *, done=True):
    said = plant.nhip(
        "declare", plant.folder / "recorded.yaml", machine, field, value, "--from", since, "--to", until,
        "--who", "Lan", "--json",
    )  # fmt: skip
    assert json.loads(said)["state"] == ("done" if done else "new"), said


def copied(folder, target):
    """The files that a release leaves, in another folder."""
    for pattern in KEPT:
        for path in folder.glob(pattern):
            if path.suffix not in LEFT_OUT and not path.name.endswith("-shm"):
                (target / path.relative_to(folder)).parent.mkdir(exist_ok=True)
                shutil.copy(path, target / path.relative_to(folder))
    return target


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _write(path, told):
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")


def pack(folder, target):
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(target, "w:xz", preset=9) as tar:
        for path in sorted(copied(folder, Path(temporary)).rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                entry = tarfile.TarInfo(str(path.relative_to(temporary)))
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("name", help="of the release, as 2026-11-25")
    asked.add_argument("--code", type=Path, default=ROOT, help="its checkout")
    asked.add_argument("--keep", type=Path, help="leave the files there too")
    told = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        write_files(folder, told.code.resolve())
        pack(folder, HERE / f"{told.name}.tar.xz")


if __name__ == "__main__":
    main()
