"""A site that `nhip init` made of any equipment profile comes to an OEE: five minutes of its signals, and what `nhip show` asks
for, typed as it is printed. The agent's own parts compute it, without devices and network.
"""

import asyncio
import json
import shlex
import time
from datetime import UTC, datetime

import pytest
from tools_plant import run

from adapters.contract import Row
from agent.compute.pipeline import Pipeline
from agent.devices.recorder import Recorder
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.uplink.sender import Sender
from config import compile_site, description, load_profiles, load_site
from config.templates.equipment import equipment, equipment_ids
from oee.model.states import Quality

S = 1_000_000_000
LASTS_S = 280
PIECE_S = 5
MODULE = "moxa-iologik-e1210 device=io-1 host=192.168.1.31"
METER = "eastron-sdm630 device=meter-1 port=/dev/ttyUSB7 baud=9600"
MACHINES = [name for name in equipment_ids() if equipment(name).body.get("machines")]
WAYS = [(name, way) for name in MACHINES for way in equipment(name).ways or ((),)]
COUNTERS = ("count", "processed", "parts", "total")
REJECT_COUNTERS = ("reject", "defective", "bad_parts", "bad")
RUNNING = {
    ("stack-light", ""): {"io-1.di_0": True, "io-1.di_1": False, "io-1.di_2": False},
    ("running-contact", ""): {"io-1.di_0": True, "io-1.di_1": False},
    ("power-running", ""): {"meter-1.power": 10.0},
    ("packml-opcua", "state"): {"state": 6},
    ("packml-opcua", "base_state"): {"base_state": "Cleared", "machine_state": "Running", "execute_state": "Execute"},
    ("packml-modbus", ""): {"state": 6},
    ("euromap77-opcua", ""): {"status": 4},
    ("euromap83-opcua", ""): {"status": 4},
    ("machinery-opcua", "state"): {"state": 3},
    ("machinery-opcua", "state_id"): {"state": "Executing"},
    ("machine-tool-opcua", "state"): {"state": 0},
    ("machine-tool-opcua", "program"): {"program": 1},
    ("weihenstephan-opcua", ""): {"base_state": "Cleared", "machine_state": "Running", "execute_state": "Execute"},
    ("pulse-counter", ""): {},
}
"""By profile, and by the first variable of the way in which a row gives it: its tags while the machine runs."""


def row_of(profile, way, *, judged):
    """A row of a site file as its examples have it, with a counter; judged: and with one of rejects."""
    out = []
    for name, variable in equipment(profile).variables.items():
        if variable.required or name in (*COUNTERS, *way) or (judged and name in REJECT_COUNTERS):
            text = "io-1.count_1" if name == "reject" else variable.example
            out.append(f'{name}="{text}"')
    return f"{profile} {' '.join(out)}"


def rows_of(machine, values, began_ns):
    """The signals of a machine that has been running, with a piece every five seconds."""
    counters = {counter.tag: role for role, counter in machine.pieces.counters().items()}
    for second in range(0, LASTS_S, PIECE_S):
        for tag in sorted(machine.tags()):
            value = values.get(tag, values.get(tag.rpartition(".")[2], False))
            if tag in counters:
                value = second // PIECE_S if counters[tag] == "total" else second // (PIECE_S * 20)
            yield Row(tag, began_ns + second * S, value, Quality.GOOD)


async def ran(site_file, values):
    """The outbox that an agent would have written, of the last minutes."""
    site = load_site(site_file)
    machines = compile_site(site, load_profiles())
    began_ns = (time.time_ns() - LASTS_S * S) // S * S
    outbox = Outbox(site_file.with_suffix(".outbox"))
    pipeline = Pipeline(machines, outbox.carries())
    sender, health = Sender(all_streams(outbox)), Health()
    committer = Committer(outbox, pipeline, sender, health, time.time_ns, recorder=Recorder({}), author="x/main")
    committer.site.announce(description(site)(began_ns), began_ns)
    for machine in machines.values():
        pipeline.feed_rows(rows_of(machine, values, began_ns))
    for until_s in range(10, LASTS_S + 1, 10):
        pipeline.advance(dict.fromkeys(machines, began_ns + until_s * S))
    assert pipeline.failures == 0
    assert await committer.commit(final=True)
    await committer.thread.close()


def looked(site_file):
    (machine,) = json.loads(run("show", site_file, "--json").stdout)["machines"]
    return machine


@pytest.mark.parametrize("judged", [False, True], ids=["people count rejects", "a counter counts rejects"])
@pytest.mark.parametrize(("profile", "way"), WAYS)
def test_a_site_of_each_profile_comes_to_an_oee(tmp_path, profile, way, judged):
    if judged and not set(REJECT_COUNTERS) & set(equipment(profile).variables):
        pytest.skip("this equipment has no counter of rejects")
    values = RUNNING.get((profile, way[0] if way else ""))
    assert values is not None, "a new profile or way: say in RUNNING what its tags are while the machine runs"
    site_file = tmp_path / "site.yaml"
    own_device = bool(equipment(profile).kind)
    uses = [row_of(profile, way, judged=judged)]
    uses = uses if own_device else [MODULE, *([METER] if profile == "power-running" else []), *uses]
    flags = [item for use in uses for item in ("--use", use)]
    zone = ("--timezone", "UTC" if 2 <= datetime.now(UTC).hour < 22 else "Asia/Ho_Chi_Minh")  # no midnight on the way
    more = ("--site", "tan-phat", *zone, "--shift", "A daily 00:00-24:00", "--product", "Áo", "--ideal", "5s", "--yes")
    made = run("init", site_file, *flags, *more)
    assert made.exit_code == 0, made.output
    asyncio.run(ran(site_file, values))

    before = looked(site_file)
    assert before["state"] == "running"
    assert before["shift"]["availability"] == pytest.approx(1.0, abs=0.05)
    for question in before["questions"]:
        words = shlex.split(question["command"])
        assert words[:2] == ["nhip", "declare"]
        assert run(*words[1:]).exit_code == 0
    assert (before["shift"]["oee"] is None) == bool(before["questions"]) == (not judged)
    assert run("recompute", site_file).exit_code == 0  # no agent runs: this does what one would do

    shift = looked(site_file)["shift"]
    assert shift["oee"] is not None
    assert 0 < shift["oee_low"] <= shift["oee"] + 1e-9
    assert shift["oee"] <= shift["oee_high"] + 1e-9
