"""What people say late, at the center and at the gateway, and a site file that describes the past otherwise: afterwards
the center holds, key by key, what a computation gives that knew it all from the start. With real processes, and killed
in the middle.
"""

import json
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fault_books import read
from fault_history import FILES, FIRST_NS, SECONDS, S
from fault_stage import ROOT, Stage, ask, environment, eventually
from servers import PATIENCE_S

from agent.feed.history_files import day_path, read_day
from agent.outbox import declarations as declared
from center.contract.store import Origin, RowBatch
from center.stores.duckdb.store import open_store
from config import compile_site, load_profiles, load_site
from oee.engine import step as engine
from oee.model.facts import MINUTE_NS
from oee.model.samples import concat

TEN_YEARS_NS = 10 * 366 * 86_400 * S
MINUTE_S = 60
JSON = {"Content-Type": "application/json"}


def iso(seconds):
    return datetime.fromtimestamp(FIRST_NS / S + seconds, UTC).isoformat()


def declare(stage, field, value, start, end, machine="press", **more):
    body = {
        "site": "test",
        "machine": machine,
        "field": field,
        "value": value,
        "from": iso(start),
        "to": iso(end),
    } | more
    found = ask(
        f"http://127.0.0.1:{stage.http_port}/api/v1/declarations",
        json.dumps(body).encode(),
        JSON,
    )
    assert found and found["state"] == "sent", found
    return found["id"]


def outcomes(stage):
    rows = (stage.api("declarations?site=test") or {"rows": []})["rows"]
    return {row["id"]: (row["state"], row["why"]) for row in rows}


def wait_echoes(stage):
    """Until the center knows what became of everything; what it knows."""
    eventually(
        lambda: (found := outcomes(stage)) and all(state != "sent" for state, _ in found.values()), what="the echoes"
    )
    return outcomes(stage)


def nhip(stage, *words):
    command = [sys.executable, "-m", "nhip", *map(str, words), "--outbox", str(stage.outbox)]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kept(stage, look):
    with closing(sqlite3.connect(f"file:{stage.outbox}?mode=ro", uri=True)) as db:
        return look(db)


def fresh(folder, site, said):
    """The books of a computation that knows everything from the start."""
    store = open_store({"file": str(folder / "fresh.duckdb")})
    days = [read_day(day_path(folder / "files", number)) for number in range(FILES)]
    samples = {tag: concat([day.samples[tag] for day in days]) for tag in days[0].samples}
    until_ns = days[-1].until_ns
    try:
        for number, (name, machine) in enumerate(compile_site(load_site(site), load_profiles()).items()):
            mine = {tag: rows for tag, rows in samples.items() if tag in machine.tags()}
            step = engine.step(
                machine, engine.start(), mine, said.get(name, ()), until_ns, until_ns // MINUTE_NS * MINUTE_NS
            )
            origin = Origin("test", "main", f"{number:016x}")
            store.write([RowBatch(origin, 1, step.facts, step.losses, step.stops.rows())])
        return read(store)
    finally:
        store.close()


def standing(stops):
    return sorted(
        (replace(stop, revision=0) for stop in stops if stop.end_ns != stop.start_ns),
        key=lambda stop: (stop.machine, stop.start_ns),
    )


