"""The whole edge process: a real PLC on one side, a real broker on the other, kills in between."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import edge_brokers as brokers
import numpy as np
import pytest
from edge_plc import plc, site_file
from servers import PATIENCE_S, until

from oee.model.facts import FACT, MINUTE_NS, add_up
from wire.bodies import read_facts_body
from wire.site import SiteBody
from wire.values import read_values_body

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
AGENT = """
import json, logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO)
from agent.run import Options, main
site, outbox, history, ready = sys.argv[1:5]
tell = lambda progress: print(json.dumps(progress), flush=True)
options = Options(commit_every_s=0.5, ready_file=Path(ready), progress=tell)
main(Path(site), Path(outbox), Path(history) if history else None, options)
print(json.dumps({"loaded": sorted(sys.modules)}), flush=True)
"""
UNUSED = [
    "adapters.opcua.adapter",
    "asyncua",
    "center",
    "config.alerts",
    "config.center",
    "config.check.site",
    "config.load",
    "cryptography",
    "duckdb",
    "fastapi",
    "nicegui",
    "numpy.ma",
    "numpy.random",
    "prometheus_client",
    "rich",
    "ruamel",
    "simulator",
    "starlette",
    "uvicorn",
]
"""Each of these would cost an agent with Modbus devices memory for as long as it runs."""
MOST_MODULES = 390
"""Of Nhịp and its libraries, in such an agent. A module is some 50 kB."""


@pytest.fixture
def broker(tmp_path):
    with brokers.mosquitto(tmp_path) as running_broker:
        yield running_broker


@asynccontextmanager
async def agent(folder, site, history=""):
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    log = (folder / "agent.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, str(site), str(folder / "outbox.db"), str(history), str(ready)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
    )
    process.ready = ready
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        log.close()


async def ended(process, number=signal.SIGTERM):
    process.send_signal(number)
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return [json.loads(line) for line in out.splitlines()]


def sums(center, before_ns=2**62):
    seen, tables = set(), []
    for kind, stream, seq, body in center.arrived:
        if kind == "facts" and (stream, seq) not in seen and "dropped" not in body:
            seen.add((stream, seq))
            tables.append(read_facts_body(body)[0])
    facts = add_up(tables)
    total = facts.sums[facts.minute_ns < before_ns].sum(axis=0)
    return {name: int(total[index]) for name, index in FACT.items() if total[index]}


async def test_a_gateway_from_start_to_stop(broker, tmp_path):
    async with plc() as machine:
        site = site_file(tmp_path, machine.port, broker.port)
        with brokers.Center(broker.port) as center:
            async with agent(tmp_path, site) as process:
                await until(process.ready.exists)
                machine.coils[0] = True
                await until(
                    lambda: (
                        (center.plain.get("live") or [{}])[-1].get("machines", {}).get("m-1", {}).get("state")
                        == "running"
                    )
                )
                await until(lambda: center.seqs("site"))
                body = SiteBody.model_validate(next(item[3] for item in center.arrived if item[0] == "site"))
                assert body.name["vi"] == "Xưởng thử"
                assert set(body.machines) == {"m-1"}
                await machine.stop()
                await until(lambda: center.plain["status"][-1].get("devices") == {"plc": False})
                await until(lambda: center.plain["live"][-1]["machines"]["m-1"]["state"] == "unknown")
                await machine.start()
                await until(lambda: center.plain["status"][-1].get("devices") == {"plc": True})
                status = center.plain["status"][-1]
                assert status["generation"] == "g1"
                assert status["version"]
                assert status["health"]["rss_mb"] < 80
                said = await ended(process)
                assert process.returncode == 0
                loaded = said[-1]["loaded"]
                assert [name for name in UNUSED if name in loaded] == []
                libraries = [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names]
                assert 200 < len(libraries) <= MOST_MODULES, libraries
            await until(lambda: center.plain["status"][-1]["online"] is False)
            async with agent(tmp_path, site) as process:  # nothing new to say about the site
                await until(process.ready.exists)
                await ended(process)
            assert center.seqs("site") == [1]


def write_day(folder, number, start_ns, seconds, running, counts):
    t_ns = start_ns + np.arange(seconds, dtype=np.int64) * S
    change = np.append(True, running[1:] != running[:-1])
    arrays = {
        "plc.run/t": t_ns[change],
        "plc.run/v": running[change],
        "plc.run/q": np.zeros(change.sum(), np.uint8),
        "plc.count/t": t_ns,
        "plc.count/v": counts,
        "plc.count/q": np.zeros(seconds, np.uint8),
        "until": np.array([t_ns[-1]], np.int64),
    }
    np.savez(folder / "part.npz", **arrays)
    (folder / "part.npz").rename(folder / f"day-{number:03d}.npz")


def two_days(folder, start_ns, seconds=5 * 3600):
    running = (np.arange(2 * seconds) // 1000) % 3 != 2
    counts = np.cumsum(running)
    for number in range(2):
        piece = slice(number * seconds, (number + 1) * seconds)
        write_day(folder, number, start_ns + number * seconds * S, seconds, running[piece], counts[piece] % 65536)
        yield running, counts
    (folder / "done").touch()


async def test_history_first_then_live_through_kills(broker, tmp_path):
    history = tmp_path / "history"
    history.mkdir()
    seconds = 2 * 5 * 3600
    start_ns = (brokers.time.time_ns() - (seconds + 30) * S) // MINUTE_NS * MINUTE_NS
    days = two_days(history, start_ns)
    running, counts = next(days)
    async with plc() as machine:
        machine.coils[0], machine.holding[0] = bool(running[-1]), int(counts[-1])
        site = site_file(tmp_path, machine.port, broker.port)
        with brokers.Center(broker.port) as center:
            async with agent(tmp_path, site, history) as process:  # the first day, then kill -9 while waiting
                assert json.loads(await process.stdout.readline())["history_day"] == 1
                process.kill()
                await process.wait()
            next(days)
            list(days)
            async with agent(tmp_path, site, history) as process:
                await until(process.ready.exists)
                await until(lambda: len(set(center.seqs())) >= 2 and not center.plain["status"][-1].get("waiting"))
                said = await ended(process)
                assert any(
                    item.get("history_days") == 2 and item["done"] and sum(item["written"].values()) >= 3
                    for item in said
                )
            whole = seconds - 60  # the last minute is not over when the history ends
            found = sums(center, start_ns + whole * S)
            assert found["running_ms"] == running[:whole].sum() * 1000
            assert found["unplanned_stop_ms"] == (~running[:whole]).sum() * 1000
            assert "unknown_ms" not in found
            assert found["pieces_total"] == counts[whole - 1] - counts[0]
            assert 2 <= len(set(center.seqs())) <= 12  # an envelope for some hours, not for a step


async def test_an_outage_of_the_broker_costs_nothing(broker, tmp_path):
    history = tmp_path / "history"
    history.mkdir()
    start_ns = (brokers.time.time_ns() - (36_000 + 30) * S) // MINUTE_NS * MINUTE_NS
    list(two_days(history, start_ns))
    async with plc() as machine:
        site = site_file(tmp_path, machine.port, broker.port)
        broker.kill()
        async with agent(tmp_path, site, history) as process:
            await until(process.ready.exists, 40)
            before = machine.requests
            await until(lambda: machine.requests > before + 5)  # polling does not mind
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        broker.start()
        with brokers.Center(broker.port) as center:
            async with agent(tmp_path, site) as process:
                await until(lambda: len(set(center.seqs())) >= 2 and center.seqs("site"))
                await ended(process, signal.SIGINT)
            assert sorted(set(center.seqs())) == list(range(1, max(center.seqs()) + 1))
            assert sums(center)["pieces_total"] > 20_000


async def test_a_copied_card_begins_new_streams(broker, tmp_path):
    async with plc() as machine:
        site = site_file(tmp_path, machine.port, broker.port)
        with brokers.Center(broker.port) as center:
            async with agent(tmp_path, site) as process:
                await until(lambda: center.seqs("site"))
                await ended(process)
            old = next(item[1] for item in center.arrived)
            center.settled[old][1].update(range(1, 50))  # the original went on without us
            center.receipt()
            async with agent(tmp_path, site) as process:
                await until(lambda: any(item[0] == "site" and item[1] != old for item in center.arrived))
                await ended(process)
            assert b"old copy" in (tmp_path / "agent.log").read_bytes()


async def test_every_change_of_a_marked_tag_reaches_the_center(broker, tmp_path):
    async with plc() as machine:
        site = site_file(tmp_path, machine.port, broker.port)
        site.write_text(f"{site.read_text()}values:\n  plc.count: {{}}\n", encoding="utf-8")
        with brokers.Center(broker.port) as center:
            async with agent(tmp_path, site) as process:
                await until(process.ready.exists)
                for count in range(1, 6):
                    before = machine.requests
                    machine.holding[0] = count
                    await until(lambda before=before: machine.requests > before + 2)
                await machine.stop()
                told = center.plain.setdefault("live", [])
                await until(lambda: told and told[-1]["machines"]["m-1"]["state"] == "unknown")
                await ended(process)
    body = next(item[3] for item in center.arrived if item[0] == "site")
    assert body["values"] == {"plc.count": {"unit": "", "machines": ["m-1"]}}
    columns = [read_values_body(body) for kind, _, _, body in center.arrived if kind == "values"]
    rows = [row for found in columns for row in zip(found.t_ns.tolist(), found.number.tolist(), strict=True)]
    assert {tag for found in columns for tag in found.tag} == {"plc.count"}
    seen = [int(number) for _, number in rows if number == number]  # noqa: PLR0124  # NaN is a gap
    assert [count for count in seen if count] == [1, 2, 3, 4, 5]
    assert np.isnan(rows[0][1]), "unknown until the first poll"
    assert np.isnan(rows[-1][1]), "unknown from the last confirmation on"
    assert [t_ns for t_ns, _ in rows] == sorted(t_ns for t_ns, _ in rows)
