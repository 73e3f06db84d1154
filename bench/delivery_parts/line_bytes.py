"""Bytes on the line in a machine-day at a site of 20 machines: facts, losses, stops, corrections, live and status,
computed by the agent's own pipeline from simulated machines; headers of MQTT, TCP and TLS as `agent.uplink.traffic` counts them.
"""

import random

from adapters.contract import Row
from agent.compute.pipeline import Pipeline, snapshots
from agent.outbox.packing import bodies
from agent.reports.status import live_machines
from agent.uplink.traffic import TrafficMeter
from config import compile_site, load_profiles, parse_site
from oee.model.states import Quality
from wire.bodies import Live, Status
from wire.envelope import pack_message, seal

S = 1_000_000_000
START_NS = 1_780_272_000_000_000_000
SITE = """
site: bench
timezone: Asia/Ho_Chi_Minh
devices:
  plc: {{kind: modbus_tcp, host: 192.0.2.1, tags: {{{tags}}}}}
machines:
{machines}
products: {{"1": {{ideal: 4s}}}}
shifts: [{{name: A, days: daily, from: "00:00", to: "24:00"}}]
"""
MACHINE = """  press-{number}:
    state: [{{when: "plc.run{number}", is: running}}, {{is: unplanned_stop}}]
    pieces: {{total: plc.count{number}, reject: plc.rejects{number}}}
    product: "1"
"""
STATUS_EVERY_S, LIVE_EVERY_S, COMMIT_S, STEP_S = 30, 30, 10, 2


def _site(machines):
    tags = ", ".join(
        f"run{n}: {{coil: {n}}}, count{n}: {{holding: {2 * n}}}, rejects{n}: {{holding: {2 * n + 1}}}"
        for n in range(machines)
    )
    return parse_site(SITE.format(tags=tags, machines="".join(MACHINE.format(number=n) for n in range(machines))))[0]


class _Press:
    """Runs and stops at random: stops of half a minute every five, now and then one of ten; a reject in fifty."""

    def __init__(self, number, chance):
        self.number, self._chance = number, chance
        self.running, self.until, self.count, self.rejects, self.next_piece = True, chance.uniform(30, 300), 0, 0, 4.0

    def rows(self, second):
        out = []
        if second >= self.until:
            self.running = not self.running
            stop = self._chance.choice([20, 30, 40, 60, 600])
            self.until = second + (self._chance.expovariate(1 / 300) if self.running else stop)
            out.append((f"run{self.number}", self.running))
        if self.running and second >= self.next_piece:
            self.next_piece = second + 4
            self.count += 1
            out.append((f"count{self.number}", self.count))
            if self._chance.random() < 0.02:
                self.rejects += 1
                out.append((f"rejects{self.number}", self.rejects))
        return [Row(f"plc.{tag}", START_NS + second * S, value, Quality.GOOD) for tag, value in out]


def machine_day(machines=20, hours=1.0):
    """MB of each part a machine-day."""
    site = _site(machines)
    pipeline = Pipeline(compile_site(site, load_profiles()), {})
    chance = random.Random(2)
    presses = [_Press(number, chance) for number in range(machines)]
    first = [
        Row(f"plc.{tag}{n}", START_NS, value, Quality.GOOD)
        for n in range(machines)
        for tag, value in (("run", True), ("count", 0), ("rejects", 0))
    ]
    pipeline.feed_rows(first)
    meter, seq, sent_gist, sent_live_s, changes = TrafficMeter(), 0, None, 0.0, 0
    spent = {"facts": 0, "live": 0, "status": 0}

    def publish(part, name, size):
        meter.publish("must", f"nhip/v1/bench/main/{name}", size)
        spent[part] += meter.take(None)["must"]

    for second in range(STEP_S, round(hours * 3600), STEP_S):
        for press in presses:
            pipeline.feed_rows(press.rows(second))
        pipeline.advance(dict.fromkeys(pipeline.tags, START_NS + second * S), idle_ns=10 * S)
        gist = {name: (item.state, item.reason) for name, item in snapshots(pipeline).items()}
        if snapshots(pipeline) and (gist != sent_gist or second - sent_live_s >= LIVE_EVERY_S):
            changes += gist != sent_gist
            sent_gist, sent_live_s = gist, second
            publish(
                "live", "live", len(pack_message(Live(at_ns=START_NS, machines=live_machines(snapshots(pipeline), {}))))
            )
        if second % STATUS_EVERY_S == 0:
            publish("status", "status", len(pack_message(_status(second))))
            publish("status", "receipt", 250)
        if second % COMMIT_S == 0:
            for content in bodies(pipeline.take()):
                seq += 1
                publish("facts", "facts", len(seal("ab" * 8, seq, 1, content).data))
                publish("facts", "receipt", 250)
    scale = 24 / hours / machines / 1e6
    out = {f"{part}_mb": round(size * scale, 3) for part, size in spent.items()}
    return out | {"total_mb": round(sum(spent.values()) * scale, 3), "live_changes_an_hour": round(changes / hours)}


def _status(second):
    health = {f"counter_{number}": float(second * number) for number in range(30)}
    return Status(
        online=True, at_ns=START_NS + second * S, generation="ab" * 8, marks={"ab" * 8: second, "cd" * 8: 3},
        config_hash="ab" * 8, version="0.1.0", devices={"plc": True}, health=health,
    )  # fmt: skip