def test_what_is_said_late_and_described_otherwise(tmp_path):
    with Stage(tmp_path, options={"window_ns": TEN_YEARS_NS}) as stage:
        stage.wait_center()
        stage.feed(12)
        stage.wait_agent(12)
        eventually(lambda: (stage.api("sites") or [{}])[0].get("id") == "test", what="the site at the center")
        hour = 3600
        reason = declare(stage, "reason", "die-jam", 0.3 * hour, 0.8 * hour)
        wrong = declare(stage, "rejects", "40", 0.2 * hour, 1.2 * hour)
        rejects = declare(stage, "rejects", "12", 0.2 * hour, 1.2 * hour, replaces=wrong)
        across = declare(stage, "rejects", "3", 1.0 * hour, 1.5 * hour)
        told = wait_echoes(stage)
        assert [told[name] for name in (reason, wrong, rejects)] == [("done", "")] * 3
        assert told[across] == ("refused", f"overlaps {rejects}")

        meeting = ("planned_stop", "meeting", "--from", iso(0.5 * hour), "--to", iso(0.6 * hour), "--who", "Lan")
        local = nhip(stage, "declare", tmp_path / "site.yaml", "sew", *meeting, "--lang", "en")
        text, _ = local.communicate(timeout=PATIENCE_S)
        assert local.returncode == 0, text
        assert "follow it" in text.decode()

        stage.feed()
        stage.wait_agent(FILES)
        stage.agent.stop()
        site = tmp_path / "site.yaml"
        changed = (
            site.read_text(encoding="utf-8").replace("ideal: 2s", "ideal: 1.5s").replace("12:30-12:45", "13:00-13:30")
        )
        site.write_text(changed, encoding="utf-8")
        refused = nhip(stage, "declare", site, "nobody", *meeting)
        assert refused.wait(PATIENCE_S) == 2
        stage.agent.start()
        eventually(lambda: _online(stage), what="the agent again")
        again = nhip(stage, "recompute", site, "--json")
        eventually(lambda: kept(stage, declared.recompute_requests), what="the request", every_s=0.01)
        eventually(lambda: any(row.state == "done" for row in kept(stage, declared.recompute_requests)), every_s=0.005)
        stage.agent.kill()
        again.wait(PATIENCE_S)
        stage.agent.start()
        eventually(
            lambda: all(row.state == "done" for row in kept(stage, declared.recompute_requests)), what="recomputing"
        )

        eventually(stage.delivered, what="delivery")
        window = f"from={iso(60).replace('+', '%2B')}&to={iso(FILES * SECONDS - MINUTE_S).replace('+', '%2B')}"
        coverage = stage.api(f"coverage?site=test&machine=press&{window}")["rows"][0]
        said = {name: kept(stage, lambda db, name=name: declared.followed(db, name)) for name in ("press", "sew")}
        assert {len(items) for items in said.values()} == {3, 1}
        books = stage.finish()
    expected = fresh(tmp_path, site, said)
    assert books.facts == expected.facts
    assert books.losses == expected.losses
    assert standing(books.stops) == standing(expected.stops)
    assert (books.repeated, books.overfull, books.quarantine) == (0, 0, [])
    assert coverage["unknown_ms"] == 0, "the center counts the break where the new calendar has it"
    assert coverage["scheduled_ms"] == (FILES * SECONDS - 2 * MINUTE_S - 30 * MINUTE_S) * 1000


def play(stage, dice):
    """People say things late while agent, broker and center are killed and come back."""
    for number in range(dice.randint(4, 7)):
        stage.feed(min(FILES, stage.fed + dice.randint(1, 5)))
        start = dice.uniform(0, max(stage.fed - 2, 1)) * SECONDS
        field, value = dice.choice([("reason", "no-air"), ("rejects", str(number)), ("planned_stop", "meeting")])
        body = {"site": "test", "machine": dice.choice(["press", "sew"]), "field": field, "value": value}
        body |= {"from": iso(start), "to": iso(start + dice.uniform(60, 3000))}
        url = f"http://127.0.0.1:{stage.http_port}/api/v1/declarations"
        eventually(
            lambda url=url, body=body: ask(url, json.dumps(body).encode(), JSON),
            what="the center to take a declaration",
        )
        time.sleep(dice.uniform(0.0, 1.5))
        victims = dice.sample([stage.agent, stage.broker, stage.center], dice.choice([0, 1, 1, 2]))
        for victim in victims:
            victim.kill()
        for victim in victims:
            stage.start_broker() if victim is stage.broker else victim.start()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
def test_kills_while_people_correct(tmp_path, seed):
    with Stage(tmp_path, options={"window_ns": TEN_YEARS_NS}) as stage:
        stage.feed(3)
        eventually(lambda: stage.computed() >= 3 and stage.delivered(), what="the first files")
        play(stage, random.Random(seed))
        stage.feed()
        stage.wait_agent(FILES)
        told = wait_echoes(stage)
        eventually(stage.delivered, what="delivery")
        said = {name: kept(stage, lambda db, name=name: declared.followed(db, name)) for name in ("press", "sew")}
        done = {number for number, (state, _) in told.items() if state == "done"}
        books = stage.finish()
    assert done >= {item.id for items in said.values() for item in items}
    expected = fresh(tmp_path, tmp_path / "site.yaml", said)
    assert books.facts == expected.facts
    assert books.losses == expected.losses
    assert standing(books.stops) == standing(expected.stops)
    assert (books.repeated, books.overfull, books.quarantine) == (0, 0, [])


def _online(stage):
    with closing(sqlite3.connect(f"file:{stage.outbox}?mode=ro", uri=True)) as db:
        settings = dict(db.execute("select key, value from settings"))
    return bool(json.loads(settings.get("outdated", "{}")))
