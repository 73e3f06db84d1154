"""The minimal cost of reading and publishing: one hand-written asyncio loop without quality, states, disk or receipts.

    floor.py burst|spread BROKER_PORT PLC_PORT ...

Each second it reads 100 holding registers of every PLC and publishes them as JSON with QoS 1: `burst` reads all at once
and publishes one message, `spread` gives each PLC its own slot in the second and its own message.
"""

import asyncio
import json
import struct
import sys
import time

REGISTERS = 100
QUESTION = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, REGISTERS)
VALUES = struct.Struct(f">{REGISTERS}H")
ANSWER = 9 + VALUES.size


class Plc(asyncio.Protocol):
    """One socket. done: called with the values."""

    def __init__(self, number, done):
        self.number, self.done, self.received = number, done, b""

    def connection_made(self, transport):
        self.transport = transport

    def ask(self):
        self.transport.write(QUESTION)

    def data_received(self, data):
        self.received += data
        if len(self.received) >= ANSWER:
            values = VALUES.unpack_from(self.received, 9)
            self.received = b""
            self.done(self.number, values)


class Mqtt(asyncio.Protocol):
    """A minimal publisher of MQTT 3.1.1."""

    def __init__(self):
        self.packet = 0

    def connection_made(self, transport):
        self.transport = transport
        body = b"\0\4MQTT\4\2\0\x3c\0\5floor"
        transport.write(bytes([0x10, len(body)]) + body)

    def data_received(self, data):
        pass  # acknowledgements

    def publish(self, topic, payload):
        self.packet = self.packet % 65535 + 1
        head = struct.pack(">H", len(topic)) + topic + struct.pack(">H", self.packet)
        size, left = b"", len(head) + len(payload)
        while True:
            left, low = divmod(left, 128)
            size += bytes([low | 0x80 if left else low])
            if not left:
                break
        self.transport.write(b"\x32" + size + head + payload)


async def main(how, broker, ports):
    loop = asyncio.get_running_loop()
    _, mqtt = await loop.create_connection(Mqtt, "127.0.0.1", broker)
    by_plc = {}

    def publish(values):
        mqtt.publish(b"floor/values", json.dumps({"at": time.time_ns(), "values": values}).encode())

    def done(number, values):
        if how == "spread":
            publish({number: values})
            return
        by_plc[number] = values
        if len(by_plc) == len(ports):
            publish(by_plc)
            by_plc.clear()

    plcs = []
    for number, port in enumerate(ports):
        _, plc = await loop.create_connection(lambda number=number: Plc(number, done), "127.0.0.1", port)
        plcs.append(plc)

    def poll(plc, due_s):
        plc.ask()
        loop.call_at(due_s + 1.0, poll, plc, due_s + 1.0)

    def poll_all(due_s):
        for plc in plcs:
            plc.ask()
        loop.call_at(due_s + 1.0, poll_all, due_s + 1.0)

    start_s = loop.time() + 0.1
    if how == "burst":
        loop.call_at(start_s, poll_all, start_s)
    else:
        for number, plc in enumerate(plcs):
            due_s = start_s + number / len(plcs)
            loop.call_at(due_s, poll, plc, due_s)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
