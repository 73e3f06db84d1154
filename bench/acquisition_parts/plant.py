"""Test bed of the acquisition bench: PLCs, site files, and the cost of a process."""

import os
import signal
import struct
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
TAGS = 100
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Plcs:
    """A process that simulates `count` PLCs. arrivals_ns(): by PLC, when requests arrived."""

    def __init__(self, count, folder):
        program, self._log = folder / "plcs", folder / "arrivals"
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", program, HERE / "plcs.c"], check=True)
        self._process = subprocess.Popen([program, str(count), self._log], stdout=subprocess.PIPE, text=True)
        self.ports = [int(port) for port in self._process.stdout.readline().split()]

    def stop(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def end(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)

    def arrivals_ns(self):
        """Times of requests by PLC; to be called after `end`."""
        arrivals = defaultdict(list)
        for t_ns, plc in struct.iter_unpack("qq", self._log.read_bytes()):
            arrivals[plc].append(t_ns)
        return arrivals


@contextmanager
def plcs(count, folder):
    processes = Plcs(count, folder)
    try:
        yield processes
    finally:
        processes.end()


def jitter_ms(arrivals_ns, from_ns, until_ns, period_s=1.0):
    """Deviation of the time between two requests to a PLC from the period [ms]: median, 99 %, maximum."""
    gaps = [np.diff([t_ns for t_ns in times if from_ns <= t_ns < until_ns]) for times in arrivals_ns.values()]
    off = np.abs(np.concatenate(gaps) / 1e9 - period_s) * 1000
    return tuple(round(float(value), 2) for value in (*np.percentile(off, (50, 99)), off.max()))


def site(folder, broker, ports, devices=()):
    """A site file: a machine with a counter and a state on each PLC, 100 tags each; `devices`: further lines."""
    tags = "\n".join(f"      t{at}: {{holding: {at}}}" for at in range(TAGS))
    lines = ["site: bench", "clock: system", "timezone: Asia/Ho_Chi_Minh", "name: {vi: Đo, en: Bench}",
             f'center: {{broker: "mqtt://127.0.0.1:{broker}"}}', "devices:"]  # fmt: skip
    for number, port in enumerate(ports):
        lines += [
            f"  plc-{number}:",
            "    kind: modbus_tcp",
            "    host: 127.0.0.1",
            f"    port: {port}",
            "    tags:",
            tags,
        ]
    lines += [*devices, "values:", *(f"  plc-{number}.*:" for number in range(len(ports))), "machines:"]
    for number in range(len(ports)):
        plc = f"plc-{number}"
        lines += [f"  m-{number}:", f"    state: [{{when: {plc}.t1, is: running}}, {{is: unplanned_stop}}]",
                  f"    pieces: {{total: {plc}.t0}}", '    product: "1"']  # fmt: skip
    lines += ["products:", '  "1": {name: {vi: Ốp, en: Cover}, ideal: 900ms}', "shifts:",
              '  - {name: A, days: daily, from: "00:00", to: "24:00"}']  # fmt: skip
    path = folder / "site.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def flood_site(folder, broker, port):
    """A site file with the OPC UA server of opcua_flood.py, which reports its changes forty times a second."""
    tags = "\n".join(f'      v{item}: {{node: "nsu=urn:nhip:bench;s=v{item}"}}' for item in range(500))
    path = folder / "flood.yaml"
    path.write_text(
        f"""site: bench
clock: system
timezone: Asia/Ho_Chi_Minh
name: {{vi: Đo, en: Bench}}
center: {{broker: "mqtt://127.0.0.1:{broker}"}}
devices:
  flood:
    kind: opcua
    url: opc.tcp://127.0.0.1:{port}/
    every: 25ms
    tags:
{tags}
machines:
  m: {{state: [{{when: flood.v0 >= 0, is: running}}, {{is: unplanned_stop}}], product: "1"}}
products:
  "1": {{name: {{vi: Ốp, en: Cover}}, ideal: 1s}}
shifts:
  - {{name: A, days: daily, from: "00:00", to: "24:00"}}
""",
        encoding="utf-8",
    )
    return path


def telegraf_config(broker, ports):
    """Telegraf's configuration for the same work."""
    fields = ",".join(f'{{address={at},name="t{at}",type="UINT16"}}' for at in range(TAGS))
    inputs = [
        f"""[[inputs.modbus]]
  name = "plc-{number}"
  controller = "tcp://127.0.0.1:{port}"
  configuration_type = "request"
  [[inputs.modbus.request]]
    slave_id = 1
    register = "holding"
    fields = [{fields}]
"""
        for number, port in enumerate(ports)
    ]
    head = f"""[agent]
  interval = "1s"
  flush_interval = "1s"
[[outputs.mqtt]]
  servers = ["tcp://127.0.0.1:{broker}"]
  topic = "telegraf"
  qos = 1
  data_format = "json"
  layout = "batch"
"""
    return head + "".join(inputs)


def values_due(arrivals_ns):
    """Number of values to be delivered: those that differ from the ones before (see plcs.c), and for each tag one at the
    start that says it is not known yet.
    """
    count = TAGS * len(arrivals_ns)
    for times in arrivals_ns.values():
        second = np.array(times) // 1_000_000_000
        running = second % 60 < 50
        count += TAGS + int(np.count_nonzero(np.diff(second)) * (TAGS - 1) + np.count_nonzero(np.diff(running)))
    return count


def back_s(arrivals_ns, from_ns):
    """By PLC, how long after `from_ns` it was polled each second again [s]; PLCs that never were are left out."""
    delays_s = []
    for times in arrivals_ns.values():
        later = np.array([t_ns for t_ns in times if t_ns >= from_ns])
        steady = np.flatnonzero(np.abs(np.diff(later) / 1e9 - 1.0) < 0.3)
        if len(steady):
            delays_s.append((later[steady[0]] - from_ns) / 1e9)
    return delays_s


def cpu_s(pid):
    """CPU seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_mb(pid):
    """The largest resident size that a process had, start-up included [MB]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024, 1)
